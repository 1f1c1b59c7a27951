/**
 * What a failed write says: which path, which system error, and what to do about that one.
 */
import { errnoOf, NodekilnError, systemErrors } from '../errors.ts';

/** NK_FILE_WRITE with the cause; a NodekilnError passes through. `verb` as in "cannot VERB PATH". */
export function writeError(verb: string, path: string, thrown: unknown): NodekilnError {
  if (thrown instanceof NodekilnError) return thrown;
  const errno = errnoOf(thrown) ?? '';
  const known = systemErrors[errno];
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const why = known ? `${known.why} (${errno})` : message;
  return new NodekilnError('NK_FILE_WRITE', `cannot ${verb} ${path}: ${why}`, {
    ...(known && { hint: known.hint }),
    cause: thrown,
    resource: `file:${path}`,
  });
}
