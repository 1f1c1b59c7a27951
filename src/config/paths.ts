/**
 * Paths inside documents: `spec.files[2].mode`, `spec.kubelet.labels["example.org/zone"]`. Pure.
 */
import { looksSecret } from '../model/shown-address.ts';

/** A place inside a document: keys of maps, indexes of lists. */
export type Path = readonly (string | number)[];

/** A key that looks like an address with a password is not shown. */
export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += looksSecret(part) ? '[…]' : `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** The value at a path in a tree of maps and lists, or undefined. */
export function valueAt(tree: unknown, path: Path): unknown {
  let current = tree;
  for (const part of path) {
    if (Array.isArray(current)) current = typeof part === 'number' ? current[part] : undefined;
    else if (isMap(current)) current = Object.hasOwn(current, part) ? current[part] : undefined;
    else return undefined;
  }
  return current;
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The path of the first key that would reach an object's prototype. */
export function forbiddenKey(value: unknown): Path | undefined {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const found = forbiddenKey(item);
      if (found) return [index, ...found];
    }
    return undefined;
  }
  if (!isMap(value)) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    if (key === '__proto__') return [key];
    const found = forbiddenKey(inner);
    if (found) return [key, ...found];
  }
  return undefined;
}
