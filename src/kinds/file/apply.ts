/** Effects of `file` resources and of every other file we write: observation, batched durable writes, removal, originals. */
import { originalsFolder } from '../../model/state-paths.ts';
import { NodekilnError } from '../../errors.ts';
import type { Files, FileStat, FileWrite, Host } from '../../host/port.ts';
import type { EntryObservation } from '../../model/steps.ts';
import type { ActionOf } from '../performer.ts';
import { copyFile } from './copy.ts';
import { contentBytes } from './entry.ts';
import { originalPaths } from '../../host/originals.ts';
import { searchPath } from '../../host/unit-files/find.ts';
import { isMap } from '../../config/paths.ts';
import { textOf } from '../../model/bytes.ts';

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

/** Removes what is ours; the foreign file that was there before comes back. */
export async function performRemove(host: Host, action: ActionOf<'remove'>): Promise<void> {
  const dropped = (action.dropOriginals ?? []).map((path) => originalPaths(path));
  await host.files.remove(dropped.flatMap(({ about, content }) => [about, content]));
  const foreign = new Set<string>();
  if (action.restoreOriginal) {
    for (const path of action.paths) if (await restoreOriginal(host.files, path)) foreign.add(path);
  }
  await host.files.remove(action.paths.filter((path) => !foreign.has(path)));
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

/** Paths whose foreign files are kept. What says so and cannot be read says nothing. */
export async function originalsKept(files: Files): Promise<string[]> {
  const names = (await files.list(originalsFolder)).filter((name) => name.endsWith('.json'));
  const paths = names.map(async (name) => {
    try {
      const about: unknown = JSON.parse(textOf(await files.read(`${originalsFolder}/${name}`)) ?? '');
      return isMap(about) && typeof about['path'] === 'string' ? [about['path']] : [];
    } catch {
      return [];
    }
  });
  return (await Promise.all(paths)).flat();
}

/** True when the foreign file is in its place afterwards. */
async function restoreOriginal(files: Files, path: string): Promise<boolean> {
  const saved = originalPaths(path);
  const [about, content] = [await files.read(saved.about), await files.stat(saved.content)];
  if (!about || !content) {
    // A file is replaced only after it was saved, and the saved one goes only after it was restored: a killed run got no
    // further than before the one or after the other, and what is there is the foreign file.
    await files.remove([saved.content]);
    return (await files.stat(path))?.type === 'file';
  }
  await copyFile(files, { from: saved.content, to: path, ...parseAbout(textOf(about), path) });
  await files.remove([saved.about]);
  await files.remove([saved.content]);
  return true;
}

function parseAbout(text: string, path: string): { mode: number; uid: number; gid: number } {
  const about: unknown = JSON.parse(text);
  if (typeof about === 'object' && about !== null && 'mode' in about && 'uid' in about && 'gid' in about) {
    return { mode: Number(about.mode), uid: Number(about.uid), gid: Number(about.gid) };
  }
  throw new NodekilnError('NK_STATE_UNUSABLE', `the record of the original of ${path} is damaged`);
}
