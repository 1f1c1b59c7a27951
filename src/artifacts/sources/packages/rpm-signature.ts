/**
 * The OpenPGP signature of an RPM package: over its header, which holds the payload's digest, checked here too. Source:
 * rpm's docs/manual/signatures_digests.md. A package that is signed only over header and payload together (before rpm
 * 4.14's payload digests) does not count as signed. What the header says the package is must be what the index said: an
 * index that nobody signed could offer another or an older signed package under the name asked for.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { NodekilnError } from '../../../errors.ts';
import { parseRpmHeader, rpmHeaderIntro, rpmHeaderSize, rpmTag } from '../../formats/rpm-header.ts';
import type { RpmHeader } from '../../formats/rpm-header.ts';
import { unreadable } from '../../formats/unreadable.ts';
import { verifyDetached } from './openpgp.ts';

export interface RpmToVerify {
  readonly path: string;
  readonly what: string;
  readonly keys: readonly string[];
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
  /** As the index states it; `version` with epoch (when there is one) and release. */
  readonly listed: { readonly name: string; readonly version: string; readonly architecture: string };
}

const leadSize = 96;
/** PGPHASHALGO of RFC 9580 §9.5; weaker ones do not count. */
const strong: Readonly<Record<number, string>> = { 8: 'sha256', 9: 'sha384', 10: 'sha512' };
const maxHeaderBytes = 64 * 1024 * 1024;

/** NK_SIGNATURE for a signature that does not count; `unsigned` when there is none. */
export async function verifyRpmSignature(rpm: RpmToVerify): Promise<'signed' | 'unsigned'> {
  const { path, what } = rpm;
  const handle = await open(path, 'r');
  try {
    const signatures = await readHeader(handle, leadSize, what);
    const header = await readHeader(handle, Math.ceil(signatures.end / 8) * 8, what);
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
    await checkPayload(handle, { at: header.end, digest, algorithm, rpm });
    return 'signed';
  } finally {
    await handle.close();
  }
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
  handle: FileHandle,
  { at, digest, algorithm, rpm }: { at: number; digest: string; algorithm: string; rpm: RpmToVerify },
): Promise<void> {
  const hash = createHash(algorithm);
  const chunks = handle.createReadStream({ start: at, autoClose: false, highWaterMark: 256 * 1024 });
  for await (const chunk of chunks as AsyncIterable<Buffer>) {
    rpm.signal?.throwIfAborted();
    hash.update(chunk);
  }
  if (hash.digest('hex') === digest) return;
  throw new NodekilnError('NK_SIGNATURE', `${rpm.what} has a payload that its signed header does not vouch for`, {
    resource: rpm.what,
    lines: ['the payload was changed after the package was signed'],
  });
}

async function readHeader(
  handle: FileHandle,
  at: number,
  what: string,
): Promise<{ values: RpmHeader; bytes: Buffer; end: number }> {
  const intro = await readExactly(handle, { at, length: rpmHeaderIntro, what });
  const { entries, rest } = rpmHeaderSize(intro, what);
  if (rest > maxHeaderBytes) throw unreadable(what, 'has an RPM header without end');
  const body = await readExactly(handle, { at: at + rpmHeaderIntro, length: rest, what });
  return {
    values: parseRpmHeader(body, entries, what),
    bytes: Buffer.concat([intro, body]),
    end: at + rpmHeaderIntro + rest,
  };
}

async function readExactly(
  handle: FileHandle,
  { at, length, what }: { at: number; length: number; what: string },
): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, at);
  if (bytesRead < length) throw unreadable(what, `ends too early, at byte ${at + bytesRead}`);
  return buffer;
}
