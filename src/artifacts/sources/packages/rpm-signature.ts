/**
 * The OpenPGP signature of an RPM package: over its header, which holds the payload's digest, checked here too. Source:
 * rpm's docs/manual/signatures_digests.md. A package that is signed only over header and payload together (before rpm
 * 4.14's payload digests) does not count as signed. What the header says the package is must be what the index said: an
 * index that nobody signed could offer another or an older signed package under the name asked for.
 */
import { NodekilnError } from '../../../errors.ts';
import type { DigestAlgorithm } from '../../../host/digest.ts';
import type { Host } from '../../../host/port.ts';
import { defaultLimits } from '../../formats/limits.ts';
import { RangeReader } from '../../formats/range-reader.ts';
import { leadBytes, readRpmHeader, rpmTag } from '../../formats/rpm-header.ts';
import type { RpmHeader } from '../../formats/rpm-header.ts';
import { withLocalFile } from '../local-file.ts';
import { verifyDetached } from './openpgp.ts';

/** A package that was fetched, and what its index says it is. */
export interface RpmToVerify {
  readonly host: Pick<Host, 'local' | 'localExec' | 'archives'>;
  /** In our own file system. */
  readonly path: string;
  readonly what: string;
  readonly keys: readonly string[];
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
  /** As the index states it; `version` with epoch (when there is one) and release. */
  readonly listed: { readonly name: string; readonly version: string; readonly architecture: string };
}

/** PGPHASHALGO of RFC 9580 §9.5; weaker ones do not count. */
const strong: Readonly<Record<number, DigestAlgorithm>> = { 8: 'sha256', 9: 'sha384', 10: 'sha512' };
const limits = { bytes: 64 * 1024 * 1024, values: defaultLimits.members };

/** NK_SIGNATURE for a signature that does not count; `unsigned` when there is none. */
export async function verifyRpmSignature(rpm: RpmToVerify): Promise<'signed' | 'unsigned'> {
  const { host, path, what } = rpm;
  return withLocalFile(host, { path, what }, async (file) => {
    const reader = new RangeReader(file, what);
    const signatures = await readRpmHeader(reader, leadBytes, limits);
    const header = await readRpmHeader(reader, Math.ceil(signatures.end / 8) * 8, limits);
    const signature = [rpmTag.rsaHeader, rpmTag.dsaHeader]
      .map((tag) => signatures.values.bytes(tag))
      .find((bytes) => bytes !== undefined);
    if (!signature) return 'unsigned';
    const digest = header.values.string(rpmTag.payloadDigest);
    const algorithm = strong[header.values.numbers(rpmTag.payloadDigestAlgorithm)[0] ?? 0];
    if (digest === undefined || algorithm === undefined)
      throw new NodekilnError(
        'NK_SIGNATURE',
        `${what} is signed without a digest of its payload that is strong enough`,
        {
          resource: what,
          hint: 'Sign it with rpm 4.14 or newer.',
        },
      );
    await verifyDetached({ ...rpm, content: header.bytes, signature });
    checkIdentity(header.values, rpm);
    await checkPayload(reader, { at: header.end, digest, algorithm, rpm });
    return 'signed';
  });
}

function checkIdentity(header: RpmHeader, { what, listed }: RpmToVerify): void {
  const epoch = header.numbers(rpmTag.epoch)[0];
  const [name, version, release, architecture] = [rpmTag.name, rpmTag.version, rpmTag.release, rpmTag.arch].map((tag) =>
    header.string(tag),
  );
  const stated = `${name} ${epoch ? `${epoch}:` : ''}${version}-${release} for ${architecture}`;
  const expected = `${listed.name} ${listed.version} for ${listed.architecture}`;
  if (stated === expected) return;
  throw new NodekilnError('NK_SIGNATURE', `${what} is signed as another package than the index says`, {
    resource: what,
    lines: [`the index says ${expected}`, `the signed header says ${stated}`],
  });
}

async function checkPayload(
  { file, size }: RangeReader,
  { at, digest, algorithm, rpm }: { at: number; digest: string; algorithm: DigestAlgorithm; rpm: RpmToVerify },
): Promise<void> {
  const { partDigest } = await rpm.host.archives.read({
    file,
    what: rpm.what,
    part: { position: at, length: size - at },
    compression: 'none',
    form: { type: 'plain' },
    limits: { ...defaultLimits, totalBytes: size },
    digests: { part: algorithm },
    ...(rpm.signal && { signal: rpm.signal }),
  });
  if (partDigest === digest) return;
  throw new NodekilnError('NK_SIGNATURE', `${rpm.what} has a payload that its signed header does not vouch for`, {
    resource: rpm.what,
    lines: ['the payload was changed after the package was signed'],
  });
}
