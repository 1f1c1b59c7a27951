/**
 * Takes one member out of a package, in one pass and bounded memory, into a durable exact file or nothing at all:
 * digest on the way, temporary file beside the target, fsync, every check, rename, fsync of the folder. No maintainer
 * script ever runs. Limits and refusals: formats/limits.ts, formats/*.ts. Sizes in bytes, digests `sha256:<hex>`.
 *
 * Errors: NK_ARTIFACT_MISSING (no such file), NK_ARTIFACT_UNREADABLE (damaged, truncated, hostile), NK_ARTIFACT_MEMBER
 * (absent, twice there, empty, a link, a device), NK_ARTIFACT_DIGEST, NK_TOOL_MISSING (bzip2), NK_FILE_WRITE.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { mkdir, open, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { NodekilnError, errnoOf } from '../errors.ts';
import { discardTemporary, releaseTemporary, sweepTemporaries, temporaryIn } from '../host/linux/temporaries.ts';
import { syncFolder, writeFully } from './durable.ts';
import type { Entry, FormatName, PackageInfo } from './formats/format.ts';
import { defaultLimits } from './formats/limits.ts';
import type { Limits } from './formats/limits.ts';
import { walkArtifact } from './formats/open.ts';
import type { Bytes } from './formats/open.ts';
import { unreadable, unusableMember } from './formats/unreadable.ts';

export interface ExtractOptions {
  readonly source: Bytes;
  /** What to call the artifact in messages; the path unless told. */
  readonly what?: string;
  /** Found by the first bytes unless told. */
  readonly format?: FormatName;
  /** The path inside the package, or several of which exactly one must be there. Not needed for a plain file. */
  readonly member?: string | readonly string[];
  /** A path, or a folder and the name to give once everything about the member is known. */
  readonly to: string | { readonly directory: string; readonly name: (extracted: Extracted) => string };
  /** Permission bits of the result; 0755 unless told, whatever the package says. */
  readonly mode?: number;
  /** Of the result; ours unless told. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Refused when the member has another. */
  readonly digest?: string;
  /** Refused when the package has another; `false` saves the work of computing it. */
  readonly packageDigest?: string | false;
  readonly limits?: Partial<Limits>;
  readonly signal?: AbortSignal;
  /** Last say before the result gets its name; throw to leave nothing. The path is the temporary file's. */
  readonly check?: (extracted: Extracted, temporaryPath: string) => Promise<void> | void;
}

export interface Extracted {
  readonly path: string;
  readonly format: FormatName;
  /** Of the member, in the package. '' for a plain file. */
  readonly member: string;
  readonly digest: string;
  readonly size: number;
  /** Permission bits as the package states them. */
  readonly mode: number;
  /** '' when it was not asked for. */
  readonly packageDigest: string;
  readonly packageSize: number;
  readonly package: PackageInfo;
}

export async function extractMember(options: ExtractOptions): Promise<Extracted> {
  const what = options.what ?? (typeof options.source === 'string' ? options.source : 'the artifact');
  const directory = typeof options.to === 'string' ? dirname(options.to) : options.to.directory;
  const { temporary, handle } = await create(directory);
  try {
    const result = await readMember(options, what, handle);
    checkDigests(result, options, what);
    const path =
      typeof options.to === 'string' ? options.to : join(directory, options.to.name({ ...result, path: '' }));
    const extracted = { ...result, path };
    await options.check?.(extracted, temporary);
    await publish({ ...options, handle, temporary, path });
    return extracted;
  } catch (thrown) {
    await discardTemporary(temporary);
    throw thrown;
  } finally {
    await handle.close();
  }
}

interface Publication extends Pick<ExtractOptions, 'mode' | 'owner'> {
  readonly handle: FileHandle;
  readonly temporary: string;
  readonly path: string;
}

async function publish({ handle, temporary, path, owner, mode }: Publication): Promise<void> {
  try {
    if (owner) await handle.chown(owner.uid, owner.gid);
    await handle.chmod(mode ?? 0o755);
    await handle.sync();
    await rename(temporary, path);
    releaseTemporary(temporary);
    await syncFolder(dirname(path));
  } catch (thrown) {
    throw new NodekilnError('NK_FILE_WRITE', `cannot put ${path} in place: ${errnoOf(thrown) ?? String(thrown)}`, {
      cause: thrown,
    });
  }
}

async function create(directory: string): Promise<{ temporary: string; handle: FileHandle }> {
  try {
    await mkdir(directory, { recursive: true });
    await sweepTemporaries(directory);
    const temporary = temporaryIn(directory);
    return { temporary, handle: await open(temporary, 'wx', 0o600) };
  } catch (thrown) {
    throw new NodekilnError('NK_FILE_WRITE', `cannot write into ${directory}: ${errnoOf(thrown) ?? String(thrown)}`, {
      cause: thrown,
    });
  }
}

async function readMember(options: ExtractOptions, what: string, handle: FileHandle): Promise<Omit<Extracted, 'path'>> {
  const limits = { ...defaultLimits, ...options.limits };
  const wanted = wantedMembers(options.member);
  let info: PackageInfo | undefined;
  let found: Pick<Extracted, 'member' | 'digest' | 'size' | 'mode'> | undefined;

  const take = async (entry: Entry, content: AsyncIterable<Buffer>): Promise<void> => {
    if (found)
      throw unusableMember(
        what,
        `contains ${found.member === entry.name ? `${entry.name} twice` : `both ${found.member} and ${entry.name}`}`,
      );
    if (entry.type !== 'file') throw unusableMember(what, `${entry.name} is no regular file but a ${entry.type}`);
    if (entry.size > limits.memberBytes)
      throw unreadable(what, `has a member of ${entry.size} bytes, more than the ${limits.memberBytes} allowed`);
    const hashes = [createHash('sha256'), ...(entry.promised ? [createHash(entry.promised.algorithm)] : [])] as const;
    // One hash serves both when the package promises a sha256, which it nearly always does.
    const own = hashes[0];
    const promised = entry.promised?.algorithm === 'sha256' ? undefined : hashes[1];
    const size = await write({
      content,
      handle,
      hashes: promised ? [own, promised] : [own],
      limit: limits.memberBytes,
      what,
    });
    if (size === 0) throw unusableMember(what, `${entry.name === '' ? 'it' : entry.name} is empty`);
    const hex = own.digest('hex');
    if (entry.promised && (promised?.digest('hex') ?? hex) !== entry.promised.hex) {
      throw unreadable(what, `has another content for ${entry.name} than its own metadata promises`);
    }
    found = { member: entry.name, digest: `sha256:${hex}`, size, mode: entry.mode };
  };

  const walked = await walkArtifact(
    {
      source: options.source,
      what,
      format: options.format,
      limits,
      digest: options.packageDigest !== false,
      signal: options.signal,
    },
    {
      package: (stated) => {
        info = stated;
        if (stated.format !== 'file' && wanted.length === 0)
          throw unusableMember(what, `is a ${stated.format}, and no member was named`);
      },
      entry: async (entry, content) => {
        if (info?.format === 'file' || wanted.includes(entry.name)) return take(entry, content);
        if (entry.type === 'directory') return undefined;
        const below = wanted.find((member) => member.startsWith(`${entry.name}/`));
        if (below !== undefined)
          throw unusableMember(what, `${entry.name}, which should be the folder of ${below}, is a ${entry.type}`);
        return undefined;
      },
    },
  );
  if (!found || !info) throw unusableMember(what, `does not contain ${wanted.join(' or ')}`);
  return { ...found, format: walked.format, package: info, packageDigest: walked.digest, packageSize: walked.size };
}

function wantedMembers(member: ExtractOptions['member']): string[] {
  const list = member === undefined ? [] : typeof member === 'string' ? [member] : member;
  return list.map((name) => name.replace(/^(?:\.?\/)+/, ''));
}

function checkDigests(result: Omit<Extracted, 'path'>, options: ExtractOptions, what: string): void {
  const wrong = (part: string, actual: string, expected: string): NodekilnError =>
    new NodekilnError('NK_ARTIFACT_DIGEST', `${part} has the digest ${actual}, not ${expected}`, { resource: what });
  if (options.packageDigest && options.packageDigest !== result.packageDigest)
    throw wrong(what, result.packageDigest, options.packageDigest);
  if (options.digest !== undefined && options.digest !== result.digest) {
    throw wrong(result.member === '' ? what : `${result.member} of ${what}`, result.digest, options.digest);
  }
}

interface WriteOptions {
  readonly content: AsyncIterable<Buffer>;
  readonly handle: FileHandle;
  readonly hashes: readonly Hash[];
  readonly limit: number;
  readonly what: string;
}

/** Hashes one chunk while the ones before are being written. Returns the size. */
async function write({ content, handle, hashes, limit, what }: WriteOptions): Promise<number> {
  const inFlight: Promise<void>[] = [];
  let size = 0;
  try {
    for await (const chunk of content) {
      const at = size;
      size += chunk.length;
      if (size > limit) throw unreadable(what, `has a member of more than the ${limit} bytes allowed`);
      const writing = writeFully(handle, chunk, at);
      writing.catch(() => {
        // Taken up below, in order.
      });
      inFlight.push(writing);
      for (const hash of hashes) hash.update(chunk);
      if (inFlight.length > 3) await inFlight.shift();
    }
    await Promise.all(inFlight);
    return size;
  } catch (thrown) {
    await Promise.allSettled(inFlight);
    if (errnoOf(thrown) === undefined || thrown instanceof NodekilnError) throw thrown;
    throw new NodekilnError('NK_FILE_WRITE', `cannot write the member of ${what}: ${errnoOf(thrown)}`, {
      cause: thrown,
    });
  }
}
