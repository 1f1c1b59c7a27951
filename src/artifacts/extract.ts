/**
 * Takes one member out of a package, in one pass and bounded memory, into a durable exact file or nothing at all: it is
 * staged beside its target with its digest on the way, checked, and published last. No maintainer script ever runs. Limits
 * and refusals: formats/limits.ts, formats/*.ts. Sizes in bytes, digests `sha256:<hex>`.
 *
 * Errors: NK_ARTIFACT_MISSING (no such file), NK_ARTIFACT_UNREADABLE (damaged, truncated, hostile), NK_ARTIFACT_MEMBER
 * (absent, twice there, empty, a link, a device), NK_ARTIFACT_DIGEST, NK_TOOL_MISSING (bzip2), NK_FILE_WRITE.
 */
import { NodekilnError } from '../errors.ts';
import type { ArchiveEntry, Attributes, Files, StagedFile } from '../host/port.ts';
import { latin1Of } from '../model/bytes.ts';
import { basename, dirname, join } from '../model/path.ts';
import { candidateEntries, candidatesAmong } from './candidates.ts';
import { formName } from './elf/program.ts';
import type { FormatName, PackageInfo } from './formats/format.ts';
import { headBytes } from './formats/table.ts';
import { defaultLimits } from './formats/limits.ts';
import type { Limits } from './formats/limits.ts';
import { readPackage, withPackage } from './formats/open.ts';
import type { OpenPackage, PackageHost, Reading } from './formats/open.ts';
import { unusableMember } from './formats/unreadable.ts';

/** Which member of what goes where, and what must hold of it. */
export interface ExtractOptions {
  /** A path in our own file system. */
  readonly source: string;
  /** What to call the artifact in messages; the path unless told. */
  readonly what?: string;
  /** Found by the first bytes unless told. */
  readonly format?: FormatName;
  /**
   * The path inside the package, or several of which exactly one must be there. A plain file has none: one path is refused, and
   * several are for those who take the program as it is, too.
   */
  readonly member?: string | readonly string[];
  /** Where the result goes; our own file system unless told. */
  readonly files?: Files;
  /** A path, or a folder and the name to give once everything about the member is known. */
  readonly to: string | { readonly directory: string; readonly name: (extracted: Extracted) => string };
  /** Permission bits of the result; 0755 unless told, whatever the package says. */
  readonly mode?: number;
  /** Of the result; ours unless told. */
  readonly owner?: Pick<Attributes, 'uid' | 'gid'>;
  /** Refused when the member has another. */
  readonly digest?: string;
  /** Refused when the package has another; `false` saves the work of computing it. */
  readonly packageDigest?: string | false;
  readonly limits?: Partial<Limits>;
  readonly signal?: AbortSignal;
  /** Last say before the result gets its name; throw to leave nothing. */
  readonly check?: (extracted: Extracted, staged: StagedFile) => Promise<void> | void;
}

/** The member as it was taken, and the package it is from. */
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

/** The one member asked for, published at its target; nothing is left of a failure. Errors above. */
export async function extractMember(host: PackageHost, options: ExtractOptions): Promise<Extracted> {
  const { source, what = source, format, signal, files = host.local, to } = options;
  const limits = { ...defaultLimits, ...options.limits };
  return withPackage(
    host,
    { path: source, what, limits, ...(format && { format }), ...(signal && { signal }) },
    async (opened) => {
      const directory = typeof to === 'string' ? dirname(to) : to.directory;
      const staged = await files.stage(directory);
      try {
        const result = await stageMember(host, opened, { ...options, staged });
        checkDigests(result, options, what);
        const path = typeof to === 'string' ? to : join(directory, to.name({ ...result, path: '' }));
        const extracted = { ...result, path };
        await options.check?.(extracted, staged);
        await staged.publish(basename(path), { ...options.owner, mode: options.mode ?? 0o755 });
        return extracted;
      } finally {
        await staged.discard();
      }
    },
  );
}

/** Writes the member into the staged file; everything that the package itself says about it holds when this returns. */
async function stageMember(
  host: PackageHost,
  opened: OpenPackage,
  { staged, ...options }: ExtractOptions & { readonly staged: StagedFile },
): Promise<Omit<Extracted, 'path'>> {
  const { what, info, format } = opened;
  if (format === 'file' && typeof options.member === 'string')
    throw noPackage(opened, options.member, await headOf(opened));
  const names = format === 'file' ? [''] : wantedMembers(options.member);
  if (names.length === 0) throw unusableMember(what, `is a ${format}, and no member was named`);
  const read = await readPackage(host, opened, {
    take: { names, into: staged },
    tell: { names: [...names, ...names.flatMap(ancestors)] },
    fileDigest: options.packageDigest !== false,
  });
  let member: ArchiveEntry;
  try {
    member = usableMember(read, names, what);
  } catch (thrown) {
    throw await withCandidates(thrown, { host, opened, names });
  }
  return {
    format,
    member: member.name,
    digest: await staged.digest(),
    size: staged.size,
    mode: member.mode,
    packageDigest: read.fileDigest,
    packageSize: opened.file.stat.size,
    package: info,
  };
}

function headOf({ file }: OpenPackage): Promise<Uint8Array> {
  return file.read(0, Math.min(headBytes, file.stat.size));
}

/** What it is instead is said: a page of a server, or a form that nothing here reads. */
function noPackage({ what }: OpenPackage, member: string, head: Uint8Array): NodekilnError {
  const form = latin1Of(head.subarray(0, 4)) === '\x7fELF' ? 'an ELF file' : formName(head);
  return new NodekilnError(
    'NK_ARTIFACT_MEMBER',
    `${what}: is no package that can be read here but ${form}, so there is no ${member} in it`,
    {
      resource: what,
      hint: 'Name a .deb, an .rpm or a tar archive (plain, or compressed with gzip, zstd, xz, lzma or bzip2); a program that is no package has no member.',
    },
  );
}

/** The member, when it is there once, as a regular file with content, and nothing but folders leads to it. */
function usableMember({ entries, taken }: Reading, names: readonly string[], what: string): ArchiveEntry {
  let found: ArchiveEntry | undefined;
  for (const entry of entries) {
    if (names.includes(entry.name)) {
      if (found)
        throw unusableMember(
          what,
          `contains ${found.name === entry.name ? `${entry.name} twice` : `both ${found.name} and ${entry.name}`}`,
        );
      if (entry.type !== 'file') throw unusableMember(what, `${entry.name} is no regular file but a ${entry.type}`);
      if (entry.size === 0) throw unusableMember(what, `${entry.name === '' ? 'it' : entry.name} is empty`);
      found = entry;
    } else if (entry.type !== 'directory') {
      const below = names.find((member) => member.startsWith(`${entry.name}/`));
      if (below !== undefined)
        throw unusableMember(what, `${entry.name}, which should be the folder of ${below}, is a ${entry.type}`);
    }
  }
  if (found && taken) return found;
  throw unusableMember(what, `does not contain ${names.join(' or ')}`);
}

/** The error, with the members that could be taken instead. */
async function withCandidates(
  thrown: unknown,
  { host, opened, names }: { host: PackageHost; opened: OpenPackage; names: readonly string[] },
): Promise<unknown> {
  if (!(thrown instanceof NodekilnError) || opened.format === 'file') return thrown;
  const { entries } = await readPackage(host, opened, { tell: { first: candidateEntries }, fileDigest: false });
  const { lines, hint } = candidatesAmong(entries, names);
  return new NodekilnError(thrown.code, thrown.message, {
    cause: thrown,
    lines: [...thrown.lines, ...lines],
    ...(thrown.resource !== undefined && { resource: thrown.resource }),
    ...(hint !== undefined && { hint }),
  });
}

function wantedMembers(member: ExtractOptions['member']): string[] {
  const list = member === undefined ? [] : typeof member === 'string' ? [member] : member;
  return list.map((name) => name.replace(/^(?:\.?\/)+/, ''));
}

/** `usr`, `usr/bin` of `usr/bin/kubelet`. */
function ancestors(name: string): string[] {
  const parts = name.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
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
