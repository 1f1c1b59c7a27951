/** Effects of `file` resources and of every other file we write: observation, batched durable writes, removal, originals. */
import { originalsFolder } from '../../model/state-paths.ts';
import type { Files, FileStat, FileWrite, Host } from '../../host/port.ts';
import type { EntryObservation } from '../../model/steps.ts';
import type { ActionOf, PerformContext } from '../performer.ts';
import { copyFile } from './copy.ts';
import { contentBytes } from './entry.ts';
import { originalPaths } from '../../host/originals.ts';
import { searchPath } from '../../host/unit-files/find.ts';
import { isMap } from '../../config/paths.ts';
import { textOf } from '../../model/bytes.ts';
import type { Attributes } from '../../model/files.ts';
import { basename } from '../../model/path.ts';

export async function observeEntry(files: Files, path: string): Promise<EntryObservation> {
  const stat = await files.stat(path);
  if (!stat) return { type: 'absent' };
  switch (stat.type) {
    case 'file':
      return { type: 'file', digest: await files.digest(path), mode: stat.mode, uid: stat.uid, gid: stat.gid };
    case 'directory':
      return { type: 'directory', mode: stat.mode, uid: stat.uid, gid: stat.gid };
    case 'symlink':
      return { type: 'symlink', target: stat.target ?? '' };
    case 'other':
      return { type: 'other' };
  }
}

/** Whether systemd runs on the host and reads unit files at the path. */
export function isReadBySystemd({ units }: Pick<Host, 'units'>, path: string): boolean {
  return units.mode !== 'offline' && searchPath.some((folder) => path.startsWith(`${folder}/`));
}

/** Writes many entries in one durable batch. */
export async function performWrites(host: Host, actions: readonly ActionOf<'write'>[]): Promise<void> {
  for (const action of actions) if (action.keepOriginal) await keepOriginal(host.files, action.path);
  await host.files.write(actions.map((action) => toWrite(action)));
}

function toWrite({ path, entry }: ActionOf<'write'>): FileWrite {
  switch (entry.type) {
    case 'file':
      return {
        type: 'file',
        path,
        content: contentBytes(entry.content),
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
      };
    case 'directory':
      return { type: 'directory', path, mode: entry.mode, uid: entry.uid, gid: entry.gid };
    case 'symlink':
      return { type: 'symlink', path, target: entry.target };
  }
}

/** Removes what is ours; the foreign file that was there before comes back. What of it cannot be had is told of. */
export async function performRemove(
  { host: { files }, detail }: Pick<PerformContext, 'host' | 'detail'>,
  action: ActionOf<'remove'>,
): Promise<void> {
  for (const path of action.dropOriginals ?? []) await dropOriginal(files, path);
  const foreign = new Set<string>();
  if (action.restoreOriginal) {
    for (const path of action.paths) if (await restoreOriginal(files, path, detail)) foreign.add(path);
  }
  await files.remove(action.paths.filter((path) => !foreign.has(path)));
}

// ── originals: foreign files we replaced ─────────────────────────────────────────────────────────────────────────

/** Copies the file that is about to be replaced, once: what we wrote ourselves must never count as the original. */
export async function keepOriginal(files: Files, path: string): Promise<void> {
  const saved = originalPaths(path);
  if (await files.stat(saved.about)) return;
  const stat = await files.stat(path);
  if (stat?.type !== 'file') return;
  await files.write([{ type: 'directory', path: originalsFolder, mode: 0o700, uid: 0, gid: 0 }]);
  if (!(await copyFile(files, { from: path, to: saved.content, mode: 0o600, uid: 0, gid: 0 }))) return;
  await files.write([
    {
      type: 'file',
      path: saved.about,
      content: new TextEncoder().encode(aboutText(path, stat)),
      mode: 0o600,
      uid: 0,
      gid: 0,
    },
  ]);
}

function aboutText(path: string, stat: FileStat): string {
  return `${JSON.stringify({ path, mode: stat.mode, uid: stat.uid, gid: stat.gid })}\n`;
}

/** Whether the foreign file of a path is kept, whatever has become of what is known about it. */
export async function originalsKept(files: Files): Promise<(path: string) => boolean> {
  const kept = new Set(await files.list(originalsFolder));
  return (path) => kept.has(basename(originalPaths(path).about));
}

/** True when the foreign file is in its place afterwards. What is damaged of it is told, and lies beside as `….damaged`. */
async function restoreOriginal(files: Files, path: string, tell: (text: string) => void): Promise<boolean> {
  const saved = originalPaths(path);
  const [about, content] = [await files.stat(saved.about), await files.stat(saved.content)];
  if (!about) {
    // A file is replaced only after it was saved whole, and what says so goes only after it was restored: a killed run got no
    // further than before the one or after the other, and what is there is the foreign file.
    await dropOriginal(files, path);
    return (await files.stat(path))?.type === 'file';
  }
  const isThere = content?.type === 'file';
  if (isThere) {
    const attributes = await readAbout(files, saved.about);
    await copyFile(files, { from: saved.content, to: path, ...(attributes ?? rootAlone) });
    if (!attributes)
      tell(`${path} is back for root alone: ${await setAside(files, saved.about)} does not say whose it was`);
  } else {
    const why = content ? `${await setAside(files, saved.content)} is a ${content.type}` : `${saved.content} is gone`;
    tell(`what was at ${path} before is lost: ${why}`);
  }
  await dropOriginal(files, path);
  return isThere;
}

async function dropOriginal(files: Files, path: string): Promise<void> {
  const { about, content } = originalPaths(path);
  for (const each of [about, content]) await files.removeTree(each);
}

async function setAside(files: Files, path: string): Promise<string> {
  const aside = `${path}.damaged`;
  await files.removeTree(aside);
  await files.move(path, aside);
  return aside;
}

/** What holds for a file of which nothing is known: it may be a secret. */
const rootAlone: Attributes = { mode: 0o600, uid: 0, gid: 0 };

/** Undefined when it cannot be read, or says something else. */
async function readAbout(files: Files, path: string): Promise<Attributes | undefined> {
  try {
    const about: unknown = JSON.parse(textOf(await files.read(path)) ?? '');
    if (!isMap(about)) return undefined;
    const { mode, uid, gid } = about;
    return isUpTo(0o7777, mode) && isUpTo(largestId, uid) && isUpTo(largestId, gid) ? { mode, uid, gid } : undefined;
  } catch {
    return undefined;
  }
}

/** The next one means "leave it": chown(2). */
const largestId = 2 ** 32 - 2;

function isUpTo(largest: number, value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= largest;
}
