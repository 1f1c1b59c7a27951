/** Opens a package in its form and reads it once; shared by extraction, inspection and whoever looks for something in one. */
import { NodekilnError } from '../../errors.ts';
import type { DigestAlgorithm } from '../../host/digest.ts';
import type { ArchiveEntry, ArchiveReading, ArchiveRequest, Host, OpenFile, StagedFile } from '../../host/port.ts';
import type { FormatName, Layout } from './format.ts';
import type { Limits } from './limits.ts';
import { RangeReader } from './range-reader.ts';
import { detectFormat, formats, headBytes } from './table.ts';
import { noRegularFile, unreadable } from './unreadable.ts';

/** Packages lie in our own file system. */
export type PackageHost = Pick<Host, 'local' | 'archives'>;

/** A package, before anybody has looked into it. */
export interface PackageSource {
  /** In our own file system. */
  readonly path: string;
  /** What messages call it. */
  readonly what: string;
  /** Found by the first bytes unless told. */
  readonly format?: FormatName;
  readonly limits: Limits;
  readonly signal?: AbortSignal;
}

/** A package whose headers are read and whose file is open. */
export interface OpenPackage extends Layout, PackageSource {
  readonly format: FormatName;
  readonly file: OpenFile;
}

/**
 * Reads a package's headers, lets `use` do the rest and closes it. NK_ARTIFACT_MISSING, NK_ARTIFACT_UNREADABLE, those of
 * `use`.
 */
export async function withPackage<Result>(
  { local, archives }: PackageHost,
  source: PackageSource,
  use: (opened: OpenPackage) => Promise<Result>,
): Promise<Result> {
  const { what, limits, signal } = source;
  const file = await openFile(local, source);
  try {
    const reader = new RangeReader(file, what);
    const head = await reader.peek(0, headBytes);
    if (head.length === 0) throw unreadable(what, 'is empty');
    const format = source.format === undefined ? detectFormat(head) : formats[source.format];
    if (!format.matches(head)) throw unreadable(what, `is no ${format.name}: its first bytes are of another form`);
    const layout = await format.open({ reader, archives, limits, signal });
    return await use({ ...source, ...layout, format: format.name, file });
  } finally {
    await file.close();
  }
}

async function openFile(local: Host['local'], { path, what }: PackageSource): Promise<OpenFile> {
  let file: OpenFile | undefined;
  try {
    file = await local.open(path);
  } catch (thrown) {
    throw noRegularFile(what, thrown) ?? thrown;
  }
  if (!file) throw new NodekilnError('NK_ARTIFACT_MISSING', `${what} does not exist`, { resource: what });
  return file;
}

/** What reading all of a package came to. */
export interface Reading extends Pick<ArchiveReading, 'members' | 'memberBytes' | 'fileDigest'> {
  /** As the package's metadata mean them. */
  readonly entries: readonly ArchiveEntry[];
  /** True when a member was written. */
  readonly taken: boolean;
}

/** What is done while a package is read. */
export interface Wanted extends Pick<ArchiveRequest, 'tell' | 'keep'> {
  readonly take?: Pick<NonNullable<ArchiveRequest['take']>, 'names' | 'into'>;
  readonly fileDigest: boolean;
}

/**
 * Reads all of a package, and does on the way what is asked for. Everything that the package's own metadata promise holds
 * when this returns.
 */
export async function readPackage(
  { archives }: Pick<PackageHost, 'archives'>,
  opened: OpenPackage,
  { take, tell, keep, fileDigest }: Wanted,
): Promise<Reading> {
  const { file, what, part, form, limits, signal, promisedPart, judge, info } = opened;
  const read = await archives.read({
    file,
    what,
    part,
    compression: info.compression,
    form,
    limits,
    ...(take && { take: { ...take, ...promisedDigest(opened, take.names) } }),
    ...(judge ? { tell: 'all' } : tell !== undefined && { tell }),
    ...(keep && { keep }),
    digests: { file: fileDigest, ...(promisedPart && { part: promisedPart.algorithm }) },
    ...(signal && { signal }),
  });
  if (take && read.taken) await requirePromised(opened, read.taken, take.into);
  if (promisedPart && promisedPart.hex !== read.partDigest)
    throw unreadable(what, 'has a payload that does not match the digest in its header');
  return { ...read, taken: read.taken !== undefined, entries: judge ? judge(read.entries) : read.entries };
}

/** A staged file's own digest serves when a package promises a SHA-256, which it nearly always does. */
function promisedDigest({ promised }: OpenPackage, names: readonly string[]): { digest?: DigestAlgorithm } {
  const algorithm = names.map((name) => promised?.(name)?.algorithm).find((one) => one !== undefined);
  return algorithm === undefined || algorithm === 'sha256' ? {} : { digest: algorithm };
}

async function requirePromised(
  { promised, what }: OpenPackage,
  { name, digest }: NonNullable<ArchiveReading['taken']>,
  into: StagedFile,
): Promise<void> {
  const wanted = promised?.(name);
  if (!wanted || wanted.hex === (digest ?? (await into.digest()).slice('sha256:'.length))) return;
  throw unreadable(what, `has another content for ${name} than its own metadata promises`);
}
