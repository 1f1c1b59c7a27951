/**
 * What documents say of a Node and it does not have: kubelet tells labels and taints when it registers, annotations never, and
 * only an agent keeps them. Pure.
 */
import type { Join } from '../../desired/join.ts';
import { at, listAt, textAt } from './api.ts';

export interface Lacking {
  /** `key=value` */
  readonly labels: readonly string[];
  /** `key=value:effect` */
  readonly taints: readonly string[];
  /** Keys. */
  readonly annotations: readonly string[];
}

/** `node`: as the API server has it, which may be anything. */
export function lackingIn(node: unknown, { labels, taints, annotations }: Join['node']): Lacking {
  const missing = (field: string, wanted: Readonly<Record<string, string>>): (readonly [string, string])[] =>
    Object.entries(wanted).filter(([key, value]) => at(node, 'metadata', field, key) !== value);
  const present = listAt(node, 'spec', 'taints').map((one) =>
    taintText({ key: textAt(one, 'key'), value: textAt(one, 'value'), effect: textAt(one, 'effect') }),
  );
  return {
    labels: missing('labels', labels).map(([key, value]) => `${key}=${value}`),
    taints: taints.map(taintText).filter((taint) => !present.includes(taint)),
    annotations: missing('annotations', annotations).map(([key]) => key),
  };
}

function taintText({ key, value = '', effect }: { key: string; value?: string | undefined; effect: string }): string {
  return `${key}${value === '' ? '' : `=${value}`}:${effect}`;
}

/** For people, with what to do; none when nothing is lacking. */
export function lackingRemarks(nodeName: string, { labels, taints, annotations }: Lacking): string[] {
  const remark = (what: string, remedy: string): string =>
    `the Node ${nodeName} does not have ${what}: they count when kubelet registers it, and no agent keeps them; ${remedy}`;
  return [
    ...(labels.length === 0
      ? []
      : [
          remark(
            `labels that documents give it (${labels.join(', ')})`,
            `\`kubectl label node ${nodeName} --overwrite ${labels.join(' ')}\``,
          ),
        ]),
    ...(taints.length === 0
      ? []
      : [
          remark(
            `taints that documents give it now (${taints.join(', ')})`,
            `\`kubectl taint node ${nodeName} ${taints.join(' ')}\``,
          ),
        ]),
    ...(annotations.length === 0
      ? []
      : [
          `the Node ${nodeName} does not have annotations that documents give it (${annotations.join(', ')}): only an agent puts them there`,
        ]),
  ];
}
