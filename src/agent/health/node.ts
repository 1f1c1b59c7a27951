/**
 * What the Node itself tells of a kubelet that is not well: it becomes Ready again and again, or has lost its addresses. Pure.
 */

/** What is remembered of a Node between two looks. */
export interface NodeHealth {
  /** Undefined before it was seen. */
  readonly isReady: boolean | undefined;
  /** When it became Ready after it was not, the last ten minutes; milliseconds. */
  readonly returnsMs: readonly number[];
  /** That it flaps was said. */
  readonly isFlapping: boolean;
  /** It has had an address once. */
  readonly hadAddress: boolean;
}

export interface NodeLook {
  readonly nowMs: number;
  readonly isReady: boolean;
  readonly hasAddress: boolean;
}

export interface JudgedNode {
  readonly state: NodeHealth;
  /** It has just become clear that it flaps. */
  readonly news: 'flapping' | undefined;
  /** Why kubelet must look again; undefined when it need not. */
  readonly failure: string | undefined;
}

export const unseenNode: NodeHealth = { isReady: undefined, returnsMs: [], isFlapping: false, hadAddress: false };

const flapWindowMs = 10 * 60_000;
/** So many times Ready again within the window is no accident. */
const flaps = 5;

export function judgeNode(before: NodeHealth, { nowMs, isReady, hasAddress }: NodeLook): JudgedNode {
  const returned = isReady && before.isReady === false;
  const returnsMs = [...before.returnsMs, ...(returned ? [nowMs] : [])].filter((atMs) => nowMs - atMs < flapWindowMs);
  const isFlapping = returnsMs.length >= flaps;
  return {
    state: { isReady, returnsMs, isFlapping, hadAddress: before.hadAddress || hasAddress },
    news: isFlapping && !before.isFlapping ? 'flapping' : undefined,
    failure: before.hadAddress && !hasAddress ? 'its Node has lost its addresses' : undefined,
  };
}
