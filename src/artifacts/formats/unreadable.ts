/** The two errors of reading packages, with one shape of message: what, where, why. */
import { errnoOf, NodekilnError } from '../../errors.ts';

export { unreadable } from '../../host/port.ts';

/** NK_ARTIFACT_UNREADABLE for what is opened as a file and is none; undefined for what else is refused. */
export function noRegularFile(path: string, thrown: unknown, what = path): NodekilnError | undefined {
  const errno = errnoOf(thrown);
  if (errno !== 'EISDIR' && errno !== 'EINVAL') return undefined;
  const why = errno === 'EISDIR' ? 'is a folder, no regular file' : 'is no regular file';
  return new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} ${why}`, {
    resource: what,
    cause: thrown,
    hint: 'Name the file itself.',
  });
}

/** NK_ARTIFACT_MEMBER: the archive may be sound, but the member asked for is not in it as a usable file. */
export function unusableMember(what: string, why: string, lines: readonly string[] = []): NodekilnError {
  return new NodekilnError('NK_ARTIFACT_MEMBER', `${what}: ${why}`, { resource: what, lines });
}
