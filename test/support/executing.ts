/** Schedules made of a few words, carried out on a machine in memory: for tests of the executor and of kinds' effects. */
import { createMemoryMachine, type MemoryMachine } from '../../src/host/memory/machine.ts';
import type { Host } from '../../src/host/port.ts';
import { execute, type ExecuteInput } from '../../src/apply/executor.ts';
import type { Notes } from '../../src/kinds/performer.ts';
import type { Report, StepRecord } from '../../src/model/report.ts';
import type { Importance, Resource, ResourceId } from '../../src/model/resources.ts';
import type { Plan, Schedule, Step, StepAction } from '../../src/model/steps.ts';
import { schedule } from '../../src/plan/schedule.ts';
import type { StepEvent } from '../../src/telemetry/events.ts';
import { action } from './planning.ts';

export interface Work {
  readonly id: string;
  /** On the machine's clock. */
  readonly takesMs?: number;
  readonly fails?: boolean;
  readonly needs?: readonly string[];
  readonly after?: readonly string[];
  readonly importance?: Importance;
  readonly deferrable?: boolean;
  readonly weightMs?: number;
  /** Instead of running a program named like it. */
  readonly action?: StepAction;
}

export interface Play {
  readonly machine: MemoryMachine;
  readonly events: StepEvent[];
  readonly report: Report;
  readonly recordOf: (id: string) => StepRecord;
  /** Ids in the order in which they started. */
  readonly started: string[];
}

export interface PlayOptions extends Partial<Omit<ExecuteInput, 'schedule' | 'context'>> {
  readonly machine?: MemoryMachine;
  readonly goal?: string;
  readonly resources?: readonly Resource[];
}

export function scheduleOf(works: readonly Work[], goal?: string): Schedule {
  return schedule({ steps: works.map(stepOf), goal, changes: [], impact: [] } satisfies Plan);
}

function stepOf(work: Work): Step {
  const { id, needs = [], after = [], importance = 'required', deferrable = false, weightMs, takesMs = 0 } = work;
  const resource: ResourceId = `action:${id}`;
  return {
    id,
    resource,
    action: work.action ?? { do: 'run', action: resource },
    reads: [],
    writes: [],
    needs,
    after,
    importance,
    deferrable,
    weightMs: weightMs ?? takesMs,
    why: 'a test wants it',
  };
}

export function silentNotes(): Notes {
  return {
    seal: () => undefined,
    setSeal: () => undefined,
    markStarted: () => undefined,
    lastRun: () => undefined,
    setLastRun: () => undefined,
    setArtifact: () => undefined,
  };
}

/** Gives the machine a program for each piece of work; what succeeds leaves a mark that its guard looks for. */
function install(machine: MemoryMachine, works: readonly Work[]): void {
  for (const { id, takesMs = 0, fails = false } of works) {
    machine.program(id, async ({ files }) => {
      const done = {
        type: 'file',
        path: `/done/${id}`,
        content: new Uint8Array(),
        mode: 0o644,
        uid: 0,
        gid: 0,
      } as const;
      if (!fails) await files.write([done]);
      return { durationMs: takesMs, status: fails ? 1 : 0, stderr: fails ? `${id} is broken` : '' };
    });
  }
}

export async function play(works: readonly Work[], options: PlayOptions = {}): Promise<Play> {
  const { machine = createMemoryMachine(), goal, resources = [], ...input } = options;
  install(machine, works);
  const known = new Map<ResourceId, Resource>([
    ...works.map(({ id }) => {
      const resource = action(id, { argv: [id], guard: { type: 'path', path: `/done/${id}` }, timeoutMs: 3_600_000 });
      return [resource.id, resource] as const;
    }),
    ...resources.map((resource) => [resource.id, resource] as const),
  ]);
  const events: StepEvent[] = [];
  const host: Host = input.host ?? machine.open();
  const report = await execute({
    ...input,
    schedule: scheduleOf(works, goal),
    host,
    context: {
      notes: silentNotes(),
      artifactBase: '/',
      lockedDigests: new Map(),
      resource: (id) => {
        const resource = known.get(id);
        if (!resource) throw new Error(`${id} is not known`);
        return resource;
      },
    },
    onEvent: (event) => {
      events.push(event);
      input.onEvent?.(event);
    },
  });
  return {
    machine,
    events,
    report,
    started: events.flatMap((event) => (event.type === 'start' ? [event.step] : [])),
    recordOf: (id) => {
      const record = report.steps.find((each) => each.id === id);
      if (!record) throw new Error(`there is no record of ${id}`);
      return record;
    },
  };
}
