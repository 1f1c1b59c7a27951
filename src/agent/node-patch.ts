/**
 * What the agent keeps on its Node: labels, annotations and taints that documents ask for. What is the agent's is noted in an
 * annotation of the Node, so that what a document drops goes away again, and nothing of anybody else's. Pure.
 */
import type { NodePart } from '../documents/kinds/kind.ts';
import { isMap } from '../config/paths.ts';
import { ownedAnnotation } from '../model/agent-identity.ts';
import type { NodeObject } from './cluster.ts';

export type Taint = NonNullable<NonNullable<NodeObject['spec']>['taints']>[number];

/** Keys of what the agent brought. */
interface Owned {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  /** `key:effect` */
  readonly taints: readonly string[];
}

/** What is to be written; a part is absent when it is as it should be. */
export interface NodeChange {
  /** By server-side apply: all labels and annotations that are the agent's. */
  readonly apply?: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  /** By a merge patch before that: what is dropped. */
  readonly drop?: {
    readonly labels: Readonly<Record<string, null>>;
    readonly annotations: Readonly<Record<string, null>>;
  };
  /** The whole list, for this version of the Node only. */
  readonly taints?: readonly Taint[];
}

export function nodeChange(node: NodeObject, { labels, annotations, taints }: NodePart): NodeChange {
  const owned = ownedOf(node);
  const wanted = {
    labels: { ...labels },
    annotations: {
      ...annotations,
      [ownedAnnotation]: JSON.stringify({
        labels: Object.keys(labels).sort(),
        annotations: Object.keys(annotations).sort(),
        taints: taints.map(idOf).sort(),
      } satisfies Owned),
    },
  };
  const { metadata } = node;
  const dropped = {
    labels: goneFrom(owned.labels, wanted.labels, metadata.labels),
    annotations: goneFrom(owned.annotations, wanted.annotations, metadata.annotations),
  };
  const drops = Object.keys(dropped.labels).length + Object.keys(dropped.annotations).length > 0;
  const others = (node.spec?.taints ?? []).filter(
    (taint) => !owned.taints.includes(idOf(taint)) && !taints.some((one) => idOf(one) === idOf(taint)),
  );
  const whole = [...others, ...taints.map(taintOf)];
  return {
    ...(drops && { drop: dropped }),
    ...(!(holds(metadata.labels, wanted.labels) && holds(metadata.annotations, wanted.annotations)) && {
      apply: wanted,
    }),
    ...(!sameTaints(node.spec?.taints ?? [], whole) && { taints: whole }),
  };
}

function goneFrom(
  owned: readonly string[],
  wanted: Readonly<Record<string, string>>,
  present: Readonly<Record<string, string>> = {},
): Readonly<Record<string, null>> {
  const gone = owned.filter((key) => !Object.hasOwn(wanted, key) && Object.hasOwn(present, key));
  return Object.fromEntries(gone.map((key) => [key, null]));
}

function holds(present: Readonly<Record<string, string>> = {}, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => present[key] === value);
}

function idOf({ key, effect }: Pick<Taint, 'key' | 'effect'>): string {
  return `${key}:${effect}`;
}

function taintOf({ key, value, effect }: NodePart['taints'][number]): Taint {
  return { key, effect, ...(value !== undefined && value !== '' && { value }) };
}

function sameTaints(present: readonly Taint[], wanted: readonly Taint[]): boolean {
  const textOf = ({ key, value = '', effect }: Taint): string => `${key}=${value}:${effect}`;
  return JSON.stringify(present.map(textOf).sort()) === JSON.stringify(wanted.map(textOf).sort());
}

/** Anybody who may write annotations may have written it: what makes no sense names nothing. */
function ownedOf({ metadata: { annotations = {} } }: NodeObject): Owned {
  let value: unknown;
  try {
    value = JSON.parse(annotations[ownedAnnotation] ?? '{}');
  } catch {
    value = {};
  }
  const list = (key: string): readonly string[] => {
    const found: unknown = isMap(value) ? value[key] : undefined;
    return Array.isArray(found) ? found.filter((one) => typeof one === 'string') : [];
  };
  return { labels: list('labels'), annotations: list('annotations'), taints: list('taints') };
}
