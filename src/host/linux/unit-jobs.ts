/**
 * Jobs of systemd and how they end. `JobRemoved` says it; it can come before the reply that names the job, and it is
 * missed when the connection is lost. Therefore results are remembered for a while, and every job waited for is looked
 * up again after a reconnect and from time to time: one that is gone without a word is judged by its unit's state.
 */
import type { JobResult } from '../port.ts';
import { SystemdError } from './systemd-connection.ts';
import type { SystemdSession } from './systemd-session.ts';
import { text, unitPath } from './unit-properties.ts';

export type JobType = 'start' | 'stop' | 'restart' | 'reload-or-restart';

export interface UnitJobs {
  /** Settles when the job at this D-Bus path ends. */
  result(jobPath: string, unit: string, type: JobType): Promise<JobResult>;
}

/** A signal can be dropped when a socket is full; then this finds the end of the job. */
const checkMs = 5000;
const remembered = 256;

const results: readonly JobResult[] = [
  'done',
  'canceled',
  'timeout',
  'failed',
  'dependency',
  'skipped',
  'invalid',
  'assert',
  'unsupported',
  'collected',
  'once',
];

interface Waiter {
  readonly unit: string;
  readonly type: JobType;
  readonly settle: (result: JobResult) => void;
  readonly fail: (thrown: unknown) => void;
}

export function createUnitJobs(session: SystemdSession): UnitJobs {
  const waiters = new Map<string, Set<Waiter>>();
  const ended = new Map<string, JobResult>();
  let timer: NodeJS.Timeout | undefined;

  session.onSignal(({ member, body }) => {
    if (member !== 'JobRemoved') return;
    const jobPath = text(body[1]);
    const result = results.find((known) => known === body[3]) ?? 'failed';
    ended.set(jobPath, result);
    for (const oldest of ended.keys()) {
      if (ended.size <= remembered) break;
      ended.delete(oldest);
    }
    settle(jobPath, result);
  });
  session.onReconnect(() => {
    // Job numbers start again with another systemd, so what is remembered may mean other jobs now.
    ended.clear();
    void check();
  });

  function settle(jobPath: string, result: JobResult): void {
    for (const waiter of waiters.get(jobPath) ?? []) waiter.settle(result);
    waiters.delete(jobPath);
    if (waiters.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  async function check(): Promise<void> {
    for (const [jobPath, waiting] of waiters) {
      for (const waiter of waiting) {
        try {
          if (await isQueued(session, jobPath, waiter.unit)) continue;
          const result = await judge(session, waiter.unit, waiter.type);
          if (ended.has(jobPath) || result === 'other job') continue;
          settle(jobPath, result);
        } catch (thrown) {
          waiter.fail(thrown);
          waiters.delete(jobPath);
        }
      }
    }
  }

  return {
    result: (jobPath, unit, type) => {
      const known = ended.get(jobPath);
      if (known !== undefined) return Promise.resolve(known);
      const release = session.hold();
      const { promise, resolve, reject } = Promise.withResolvers<JobResult>();
      const group = waiters.get(jobPath) ?? new Set();
      waiters.set(jobPath, group.add({ unit, type, settle: resolve, fail: reject }));
      timer ??= setInterval(() => void check(), checkMs);
      return promise.finally(release);
    },
  };
}

const unitInterface = 'org.freedesktop.systemd1.Unit';
const serviceInterface = 'org.freedesktop.systemd1.Service';

async function isQueued(session: SystemdSession, jobPath: string, unit: string): Promise<boolean> {
  try {
    const jobUnit = await session.property(jobPath, 'org.freedesktop.systemd1.Job', 'Unit');
    return Array.isArray(jobUnit) && jobUnit[0] === unit;
  } catch (thrown) {
    if (thrown instanceof SystemdError) return false;
    throw thrown;
  }
}

/** How a job must have ended, from the state it left its unit in. */
async function judge(session: SystemdSession, unit: string, type: JobType): Promise<JobResult | 'other job'> {
  const path = unitPath(unit);
  const properties = await session.properties(path, unitInterface);
  const active = text(properties['ActiveState']);
  if (type === 'stop') return active === 'inactive' || active === 'failed' ? 'done' : 'canceled';
  const result = unit.endsWith('.service') ? text(await session.property(path, serviceInterface, 'Result')) : 'success';
  switch (active) {
    case 'active':
    case 'reloading':
    case 'refreshing':
      return 'done';
    case 'activating':
      return text(properties['SubState']).startsWith('auto-restart') ? 'failed' : 'other job';
    case 'failed':
      return 'failed';
    case 'inactive':
      // A oneshot that ran and is done, or one whose conditions were not met; anything else was stopped under way.
      return text(properties['LoadState']) === 'loaded' && result === 'success' && hasRun(properties)
        ? 'done'
        : 'canceled';
    default:
      return 'canceled';
  }
}

function hasRun(properties: Readonly<Record<string, unknown>>): boolean {
  return properties['ConditionResult'] === false || properties['InactiveEnterTimestampMonotonic'] !== 0n;
}
