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

/** JSON for people: sorted, indented, with a final newline. Programs that want YAML read it too. */
export function stableJson(value: unknown): string {
  return `${asYaml(JSON.stringify(stable(value), undefined, 2))}\n`;
}

/**
 * JSON as a reader of YAML takes it: what JSON leaves as it is, but YAML does not print or takes for the end of a line (5.1, and
 * 1.1's breaks), is escaped.
 */
function asYaml(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A text as the value of a key in block style: plain where the library of Kubernetes writes it so, else quoted. */
export function yamlScalar(text: string): string {
  const isPlain = /^(?:\/|https:\/\/)[A-Za-z0-9_@%+=,./:;~()$[\]-]*$/.test(text) && !/[:\s]$/.test(text);
  return isPlain ? text : asYaml(JSON.stringify(text));
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
