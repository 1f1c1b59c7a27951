/**
 * Files of a machine in memory, with the outcomes, refusals and effects of the Linux ones. Every method is async so that
 * refusals and crashes arrive as rejections, as they do from Linux.
 */
import { createFolderEvents } from '../../disk/folder-events.ts';
import { basename, dirname, join } from '../../model/path.ts';
import { exposureOf, type Passed } from '../../model/trust.ts';
import { sha256 } from '../digest.ts';
import { largestRead, type Files, type FileStat, type FolderEntry, type OpenFile } from '../port.ts';
import type { MemoryClock } from './clock.ts';
import type { Effects } from './effects.ts';
import { stageFile } from './staged.ts';
import type { Tree, TreeNode } from './tree.ts';
import {
  changeAttributes,
  claimFolder,
  deleteWhole,
  linkCount,
  preparedFolder,
  refusal,
  removeAll,
  safeEntry,
  sameAttributes,
  sweep,
  temporaryIn,
  writeAll,
  type Memory,
} from './writing.ts';

export interface MemoryFilesOptions {
  readonly tree: Tree;
  readonly effects: Effects;
  readonly clock: MemoryClock;
}

const gibibyte = 1024 ** 3;
const blockBytes = 4096;

/** Temporary names on each machine. */
const temporaries = new WeakMap<Tree, Memory['owners']>();

export function createMemoryFiles({ tree, effects, clock }: MemoryFilesOptions): Files {
  const owners = temporaries.get(tree) ?? new Map<string, Effects>();
  temporaries.set(tree, owners);
  const memory: Memory = { tree, effects, owners, mtimeNs: () => BigInt(Math.round(clock.now() * 1e6)) };
  return { ...reading(memory), ...writing(memory), ...removing(memory), ...watching(memory) };
}

function reading(
  memory: Memory,
): Pick<Files, 'stat' | 'read' | 'open' | 'entries' | 'list' | 'realPath' | 'exposure' | 'digest' | 'warm' | 'space'> {
  return {
    stat: async (path) => {
      memory.effects.alive();
      const real = safeEntry(memory.tree, path);
      const node = real === undefined ? undefined : memory.tree.get(real);
      return node && statOf(node, linkCount(memory.tree, node));
    },
    read: async (path, { maxBytes = largestRead } = {}) => {
      memory.effects.alive();
      const content = regular(memory.tree.get(memory.tree.target(path)), path)?.content;
      if (content && content.length > maxBytes) throw systemError('EFBIG', `larger than ${maxBytes} bytes`, path);
      return content && Uint8Array.from(content);
    },
    open: async (path) => {
      memory.effects.alive();
      const node = regular(memory.tree.get(memory.tree.target(path)), path);
      return node && openNode(node, linkCount(memory.tree, node));
    },
    entries: async (path) => {
      memory.effects.alive();
      const real = memory.tree.target(path);
      return memory.tree
        .names(real)
        .map((name): FolderEntry => ({ name, type: memory.tree.get(join(real, name))?.type ?? 'other' }));
    },
    realPath: async (path) => {
      memory.effects.alive();
      return memory.tree.entry(path);
    },
    exposure: async (path) => {
      memory.effects.alive();
      const way: Passed[] = [];
      const found = memory.tree.get(memory.tree.target(path, (passed) => way.push(passed)));
      return found && exposureOf(way, [{ uid: 0, gid: 0 }]);
    },
    list: async (path) => {
      memory.effects.alive();
      return memory.tree.names(memory.tree.target(path));
    },
    digest: async (path) => {
      memory.effects.alive();
      const node = regular(memory.tree.get(memory.tree.target(path)), path);
      if (!node) throw systemError('ENOENT', 'no such file', path);
      return sha256(node.content);
    },
    warm: async (paths) => {
      memory.effects.alive();
      return paths.reduce((sum, path) => sum + (memory.tree.get(memory.tree.target(path))?.content.length ?? 0), 0);
    },
    space: async () => {
      memory.effects.alive();
      return { totalBytes: 100 * gibibyte, availableBytes: 50 * gibibyte };
    },
  };
}

function writing(
  memory: Memory,
): Pick<
  Files,
  | 'write'
  | 'writeKernel'
  | 'setAttributes'
  | 'place'
  | 'move'
  | 'stage'
  | 'continue'
  | 'claimFolder'
  | 'releaseFolder'
  | 'temporaryFolder'
> {
  return {
    write: async (writes) => {
      memory.effects.alive();
      return writeAll(memory, writes);
    },
    writeKernel: async (path, value) => {
      memory.effects.alive();
      const real = memory.tree.target(path);
      const node = memory.tree.get(real);
      if (node?.type !== 'file') throw Object.assign(new Error(`ENOENT: no such file, ${path}`), { code: 'ENOENT' });
      // The kernel gives a value back as a line, however it was written.
      const content = Buffer.from(`${value.trimEnd()}\n`);
      memory.effects.run(`kernel ${path}`, () =>
        memory.tree.put(real, { ...node, content, mtimeNs: memory.mtimeNs() }, true),
      );
    },
    setAttributes: async (path, attributes) => {
      memory.effects.alive();
      const real = memory.tree.entry(path);
      const node = memory.tree.get(real);
      if (node) changeAttributes(memory, real, node, attributes);
    },
    place: async (source, target, attributes) => {
      memory.effects.alive();
      const node = memory.tree.get(memory.tree.target(source));
      if (node?.type !== 'file') throw refusal('place', target, 'its source is not a file');
      const real = memory.tree.entry(target);
      const found = memory.tree.get(real);
      if (found?.type === 'directory') throw refusal('place', target, 'a folder is in its place');
      const linkable = sameAttributes(node, attributes);
      if (linkable && found === node) return 'unchanged';
      preparedFolder(memory, dirname(real));
      memory.effects.run(`place ${target}`, () =>
        memory.tree.put(
          real,
          linkable ? node : memory.tree.make({ ...node, ...attributes, mtimeNs: memory.mtimeNs() }),
        ),
      );
      return linkable ? 'hardlink' : 'copy';
    },
    move: async (from, to) => {
      memory.effects.alive();
      const [source, target] = [memory.tree.entry(from), memory.tree.entry(to)];
      const [moved, found] = [memory.tree.get(source), memory.tree.get(target)];
      if (!moved) throw refusal('move', to, 'there is nothing to move (ENOENT)');
      if (found?.type === 'directory' && moved.type !== 'directory')
        throw refusal('move', to, 'a folder is in its place (EISDIR)');
      preparedFolder(memory, dirname(target));
      memory.effects.run(`move to ${to}`, () => memory.tree.rename(source, target));
      memory.owners.delete(source);
    },
    stage: async (folder) => {
      memory.effects.alive();
      return stageFile(memory, folder);
    },
    continue: async (folder, name) => {
      memory.effects.alive();
      return stageFile(memory, folder, basename(name));
    },
    claimFolder: async (folder, name) => {
      memory.effects.alive();
      const real = preparedFolder(memory, memory.tree.target(folder));
      return join(folder, basename(claimFolder(memory, real, name)));
    },
    releaseFolder: async (path) => {
      memory.effects.alive();
      memory.owners.delete(memory.tree.entry(path));
    },
    temporaryFolder: async (folder) => {
      memory.effects.alive();
      const temporary = temporaryIn(memory, preparedFolder(memory, memory.tree.target(folder)));
      memory.effects.run(`mkdir a temporary folder in ${folder}`, () =>
        memory.tree.put(temporary, memory.tree.make({ type: 'directory', mode: 0o700, mtimeNs: memory.mtimeNs() })),
      );
      return join(folder, basename(temporary));
    },
  };
}

function removing(memory: Memory): Pick<Files, 'remove' | 'removeTree' | 'sweep'> {
  return {
    remove: async (paths) => {
      memory.effects.alive();
      return removeAll(memory, paths);
    },
    removeTree: async (path) => {
      memory.effects.alive();
      const real = safeEntry(memory.tree, path);
      if (real === undefined || !memory.tree.get(real)) return false;
      memory.effects.run(`remove the tree ${path}`, () => deleteWhole(memory, real));
      return true;
    },
    sweep: async (folders) => {
      memory.effects.alive();
      for (const folder of folders) sweep(memory, memory.tree.target(folder));
    },
  };
}

function watching(memory: Memory): Pick<Files, 'watch'> {
  return {
    watch: async (folder) => {
      memory.effects.alive();
      const events = createFolderEvents();
      let before = memory.tree.get(memory.tree.target(folder));
      const unobserve = memory.tree.observe((real, inPlace) => {
        const watched = memory.tree.target(folder);
        const now = memory.tree.get(watched);
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
  return Object.assign(new Error(`${code}: ${why}, ${path}`), { code, path });
}

/** What has been opened stays as it was, whatever becomes of its names. */
function openNode(node: TreeNode, links: number): OpenFile {
  return {
    stat: statOf(node, links),
    read: async (position, length) => Uint8Array.from(node.content.subarray(position, position + length)),
    close: () => Promise.resolve(),
  };
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
