/** The two errors of reading packages, with one shape of message: what, where, why. */
import { NodekilnError } from '../../errors.ts';

export { unreadable } from '../../host/port.ts';

/** NK_ARTIFACT_MEMBER: the archive may be sound, but the member asked for is not in it as a usable file. */
export function unusableMember(what: string, why: string, lines: readonly string[] = []): NodekilnError {
  return new NodekilnError('NK_ARTIFACT_MEMBER', `${what}: ${why}`, { resource: what, lines });
}
