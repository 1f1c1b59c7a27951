/**
 * What zod found wrong, as problems for people: in words, at file, line, column and path, with a suggestion. Pure.
 */
import type { Place, Problem } from '../errors.ts';
import { formatPath, isMap, valueAt } from './paths.ts';
import type { Path } from './paths.ts';
import type { Positions, PositionTarget } from './positions.ts';
import { inWords, nearest } from './words.ts';

/** The part of zod's issues that is used here. */
export interface Issue {
  readonly code?: string | undefined;
  readonly message: string;
  readonly path: readonly PropertyKey[];
  readonly keys?: readonly string[];
  readonly values?: readonly unknown[];
  readonly options?: readonly unknown[];
  readonly errors?: readonly (readonly Issue[])[];
  readonly issues?: readonly Issue[];
}

export interface ParsedDocument {
  readonly file: string;
  /** The parsed document, before any schema. */
  readonly value: unknown;
  readonly positions: Positions;
}

export function problemsOf(issues: readonly Issue[], document: ParsedDocument): Problem[] {
  const problems = issues.flatMap((issue) => problemsOfIssue(issue, [], document));
  return problems.sort(
    (a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0) || (a.place?.column ?? 0) - (b.place?.column ?? 0),
  );
}

export function placeOf(document: ParsedDocument, path: Path, target: PositionTarget): Place {
  return { file: document.file, ...document.positions.locate(path, target), path: formatPath(path) };
}

function problemsOfIssue(issue: Issue, prefix: Path, document: ParsedDocument): Problem[] {
  const path = [...prefix, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  const value = valueAt(document.value, path);
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => unknownKey(key, path, issue.message.split(' '), document));
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues?.[0]?.message.replace(/, is [^]*$/, '') ?? 'is not allowed';
    return [{ message: `the key ${JSON.stringify(path.at(-1))} ${message}`, place: placeOf(document, path, 'key') }];
  }
  const branch = issue.code === 'invalid_union' ? matchingBranch(issue, value) : undefined;
  if (branch) return branch.flatMap((inner) => problemsOfIssue(inner, path, document));
  return [problem(issue, path, document)];
}

/** The form of a union that has the value's shape, so that its own errors can be told. */
function matchingBranch(issue: Issue, value: unknown): readonly Issue[] | undefined {
  if (!isMap(value) && !Array.isArray(value)) return undefined;
  return issue.errors?.find(
    (branch) =>
      branch.length > 0 && branch.every((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'),
  );
}

function problem(issue: Issue, path: Path, document: ParsedDocument): Problem {
  const value = valueAt(document.value, path);
  const subject = path.length === 0 ? 'the document' : formatPath(lastPart(path));
  const hint = typeof value === 'string' ? suggestion(value, issue.values ?? issue.options ?? []) : undefined;
  return {
    message: `${subject} ${issue.message === 'Invalid input' ? `is not allowed here: ${inWords(value)}` : issue.message}`,
    place: placeOf(document, path, value === undefined ? 'key' : 'value'),
    ...(hint && { hint }),
  };
}

/** `mode`, `files[2]`: enough to be understood beside the whole path. */
function lastPart(path: Path): Path {
  const isIndex = typeof path.at(-1) === 'number';
  return path.slice(isIndex ? -2 : -1);
}

function unknownKey(key: string, parent: Path, known: readonly string[], document: ParsedDocument): Problem {
  const near = nearest(key, known);
  return {
    message: `unknown key "${key}"`,
    place: placeOf(document, [...parent, key], 'key'),
    hint: near ? `did you mean "${near}"?` : `known here: ${known.join(', ')}`,
  };
}

function suggestion(value: string, choices: readonly unknown[]): string | undefined {
  const near = nearest(
    value,
    choices.filter((choice) => typeof choice === 'string'),
  );
  return near && `did you mean "${near}"?`;
}
