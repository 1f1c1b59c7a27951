/**
 * When the turn of a change comes. Nodes that are told of one change at the same moment must not all restart kubelet at that
 * moment: each waits for a time of its own, the same each time. The wait is kept in the journal, so that an agent that starts
 * anew does not begin it again, or go without it.
 */
import { isMap } from '../config/paths.ts';
import { sha256 } from '../host/digest.ts';
import type { Impact } from '../model/steps.ts';
import type { NodeObject } from './cluster.ts';
import { inThisStart, type Moment, type Uptime } from './since.ts';

/** How long the node waits, as an operator or a controller says it: a duration as Go writes it, `7.5s`, `1m30s`. */
const delayAnnotations = ['nodekiln.dev/restart-delay', 'node-agent.gardener.cloud/reconciliation-delay'] as const;

const disruptive = new Set(['kubelet.service', 'containerd.service']);

/** Units that a change stops or restarts, and that no node does without; none when it need not wait. */
export function disruptionOf(impact: readonly Impact[]): string[] {
  return impact.filter(({ unit, effect }) => disruptive.has(unit) && effect !== 'start').map(({ unit }) => unit);
}

/** What is annotated, as it stands; undefined when nothing is that can be understood. */
export function annotatedDelay(node: NodeObject | undefined): number | undefined {
  for (const key of delayAnnotations) {
    const delayMs = parseGoDuration(node?.metadata.annotations?.[key] ?? '');
    if (delayMs !== undefined) return delayMs;
  }
  return undefined;
}

/** From 0 to below the longest, in milliseconds: spread evenly over names, the same for one name each time. */
export function ownDelay(nodeName: string, longestMs: number): number {
  const fraction = Number.parseInt(sha256(nodeName).slice('sha256:'.length, 'sha256:'.length + 12), 16) / 2 ** 48;
  return Math.floor(fraction * longestMs);
}

const unitMs = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** `7.5s`, `1h2m`, `0`; undefined for what is none, or is below zero. Milliseconds. */
export function parseGoDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^\+?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    total += Number(amount) * unitMs[unit as keyof typeof unitMs];
  return total;
}

/** The journal's notes. */
interface Notes {
  note(key: string, isSuch?: (value: unknown) => boolean): unknown;
  setNote(key: string, value: unknown): void;
}

/** What is remembered between agents. */
export interface TurnNote {
  /** Digest of the documents that were applied last. */
  readonly applied?: string;
  /** Since when a change waits, milliseconds since 1970. */
  readonly waitingSince?: number;
  /** The same on the monotonic clock, which the wait is counted by. */
  readonly waitingUptime?: Uptime;
  /** It holds the Lease of a Secret that is applied node after node, or is about to. */
  readonly inLine?: boolean;
  /** The source whose Lease that is; another one may be followed meanwhile. */
  readonly line?: string;
  /** Why it does not hold it: said once. */
  readonly waitsFor?: string;
}

const noteKey = 'agent turn';

export function turnNote(notes: Pick<Notes, 'note'>): TurnNote {
  return (notes.note(noteKey, isMap) as TurnNote | undefined) ?? {};
}

export function setTurnNote(notes: Notes, note: TurnNote): void {
  notes.setNote(noteKey, note);
}

export interface Wait {
  readonly note: TurnNote;
  readonly now: Moment;
  readonly delayMs: number;
}

/** For how many milliseconds more a change waits, none or fewer once it has its turn; and since when it does, to be kept. */
export function waitLeft({ note: { waitingSince: atMs, waitingUptime: uptime }, now, delayMs }: Wait): {
  readonly waitMs: number;
  readonly kept: Pick<TurnNote, 'waitingSince' | 'waitingUptime'>;
} {
  const since = atMs === undefined ? now : inThisStart({ atMs, uptime }, now);
  const waitMs = since.uptime.ms + delayMs - now.uptime.ms;
  return { waitMs, kept: { waitingSince: since.atMs, waitingUptime: since.uptime } };
}
