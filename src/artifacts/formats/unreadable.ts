/** The two errors of reading packages, with one shape of message: what, where, why. */
import { NodekilnError } from '../../errors.ts';

/** NK_ARTIFACT_UNREADABLE: the archive itself is damaged, truncated, hostile or something else than stated. */
export function unreadable(what: string, why: string, cause?: unknown): NodekilnError {
  return new NodekilnError('NK_ARTIFACT_UNREADABLE', `${what} ${why}`, {
    resource: what,
    ...(cause !== undefined && { cause }),
  });
}

/** NK_ARTIFACT_MEMBER: the archive may be sound, but the member asked for is not in it as a usable file. */
export function unusableMember(what: string, why: string, lines: readonly string[] = []): NodekilnError {
  return new NodekilnError('NK_ARTIFACT_MEMBER', `${what}: ${why}`, { resource: what, lines });
}
