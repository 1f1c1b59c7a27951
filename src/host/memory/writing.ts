/** What writing and removing do to a machine in memory: one effect per folder, file and name that changes. */
import { errnoOf, NodekilnError } from '../../errors.ts';
import { basename, dirname, join, normalize } from '../../model/path.ts';
import type { Attributes, FileWrite, WriteOutcome } from '../port.ts';
import { isAlive, type Effects } from './effects.ts';
import type { Tree, TreeNode } from './tree.ts';

/** A process at its files. */
export interface Memory {
  readonly tree: Tree;
  readonly effects: Effects;
  /** Temporary names of all processes, by the one that made them. */
  readonly owners: Map<string, Effects>;
  mtimeNs(): bigint;
}

type Entry = Exclude<FileWrite, { type: 'directory' }>;

const temporaryPrefix = '.nodekiln-tmp-memory-';
let counter = 0;

export function writeAll(memory: Memory, writes: readonly FileWrite[]): WriteOutcome[] {
  const [first, rest] = stages(writes);
  const outcomes = new Map<string, WriteOutcome>();
  for (const write of first) {
    if (write.type === 'directory') outcomes.set(write.path, writeDirectory(memory, write));
    else for (const entry of prepared(memory, [write])) outcomes.set(entry.path, writeEntry(memory, entry));
  }
  for (const entry of prepared(memory, rest)) outcomes.set(entry.path, writeEntry(memory, entry));
  return writes.map(({ path }) => outcomes.get(path) ?? 'unchanged');
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

function makeFolders(memory: Memory, folder: string, attributes: Attributes = { mode: 0o755, uid: 0, gid: 0 }): void {
  const found = memory.tree.get(folder);
  if (found?.type === 'directory') return;
  if (found) throw refusal('make the folder of', folder, 'a part of its path is not a folder (ENOTDIR)');
  makeFolders(memory, dirname(folder));
  memory.effects.run(`mkdir ${folder}`, () =>
    memory.tree.put(folder, memory.tree.make({ type: 'directory', ...attributes, mtimeNs: memory.mtimeNs() })),
  );
}

export function changeAttributes(memory: Memory, path: string, node: TreeNode, wanted: Attributes): WriteOutcome {
  if (sameAttributes(node, wanted)) return 'unchanged';
  memory.effects.run(`attributes ${path}`, () => {
    node.mode = wanted.mode;
    node.uid = wanted.uid;
    node.gid = wanted.gid;
    memory.tree.put(memory.tree.entry(path), node);
  });
  return 'attributes';
}

function writeDirectory(memory: Memory, write: Extract<FileWrite, { type: 'directory' }>): WriteOutcome {
  const real = memory.tree.entry(write.path);
  const found = memory.tree.get(real);
  if (found?.type === 'directory') return changeAttributes(memory, write.path, found, write);
  if (found?.type === 'file') throw refusal('make the folder', write.path, 'a file is in its place');
  if (found) memory.effects.run(`remove ${write.path}`, () => memory.tree.delete(real));
  makeFolders(memory, real, write);
  return found ? 'replaced' : 'created';
}

export function deleteWhole(memory: Memory, real: string): void {
  if (memory.tree.get(real)?.type === 'directory')
    for (const name of memory.tree.names(real)) deleteWhole(memory, join(real, name));
  memory.tree.delete(real);
  memory.owners.delete(real);
}

export function temporaryIn(memory: Memory, folder: string): string {
  counter += 1;
  const real = join(folder, `${temporaryPrefix}${counter}`);
  memory.owners.set(real, memory.effects);
  return real;
}

/** A folder for a name: one that nobody has any more, or a new one. */
export function claimFolder(memory: Memory, folder: string, name: string): string {
  const { tree, owners } = memory;
  counter += 1;
  const real = join(folder, `${name}.memory-${counter}`);
  const free = tree.names(folder).find((entry) => {
    const owner = owners.get(join(folder, entry));
    return entry.startsWith(`${name}.memory-`) && (owner === undefined || !isAlive(owner));
  });
  if (free !== undefined) {
    memory.effects.run(`take up ${free}`, () => tree.rename(join(folder, free), real));
    owners.delete(join(folder, free));
  } else memory.effects.run(`mkdir ${real}`, () => makeClaimed(memory, real));
  owners.set(real, memory.effects);
  return real;
}

function makeClaimed(memory: Memory, real: string): void {
  memory.tree.put(real, memory.tree.make({ type: 'directory', mode: 0o700, mtimeNs: memory.mtimeNs() }));
}

/** What a process that crashed left. */
export function sweep(memory: Memory, folder: string): void {
  for (const [path, owner] of memory.owners)
    if (dirname(path) === folder && basename(path).startsWith(temporaryPrefix) && !isAlive(owner))
      deleteWhole(memory, path);
}

/** Folders are made and refusals come before the first of them is written. */
function prepared(memory: Memory, entries: readonly Entry[]): readonly Entry[] {
  for (const { path } of entries) {
    preparedFolder(memory, dirname(memory.tree.entry(path)));
    if (memory.tree.get(memory.tree.entry(path))?.type === 'directory')
      throw refusal('write', path, 'a folder is in its place');
  }
  return entries;
}

function writeEntry(memory: Memory, write: Entry): WriteOutcome {
  const real = memory.tree.entry(write.path);
  const found = memory.tree.get(real);
  if (write.type === 'symlink' && found?.type === 'symlink' && found.target === write.target) return 'unchanged';
  if (write.type === 'file' && found?.type === 'file' && found.content.equals(write.content)) {
    if (sameAttributes(found, write) || linkCount(memory.tree, found) === 1)
      return changeAttributes(memory, write.path, found, write);
  }
  memory.effects.run(`write ${write.path}`, () =>
    memory.tree.put(
      real,
      write.type === 'symlink'
        ? memory.tree.make({ type: 'symlink', target: write.target, mtimeNs: memory.mtimeNs() })
        : memory.tree.make({ ...write, content: Buffer.from(write.content), mtimeNs: memory.mtimeNs() }),
    ),
  );
  return found ? 'replaced' : 'created';
}

function removeOne(memory: Memory, path: string): boolean {
  const real = safeEntry(memory.tree, path);
  if (real === undefined) return false;
  const found = memory.tree.get(real);
  if (!found || (found.type === 'directory' && memory.tree.names(real).length > 0)) return false;
  memory.effects.run(`remove ${path}`, () => memory.tree.delete(real));
  return true;
}

/** A folder to put something into, made when missing, without what crashed processes left in it. */
export function preparedFolder(memory: Memory, folder: string): string {
  makeFolders(memory, folder);
  sweep(memory, folder);
  return folder;
}

/** Deepest first, so that a folder given together with its content goes too. */
export function removeAll(memory: Memory, paths: readonly string[]): string[] {
  const removed = new Set([...paths].sort((a, b) => depth(b) - depth(a)).filter((path) => removeOne(memory, path)));
  return paths.filter((path) => removed.has(path));
}

/** Where the entry is, unless a link on the way is not followed: then there is nothing. */
export function safeEntry(tree: Tree, path: string): string | undefined {
  try {
    return tree.entry(path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'NK_PATH_UNSAFE') return undefined;
    throw thrown;
  }
}

function depth(path: string): number {
  return normalize(path).split('/').length;
}

export function linkCount(tree: Tree, node: TreeNode): number {
  return tree.paths(node).length;
}

export function sameAttributes(a: Attributes, b: Attributes): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

export function refusal(verb: string, path: string, why: string): NodekilnError {
  return new NodekilnError('NK_FILE_WRITE', `cannot ${verb} ${path}: ${why}`, { resource: `file:${path}` });
}
