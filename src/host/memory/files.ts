/**
 * Files of a machine in memory, with the outcomes, refusals and effects of the Linux ones.
 */
import { createHash } from 'node:crypto';
import { NodekilnError } from '../../errors.ts';
import type { Files, FileStat, FileWrite, WriteOutcome } from '../port.ts';
import type { MemoryClock } from './clock.ts';
import type { Disk, DiskNode } from './disk.ts';
import type { Effects } from './effects.ts';
import { dirname, normalize } from '../../model/path.ts';

export interface MemoryFilesOptions {
  readonly disk: Disk;
  readonly effects: Effects;
  readonly clock: MemoryClock;
}

type Entry = Exclude<FileWrite, { type: 'directory' }>;

interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export function createMemoryFiles({ disk, effects, clock }: MemoryFilesOptions): Files {
  const mtimeNs = (): bigint => BigInt(Math.round(clock.now() * 1e6));

  const makeFolders = (folder: string, attributes: Attributes = { mode: 0o755, uid: 0, gid: 0 }): void => {
    const found = disk.get(folder);
    if (found?.type === 'directory') return;
    if (found) throw refusal('make the folder of', folder, 'a part of its path is not a folder (ENOTDIR)');
    makeFolders(dirname(folder));
    effects.run(`mkdir ${folder}`, () =>
      disk.put(folder, disk.make({ type: 'directory', ...attributes, mtimeNs: mtimeNs() })),
    );
  };

  const changeAttributes = (path: string, node: DiskNode, wanted: Attributes): WriteOutcome => {
    if (sameAttributes(node, wanted)) return 'unchanged';
    effects.run(`attributes ${path}`, () => {
      node.mode = wanted.mode;
      node.uid = wanted.uid;
      node.gid = wanted.gid;
    });
    return 'attributes';
  };

  const writeDirectory = (write: Extract<FileWrite, { type: 'directory' }>): WriteOutcome => {
    const real = disk.entry(write.path);
    const found = disk.get(real);
    if (found?.type === 'directory') return changeAttributes(write.path, found, write);
    if (found?.type === 'file') throw refusal('make the folder', write.path, 'a file is in its place');
    if (found) effects.run(`remove ${write.path}`, () => disk.delete(real));
    makeFolders(real, write);
    return found ? 'replaced' : 'created';
  };

  /** Folders are made and refusals come before the first of them is written. */
  const prepared = (entries: readonly Entry[]): readonly Entry[] => {
    for (const { path } of entries) {
      makeFolders(dirname(disk.entry(path)));
      if (disk.get(disk.entry(path))?.type === 'directory') throw refusal('write', path, 'a folder is in its place');
    }
    return entries;
  };

  const writeEntry = (write: Entry): WriteOutcome => {
    const real = disk.entry(write.path);
    const found = disk.get(real);
    if (write.type === 'symlink' && found?.type === 'symlink' && found.target === write.target) return 'unchanged';
    if (write.type === 'file' && found?.type === 'file' && found.content.equals(write.content)) {
      if (sameAttributes(found, write) || linkCount(disk, found) === 1)
        return changeAttributes(write.path, found, write);
    }
    effects.run(`write ${write.path}`, () =>
      disk.put(
        real,
        write.type === 'symlink'
          ? disk.make({ type: 'symlink', target: write.target, mtimeNs: mtimeNs() })
          : disk.make({ ...write, content: Buffer.from(write.content), mtimeNs: mtimeNs() }),
      ),
    );
    return found ? 'replaced' : 'created';
  };

  const removeOne = (path: string): boolean => {
    const real = disk.entry(path);
    const found = disk.get(real);
    if (!found || (found.type === 'directory' && disk.names(real).length > 0)) return false;
    effects.run(`remove ${path}`, () => disk.delete(real));
    return true;
  };

  // Every method is async so that refusals and crashes arrive as rejections, as they do from Linux.
  return {
    stat: async (path) => {
      effects.alive();
      const node = disk.get(disk.entry(path));
      return node && statOf(node);
    },
    read: async (path) => {
      effects.alive();
      const node = disk.get(disk.target(path));
      if (node?.type === 'directory') throw Object.assign(new Error(`EISDIR: ${path}`), { code: 'EISDIR' });
      return node && Buffer.from(node.content);
    },
    list: async (path) => {
      effects.alive();
      return disk.names(disk.target(path));
    },
    write: async (writes) => {
      effects.alive();
      const [first, rest] = stages(writes);
      const outcomes = new Map<string, WriteOutcome>();
      for (const write of first) {
        if (write.type === 'directory') outcomes.set(write.path, writeDirectory(write));
        else for (const entry of prepared([write])) outcomes.set(entry.path, writeEntry(entry));
      }
      for (const entry of prepared(rest)) outcomes.set(entry.path, writeEntry(entry));
      return writes.map(({ path }) => outcomes.get(path) ?? 'unchanged');
    },
    writeKernel: async (path, value) => {
      effects.alive();
      const real = disk.target(path);
      const node = disk.get(real);
      if (node?.type !== 'file') throw Object.assign(new Error(`ENOENT: no such file, ${path}`), { code: 'ENOENT' });
      // The kernel gives a value back as a line, however it was written.
      const content = Buffer.from(`${value.trimEnd()}\n`);
      effects.run(`kernel ${path}`, () => disk.put(real, disk.make({ ...node, content })));
    },
    remove: async (paths) => {
      effects.alive();
      const removed = new Set([...paths].sort((a, b) => depth(b) - depth(a)).filter(removeOne));
      return paths.filter((path) => removed.has(path));
    },
    place: async (source, target, attributes) => {
      effects.alive();
      const node = disk.get(disk.target(source));
      if (node?.type !== 'file') throw refusal('place', target, 'its source is not a file');
      const real = disk.entry(target);
      const found = disk.get(real);
      if (found?.type === 'directory') throw refusal('place', target, 'a folder is in its place');
      const linkable = sameAttributes(node, attributes);
      if (linkable && found === node) return 'unchanged';
      makeFolders(dirname(real));
      effects.run(`place ${target}`, () =>
        disk.put(real, linkable ? node : disk.make({ ...node, ...attributes, mtimeNs: mtimeNs() })),
      );
      return linkable ? 'hardlink' : 'copy';
    },
    digest: async (path) => {
      effects.alive();
      const node = disk.get(disk.target(path));
      if (!node) throw Object.assign(new Error(`ENOENT: no such file, ${path}`), { code: 'ENOENT' });
      if (node.type !== 'file')
        throw Object.assign(new Error(`EINVAL: not a regular file, ${path}`), { code: 'EINVAL' });
      return `sha256:${createHash('sha256').update(node.content).digest('hex')}`;
    },
    warm: async (paths) => {
      effects.alive();
      return paths.reduce((sum, path) => sum + (disk.get(disk.target(path))?.content.length ?? 0), 0);
    },
  };
}

/** Folders, and symlinks that others lead through, come before what lies behind them. */
function stages(writes: readonly FileWrite[]): [FileWrite[], Entry[]] {
  const paths = writes.map(({ path }) => normalize(path));
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw new NodekilnError('NK_INTERNAL', `two writes to ${twice} in one batch`);
  const first: FileWrite[] = [];
  const rest: Entry[] = [];
  for (const write of writes) {
    if (write.type === 'directory') first.push(write);
    else if (write.type === 'symlink' && paths.some((path) => path.startsWith(`${write.path}/`))) first.push(write);
    else rest.push(write);
  }
  first.sort((a, b) => depth(a.path) - depth(b.path));
  return [first, rest];
}

function depth(path: string): number {
  return normalize(path).split('/').length;
}

function linkCount(disk: Disk, node: DiskNode): number {
  return disk.paths(node).length;
}

function sameAttributes(a: Attributes, b: Attributes): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

function statOf(node: DiskNode): FileStat {
  return {
    type: node.type,
    size: node.type === 'symlink' ? node.target.length : node.content.length,
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    mtimeNs: node.mtimeNs,
    inode: node.inode,
    device: 1n,
    ...(node.type === 'symlink' && { target: node.target }),
  };
}

function refusal(verb: string, path: string, why: string): NodekilnError {
  return new NodekilnError('NK_FILE_WRITE', `cannot ${verb} ${path}: ${why}`, { resource: `file:${path}` });
}
