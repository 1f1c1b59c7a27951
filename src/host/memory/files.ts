/**
 * Files of a machine in memory, with the outcomes, refusals and effects of the Linux ones.
 */
import { NodekilnError } from '../../errors.ts';
import { createFolderEvents } from '../../disk/folder-events.ts';
import { sha256 } from '../digest.ts';
import {
  largestRead,
  type Attributes,
  type Files,
  type FileStat,
  type FileWrite,
  type FolderEntry,
  type OpenFile,
  type StagedFile,
  type WriteOutcome,
} from '../port.ts';
import type { MemoryClock } from './clock.ts';
import type { Tree, TreeNode } from './tree.ts';
import { isAlive, type Effects } from './effects.ts';
import { basename, dirname, join, normalize } from '../../model/path.ts';

export interface MemoryFilesOptions {
  readonly tree: Tree;
  readonly effects: Effects;
  readonly clock: MemoryClock;
}

const gibibyte = 1024 ** 3;
const blockBytes = 4096;

type Entry = Exclude<FileWrite, { type: 'directory' }>;

/** Temporary names, by the process that made them. */
const temporaries = new WeakMap<Tree, Map<string, Effects>>();
let counter = 0;

export function createMemoryFiles({ tree, effects, clock }: MemoryFilesOptions): Files {
  const owners = temporaries.get(tree) ?? new Map<string, Effects>();
  temporaries.set(tree, owners);
  const mtimeNs = (): bigint => BigInt(Math.round(clock.now() * 1e6));

  const makeFolders = (folder: string, attributes: Attributes = { mode: 0o755, uid: 0, gid: 0 }): void => {
    const found = tree.get(folder);
    if (found?.type === 'directory') return;
    if (found) throw refusal('make the folder of', folder, 'a part of its path is not a folder (ENOTDIR)');
    makeFolders(dirname(folder));
    effects.run(`mkdir ${folder}`, () =>
      tree.put(folder, tree.make({ type: 'directory', ...attributes, mtimeNs: mtimeNs() })),
    );
  };

  const changeAttributes = (path: string, node: TreeNode, wanted: Attributes): WriteOutcome => {
    if (sameAttributes(node, wanted)) return 'unchanged';
    effects.run(`attributes ${path}`, () => {
      node.mode = wanted.mode;
      node.uid = wanted.uid;
      node.gid = wanted.gid;
      tree.put(tree.entry(path), node);
    });
    return 'attributes';
  };

  const writeDirectory = (write: Extract<FileWrite, { type: 'directory' }>): WriteOutcome => {
    const real = tree.entry(write.path);
    const found = tree.get(real);
    if (found?.type === 'directory') return changeAttributes(write.path, found, write);
    if (found?.type === 'file') throw refusal('make the folder', write.path, 'a file is in its place');
    if (found) effects.run(`remove ${write.path}`, () => tree.delete(real));
    makeFolders(real, write);
    return found ? 'replaced' : 'created';
  };

  const deleteWhole = (real: string): void => {
    if (tree.get(real)?.type === 'directory') for (const name of tree.names(real)) deleteWhole(join(real, name));
    tree.delete(real);
    owners.delete(real);
  };

  const temporaryIn = (folder: string): string => {
    counter += 1;
    const real = join(folder, `.nodekiln-tmp-memory-${counter}`);
    owners.set(real, effects);
    return real;
  };

  /** What a process that crashed left. */
  const sweep = (folder: string): void => {
    for (const [path, owner] of owners) if (dirname(path) === folder && !isAlive(owner)) deleteWhole(path);
  };

  /** Folders are made and refusals come before the first of them is written. */
  const prepared = (entries: readonly Entry[]): readonly Entry[] => {
    for (const { path } of entries) {
      makeFolders(dirname(tree.entry(path)));
      sweep(dirname(tree.entry(path)));
      if (tree.get(tree.entry(path))?.type === 'directory') throw refusal('write', path, 'a folder is in its place');
    }
    return entries;
  };

  const writeEntry = (write: Entry): WriteOutcome => {
    const real = tree.entry(write.path);
    const found = tree.get(real);
    if (write.type === 'symlink' && found?.type === 'symlink' && found.target === write.target) return 'unchanged';
    if (write.type === 'file' && found?.type === 'file' && found.content.equals(write.content)) {
      if (sameAttributes(found, write) || linkCount(tree, found) === 1)
        return changeAttributes(write.path, found, write);
    }
    effects.run(`write ${write.path}`, () =>
      tree.put(
        real,
        write.type === 'symlink'
          ? tree.make({ type: 'symlink', target: write.target, mtimeNs: mtimeNs() })
          : tree.make({ ...write, content: Buffer.from(write.content), mtimeNs: mtimeNs() }),
      ),
    );
    return found ? 'replaced' : 'created';
  };

  const removeOne = (path: string): boolean => {
    const real = tree.entry(path);
    const found = tree.get(real);
    if (!found || (found.type === 'directory' && tree.names(real).length > 0)) return false;
    effects.run(`remove ${path}`, () => tree.delete(real));
    return true;
  };

  // Every method is async so that refusals and crashes arrive as rejections, as they do from Linux.
  const about = { tree, effects, owners, mtimeNs };
  return {
    stat: async (path) => {
      effects.alive();
      const node = tree.get(tree.entry(path));
      return node && statOf(node, linkCount(tree, node));
    },
    read: async (path, { maxBytes = largestRead } = {}) => {
      effects.alive();
      const content = regular(tree.get(tree.target(path)), path)?.content;
      if (content && content.length > maxBytes) throw systemError('EFBIG', `larger than ${maxBytes} bytes`, path);
      return content && Uint8Array.from(content);
    },
    open: async (path) => {
      effects.alive();
      const node = regular(tree.get(tree.target(path)), path);
      return node && openNode(node, linkCount(tree, node));
    },
    entries: async (path) => {
      effects.alive();
      const real = tree.target(path);
      return tree.names(real).map((name): FolderEntry => ({ name, type: tree.get(join(real, name))?.type ?? 'other' }));
    },
    realPath: async (path) => {
      effects.alive();
      return tree.entry(path);
    },
    list: async (path) => {
      effects.alive();
      return tree.names(tree.target(path));
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
      const real = tree.target(path);
      const node = tree.get(real);
      if (node?.type !== 'file') throw Object.assign(new Error(`ENOENT: no such file, ${path}`), { code: 'ENOENT' });
      // The kernel gives a value back as a line, however it was written.
      const content = Buffer.from(`${value.trimEnd()}\n`);
      effects.run(`kernel ${path}`, () => tree.put(real, { ...node, content, mtimeNs: mtimeNs() }, true));
    },
    remove: async (paths) => {
      effects.alive();
      const removed = new Set([...paths].sort((a, b) => depth(b) - depth(a)).filter(removeOne));
      return paths.filter((path) => removed.has(path));
    },
    place: async (source, target, attributes) => {
      effects.alive();
      const node = tree.get(tree.target(source));
      if (node?.type !== 'file') throw refusal('place', target, 'its source is not a file');
      const real = tree.entry(target);
      const found = tree.get(real);
      if (found?.type === 'directory') throw refusal('place', target, 'a folder is in its place');
      const linkable = sameAttributes(node, attributes);
      if (linkable && found === node) return 'unchanged';
      makeFolders(dirname(real));
      effects.run(`place ${target}`, () =>
        tree.put(real, linkable ? node : tree.make({ ...node, ...attributes, mtimeNs: mtimeNs() })),
      );
      return linkable ? 'hardlink' : 'copy';
    },
    move: async (from, to) => {
      effects.alive();
      const [source, target] = [tree.entry(from), tree.entry(to)];
      const [moved, found] = [tree.get(source), tree.get(target)];
      if (!moved) throw refusal('move', to, 'there is nothing to move (ENOENT)');
      if (found?.type === 'directory' && moved.type !== 'directory')
        throw refusal('move', to, 'a folder is in its place (EISDIR)');
      makeFolders(dirname(target));
      sweep(dirname(target));
      effects.run(`move to ${to}`, () => tree.rename(source, target));
      owners.delete(source);
    },
    stage: async (folder) => {
      effects.alive();
      const real = tree.target(folder);
      makeFolders(real);
      sweep(real);
      const temporary = temporaryIn(real);
      tree.put(temporary, tree.make({ type: 'file', mode: 0o600, mtimeNs: mtimeNs() }));
      return stagedFile({ ...about, temporary, path: join(folder, basename(temporary)), folder });
    },
    temporaryFolder: async (folder) => {
      effects.alive();
      const real = tree.target(folder);
      makeFolders(real);
      sweep(real);
      const temporary = temporaryIn(real);
      effects.run(`mkdir a temporary folder in ${folder}`, () =>
        tree.put(temporary, tree.make({ type: 'directory', mode: 0o700, mtimeNs: mtimeNs() })),
      );
      return join(folder, basename(temporary));
    },
    removeTree: async (path) => {
      effects.alive();
      const real = tree.entry(path);
      if (!tree.get(real)) return false;
      effects.run(`remove the tree ${path}`, () => deleteWhole(real));
      return true;
    },
    sweep: async (folders) => {
      effects.alive();
      for (const folder of folders) sweep(tree.target(folder));
    },
    space: async () => {
      effects.alive();
      return { totalBytes: 100 * gibibyte, availableBytes: 50 * gibibyte };
    },
    watch: async (folder) => {
      effects.alive();
      const events = createFolderEvents();
      let before = tree.get(tree.target(folder));
      const unobserve = tree.observe((real, inPlace) => {
        const watched = tree.target(folder);
        const now = tree.get(watched);
        if (now !== before) events.push({ type: now?.type === 'directory' ? 'present' : 'missing' });
        else if (dirname(real) === watched) {
          const names = [basename(real)];
          events.push({ type: 'changed', names, inPlace: inPlace ? names : [] });
        }
        before = now;
      });
      const close = (): void => {
        unobserve();
        events.end();
      };
      return { [Symbol.asyncIterator]: () => events[Symbol.asyncIterator](), close };
    },
    digest: async (path) => {
      effects.alive();
      const node = regular(tree.get(tree.target(path)), path);
      if (!node) throw systemError('ENOENT', 'no such file', path);
      return sha256(node.content);
    },
    warm: async (paths) => {
      effects.alive();
      return paths.reduce((sum, path) => sum + (tree.get(tree.target(path))?.content.length ?? 0), 0);
    },
  };
}

/** The node for reading, if any; refused as Linux refuses to read what is no regular file. */
function regular(node: TreeNode | undefined, path: string): TreeNode | undefined {
  if (!node || node.type === 'file') return node;
  throw node.type === 'directory'
    ? systemError('EISDIR', 'illegal operation on a directory', path)
    : systemError('EINVAL', 'not a regular file', path);
}

function systemError(code: string, why: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${why}, ${path}`), { code });
}

/** What has been opened stays as it was, whatever becomes of its names. */
function openNode(node: TreeNode, links: number): OpenFile {
  return {
    stat: statOf(node, links),
    read: async (position, length) => Uint8Array.from(node.content.subarray(position, position + length)),
    close: () => Promise.resolve(),
  };
}

interface Staging {
  readonly tree: Tree;
  readonly effects: Effects;
  readonly owners: Map<string, Effects>;
  readonly mtimeNs: () => bigint;
  readonly temporary: string;
  readonly path: string;
  readonly folder: string;
}

function stagedFile({ tree, effects, owners, mtimeNs, temporary, path, folder }: Staging): StagedFile {
  let pieces: Buffer[] = [];
  let size = 0;
  let done = false;
  /** Its content so far, also for whoever looks at it by its temporary name. */
  const content = (): Buffer => {
    const whole = Buffer.concat(pieces);
    pieces = [whole];
    tree.put(temporary, tree.make({ type: 'file', mode: 0o600, content: whole, mtimeNs: mtimeNs() }));
    return whole;
  };
  const alive = (): void => {
    effects.alive();
    if (done) throw new NodekilnError('NK_INTERNAL', `a file in ${folder} is written to after its end`);
  };
  return {
    path,
    get size() {
      return size;
    },
    append: async (chunk) => {
      alive();
      pieces.push(Buffer.from(chunk));
      size += chunk.length;
    },
    restart: async () => {
      alive();
      [pieces, size] = [[], 0];
    },
    digest: async () => {
      alive();
      return sha256(content());
    },
    read: async (position, length) => {
      alive();
      return Uint8Array.from(content().subarray(position, position + length));
    },
    publish: async (name, attributes) => {
      alive();
      const whole = content();
      const target = join(dirname(temporary), basename(name));
      done = true;
      try {
        if (tree.get(target)?.type === 'directory')
          throw refusal('write', join(folder, name), 'a folder is in its place (EISDIR)');
        effects.run(`write ${join(folder, name)}`, () =>
          tree.put(target, tree.make({ type: 'file', ...attributes, content: whole, mtimeNs: mtimeNs() })),
        );
      } finally {
        if (isAlive(effects)) forget();
      }
    },
    discard: async () => {
      if (done) return;
      done = true;
      forget();
    },
  };

  function forget(): void {
    tree.delete(temporary);
    owners.delete(temporary);
  }
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

function linkCount(tree: Tree, node: TreeNode): number {
  return tree.paths(node).length;
}

function sameAttributes(a: Attributes, b: Attributes): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

function statOf(node: TreeNode, links: number): FileStat {
  return {
    type: node.type,
    size: node.type === 'symlink' ? node.target.length : node.content.length,
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    mtimeNs: node.mtimeNs,
    inode: node.inode,
    device: 1n,
    links,
    allocatedBytes: Math.ceil(node.content.length / blockBytes) * blockBytes,
    ...(node.type === 'symlink' && { target: node.target }),
  };
}

function refusal(verb: string, path: string, why: string): NodekilnError {
  return new NodekilnError('NK_FILE_WRITE', `cannot ${verb} ${path}: ${why}`, { resource: `file:${path}` });
}
