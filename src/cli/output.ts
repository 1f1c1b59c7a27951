/**
 * What goes to stdout and stderr: the pinned JSON envelope `{apiVersion, kind, ok, data, error}`, and errors as people
 * read them. Text here ends without a newline.
 */
import { formatPlace, type NodekilnError, type Problem } from '../errors.ts';
import { oneLine, type Styler } from './printing.ts';

export const apiVersion = 'nodekiln.dev/v1alpha1';

export interface Envelope {
  readonly apiVersion: typeof apiVersion;
  readonly kind: string;
  readonly ok: boolean;
  readonly data: unknown;
  readonly error: unknown;
}

/** Always all five keys: what is absent is null. */
export function envelope(kind: string, data: unknown, error?: NodekilnError): Envelope {
  return { apiVersion, kind, ok: error === undefined, data: data ?? null, error: error?.toJSON() ?? null };
}

export function envelopeLine(kind: string, data: unknown, error?: NodekilnError): string {
  return JSON.stringify(envelope(kind, data, error), jsonValue);
}

function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Map ? Object.fromEntries(value) : value;
}

const plain: Styler = (_style, text) => text;

/** `error NK_…: message`, the places, the log lines, the hint. */
export function formatError(error: NodekilnError, style: Styler = plain): string {
  const head = `${style('red', `error ${error.code}:`)} ${oneLine(error.message)}`;
  const problems = (error.problems.length > 0 ? error.problems : placeAlone(error))
    // What all of it wants is said once, at the end.
    .map(({ hint, ...problem }) => (hint === undefined || hint === error.hint ? problem : { ...problem, hint }))
    // And what is alone and has no place is the message.
    .filter((problem) => formatProblem(problem) !== oneLine(error.message));
  return [
    head,
    ...problems.map((problem) => `  ${formatProblem(problem)}`),
    ...error.lines.map((line) => `    ${style('dim', oneLine(line))}`),
    ...(error.hint === '' ? [] : [`${style('cyan', 'hint:')} ${oneLine(error.hint)}`]),
  ].join('\n');
}

function placeAlone({ place, message }: NodekilnError): Problem[] {
  return place && !message.includes(formatPlace(place)) ? [{ message: '', place }] : [];
}

/** `file:line:column: path: problem (hint)` */
export function formatProblem({ place, message, hint }: Problem): string {
  const where = [place && formatPlace(place), message].filter((part) => part !== undefined && part !== '').join(': ');
  return oneLine(hint === undefined ? where : `${where} (${hint})`);
}

/** Lines of an answer, whatever is in them. */
export function lines(...items: readonly string[]): string {
  return items.map(oneLine).join('\n');
}

/** Parts of an answer with one empty line between; empty ones are left out. */
export function paragraphs(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n\n');
}

/** Warnings of a document as people read them. */
export function formatWarnings(warnings: readonly string[], style: Styler = plain): string {
  return lines(...warnings.map((warning) => `${style('yellow', 'warning:')} ${warning}`));
}

/** Warnings, and then what is worth knowing. */
export function formatRemarks(
  { warnings, notes }: { readonly warnings: readonly string[]; readonly notes: readonly string[] },
  style: Styler = plain,
): string {
  const said = [formatWarnings(warnings, style), lines(...notes.map((note) => `${style('cyan', 'note:')} ${note}`))];
  return said.filter((text) => text !== '').join('\n');
}
