/**
 * Puts the content of one file at another place without consuming it: reflink, else hard link, else copy. A hard link
 * shares mode and owner with its original, so it is taken only when they are the ones asked for. The temporary name is
 * always unlinked: rename() between two names of one inode does nothing and would leave it behind.
 *
 * In: paths of our own file system; a symlink at `from` is followed. Errors: NK_FILE_WRITE. The caller syncs the target's folder.
 */
import { constants } from 'node:fs';
import { copyFile, link, lstat, open, realpath, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf, NodekilnError } from '../../errors.ts';
import { faultPoint } from '../faults.ts';
import type { PlaceMethod } from '../port.ts';
import { discardTemporary, temporaryIn } from './temporaries.ts';
import { writeError } from './write-error.ts';

export interface Placement {
  readonly from: string;
  readonly to: string;
  /** The target as the host sees it, for messages. */
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export async function placeFile(placement: Placement): Promise<PlaceMethod> {
  const temporary = temporaryIn(dirname(placement.to));
  try {
    return await placeBy(placement, temporary);
  } catch (thrown) {
    throw writeError('place', placement.path, thrown);
  } finally {
    await discardTemporary(temporary);
  }
}

async function placeBy(placement: Placement, temporary: string): Promise<PlaceMethod> {
  const { to, path, mode, uid, gid } = placement;
  const from = await realpath(placement.from);
  const source = await lstat(from, { bigint: true });
  if (!source.isFile()) throw new NodekilnError('NK_FILE_WRITE', `cannot place ${path}: its source is not a file`);
  const linkable = Number(source.mode & 0o7777n) === mode && Number(source.uid) === uid && Number(source.gid) === gid;
  const target = await lstat(to, { bigint: true }).catch(missingIsUndefined);
  if (target?.isDirectory()) {
    throw new NodekilnError('NK_FILE_WRITE', `cannot place ${path}: a folder is in its place`, {
      hint: 'Remove or rename the folder, or correct the path.',
      resource: `file:${path}`,
    });
  }
  if (linkable && target && target.ino === source.ino && target.dev === source.dev) return 'unchanged';

  const method = await fill(from, temporary, linkable);
  const handle = await open(temporary, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    if (method !== 'hardlink') {
      await handle.chown(uid, gid);
      await handle.chmod(mode);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const end = faultPoint(`rename to ${path}`);
  await rename(temporary, to);
  end();
  return method;
}

async function fill(from: string, temporary: string, linkable: boolean): Promise<Exclude<PlaceMethod, 'unchanged'>> {
  if (await attempt(() => copyFile(from, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE))) {
    return 'reflink';
  }
  if (linkable && (await attempt(() => link(from, temporary)))) return 'hardlink';
  await copyFile(from, temporary, constants.COPYFILE_EXCL);
  return 'copy';
}

/** What the system answers when two places cannot share content. */
const cannotShare = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS', 'EPERM', 'EMLINK']);

async function attempt(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (thrown) {
    if (cannotShare.has(errnoOf(thrown) ?? '')) return false;
    throw thrown;
  }
}

function missingIsUndefined(thrown: unknown): undefined {
  if (errnoOf(thrown) === 'ENOENT') return undefined;
  throw thrown;
}
