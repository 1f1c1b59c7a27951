/** What it comes to when no source served: which error names it. */
import { NodekilnError } from '../errors.ts';
import type { ResourceId } from '../model/resources.ts';

export interface Refusal {
  /** The source, in a word. */
  readonly source: string;
  readonly error: NodekilnError;
}

/**
 * NK_ARTIFACT_NONE_USABLE, which names every source and why; NK_FILE_WRITE when one served and what it gave could not be
 * written: then the host is what has to change.
 */
export function noneServes(what: string, resource: ResourceId, refusals: readonly Refusal[]): NodekilnError {
  const unwritten = refusals.find(({ error }) => error.code === 'NK_FILE_WRITE')?.error;
  const problems = refusals.map(({ source, error }) => ({ message: `${source}: ${error.message}` }));
  if (unwritten) {
    return new NodekilnError('NK_FILE_WRITE', `${what} cannot be put in place: ${unwritten.message}`, {
      hint: unwritten.hint,
      resource,
      cause: unwritten,
      ...(refusals.length > 1 && { problems }),
    });
  }
  return new NodekilnError('NK_ARTIFACT_NONE_USABLE', `no source has a usable ${what}`, {
    resource,
    cause: refusals[0]?.error,
    problems,
  });
}
