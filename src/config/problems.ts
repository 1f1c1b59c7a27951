/**
 * What zod found wrong, as problems for people: in words, at file, line, column and path, with a suggestion. Pure.
 */
import type { Place, Problem } from '../errors.ts';
import { looksSecret } from '../model/shown-address.ts';
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

/** What was checked, and where its values stand. */
export interface Checked {
  readonly value: unknown;
  readonly placeOf: (path: Path, target: PositionTarget) => Place | undefined;
}

/** In the order of the text. */
export function problemsOf(issues: readonly Issue[], document: ParsedDocument): Problem[] {
  const { value } = document;
  const problems = issuesInWords(issues, { value, placeOf: (path, target) => placeOf(document, path, target) });
  return problems.sort(
    (a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0) || (a.place?.column ?? 0) - (b.place?.column ?? 0),
  );
}

/** In the order of the issues. */
export function issuesInWords(issues: readonly Issue[], checked: Checked): Problem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, [], checked));
}

export function placeOf(document: ParsedDocument, path: Path, target: PositionTarget): Place {
  return { file: document.file, ...document.positions.locate(path, target), path: formatPath(path) };
}

function problemsOfIssue(issue: Issue, prefix: Path, checked: Checked): Problem[] {
  const path = [...prefix, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  const value = valueAt(checked.value, path);
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => unknownKey(key, path, issue.message.split(' '), checked));
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues?.[0]?.message.replace(/, is [^]*$/, '') ?? 'is not allowed';
    const key = String(path.at(-1));
    const named = looksSecret(key) ? 'a key (not shown)' : `the key ${JSON.stringify(key)}`;
    return [placed({ message: `${named} ${message}` }, checked.placeOf(path, 'key'))];
  }
  const branch = issue.code === 'invalid_union' ? matchingBranch(issue, value) : undefined;
  if (branch) return branch.flatMap((inner) => problemsOfIssue(inner, path, checked));
  return [problem(issue, path, checked)];
}

/** The form of a union that has the value's shape, so that its own errors can be told. */
function matchingBranch(issue: Issue, value: unknown): readonly Issue[] | undefined {
  // Of the right type, but with something in it that no text takes.
  if (typeof value === 'string')
    return issue.errors?.find((branch) => branch.length > 0 && branch.every(({ code }) => code === 'custom'));
  if (!isMap(value) && !Array.isArray(value)) return undefined;
  return issue.errors?.find(
    (branch) =>
      branch.length > 0 && branch.every((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'),
  );
}

function problem(issue: Issue, path: Path, checked: Checked): Problem {
  const value = valueAt(checked.value, path);
  const subject = path.length === 0 ? 'the document' : formatPath(lastPart(path));
  const hint = typeof value === 'string' ? suggestion(value, issue.values ?? issue.options ?? []) : undefined;
  const words = issue.message === 'Invalid input' ? `is not allowed here: ${inWords(value)}` : issue.message;
  const place = checked.placeOf(path, value === undefined ? 'key' : 'value');
  return placed({ message: `${subject} ${words}`, ...(hint && { hint }) }, place);
}

/** `mode`, `files[2]`: enough to be understood beside the whole path. */
function lastPart(path: Path): Path {
  const isIndex = typeof path.at(-1) === 'number';
  return path.slice(isIndex ? -2 : -1);
}

function unknownKey(key: string, parent: Path, known: readonly string[], checked: Checked): Problem {
  const place = checked.placeOf([...parent, key], 'key');
  if (mayBeContent(key) || looksSecret(key)) {
    const message = 'unknown key, not shown: it may be content that lost its indentation';
    return placed({ message }, place && { ...place, path: formatPath(parent) });
  }
  const near = nearest(key, known);
  const hint = near ? `did you mean "${near}"?` : `known here: ${known.join(', ')}`;
  return placed({ message: `unknown key "${key}"`, hint }, place);
}

/** Longer than most names, and with what no name has. */
function mayBeContent(key: string): boolean {
  return key.length > 12 && /[^A-Za-z._/-]/.test(key);
}

export function placed(problem: Omit<Problem, 'place'>, place: Place | undefined): Problem {
  return place ? { ...problem, place } : problem;
}

function suggestion(value: string, choices: readonly unknown[]): string | undefined {
  const near = nearest(
    value,
    choices.filter((choice) => typeof choice === 'string'),
  );
  return near && `did you mean "${near}"?`;
}
