/**
 * The effects of one process on a machine in memory, counted from 1, so that a test can end the process before or after
 * any of them: a folder made, a file put or removed, attributes changed, a call that changes a unit, a program run.
 */

/** The process is gone: no handler may catch it and go on, every further call of its host throws it again. */
export class SimulatedCrash extends Error {
  constructor(effect: string) {
    super(`simulated crash at: ${effect}`);
    this.name = 'SimulatedCrash';
  }
}

export interface CrashPoint {
  /** Which effect of the process, from 1. */
  readonly at: number;
  readonly when: 'before' | 'after';
}

export interface Effects {
  /** Throws when the process has crashed: the first line of every operation. */
  alive(): void;
  /** Carries out one effect, unless the process ends first. */
  run<Result>(effect: string, work: () => Result): Result;
  readonly done: readonly string[];
}

export interface EffectsOptions {
  readonly crash?: CrashPoint | undefined;
  /** Told of each effect; may throw to make it fail. */
  readonly onEffect: (effect: string) => void;
}

export function createEffects({ crash, onEffect }: EffectsOptions): Effects {
  const done: string[] = [];
  let crashed: SimulatedCrash | undefined;
  const die = (effect: string): never => {
    crashed = new SimulatedCrash(effect);
    throw crashed;
  };
  const alive = (): void => {
    if (crashed) throw crashed;
  };
  return {
    alive,
    run: (effect, work) => {
      alive();
      const hit = crash?.at === done.length + 1;
      if (hit && crash.when === 'before') die(`before ${effect}`);
      onEffect(effect);
      const result = work();
      done.push(effect);
      if (hit) die(`after ${effect}`);
      return result;
    },
    done,
  };
}

/** Whether the process still runs. */
export function isAlive(process: Effects): boolean {
  try {
    process.alive();
    return true;
  } catch {
    return false;
  }
}
