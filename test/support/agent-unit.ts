/**
 * A node in memory whose agent runs as its unit does, whatever program is installed: systemd starts it and the errand that
 * restarts it, each a process that a test may kill at any of its effects.
 */
import { runAgentOn, type AgentEvent } from '../../src/agent/agent.ts';
import { finishAgentUpdate } from '../../src/agent/self-update/errand.ts';
import { agentUnit as agentUnitText, agentUpdateUnitName } from '../../src/desired/own-units.ts';
import { NodekilnError } from '../../src/errors.ts';
import { SimulatedCrash, type CrashPoint } from '../../src/host/memory/effects.ts';
import type { MemoryMachine } from '../../src/host/memory/machine.ts';
import type { Host } from '../../src/host/port.ts';
import { textOf } from '../../src/model/bytes.ts';
import { agentConfig, kubeconfig, poolKey } from './cluster-agent.ts';
import { createKubeCluster, type KubeCluster } from './kube-cluster.ts';
import { createMemoryNode, textFile } from './memory-node.ts';

export const agentUnit = 'nodekiln-agent.service';
export const programPath = '/opt/nodekiln/bin/nodekiln';
export const configPath = '/etc/nodekiln/agent.yaml';

/** Which process, from 1 in the order of their starts, is killed where. */
export interface Killed extends CrashPoint {
  readonly process: number;
}

export interface UnitProcess {
  readonly what: string;
  /** How many effects the machine had seen when it started. */
  readonly since: number;
  /** When it started, on the machine's clock. */
  readonly atMs: number;
  /** What the Node said was applied when it started. */
  readonly applied: string | undefined;
}

export interface UnitAgent {
  readonly machine: MemoryMachine;
  readonly cluster: KubeCluster;
  /** `agent nodekiln 1`, `errand`, one for each process. */
  readonly processes: readonly UnitProcess[];
  readonly events: readonly { readonly process: number; readonly event: AgentEvent }[];
  /** What must never have been. */
  readonly wrongs: readonly string[];
  read(path: string): Promise<string | undefined>;
  /** What its agents reported, what is said again left out. */
  reports(): readonly string[];
  annotations(): Readonly<Record<string, string>>;
  pass(ms: number): Promise<void>;
  stop(): Promise<void>;
}

const lookMs = 20;

interface Running {
  readonly host: Host;
  readonly signal: AbortSignal;
  /** From 1 in the order of the starts. */
  readonly process: number;
}

interface Processes {
  readonly all: readonly UnitProcess[];
  /** What the main process of a unit does: when it ends, systemd is told. */
  runAs(unit: string, run: (running: Running) => Promise<unknown>): void;
  /** No more of them. */
  end(): void;
}

interface Played {
  readonly machine: MemoryMachine;
  readonly cluster: KubeCluster;
  readonly nodeName: string;
  readonly killed: Killed | undefined;
}

function createProcesses({ machine, cluster, nodeName, killed }: Played): Processes {
  const all: UnitProcess[] = [];
  let isOver = false;
  const started = async (unit: string): Promise<string> => {
    const program = textOf(await machine.files.read(programPath)) ?? '';
    all.push({
      what: unit === agentUnit ? `agent ${program}` : 'errand',
      since: machine.effects.length,
      atMs: machine.clock.monotonic(),
      applied: cluster.get(`nodes/${nodeName}`)?.metadata.annotations?.['nodekiln.dev/applied'],
    });
    return program;
  };
  /** As the main process of its unit sees it; a dead one is told of. */
  const hostOf = async (unit: string, crash: CrashPoint | undefined, onDeath: () => void): Promise<Host> => {
    const host = machine.open(crash ? { crash } : {});
    const { mainPid = 0 } = await machine.units.get(unit);
    const sleep: Host['clock']['sleep'] = async (ms, signal) => {
      try {
        await host.clock.sleep(ms, signal);
      } catch (thrown) {
        if (!(thrown instanceof SimulatedCrash)) throw thrown;
        onDeath();
        await new Promise(() => undefined);
      }
    };
    return { ...host, clock: { ...host.clock, sleep }, program: { ...host.program, pid: mainPid } };
  };
  const watch = async ({ clock }: Host, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) await clock.sleep(lookMs);
  };
  return {
    all,
    runAs: (unit, run) => {
      let abort = new AbortController();
      const start = async (): Promise<void> => {
        const mine = (abort = new AbortController());
        const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
          if (mine.signal.aborted) return;
          mine.abort(new NodekilnError('NK_INTERRUPTED', 'killed'));
          await machine.units.kill(unit, signal).catch(() => undefined);
        };
        const program = await started(unit);
        const process = all.length;
        if (unit === agentUnit && program.includes('bad')) {
          await machine.clock.sleep(lookMs);
          return end('SIGKILL');
        }
        const crash = killed?.process === process ? killed : undefined;
        const host = await hostOf(unit, crash, () => void end('SIGKILL'));
        // One that is killed does nothing that would tell.
        if (crash) void watch(host, mine.signal);
        await run({ host, signal: mine.signal, process }).then(
          () => end('SIGTERM'),
          () => end('SIGKILL'),
        );
      };
      machine.units.behave(unit, {
        onActive: () => void (isOver || start()),
        onInactive: () => abort.abort(new NodekilnError('NK_INTERRUPTED', 'stopped by SIGTERM')),
      });
    },
    end: () => {
      isOver = true;
    },
  };
}

/** A program whose text has `bad` in it ends at once. */
export async function playUnitAgent(secret: object, killed?: Killed): Promise<UnitAgent> {
  const machine = await createMemoryNode();
  const cluster = createKubeCluster(machine);
  cluster.put(poolKey, secret);
  return start({ machine, cluster, nodeName: 'node-1', killed });
}

/** Another node of its cluster and pool, `node-2`. */
export async function playUnitAgentBeside(other: UnitAgent): Promise<UnitAgent> {
  const machine = await createMemoryNode({}, other.machine);
  other.cluster.serveOn(machine);
  return start({ machine, cluster: other.cluster, nodeName: 'node-2', killed: undefined });
}

async function start(played: Played): Promise<UnitAgent> {
  const { machine, cluster, nodeName } = played;
  cluster.put(`nodes/${nodeName}`, { metadata: {} });
  await machine.files.write([
    textFile(configPath, agentConfig({ nodeName })),
    textFile('/etc/nodekiln/kubeconfig', kubeconfig),
    textFile(programPath, 'nodekiln 1', 0o755),
    textFile('/opt/nodekiln/bin/node', 'node 1', 0o755),
    textFile(`/etc/systemd/system/${agentUnit}`, agentUnitText(undefined), 0o644),
  ]);
  const events: { process: number; event: AgentEvent }[] = [];
  const wrongs: string[] = [];
  const processes = createProcesses(played);
  const watching = new Set<number>();
  processes.runAs(agentUnit, async ({ host, signal, process }) => {
    // One that is stopped is gone when it says so.
    const wasKilled = (): boolean => (signal.reason as Error).message === 'killed';
    signal.addEventListener('abort', () => wasKilled() && watching.delete(process), { once: true });
    const onEvent = (event: AgentEvent): void => {
      events.push({ process, event });
      if (event.type !== 'watching') return;
      if (watching.size > 0) wrongs.push(`two agents run: process ${process} is the second`);
      watching.add(process);
    };
    await runAgentOn(host, { signal, onEvent }).finally(() => watching.delete(process));
  });
  processes.runAs(agentUpdateUnitName, ({ host, signal }) => finishAgentUpdate(host, { signal }));
  await machine.clock.sleep(1000);
  await machine.open().units.setEnablement('enable', [agentUnit]);
  await machine.units.start(agentUnit);
  await machine.clock.sleep(2000);
  return {
    machine,
    cluster,
    processes: processes.all,
    events,
    wrongs,
    read: async (path) => textOf(await machine.files.read(path)),
    reports: () => events.map(reportIn).filter((one, index, all) => one !== '' && one !== all[index - 1]),
    annotations: () => cluster.get(`nodes/${nodeName}`)?.metadata.annotations ?? {},
    pass: (ms) => machine.clock.sleep(ms),
    stop: async () => {
      processes.end();
      for (const name of [agentUpdateUnitName, agentUnit]) await machine.units.stop(name).catch(() => undefined);
      await machine.clock.sleep(2000);
    },
  };
}

function reportIn({ process, event }: { readonly process: number; readonly event: AgentEvent }): string {
  if (event.type !== 'reconciled') return '';
  const { outcome, changes, error } = event.report;
  return `${process} ${outcome} ${(error as NodekilnError | undefined)?.code ?? changes}`;
}
