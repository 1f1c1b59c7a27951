/**
 * What a failed write says: which path, which system error, and what to do about that one.
 */
import { errnoOf, NodekilnError } from '../errors.ts';

const explanations: Readonly<Record<string, { why: string; hint: string }>> = {
  EACCES: { why: 'permission denied', hint: 'Run as root.' },
  EPERM: { why: 'not permitted', hint: 'Run as root, and check that the file is not immutable (`lsattr`).' },
  EROFS: { why: 'the file system is read-only', hint: 'Choose a path on a writable file system, or remount it.' },
  ENOSPC: { why: 'no space left', hint: 'Free space or inodes on this file system (`df`, `df -i`).' },
  EDQUOT: { why: 'the quota is used up', hint: 'Free space or raise the quota.' },
  ENOTDIR: { why: 'a part of its path is not a folder', hint: 'Remove or rename that file, or correct the path.' },
  EISDIR: { why: 'a folder is in its place', hint: 'Remove or rename the folder, or correct the path.' },
  ENOTEMPTY: { why: 'a folder that is not empty is in its place', hint: 'Remove or rename the folder.' },
  ENAMETOOLONG: { why: 'its name is too long', hint: 'Shorten the path.' },
  ELOOP: { why: 'its path has too many symbolic links', hint: 'Look for a link that leads to itself.' },
  EBUSY: { why: 'it is in use', hint: 'It may be a mount point; unmount it or choose another path.' },
  ETXTBSY: { why: 'it is a running program', hint: 'Stop the program first.' },
};

/** NK_FILE_WRITE with the cause; a NodekilnError passes through. `verb` as in "cannot VERB PATH". */
export function writeError(verb: string, path: string, thrown: unknown): NodekilnError {
  if (thrown instanceof NodekilnError) return thrown;
  const errno = errnoOf(thrown) ?? '';
  const known = explanations[errno];
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const why = known ? `${known.why} (${errno})` : message;
  return new NodekilnError('NK_FILE_WRITE', `cannot ${verb} ${path}: ${why}`, {
    ...(known && { hint: known.hint }),
    cause: thrown,
    resource: `file:${path}`,
  });
}
