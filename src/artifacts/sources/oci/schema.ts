/** The schemas of what registries, layouts and logins hold. Foreign data: unknown keys are no errors. Sizes in bytes. */
import { array, exactOptional, looseObject, nullable, number, record, regex, string } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';

// ── manifests ────────────────────────────────────────────────────────────────────────────────────────────────────

const digest = string().check(regex(/^sha256:[0-9a-f]{64}$/));

const descriptor = looseObject({
  mediaType: string(),
  digest,
  size: number(),
  annotations: exactOptional(record(string(), string())),
  artifactType: exactOptional(string()),
  platform: exactOptional(looseObject({ architecture: string(), os: string(), variant: exactOptional(string()) })),
});

export const manifest = looseObject({
  mediaType: exactOptional(string()),
  artifactType: exactOptional(string()),
  config: descriptor,
  layers: array(descriptor),
  annotations: exactOptional(record(string(), string())),
});

export const index = looseObject({ mediaType: exactOptional(string()), manifests: array(descriptor) });

/** Names a manifest or blob by digest, size and media type (OCI image specification). */
export type Descriptor = Infer<typeof descriptor>;
/** Of one image or artifact. */
export type Manifest = Infer<typeof manifest>;
/** Of several, by platform. */
export type Index = Infer<typeof index>;

export const imageConfig = looseObject({ architecture: exactOptional(string()), os: exactOptional(string()) });

// ── what registries answer ───────────────────────────────────────────────────────────────────────────────────────

export const tagPage = looseObject({ tags: nullable(array(string())) });
export const tokenAnswer = looseObject({ token: exactOptional(string()), access_token: exactOptional(string()) });

// ── logins ───────────────────────────────────────────────────────────────────────────────────────────────────────

const auth = looseObject({
  auth: exactOptional(string()),
  username: exactOptional(string()),
  password: exactOptional(string()),
  identitytoken: exactOptional(string()),
});
export const dockerConfig = looseObject({
  auths: exactOptional(record(string(), auth)),
  credsStore: exactOptional(string()),
  credHelpers: exactOptional(record(string(), string())),
});
export const helperAnswer = looseObject({ Username: string(), Secret: string() });
