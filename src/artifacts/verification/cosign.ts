/**
 * cosign's signatures of OCI artifacts: over a small text that names the manifest's digest ("simple signing"), kept beside
 * the artifact under the tag `sha256-<hex>.sig`; or as sigstore bundles that refer to it. By a public key, or by an
 * identity that a pinned trusted root vouches for, with an entry in the transparency log and a certificate that its log
 * knows. Sources: cosign's specs/SIGNATURE_SPEC.md and BUNDLE_SPEC.md; `@sigstore/verify` does the verification.
 *
 * Errors: NK_SIGNATURE with what was found and why each did not count; NK_DOCUMENT_INVALID for keys and roots that cannot
 * be read; those of the repository.
 */
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { array, looseObject, number, string } from 'zod/mini';
import type { SignatureRequirement } from '../../model/resources.ts';
import { asNodekilnError, errnoOf, NodekilnError } from '../../errors.ts';
import { parseManifest } from '../sources/oci/model.ts';
import type { Descriptor } from '../sources/oci/model.ts';
import type { Repository } from '../sources/oci/repository.ts';

export interface Signed {
  readonly repository: Repository;
  /** Of the manifest or index that is signed. */
  readonly digest: string;
  /** As asked for, for messages. */
  readonly reference: string;
  /** A folder for temporary files. */
  readonly folder: string;
}

/** Returns when one signature counts. */
export async function verifyArtifact(signed: Signed, requirement: SignatureRequirement): Promise<void> {
  const trusted = await readTrust(requirement);
  const candidates = await findSignatures(signed);
  const refusals: string[] = [];
  for (const candidate of candidates) {
    try {
      await (candidate.type === 'bundle'
        ? verifyBundle(parseJson((await candidate.read()).toString('utf8')), signed, trusted)
        : verifySimple(candidate, signed, trusted));
      return;
    } catch (thrown) {
      refusals.push(`${candidate.name}: ${reasonOf(thrown)}`);
    }
  }
  throw new NodekilnError(
    'NK_SIGNATURE',
    candidates.length === 0 ? `${signed.reference} is not signed` : `no signature of ${signed.reference} counts`,
    { resource: signed.reference, lines: refusals },
  );
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof Refusal || thrown instanceof NodekilnError) return thrown.message;
  // What the library throws says what it expected and what it found; nothing of it is secret.
  return thrown instanceof Error ? thrown.message : 'it cannot be read';
}

class Refusal extends Error {}

// ── what is trusted ──────────────────────────────────────────────────────────────────────────────────────────────

type Trust =
  | { readonly type: 'key'; readonly key: KeyObject }
  | { readonly type: 'identity'; readonly root: unknown; readonly identity: string; readonly issuer: string };

async function readTrust(requirement: SignatureRequirement): Promise<Trust> {
  if ('key' in requirement) {
    const text = requirement.key.includes('-----BEGIN') ? requirement.key : await readText(requirement.key, 'the key');
    try {
      return { type: 'key', key: createPublicKey(text) };
    } catch (cause) {
      throw new NodekilnError('NK_DOCUMENT_INVALID', 'the key that must have signed an artifact is no public key', {
        cause,
        hint: 'Give the .pub file that `cosign generate-key-pair` wrote, or its text.',
      });
    }
  }
  const { trustedRoot, identity, issuer } = requirement;
  const text = await readText(trustedRoot, 'the trusted root');
  try {
    return { type: 'identity', root: JSON.parse(text), identity: identityPattern(identity), issuer };
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_INVALID', `${trustedRoot} is no trusted root`, { cause });
  }
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_INVALID', `${what} ${path} cannot be read: ${errnoOf(cause) ?? ''}`, {
      cause,
    });
  }
}

/** Exact, unless it stands between slashes: then a regular expression for the whole identity. */
function identityPattern(identity: string): string {
  const [, pattern] = /^\/(.*)\/$/s.exec(identity) ?? [];
  return pattern === undefined ? `^${identity.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')}$` : `^(?:${pattern})$`;
}

// ── what is there ────────────────────────────────────────────────────────────────────────────────────────────────

type Candidate =
  | {
      readonly type: 'simple';
      readonly name: string;
      /** One that cannot be read is refused, and the next one is looked at. */
      readonly read: () => Promise<Buffer>;
      readonly annotations: Readonly<Record<string, string>>;
    }
  | { readonly type: 'bundle'; readonly name: string; readonly read: () => Promise<Buffer> };

const simpleSigning = 'application/vnd.dev.cosign.simplesigning.v1+json';
const bundleType = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.3)?\+json/;
const annotation = {
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  bundle: 'dev.sigstore.cosign/bundle',
} as const;
const maxSignatures = 100;
const maxBytes = 1024 * 1024;

async function findSignatures({ repository, digest, folder }: Signed): Promise<Candidate[]> {
  const tag = `${digest.replace(':', '-')}.sig`;
  const simple = await layersOf(repository, tag);
  const referring = (await repository.referrers(digest)).filter(
    ({ artifactType, mediaType }) => bundleType.test(artifactType ?? '') || bundleType.test(mediaType),
  );
  const bundles = (await Promise.all(referring.map((one) => layersOf(repository, one.digest)))).flat();
  const read = async (layer: Descriptor): Promise<Buffer> => {
    if (layer.size > maxBytes) throw new Refusal('is larger than any signature');
    return readFile((await repository.blob(layer, { folder })).path);
  };
  const found: Candidate[] = [];
  for (const [index, layer] of [...simple, ...bundles].slice(0, maxSignatures).entries()) {
    if (layer.mediaType === simpleSigning) {
      const name = `signature ${index + 1} under ${tag}`;
      found.push({ type: 'simple', name, read: () => read(layer), annotations: layer.annotations ?? {} });
    } else if (bundleType.test(layer.mediaType)) {
      found.push({ type: 'bundle', name: `bundle ${layer.digest}`, read: () => read(layer) });
    }
  }
  return found;
}

async function layersOf(repository: Repository, reference: string): Promise<Descriptor[]> {
  try {
    const parsed = parseManifest(await repository.manifest(reference), repository.reference(reference));
    return parsed.type === 'manifest' ? parsed.manifest.layers : [];
  } catch (thrown) {
    if (asNodekilnError(thrown).code === 'NK_ARTIFACT_MISSING') return [];
    throw thrown;
  }
}

// ── simple signing ───────────────────────────────────────────────────────────────────────────────────────────────

const payloadSchema = looseObject({
  critical: looseObject({ image: looseObject({ 'docker-manifest-digest': string() }), type: string() }),
});

async function verifySimple(
  { read, annotations }: Extract<Candidate, { type: 'simple' }>,
  { digest }: Signed,
  trust: Trust,
): Promise<void> {
  const payload = await read();
  const stated = payloadSchema.safeParse(parseJson(payload.toString('utf8')));
  if (!stated.success) throw new Refusal('what is signed is no statement about an image');
  const signedDigest = stated.data.critical.image['docker-manifest-digest'];
  if (signedDigest !== digest) throw new Refusal(`it is for ${signedDigest}, not for ${digest}`);
  const encoded = annotations[annotation.signature];
  if (encoded === undefined) throw new Refusal('it holds no signature');
  const signature = Buffer.from(encoded, 'base64');
  if (trust.type === 'identity') return verifyKeyless(keylessBundle(payload, signature, annotations), payload, trust);
  if (!verifySignature(digestFor(trust.key), payload, trust.key, signature))
    throw new Refusal('it is by another key, or over other content');
}

/** Ed25519 hashes on its own. */
function digestFor(key: KeyObject): string | undefined {
  return key.asymmetricKeyType === 'ed25519' ? undefined : 'sha256';
}

const rekorBundle = looseObject({
  SignedEntryTimestamp: string(),
  Payload: looseObject({ body: string(), integratedTime: number(), logIndex: number(), logID: string() }),
});

/** cosign's annotations as the bundle that the library reads. */
function keylessBundle(payload: Buffer, signature: Buffer, annotations: Readonly<Record<string, string>>): unknown {
  const certificate = annotations[annotation.certificate];
  if (certificate === undefined) throw new Refusal('it is by a key, and an identity is asked for');
  const log = rekorBundle.safeParse(parseJson(annotations[annotation.bundle] ?? ''));
  if (!log.success) throw new Refusal('it is not in a transparency log');
  const { SignedEntryTimestamp, Payload } = log.data;
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      x509CertificateChain: {
        certificates: certificatesIn(certificate).map((rawBytes) => ({ rawBytes })),
      },
      tlogEntries: [
        {
          logIndex: String(Payload.logIndex),
          logId: { keyId: Buffer.from(Payload.logID, 'hex').toString('base64') },
          kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
          integratedTime: String(Payload.integratedTime),
          inclusionPromise: { signedEntryTimestamp: SignedEntryTimestamp },
          canonicalizedBody: Payload.body,
        },
      ],
    },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: sha256Base64(payload) },
      signature: signature.toString('base64'),
    },
  };
}

function certificatesIn(pem: string): string[] {
  return [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g)].map(([, body = '']) =>
    body.replace(/\s/g, ''),
  );
}

// ── sigstore's library ───────────────────────────────────────────────────────────────────────────────────────────

const statementSchema = looseObject({
  subject: array(looseObject({ digest: looseObject({ sha256: string() }) })),
});
const envelopeSchema = looseObject({ dsseEnvelope: looseObject({ payload: string() }) });

async function verifyBundle(bundle: unknown, { digest }: Signed, trust: Trust): Promise<void> {
  if (trust.type === 'key') throw new Refusal('it is by an identity, and a key is asked for');
  await verifyKeyless(bundle, undefined, trust);
  const subjects = subjectsOf(bundle);
  if (!subjects.includes(digest)) throw new Refusal(`it is for ${subjects.join(', ') || 'nothing'}, not for ${digest}`);
}

/** `subject` of the in-toto statement inside the envelope, whose signature was verified before. */
function subjectsOf(bundle: unknown): string[] {
  const envelope = envelopeSchema.safeParse(bundle);
  if (!envelope.success) throw new Refusal('it holds no statement');
  const payload = Buffer.from(envelope.data.dsseEnvelope.payload, 'base64').toString('utf8');
  const statement = statementSchema.safeParse(parseJson(payload));
  return statement.success ? statement.data.subject.map((subject) => `sha256:${subject.digest.sha256}`) : [];
}

async function verifyKeyless(
  bundle: unknown,
  artifact: Buffer | undefined,
  { root, identity, issuer }: Extract<Trust, { type: 'identity' }>,
): Promise<void> {
  const [{ Verifier, toSignedEntity, toTrustMaterial }, { bundleFromJSON }, { TrustedRoot }] = await Promise.all([
    import('@sigstore/verify'),
    import('@sigstore/bundle'),
    import('@sigstore/protobuf-specs'),
  ]);
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(root)), {
    ctlogThreshold: 1,
    tlogThreshold: 1,
    timestampThreshold: 1,
  });
  verifier.verify(toSignedEntity(bundleFromJSON(bundle), artifact), {
    subjectAlternativeName: identity,
    extensions: { issuer },
  });
}

function sha256Base64(content: Buffer): string {
  return createHash('sha256').update(content).digest('base64');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
