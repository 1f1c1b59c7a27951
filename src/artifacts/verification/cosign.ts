/**
 * cosign's signatures of OCI artifacts: over a small text that names the manifest's digest ("simple signing"), kept beside
 * the artifact under the tag `sha256-<hex>.sig`; or as sigstore bundles that refer to it. By a public key, or by an
 * identity that a pinned trusted root vouches for, with an entry in the transparency log and a certificate that its log
 * knows. Sources: cosign's specs/SIGNATURE_SPEC.md and BUNDLE_SPEC.md; the port's `Signatures` do the arithmetic.
 *
 * Errors: NK_SIGNATURE with what was found and why each did not count; NK_DOCUMENT_INVALID for keys and roots that cannot
 * be read; those of the repository.
 */
import type { SignatureRequirement } from '../../model/resources.ts';
import { asNodekilnError, NodekilnError, whyRefused } from '../../errors.ts';
import { createDigest } from '../../host/digest.ts';
import type { Host } from '../../host/port.ts';
import { toBase64, fromBase64, fromHex, textOf } from '../../model/bytes.ts';
import { parseManifest } from '../sources/oci/model.ts';
import type { Descriptor } from '../sources/oci/model.ts';
import type { Repository } from '../sources/oci/repository.ts';
import { envelopeSchema, payloadSchema, rekorBundle, statementSchema } from './schema.ts';

/** Keys and roots are read from our own file system. */
export type VerificationHost = Pick<Host, 'local' | 'signatures'>;

/** What must be signed, and where its signatures are looked for. */
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
export async function verifyArtifact(
  host: VerificationHost,
  signed: Signed,
  requirement: SignatureRequirement,
): Promise<void> {
  const about = { host, signed, trust: await readTrust(host, requirement) };
  const candidates = await findSignatures(host, signed);
  const refusals: string[] = [];
  for (const candidate of candidates) {
    try {
      await (candidate.type === 'bundle'
        ? verifyBundle(textOf(await candidate.read()), about)
        : verifySimple(candidate, about));
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
  return thrown instanceof Error ? thrown.message : 'it cannot be read';
}

class Refusal extends Error {}

// ── what is trusted ──────────────────────────────────────────────────────────────────────────────────────────────

type Trust =
  | { readonly type: 'key'; readonly key: string }
  | { readonly type: 'identity'; readonly root: string; readonly identity: string; readonly issuer: string };

/** A signature under judgement. */
interface About {
  readonly host: VerificationHost;
  readonly signed: Signed;
  readonly trust: Trust;
}

const nothing = new Uint8Array();

async function readTrust(host: VerificationHost, requirement: SignatureRequirement): Promise<Trust> {
  if ('key' in requirement) {
    const { key: given } = requirement;
    const key = given.includes('-----BEGIN') ? given : await readText(host, given, 'the key');
    if ((await host.signatures.byKey({ key, content: nothing, signature: nothing })) !== 'no-key')
      return { type: 'key', key };
    throw new NodekilnError('NK_DOCUMENT_INVALID', 'the key that must have signed an artifact is no public key', {
      hint: 'Give the .pub file that `cosign generate-key-pair` wrote, or its text.',
    });
  }
  const { trustedRoot, identity, issuer } = requirement;
  const root = await readText(host, trustedRoot, 'the trusted root');
  try {
    JSON.parse(root);
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_INVALID', `${trustedRoot} is no trusted root`, { cause });
  }
  return { type: 'identity', root, identity: identityPattern(identity), issuer };
}

async function readText({ local }: VerificationHost, path: string, what: string): Promise<string> {
  const refuse = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_DOCUMENT_INVALID', `${what} ${path} cannot be read: ${why}`, { cause });
  const content = await local.read(path).catch((thrown: unknown) => {
    throw refuse(whyRefused(thrown), thrown);
  });
  if (!content) throw refuse('there is no such file');
  return textOf(content);
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
      readonly read: () => Promise<Uint8Array>;
      readonly annotations: Readonly<Record<string, string>>;
    }
  | { readonly type: 'bundle'; readonly name: string; readonly read: () => Promise<Uint8Array> };

const simpleSigning = 'application/vnd.dev.cosign.simplesigning.v1+json';
const bundleType = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.3)?\+json/;
const annotation = {
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  bundle: 'dev.sigstore.cosign/bundle',
} as const;
const maxSignatures = 100;
const maxBytes = 1024 * 1024;

async function findSignatures(
  { local }: VerificationHost,
  { repository, digest, folder }: Signed,
): Promise<Candidate[]> {
  const tag = `${digest.replace(':', '-')}.sig`;
  const simple = await layersOf(repository, tag);
  const referring = (await repository.referrers(digest)).filter(
    ({ artifactType, mediaType }) => bundleType.test(artifactType ?? '') || bundleType.test(mediaType),
  );
  const bundles = (await Promise.all(referring.map((one) => layersOf(repository, one.digest)))).flat();
  const read = async (layer: Descriptor): Promise<Uint8Array> => {
    if (layer.size > maxBytes) throw new Refusal('is larger than any signature');
    const content = await local.read((await repository.blob(layer, { folder })).path);
    if (!content) throw new Refusal('it cannot be read');
    return content;
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

async function verifySimple(
  { read, annotations }: Extract<Candidate, { type: 'simple' }>,
  { host, signed: { digest }, trust }: About,
): Promise<void> {
  const payload = await read();
  const stated = payloadSchema.safeParse(parseJson(textOf(payload)));
  if (!stated.success) throw new Refusal('what is signed is no statement about an image');
  const signedDigest = stated.data.critical.image['docker-manifest-digest'];
  if (signedDigest !== digest) throw new Refusal(`it is for ${signedDigest}, not for ${digest}`);
  const encoded = annotations[annotation.signature];
  if (encoded === undefined) throw new Refusal('it holds no signature');
  if (trust.type === 'identity') {
    const bundle = JSON.stringify(keylessBundle(payload, encoded, annotations));
    return verifyKeyless(host, trust, { bundle, content: payload });
  }
  const verdict = await host.signatures.byKey({
    key: trust.key,
    content: payload,
    signature: fromBase64(encoded),
  });
  if (verdict !== 'good') throw new Refusal('it is by another key, or over other content');
}

/** cosign's annotations as a sigstore bundle; `signature` in base64. */
function keylessBundle(payload: Uint8Array, signature: string, annotations: Readonly<Record<string, string>>): unknown {
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
          logId: { keyId: toBase64(fromHex(Payload.logID)) },
          kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
          integratedTime: String(Payload.integratedTime),
          inclusionPromise: { signedEntryTimestamp: SignedEntryTimestamp },
          canonicalizedBody: Payload.body,
        },
      ],
    },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: sha256Base64(payload) },
      signature: toBase64(fromBase64(signature)),
    },
  };
}

function certificatesIn(pem: string): string[] {
  return [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g)].map(([, body = '']) =>
    body.replace(/\s/g, ''),
  );
}

// ── sigstore's bundles ───────────────────────────────────────────────────────────────────────────────────────────

async function verifyBundle(bundle: string, { host, signed: { digest }, trust }: About): Promise<void> {
  if (trust.type === 'key') throw new Refusal('it is by an identity, and a key is asked for');
  await verifyKeyless(host, trust, { bundle });
  const subjects = subjectsOf(parseJson(bundle));
  if (!subjects.includes(digest)) throw new Refusal(`it is for ${subjects.join(', ') || 'nothing'}, not for ${digest}`);
}

/** `subject` of the in-toto statement inside the envelope, whose signature was verified before. */
function subjectsOf(bundle: unknown): string[] {
  const envelope = envelopeSchema.safeParse(bundle);
  if (!envelope.success) throw new Refusal('it holds no statement');
  const payload = textOf(fromBase64(envelope.data.dsseEnvelope.payload));
  const statement = statementSchema.safeParse(parseJson(payload));
  return statement.success ? statement.data.subject.map((subject) => `sha256:${subject.digest.sha256}`) : [];
}

async function verifyKeyless(
  { signatures }: VerificationHost,
  { root, identity, issuer }: Extract<Trust, { type: 'identity' }>,
  signed: { readonly bundle: string; readonly content?: Uint8Array },
): Promise<void> {
  const why = await signatures.byIdentity({ ...signed, trustedRoot: root, identity, issuer });
  if (why !== undefined) throw new Refusal(why);
}

function sha256Base64(content: Uint8Array): string {
  return toBase64(fromHex(createDigest().update(content).hex()));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
