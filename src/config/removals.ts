/**
 * `null` in a NodeConfig takes away what an earlier source or a default set there: in every map, and in the items of lists
 * that merge by a key. Inside of maps that belong to somebody else's schema it is a value as any other. Pure.
 */
import { isMap } from './paths.ts';
import { fileForms } from './item-checks.ts';

/** What the schema keys (asking it would cost every boot some milliseconds); `*` stands for any item of a keyed list above. */
export const listKeys: Readonly<Record<string, string>> = {
  'spec.actions': 'name',
  'spec.containerd.registries': 'host',
  'spec.extensions': 'name',
  'spec.files': 'path',
  'spec.kernel.modules': 'name',
  'spec.kernel.sysctls': 'key',
  'spec.kubelet.staticPods': 'name',
  'spec.trust.anchors': 'name',
  'spec.units': 'name',
  'spec.units.*.dropIns': 'name',
};

/** Maps of the schema that hold whatever their owner writes. */
export const foreignMaps: ReadonlySet<string> = new Set([
  'spec.containerd.configuration',
  'spec.kubelet.configuration',
  'spec.kubelet.credentialProviders.configuration',
  'spec.kubelet.staticPods.*.manifest',
]);

/** Without one of these an item is nothing: with the last of them, the item goes. */
const essential: Readonly<Record<string, readonly string[]>> = {
  'spec.actions': ['argv'],
  'spec.files': fileForms,
  'spec.kernel.sysctls': ['value'],
  'spec.kubelet.staticPods': ['manifest'],
  'spec.trust.anchors': ['certificates'],
  'spec.units.*.dropIns': ['content'],
};

/** Whether an item of a keyed list, of which null took something away, is gone with it. `left`: the names of its fields. */
export function isGone(left: readonly string[], { list, key }: { list: string; key: string }): boolean {
  const forms = essential[list];
  return forms ? !forms.some((form) => left.includes(form)) : left.every((name) => name === key);
}

/** The same document, or one without its nulls, for the schema; everything else stands where it stood. */
export function withoutRemovals(value: unknown, kind: readonly string[] = []): unknown {
  const at = kind.join('.');
  if (foreignMaps.has(at)) return value;
  if (Array.isArray(value)) {
    if (!Object.hasOwn(listKeys, at)) return value;
    const items = value.map((item) => withoutRemovals(item, [...kind, '*']));
    return items.every((item, index) => item === value[index]) ? value : items;
  }
  if (!isMap(value)) return value;
  const entries = Object.entries(value).flatMap(([key, inner]) =>
    inner === null ? [] : [[key, withoutRemovals(inner, [...kind, key])] as const],
  );
  const isSame = Object.keys(value).length === entries.length && entries.every(([key, inner]) => inner === value[key]);
  return isSame ? value : Object.fromEntries(entries);
}
