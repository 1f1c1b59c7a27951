/**
 * Who drains a Node, and the agent: the one asks, the other answers, by a label of the Node. The agent may not see Pods, so
 * it drains nothing itself. Pure.
 *
 * Ours: `nodekiln.dev/update` is `wanted` (the agent's word), `ready` (somebody has cordoned and drained the Node),
 * `successful` or `failed` (the agent's; uncordon, or look at why). Gardener's machine controller says with the condition
 * `InPlaceUpdate` that the Node is ready, and reads the result from a label of its own.
 */
import type { NodeObject } from '../cluster.ts';

export const updateLabel = 'nodekiln.dev/update';
const reasonAnnotation = 'nodekiln.dev/update-failed-reason';

const gardener = {
  condition: 'InPlaceUpdate',
  ready: 'ReadyForUpdate',
  resultLabel: 'node.machine.sapcloud.io/update-result',
  reasonAnnotation: 'node.machine.sapcloud.io/update-failed-reason',
  systemAnnotation: 'node-agent.gardener.cloud/updating-operating-system-version',
} as const;

/** Whose word it is that the Node is drained; undefined: nobody's. */
export type DrainedBy = 'gardener' | 'operator';

export function drainedBy(node: NodeObject | undefined): DrainedBy | undefined {
  if (!node) return undefined;
  const { labels = {} } = node.metadata;
  if (labels[updateLabel] === 'ready') return 'operator';
  const condition = node.status?.conditions?.find(({ type }) => type === gardener.condition);
  const result = labels[gardener.resultLabel];
  // What failed goes on without being asked again.
  if (result === 'failed') return 'gardener';
  return condition?.reason === gardener.ready && result !== 'successful' ? 'gardener' : undefined;
}

/** Whether what failed is to be tried again: somebody has taken back what the Node said of that. `ofSystem`: it was the system. */
export function isAskedAgain(node: NodeObject, by: DrainedBy | undefined, ofSystem: boolean): boolean {
  const { labels = {}, annotations = {} } = node.metadata;
  if (by !== 'gardener') return by === 'operator';
  return (
    labels[gardener.resultLabel] !== 'failed' || (ofSystem && annotations[gardener.systemAnnotation] === undefined)
  );
}

/** What the agent says of an update. */
export type UpdateWord =
  | { readonly type: 'wanted' }
  /** The system is about to be of another version. */
  | { readonly type: 'system'; readonly version: string }
  | { readonly type: 'successful' }
  | { readonly type: 'failed'; readonly reason: string };

/** RFC 7396 for the Node's metadata; undefined when it says so already. */
export function sayUpdate(node: NodeObject, by: DrainedBy | undefined, word: UpdateWord): object | undefined {
  const { labels = {}, annotations = {} } = node.metadata;
  const wanted = wordsOf(by, word);
  if (by === undefined && word.type === 'wanted' && labels[updateLabel] === 'failed') return undefined;
  const differs = (present: Readonly<Record<string, string>>, changes: Readonly<Record<string, string | null>>) =>
    Object.entries(changes).some(([key, value]) => (present[key] ?? null) !== value);
  return differs(labels, wanted.labels) || differs(annotations, wanted.annotations) ? wanted : undefined;
}

interface Words {
  readonly labels: Readonly<Record<string, string | null>>;
  readonly annotations: Readonly<Record<string, string | null>>;
}

function wordsOf(by: DrainedBy | undefined, word: UpdateWord): Words {
  const isGardener = by === 'gardener';
  const label = isGardener ? gardener.resultLabel : updateLabel;
  const reason = isGardener ? gardener.reasonAnnotation : reasonAnnotation;
  switch (word.type) {
    case 'wanted':
      return { labels: { [updateLabel]: 'wanted' }, annotations: {} };
    case 'system':
      return { labels: {}, annotations: isGardener ? { [gardener.systemAnnotation]: word.version } : {} };
    case 'successful':
      return {
        labels: { [label]: 'successful' },
        annotations: { [reason]: null, ...(isGardener && { [gardener.systemAnnotation]: null }) },
      };
    case 'failed':
      return { labels: { [label]: 'failed' }, annotations: { [reason]: word.reason } };
  }
}
