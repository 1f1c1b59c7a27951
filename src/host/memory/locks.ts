/** Locks of a machine in memory: a process that crashed holds none. */
import { NodekilnError } from '../../errors.ts';
import type { Locks } from '../port.ts';
import type { MemoryClock } from './clock.ts';
import { isAlive, type Effects } from './effects.ts';
import type { Tree } from './tree.ts';

interface Holder {
  readonly pid: number;
  readonly effects: Effects;
}

export interface MemoryLocksOptions {
  readonly tree: Tree;
  readonly effects: Effects;
  readonly clock: MemoryClock;
  readonly pid: number;
  /** Who has which lock, of all processes of the machine. */
  readonly holders: Map<string, Holder>;
}

const pauseMs = 10;

export function createMemoryLocks({ tree, effects, clock, pid, holders }: MemoryLocksOptions): Locks {
  return {
    take: async (folder, { waitMs, signal }) => {
      effects.alive();
      signal?.throwIfAborted();
      const real = tree.target(folder);
      if (!tree.get(real)) tree.put(real, tree.make({ type: 'directory', mode: 0o700 }));
      const deadline = clock.monotonic() + waitMs;
      for (;;) {
        const present = holders.get(real);
        if (!present || !isAlive(present.effects)) break;
        if (clock.monotonic() >= deadline)
          throw new NodekilnError('NK_STATE_LOCKED', `another nodekiln (process ${present.pid}) works on /`);
        await clock.sleep(Math.min(pauseMs, deadline - clock.monotonic()), signal);
        effects.alive();
      }
      const mine = { pid, effects };
      holders.set(real, mine);
      return { release: () => void (holders.get(real) === mine && holders.delete(real)) };
    },
  };
}
