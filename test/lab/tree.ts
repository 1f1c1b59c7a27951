/**
 * A file tree as data, for comparing two hosts: every path below the given folders with type, mode, owner, size, digest
 * and link target. Times are left out on purpose: two runs never agree on them.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface TreeEntry {
  /** As seen inside the host. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits, e.g. `0644`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; only of regular files. */
  readonly size?: number;
  /** `sha256:…`; only of regular files. */
  readonly digest?: string;
  /** Where a symlink points, as stored. */
  readonly target?: string;
  /** Hard links of a regular file when there is more than one name. */
  readonly links?: number;
}

export interface TreeOptions {
  /** Paths left out with everything below them: a path, or an expression tested against the path. */
  readonly exclude?: readonly (string | RegExp)[];
}

/** The sorted listing of `folders` (guest paths) in the root folder `base`; a folder that is not there has no entry. */
export async function snapshotTree(
  base: string,
  folders: readonly string[],
  options: TreeOptions = {},
): Promise<readonly TreeEntry[]> {
  const entries: TreeEntry[] = [];
  const excluded = (path: string): boolean =>
    (options.exclude ?? []).some((rule) =>
      typeof rule === 'string' ? path === rule || path.startsWith(`${rule}/`) : rule.test(path),
    );
  const visit = async (path: string): Promise<void> => {
    if (excluded(path)) return;
    const entry = await describe(base, path);
    if (!entry) return;
    entries.push(entry);
    if (entry.type !== 'directory') return;
    const names = await readdir(join(base, path)).catch(() => []);
    for (const name of names) await visit(join(path, name));
  };
  for (const folder of folders) await visit(folder);
  const unique = new Map(entries.map((entry) => [entry.path, entry]));
  return [...unique.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function describe(base: string, path: string): Promise<TreeEntry | undefined> {
  const real = join(base, path);
  // A file may go away between listing and looking when the host is running.
  const stat = await lstat(real).catch(() => undefined);
  if (!stat) return undefined;
  const common = { path, mode: (stat.mode & 0o7777).toString(8).padStart(4, '0'), uid: stat.uid, gid: stat.gid };
  if (stat.isDirectory()) return { ...common, type: 'directory' };
  if (stat.isSymbolicLink()) return { ...common, type: 'symlink', target: await readlink(real) };
  if (!stat.isFile()) return { ...common, type: 'other' };
  const digest = await digestOf(real).catch(() => 'unreadable');
  const links = stat.nlink > 1 ? { links: stat.nlink } : {};
  return { ...common, type: 'file', size: stat.size, digest, ...links };
}

/** `sha256:…` of a file, read as a stream. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

/** One line per difference (`-` only in `before`, `+` only in `after`); empty when the trees are equal. */
export function diffTrees(before: readonly TreeEntry[], after: readonly TreeEntry[]): readonly string[] {
  const line = (entry: TreeEntry): string => JSON.stringify(entry);
  const [left, right] = [new Set(before.map(line)), new Set(after.map(line))];
  return [
    ...before
      .map(line)
      .filter((each) => !right.has(each))
      .map((each) => `- ${each}`),
    ...after
      .map(line)
      .filter((each) => !left.has(each))
      .map((each) => `+ ${each}`),
  ];
}
