/**
 * Queues jobs of systemd. When the connection breaks, the unit tells whether systemd had taken the call: starting and
 * stopping again does no harm, restarting again would.
 */
import type { UnitJob } from '../port.ts';
import { ConnectionLost } from './systemd-connection.ts';
import { managerCall, type SystemdSession } from './systemd-session.ts';
import { createUnitJobs, type JobType } from './unit-jobs.ts';
import { hexOf, text, unitPath } from './unit-properties.ts';

const unitInterface = 'org.freedesktop.systemd1.Unit';
/** More losses in a row than systemd executing itself anew can explain. */
const queueAttempts = 5;

const methods: Readonly<Record<JobType, string>> = {
  start: 'StartUnit',
  stop: 'StopUnit',
  restart: 'RestartUnit',
  'reload-or-restart': 'ReloadOrRestartUnit',
};

/** What the manager answered, which names the job; `done` when the job of a lost call has even ended. */
type Reply = readonly unknown[] | 'done';

export function createUnitQueue(session: SystemdSession): (type: JobType, name: string) => Promise<UnitJob> {
  const jobs = createUnitJobs(session);

  const invocation = async (name: string): Promise<string> =>
    hexOf(await session.property(unitPath(name), unitInterface, 'InvocationID'));

  /** The job that the lost call queued; undefined when nothing shows that it was seen. */
  const takenOver = async (name: string, before: string | undefined): Promise<Reply | undefined> => {
    const job = await session.property(unitPath(name), unitInterface, 'Job');
    if (Array.isArray(job) && Number(job[0]) !== 0) return [job[1]];
    return before !== undefined && (await invocation(name)) !== before ? 'done' : undefined;
  };

  const call = async (type: JobType, name: string, before: string | undefined): Promise<Reply> => {
    const wanted = managerCall(methods[type], 'ss', [name, 'replace']);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await session.call(wanted);
      } catch (thrown) {
        if (!(thrown instanceof ConnectionLost) || attempt === queueAttempts) throw thrown;
        const taken = await takenOver(name, before);
        if (taken) return taken;
      }
    }
  };

  const resultOf = (reply: Reply, name: string, type: JobType): UnitJob['result'] => {
    const result = reply === 'done' ? Promise.resolve('done' as const) : jobs.result(text(reply[0]), name, type);
    // Who queues without waiting shall not be ended by a lost connection.
    result.catch(() => undefined);
    return result;
  };

  return async (type, name) => {
    const release = session.hold();
    try {
      const before = type === 'restart' || type === 'reload-or-restart' ? await invocation(name) : undefined;
      const reply = await call(type, name, before);
      return { unit: name, result: resultOf(reply, name, type) };
    } finally {
      release();
    }
  };
}
