/**
 * Merges sources in their order: maps merge, lists replace, lists that the schema keys merge item by item, and null takes
 * away (`removals.ts`). Each value keeps where it came from. Pure.
 *
 * A later source that gives a file another form (a link instead of content) replaces the earlier form; so for the ways a
 * unit says that it is ready, and a guard that it is done. Merging is
 * associative for sources in which a path holds the same type of value everywhere.
 */
import { fileForms } from './item-checks.ts';
import { isMap } from './paths.ts';
import type { Path } from './paths.ts';
import { foreignMaps, isGone, listKeys } from './removals.ts';

/** Maps that hold one of several fields, group by group: a later source that sets one replaces the others of its group. */
const alternatives: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'spec.actions.*.guard': [['path', 'command']],
  'spec.cluster': [
    ['server', 'servers'],
    ['bootstrapToken', 'bootstrapTokenFile', 'clientCertificate', 'exec', 'kubeconfig'],
  ],
  'spec.files.*': [fileForms],
  'spec.units.*.readiness': [['http', 'socket']],
};

/** Where a value came from: which source, and its path there. */
export interface Origin {
  readonly source: number;
  readonly path: Path;
}

export interface Merged {
  readonly value: unknown;
  /** The origin of the value at a path; undefined when no source gave it. */
  originOf(path: Path): Origin | undefined;
}

type Node =
  | { readonly type: 'leaf'; readonly value: unknown; readonly origin: Origin }
  | { readonly type: 'removal'; readonly origin: Origin }
  | { readonly type: 'map'; readonly entries: ReadonlyMap<string, Node>; readonly origin: Origin }
  | {
      readonly type: 'items';
      readonly key: string;
      readonly items: ReadonlyMap<unknown, Node>;
      readonly origin: Origin;
    };

export function merge(sources: readonly unknown[]): Merged {
  let merged: Node | undefined;
  for (const [source, value] of sources.entries()) {
    const node = nodeOf(value, { source, path: [] }, []);
    merged = merged ? mergeNodes(merged, node, []) : node;
  }
  const root = merged && settled(merged, []);
  return {
    value: root && valueOf(root),
    originOf: (path) => root && originIn(root, path),
  };
}

/** `kind` is the path with list items as `*`, which says whether a list is keyed. */
function nodeOf(value: unknown, origin: Origin, kind: readonly string[], isForeign = false): Node {
  if (value === null && !isForeign) return { type: 'removal', origin };
  if (isMap(value)) {
    const entries = new Map<string, Node>();
    const foreign = isForeign || foreignMaps.has(kind.join('.'));
    for (const [key, inner] of Object.entries(value)) {
      entries.set(key, nodeOf(inner, { ...origin, path: [...origin.path, key] }, [...kind, key], foreign));
    }
    return { type: 'map', entries, origin };
  }
  const key = listKeys[kind.join('.')];
  if (Array.isArray(value) && key !== undefined) {
    const items = new Map<unknown, Node>();
    for (const [index, item] of value.entries()) {
      const name: unknown = isMap(item) ? item[key] : index;
      items.set(name, nodeOf(item, { ...origin, path: [...origin.path, index] }, [...kind, '*']));
    }
    return { type: 'items', key, items, origin };
  }
  return { type: 'leaf', value, origin };
}

function mergeNodes(earlier: Node, later: Node, kind: readonly string[]): Node {
  if (earlier.type === 'map' && later.type === 'map') {
    const entries = new Map(earlier.entries);
    for (const forms of alternatives[kind.join('.')] ?? [])
      if (forms.some((form) => isSet(later.entries.get(form)))) for (const form of forms) entries.delete(form);
    for (const [key, node] of later.entries) {
      const before = entries.get(key);
      entries.set(key, before ? mergeNodes(before, node, [...kind, key]) : node);
    }
    return { type: 'map', entries, origin: later.origin };
  }
  if (earlier.type === 'items' && later.type === 'items') {
    const items = new Map(earlier.items);
    for (const [name, node] of later.items) {
      const before = items.get(name);
      items.set(name, before ? mergeNodes(before, node, [...kind, '*']) : node);
    }
    return { type: 'items', key: later.key, items, origin: later.origin };
  }
  return later;
}

const isSet = (node: Node | undefined): node is Node => node !== undefined && node.type !== 'removal';

/** What is left when everything is merged: nothing that was taken away, and no item that is nothing without it. */
function settled(node: Node, kind: readonly string[]): Node | undefined {
  switch (node.type) {
    case 'leaf':
      return node;
    case 'removal':
      return undefined;
    case 'map': {
      const entries = [...node.entries].map(([key, inner]) => [key, settled(inner, [...kind, key])] as const);
      return { ...node, entries: new Map(entries.filter((entry) => entry[1] !== undefined) as [string, Node][]) };
    }
    case 'items': {
      const items = [...node.items].map(([name, item]) => [name, settledItem(item, node.key, kind)] as const);
      return { ...node, items: new Map(items.filter((item) => item[1] !== undefined) as [unknown, Node][]) };
    }
  }
}

function settledItem(item: Node, key: string, list: readonly string[]): Node | undefined {
  const left = settled(item, [...list, '*']);
  if (item.type !== 'map' || left?.type !== 'map' || left.entries.size === item.entries.size) return left;
  return isGone([...left.entries.keys()], { list: list.join('.'), key }) ? undefined : left;
}

function valueOf(node: Node): unknown {
  switch (node.type) {
    case 'leaf':
      return node.value;
    case 'removal':
      return undefined;
    case 'map':
      return Object.fromEntries([...node.entries].map(([key, inner]) => [key, valueOf(inner)]));
    case 'items':
      return [...node.items.values()].map((item) => valueOf(item));
  }
}

function originIn(root: Node, path: Path): Origin | undefined {
  let node = root;
  for (const [depth, part] of path.entries()) {
    const child = childOf(node, part);
    if (child) {
      node = child;
      continue;
    }
    // Inside a list that came whole from one source.
    if (node.type === 'leaf' && Array.isArray(node.value))
      return { ...node.origin, path: [...node.origin.path, ...path.slice(depth)] };
    return undefined;
  }
  return node.origin;
}

function childOf(node: Node, part: string | number): Node | undefined {
  if (node.type === 'map') return node.entries.get(String(part));
  if (node.type === 'items' && typeof part === 'number') return itemsOf(node.items)[part];
  return undefined;
}

/** In their order. A list may have thousands, and is asked for the origin of each. */
function itemsOf(items: ReadonlyMap<unknown, Node>): readonly Node[] {
  const known = listed.get(items);
  if (known) return known;
  const list = [...items.values()];
  listed.set(items, list);
  return list;
}

const listed = new WeakMap<ReadonlyMap<unknown, Node>, readonly Node[]>();
