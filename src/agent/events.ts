/**
 * Events on the Node, for people who look at it with kubectl. Best effort: what is said again within ten minutes is said
 * once, a flood is cut, and a server that is away is not waited for.
 */
import type { Clock } from '../host/port.ts';
import type { KubeApi } from '../kube/api.ts';
import { sha256 } from '../host/digest.ts';
import { visibleLine } from '../model/printable.ts';

/** Something that happened to the node. */
export interface NodeEvent {
  readonly type: 'Normal' | 'Warning';
  /** One word in UpperCamelCase: `DesiredStateApplied`. */
  readonly reason: string;
  readonly message: string;
}

export interface EventsOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly nodeName: string;
  /** As the API server has it; events name it where it is known. */
  readonly nodeUid: () => string | undefined;
  /** Ends the sending. */
  readonly signal: AbortSignal;
  /** A message that was not taken. */
  readonly onTrouble?: (trouble: unknown) => void;
}

const sameAgainMs = 10 * 60_000;
/** So many at once; then one more each half minute. */
const burst = 20;
const refillMs = 30_000;
const waiting = 20;
const timeoutMs = 10_000;
/** Of an Event's note. */
const longestMessage = 1000;

/** Says it, at once or as soon as may be; never throws. */
export type SayEvent = (event: NodeEvent) => void;

/** Whether the same was said within ten minutes. */
export function createRepeats(clock: Clock): (key: string) => boolean {
  const said = new Map<string, number>();
  return (key) => {
    const nowMs = clock.monotonic();
    for (const [known, atMs] of said) if (nowMs - atMs >= sameAgainMs) said.delete(known);
    if (said.has(key)) return true;
    said.set(key, nowMs);
    return false;
  };
}

export function createEvents(options: EventsOptions): SayEvent {
  const { clock, signal } = options;
  const isRepeated = createRepeats(clock);
  const queue: NodeEvent[] = [];
  let credit = burst;
  let creditedMs = clock.monotonic();
  let sending = false;

  const mayBeSaid = (): boolean => {
    const refilled = Math.floor((clock.monotonic() - creditedMs) / refillMs);
    credit = Math.min(burst, credit + refilled);
    creditedMs += refilled * refillMs;
    if (credit === 0) return false;
    credit -= 1;
    return true;
  };
  const sendAll = async (): Promise<void> => {
    if (sending) return;
    sending = true;
    for (let event = queue.shift(); event && !signal.aborted; event = queue.shift()) {
      try {
        await send(options, event);
      } catch (thrown) {
        if (!signal.aborted) options.onTrouble?.(thrown);
      }
    }
    sending = false;
  };

  return (event) => {
    if (signal.aborted || isRepeated(`${event.reason} ${event.message}`) || !mayBeSaid()) return;
    queue.push(event);
    if (queue.length > waiting) queue.shift();
    void sendAll();
  };
}

async function send({ api, clock, nodeName, nodeUid, signal }: EventsOptions, event: NodeEvent): Promise<void> {
  const { type, reason } = event;
  // Whoever lists events has them on a terminal.
  const message = visibleLine(event.message);
  const now = new Date(clock.now());
  const uid = nodeUid();
  await api.create(
    { apiVersion: 'v1', plural: 'events', namespace: 'default' },
    {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: {
        name: `${nodeName}.${sha256(`${now.getTime()} ${reason} ${message}`).slice('sha256:'.length, 'sha256:'.length + 16)}`,
        namespace: 'default',
      },
      involvedObject: { apiVersion: 'v1', kind: 'Node', name: nodeName, ...(uid !== undefined && { uid }) },
      type,
      reason,
      message: message.length > longestMessage ? `${message.slice(0, longestMessage - 1)}…` : message,
      source: { component: 'nodekiln-agent', host: nodeName },
      reportingComponent: 'nodekiln-agent',
      reportingInstance: nodeName,
      firstTimestamp: `${now.toISOString().slice(0, 19)}Z`,
      lastTimestamp: `${now.toISOString().slice(0, 19)}Z`,
      count: 1,
    } as object as Parameters<KubeApi['create']>[1],
    { timeoutMs, signal },
  );
}
