/** Restarts units that somebody asked for, one after the other, and says on the Node how each went. */
import { asNodekilnError } from '../errors.ts';
import { withDeadline } from '../host/deadline.ts';
import type { Clock, Units } from '../host/port.ts';
import type { SayEvent } from './events.ts';

interface Restarting {
  readonly units: Units;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly event: SayEvent;
}

/** Longer jobs go on by themselves. */
const jobMs = 90_000;

/** Never throws but for the signal: what fails is said and not tried again, somebody asked for it once. */
export async function restartUnits(
  { units, clock, signal, event }: Restarting,
  names: readonly string[],
  isOurs: (name: string) => boolean,
): Promise<void> {
  for (const name of names) {
    const say = (type: 'Normal' | 'Warning', message: string): void => event({ type, reason: 'UnitRestart', message });
    if (!isOurs(name)) {
      say('Warning', `${name} is not restarted: no document of this node names it`);
      continue;
    }
    try {
      const result = await withDeadline({ clock, ms: jobMs, about: `the restart of ${name}`, signal }, async () => {
        const job = await units.restart(name);
        return job.result;
      });
      if (result === 'done') say('Normal', `${name} was restarted, as an annotation asked`);
      else say('Warning', `${name} could not be restarted: its job ended as ${result}`);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      say('Warning', `${name} could not be restarted: ${asNodekilnError(thrown).message}`);
    }
  }
}
