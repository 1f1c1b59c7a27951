/**
 * TOML, for containerd. Its versions before 2 read the head of a table (`[a."b"]`) up to the first bracket, also inside of
 * quotes, and know no escape there; they read keys of values (`a."b".c = 1`) as any. Pure.
 */
import { stringify } from 'smol-toml';
import { isMap, type Path } from '../config/paths.ts';

/** With a final newline. */
export function tomlText(value: unknown): string {
  const text = stringify(value);
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** What stands between the quotes as it is. */
const plainInHead = /^[^[\]"\\\p{Cc}]*$/u;

/** Whether containerd 1.x reads a table of this name. */
export function isPlainInHead(name: string): boolean {
  return plainInHead.test(name);
}

/** Paths of tables that containerd 1.x does not read. */
export function tablesUnreadInHeads(value: unknown, path: Path = []): Path[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => tablesUnreadInHeads(item, [...path, index]));
  if (!isMap(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const isTable = isMap(inner) || (Array.isArray(inner) && inner.some(isMap));
    return isTable && !isPlainInHead(key) ? [[...path, key]] : tablesUnreadInHeads(inner, [...path, key]);
  });
}

/** Tables in one table, in their order, without a head for each. Their values are no tables. */
export function tablesAsKeys(
  parent: string,
  tables: readonly (readonly [string, Readonly<Record<string, unknown>>])[],
): string {
  const lines = tables.flatMap(([name, values]) =>
    Object.entries(values).map(([key, value]) => `${JSON.stringify(name)}.${stringify({ [key]: value }).trimEnd()}`),
  );
  return [`[${parent}]`, ...lines, ''].join('\n');
}
