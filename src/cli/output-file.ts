/** Files that a person asks a verb to write: whole or not at all, and never behind a link of somebody else's. */
import { statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { errnoOf, NodekilnError, whyRefused } from '../errors.ts';
import { bytesOf } from '../model/bytes.ts';
import { onThisMachine } from './this-machine.ts';

/** Gives the path back. NK_FILE_WRITE, NK_PATH_UNSAFE. */
export async function writeOutput(path: string, content: string): Promise<string> {
  try {
    const whole = resolve(path);
    // `/dev/stdout` and the like are no places for files; memory that is shared by all is one.
    if (whole.startsWith('/dev/') && !whole.startsWith('/dev/shm/')) await writeFile(path, content);
    else await writeWhole(whole, content);
    return path;
  } catch (cause) {
    if (cause instanceof NodekilnError) throw cause;
    if (errnoOf(cause) === 'ENOENT') throw withoutFolder(path, cause);
    const detail = { cause, place: { file: path } };
    throw new NodekilnError('NK_FILE_WRITE', `${path} cannot be written: ${whyRefused(cause)}`, detail);
  }
}

/**
 * Refuses what would write over a file that is read, or over another of its results, by whatever name; said before the work.
 * NK_USAGE.
 */
export function requireApart(paths: { readonly reads: readonly Named[]; readonly writes: readonly Named[] }): void {
  const taken = new Map<string, string>();
  const take = (path: Named, what: string): void => {
    const file = path === undefined ? undefined : fileOf(path);
    if (path === undefined || file === undefined) return;
    const other = taken.get(file);
    if (other !== undefined && what !== read)
      throw new NodekilnError('NK_USAGE', `${path} cannot be written: it is ${other}`, {
        place: { file: path },
        hint: 'Name another file.',
      });
    taken.set(file, what);
  };
  for (const path of paths.reads) take(path, read);
  for (const path of paths.writes) take(path, 'where another result goes');
}

type Named = string | undefined;
const read = 'what is read';

/** The same for every name of a file; undefined for `/dev/stdout` and what else is no regular file. */
function fileOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat && !stat.isFile()) return undefined;
    return stat ? `${stat.dev}:${stat.ino}` : resolve(path);
  } catch {
    return undefined;
  }
}

/** Said before the work whose result goes to the path; no folder is made that nobody asked for. */
export function requireFolderOf(path: string): void {
  try {
    if (statSync(dirname(resolve(path))).isDirectory()) return;
  } catch (cause) {
    throw withoutFolder(path, cause);
  }
  throw new NodekilnError('NK_FILE_WRITE', `${path} cannot be written: ${dirname(path)} is no folder`, {
    place: { file: path },
  });
}

function withoutFolder(path: string, cause: unknown): NodekilnError {
  return new NodekilnError('NK_FILE_WRITE', `${path} cannot be written: its folder does not exist`, {
    cause,
    place: { file: path },
    hint: `Make it first: mkdir -p ${dirname(path)}`,
  });
}

async function writeWhole(path: string, content: string): Promise<void> {
  await onThisMachine(async ({ files }) => {
    const folder = dirname(path);
    // Also says when a link on the way is not followed.
    await files.list(folder);
    if (!(await files.stat(folder))) throw Object.assign(new Error(`no folder ${folder}`), { code: 'ENOENT' });
    const staged = await files.stage(folder);
    try {
      await staged.append(bytesOf(content));
      await staged.publish(basename(path), { mode: 0o666 & ~process.umask() });
    } finally {
      await staged.discard();
    }
  });
}
