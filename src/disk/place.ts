/**
 * Puts the content of one file at another place without consuming it: reflink, else hard link, else copy. A hard link
 * shares mode and owner with its original, so it is taken only when they are the ones asked for. The temporary name is
 * always unlinked: rename() between two names of one inode does nothing and would leave it behind.
 *
 * In: paths of our own file system, `from` maybe that of an open file. Errors: NK_FILE_WRITE. `touched` collects the folder to sync.
 */
import { errnoOf, NodekilnError } from '../errors.ts';
import type { Attributes, PlaceMethod } from '../model/files.ts';
import { dirname } from '../model/path.ts';
import type { Descriptor, Disk, EntryStat } from './disk.ts';
import { publish } from './publish.ts';
import { discardTemporary, temporaryIn } from './temporaries.ts';
import { writeError } from './write-error.ts';

export interface Placement {
  readonly from: string;
  readonly to: string;
  /** The target as the host sees it, for messages. */
  readonly path: string;
  readonly attributes: Attributes;
  readonly touched: Set<string>;
}

export async function placeFile(disk: Disk, placement: Placement): Promise<PlaceMethod> {
  const temporary = temporaryIn(disk, dirname(placement.to));
  try {
    return await placeBy(disk, placement, temporary);
  } catch (thrown) {
    throw writeError('place', placement.path, thrown);
  } finally {
    await discardTemporary(disk, temporary);
  }
}

async function placeBy(disk: Disk, placement: Placement, temporary: string): Promise<PlaceMethod> {
  const { from, to, path, attributes, touched } = placement;
  const source = await statOpen(disk, from);
  if (source.type !== 'file')
    throw new NodekilnError('NK_FILE_WRITE', `cannot place ${path}: its source is not a file`);
  const linkable = source.mode === attributes.mode && source.uid === attributes.uid && source.gid === attributes.gid;
  const target = await statIfPresent(disk, to);
  if (target?.type === 'directory') {
    throw new NodekilnError('NK_FILE_WRITE', `cannot place ${path}: a folder is in its place`, {
      hint: 'Remove or rename the folder, or correct the path.',
      resource: `file:${path}`,
    });
  }
  if (linkable && target && target.inode === source.inode && target.device === source.device) return 'unchanged';

  const method = await fill(disk, { from, temporary, linkable });
  const publication = {
    target: to,
    path,
    verb: 'place',
    temporary,
    make: async () => checked(await disk.open(temporary, 'read-entry'), method),
    attributes: method === 'hardlink' ? undefined : attributes,
  };
  await publish(disk, [publication], { touched });
  return method;
}

async function statOpen(disk: Disk, path: string): Promise<EntryStat> {
  const file = await disk.open(path, 'read');
  try {
    return await file.stat();
  } finally {
    await file.close();
  }
}

/** Where others can write they can put another file there meanwhile, and what has more names is not theirs alone. */
async function checked(file: Descriptor, method: PlaceMethod): Promise<Descriptor> {
  const { type, links } = await file.stat();
  if (type === 'file' && (links === 1 || method === 'hardlink')) return file;
  await file.close();
  throw new Error('it was replaced while it was made');
}

interface Filling {
  readonly from: string;
  readonly temporary: string;
  readonly linkable: boolean;
}

async function fill(disk: Disk, { from, temporary, linkable }: Filling): Promise<Exclude<PlaceMethod, 'unchanged'>> {
  if (await attempt(() => disk.reflink(from, temporary))) return 'reflink';
  if (linkable && (await attempt(() => disk.link(from, temporary)))) return 'hardlink';
  await disk.copy(from, temporary);
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

async function statIfPresent(disk: Disk, path: string): Promise<EntryStat | undefined> {
  try {
    return await disk.stat(path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
