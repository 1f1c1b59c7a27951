/** The engine on a machine in memory, for tests of what it does to the machine. */
import assert from 'node:assert/strict';
import { openJournal, type Journal } from '../../src/apply/journal.ts';
import { carryOut, prepare, type CarryOutOptions, type PrepareInput, type Result } from '../../src/apply/reconcile.ts';
import { createMemoryMachine, type MemoryMachine } from '../../src/host/memory/machine.ts';
import type { Host } from '../../src/host/port.ts';
import { textOf } from '../../src/model/bytes.ts';
import type { Resource } from '../../src/model/resources.ts';

export interface Engine {
  readonly machine: MemoryMachine;
  readonly host: Host;
  readonly journal: Journal;
  /** Applies these and no others, whatever becomes of it. */
  apply(resources: readonly Resource[], options?: ApplyOptions): Promise<Result>;
  /** Applies these and no others. */
  applied(resources: readonly Resource[], options?: ApplyOptions): Promise<Result>;
  /** What the machine saw since the last call, without our own state: `write /etc/x`, `restart a.service`. */
  effects(): string[];
  /** Puts a file of somebody else's there. */
  put(path: string, text: string, mode?: number): Promise<void>;
  /** Undefined when there is none. */
  text(path: string): Promise<string | undefined>;
}

export type ApplyOptions = Partial<CarryOutOptions> & Pick<Partial<PrepareInput>, 'selfUnit' | 'source'>;

/** `host` is another one than a new process on the machine. */
export async function createEngine(
  machine: MemoryMachine = createMemoryMachine(),
  host: Host = machine.open(),
): Promise<Engine> {
  const journal = await openJournal(host);
  let seen = machine.effects.length;
  const apply: Engine['apply'] = async (resources, { selfUnit, source = 'boot', ...options } = {}) => {
    const desired = { resources: new Map(resources.map((each) => [each.id, each])), goal: undefined, warnings: [] };
    const prepared = await prepare({ host, journal, source, desired, ...(selfUnit && { selfUnit }) });
    return carryOut(prepared, { artifactBase: '/', ...options });
  };
  return {
    machine,
    host,
    journal,
    apply,
    async applied(resources, options) {
      const result = await apply(resources, options);
      assert.deepEqual([result.outcome, result.error?.message], ['converged', undefined]);
      return result;
    },
    effects() {
      const since = machine.effects.slice(seen).filter((effect) => !effect.includes('/var/lib/nodekiln/'));
      seen = machine.effects.length;
      return since;
    },
    async put(path, text, mode = 0o644) {
      const content = new TextEncoder().encode(text);
      await machine.files.write([{ type: 'file', path, content, mode, uid: 0, gid: 0 }]);
    },
    async text(path) {
      const content = await machine.files.read(path);
      return content && textOf(content);
    },
  };
}
