/**
 * The OpenPGP signature of an RPM package: over its header, which holds the payload's digest, which extraction checks.
 * Source: rpm's docs/manual/signatures_digests.md. A package that is signed only over header and payload together (before
 * rpm 4.14's payload digests) does not count as signed.
 */
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
}

const leadSize = 96;
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
    if (header.values.string(rpmTag.payloadDigest) === undefined)
      throw new NodekilnError('NK_SIGNATURE', `${what} is signed without a digest of its payload`, {
        resource: what,
        hint: 'Sign it with rpm 4.14 or newer.',
      });
    await verifyDetached({ ...rpm, content: header.bytes, signature });
    return 'signed';
  } finally {
    await handle.close();
  }
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
