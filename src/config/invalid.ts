/**
 * NK_DOCUMENT_INVALID: one error for all problems of a document. Pure.
 */
import { NodekilnError, formatPlace } from '../errors.ts';
import type { Problem } from '../errors.ts';

/** One error for all problems; the first one's place is the error's. */
export function invalidDocument(what: string, problems: readonly Problem[]): NodekilnError {
  const [first] = problems;
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  return new NodekilnError('NK_DOCUMENT_INVALID', `${what}: ${count}`, {
    ...(first?.place && { place: first.place }),
    problems,
  });
}

/** `node.yaml:12:5: spec.kubelet.labls: unknown key "labls"; did you mean "labels"?` */
export function formatProblem(problem: Problem): string {
  const place = problem.place ? `${formatPlace(problem.place)}: ` : '';
  return `${place}${problem.message}${problem.hint ? `; ${problem.hint}` : ''}`;
}
