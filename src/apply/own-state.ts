/**
 * Our own state is ours: before it is used, folders and files of it that belong to somebody else are refused, because what stands
 * in them may be somebody else's too, and modes that let others at them are put right. Refused as well is what is not ours to
 * put right: a folder above it in which others could exchange it, and a file that has another name elsewhere.
 *
 * The whole is looked through once by each process: in a folder that is root's alone nobody else puts anything afterwards.
 */
import { NodekilnError } from '../errors.ts';
import type { Files, Host } from '../host/port.ts';
import { isRegular, type FileStat } from '../model/files.ts';
import { dirname, join } from '../model/path.ts';
import { downloadsFolder, stateFolder } from '../model/state-paths.ts';
import type { Exposure } from '../model/trust.ts';

/** Beside the state folder: what agents tell and take up again, and the index of the cache. */
const otherFolders = ['/run/nodekiln', '/opt/nodekiln/cache'] as const;

const lookedThrough = new WeakSet<Files>();

/** NK_STATE_FOREIGN, with nothing put right; NK_FILE_WRITE where a mode cannot be. */
export async function makeStateOurs({ files }: Pick<Host, 'files'>): Promise<void> {
  if (lookedThrough.has(files)) return;
  const entries = await stateEntries(files);
  // Who only looks writes to none by either name.
  for (const entry of entries) if (hasOtherName(entry)) throw shared(entry.path);
  for (const { path, found, allowed } of entries) {
    const mode = found.mode & allowed;
    if (mode !== found.mode || found.gid !== 0) await files.setAttributes(path, { mode, uid: 0, gid: 0 });
  }
  lookedThrough.add(files);
}

/** The same for who only looks: nothing is put right. NK_STATE_FOREIGN. */
export async function requireOwnState({ files }: Pick<Host, 'files'>): Promise<void> {
  await stateEntries(files);
}

interface StateEntry {
  readonly path: string;
  readonly found: FileStat;
  /** The bits that its mode may have. */
  readonly allowed: number;
}

/** Folders before what is in them. NK_STATE_FOREIGN. */
async function stateEntries(files: Files): Promise<StateEntry[]> {
  const isThere = (await files.stat(stateFolder)) !== undefined;
  const exposure = await files.exposure(isThere ? stateFolder : dirname(stateFolder));
  if (exposure && exposure.path !== stateFolder) throw exposed(exposure);
  // Who has the root of the host could have put anything there.
  const owners = new Set([0, (await files.stat('/'))?.uid ?? 0]);
  const entries: StateEntry[] = [];
  const look = async (path: string, allowedIn: (name: string) => number, allowed: number): Promise<void> => {
    const found = await files.stat(path);
    if (!found) return;
    if (!owners.has(found.uid)) throw foreign(path, found);
    if (isRegular(found) || found.type === 'directory') entries.push({ path, found, allowed });
    if (found.type !== 'directory') return;
    for (const name of await files.list(path)) {
      const mode = allowedIn(name);
      await look(join(path, name), () => mode, mode);
    }
  };
  // Nobody else comes by the folder of the state: what is no secret of ours in it says itself who may read it.
  await look(stateFolder, (name) => (isPrivate(name) ? 0o7700 : 0o7755), 0o700);
  for (const folder of otherFolders) await look(folder, () => 0o7755, 0o7755);
  return entries;
}

/** Databases, locks, what documents asked for, originals, identities: none of it is for others. */
function isPrivate(name: string): boolean {
  return /^(state\.db|lock\.)/.test(name) || ['generations', 'originals', 'agent'].includes(name);
}

/** What was fetched is placed by another name of its, once it is whole. */
function hasOtherName({ path, found }: StateEntry): boolean {
  return isRegular(found) && found.links > 1 && !path.startsWith(`${downloadsFolder}/`);
}

function shared(path: string): NodekilnError {
  return new NodekilnError('NK_STATE_FOREIGN', `the file ${path} of our own state has another name elsewhere`, {
    hint: `Make it a file of its own: \`cp -p ${path} ${path}.own && mv ${path}.own ${path}\`.`,
    place: { file: path },
  });
}

function exposed({ path, why, remedy }: Exposure): NodekilnError {
  return new NodekilnError('NK_STATE_FOREIGN', `our own state lies where others could exchange it: ${path} ${why}`, {
    hint: `Close the folder, as distributions leave it: \`${remedy}\`.`,
    place: { file: path },
  });
}

function foreign(path: string, { type, uid }: FileStat): NodekilnError {
  const what = type === 'directory' ? 'the folder' : type === 'symlink' ? 'the link' : 'the file';
  return new NodekilnError('NK_STATE_FOREIGN', `${what} ${path} of our own state belongs to user ${uid}, not to root`, {
    hint: `Find out who made it. \`chown -h root:root ${path}\` when what stands in it is to be believed; else move it away: it is made anew.`,
    place: { file: path },
  });
}
