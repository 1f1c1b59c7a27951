/**
 * Completing what merging left, field by field. A completion has an entry for every field of a document's type, so a field
 * that is forgotten does not compile; a completed item is used up field by field (`nothingLeft`), so one that no renderer
 * reads does not compile either. Pure.
 */
import type { Path } from './paths.ts';

/** Something the merged whole lacks, or has too much of. */
export interface Lack {
  readonly path: Path;
  readonly message: string;
  readonly hint?: string;
}

/** Where in the document one is, and where to say what it lacks. */
export interface Scope {
  readonly path: Path;
  readonly lacks: Lack[];
  /** Of the node: the version that programs and extensions have unless they name their own. */
  readonly kubernetesVersion: string;
}

/** The scope of something inside. */
export function within(scope: Scope, ...path: Path): Scope {
  return { ...scope, path: [...scope.path, ...path] };
}

export function lack({ lacks, path }: Scope, message: string, hint?: string): void {
  lacks.push({ path, message, ...(hint !== undefined && { hint }) });
}

/** From a field as written (undefined: nobody did) to the field as it is used; `whole` is the item around it. */
export type Completer<Value, Result, Whole> = (value: Value, whole: Whole, scope: Scope) => Result;

/** One completer for every field, none left out and none too many. */
export type Completion<Document, Item extends { readonly [Key in keyof Item]: unknown }> = {
  readonly [Key in keyof Document | keyof Item]-?: Key extends keyof Document & keyof Item
    ? Completer<Document[Key], Item[Key], Document>
    : never;
};

/** The item; fields that stay undefined are left out of it. */
export function completed<Document extends object, Item extends object>(
  completion: Completion<Document, Item>,
  document: Document,
  scope: Scope,
): Item {
  const completers = Object.entries(completion) as [
    keyof Document & string,
    Completer<Document[keyof Document], unknown, Document>,
  ][];
  const entries = completers.map(([key, completer]) => [key, completer(document[key], document, within(scope, key))]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Item;
}

// ── completers ───────────────────────────────────────────────────────────────────────────────────────────────────

/** As it is written. */
export function kept<Value>(value: Value): Value {
  return value;
}

/** A default of the field. */
export function or<Value>(instead: NoInfer<Value>): (value: Value | undefined) => Value {
  return (value) => value ?? instead;
}

/** A field that the default sources give (`defaults.ts`). */
export function given<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new TypeError('no default source gives this field');
  return value;
}

/** A field that one of the sources must give; it may be missing only while everything that is missing is gathered. */
export function required<Value, Whole>(
  message: string | ((whole: Whole) => string),
): Completer<Value | undefined, Value, Whole> {
  return (value, whole, scope) => {
    if (value === undefined) lack(scope, typeof message === 'string' ? message : message(whole));
    return value as Value;
  };
}

/** A map that may be absent. */
export function section<Document extends object, Item extends object, Whole>(
  completion: Completion<Document, Item>,
): Completer<Document | undefined, Item | undefined, Whole> {
  return (value, _whole, scope) => value && completed(completion, value, scope);
}

/** A map that is there with its defaults when nobody wrote it. */
export function sectionOrDefaults<Document extends object, Item extends object, Whole>(
  completion: Completion<Document, Item>,
  empty: NoInfer<Document>,
): Completer<Document | undefined, Item, Whole> {
  return (value, _whole, scope) => completed(completion, value ?? empty, scope);
}

/** A list of items. */
export function each<Document, Item, Whole>(
  complete: (item: Document, scope: Scope) => Item,
): Completer<readonly Document[] | undefined, readonly Item[], Whole> {
  return (items, _whole, scope) => (items ?? []).map((item, index) => complete(item, within(scope, index)));
}

// ── using up ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Given what is left of an item after each of its fields was taken: nothing. A field that nobody took does not compile. */
export function nothingLeft(_rest: { readonly [key: string]: never }): void {
  // The type is the check.
}
