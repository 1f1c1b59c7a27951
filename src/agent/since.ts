/**
 * Moments that are kept over restarts of the agent. How long ago one was is told by the monotonic clock as long as the machine
 * runs since then: anybody may set the time of day. That tells only what spans a start of the machine.
 */
import { readBootId } from '../host/boot-id.ts';
import type { Host } from '../host/port.ts';

/** On the monotonic clock of one start of the machine. */
export interface Uptime {
  readonly bootId: string;
  readonly ms: number;
}

export interface Moment {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly uptime: Uptime;
}

/** As it was kept; one of an older nodekiln has the time of day alone. */
export interface KeptMoment {
  readonly atMs: number;
  readonly uptime?: Uptime | undefined;
}

export async function momentNow({ files, clock }: Pick<Host, 'files' | 'clock'>): Promise<Moment> {
  return { atMs: clock.now(), uptime: { bootId: await readBootId(files), ms: clock.monotonic() } };
}

/** The same moment as this start of the machine counts, to be kept instead; never one that is still to come. */
export function inThisStart({ atMs, uptime }: KeptMoment, now: Moment): Moment {
  if (uptime?.bootId === now.uptime.bootId) return { atMs, uptime };
  const agoMs = Math.max(0, now.atMs - atMs);
  return { atMs: now.atMs - agoMs, uptime: { ...now.uptime, ms: now.uptime.ms - agoMs } };
}
