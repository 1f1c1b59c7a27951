/**
 * Values in one order: equal values give equal bytes in every rendered file. Pure.
 */

/** Maps with sorted keys, all the way down; lists keep their order. Null and undefined in a map mean absent. */
export function stable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => stable(item));
  if (!isMap(value)) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, stable(inner)]));
}

/** JSON for people: sorted, indented, with a final newline. JSON is YAML, so programs that want YAML read it too. */
export function stableJson(value: unknown): string {
  return `${JSON.stringify(stable(value), undefined, 2)}\n`;
}

/** Maps merge, lists and scalars replace. */
export function mergeMaps(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isMap(before) && isMap(value) ? mergeMaps(before, value) : value;
  }
  return merged;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
