/** An agent of a cluster in memory: a node, an API server, and what the agent said, on a clock that waits for nobody. */
import { runAgentOn, type AgentEvent } from '../../src/agent/agent.ts';
import { NodekilnError } from '../../src/errors.ts';
import type { MemoryMachine } from '../../src/host/memory/machine.ts';
import { textOf } from '../../src/model/bytes.ts';
import type { AgentReport } from '../../src/telemetry/agent-report.ts';
import { clusterAddress, createKubeCluster, type KubeCluster } from './kube-cluster.ts';
import { createMemoryNode, textFile } from './memory-node.ts';

export const poolKey = 'secrets/kube-system/pool-a';

/** A Secret with documents. */
export function secretOf(
  data: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>> = {},
): object {
  return {
    metadata: { annotations },
    data: Object.fromEntries(Object.entries(data).map(([name, text]) => [name, Buffer.from(text).toString('base64')])),
  };
}

export interface PlayedAgent {
  readonly machine: MemoryMachine;
  readonly cluster: KubeCluster;
  readonly events: readonly { readonly atMs: number; readonly event: AgentEvent }[];
  /** `converged 3`, `failed NK_UNIT_FAILED`, one for each report. */
  readonly summary: () => readonly string[];
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>;
  /** When it has ended by itself; rejected with what it ended with. */
  ended(): Promise<void>;
  /** Stops the agent by its signal, and waits. */
  stop(): Promise<void>;
  /** Starts another one on the same machine. */
  start(): void;
}

export interface PlayOptions {
  /** Of the AgentConfig, beside source, cluster and name. */
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly machine?: MemoryMachine;
  /** Before the agent starts. */
  readonly prepare?: (cluster: KubeCluster, machine: MemoryMachine) => unknown;
}

/** Of an agent that is who the cluster in memory lets in. */
export const kubeconfig = JSON.stringify({
  'current-context': 'c',
  contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  clusters: [{ name: 'c', cluster: { server: clusterAddress } }],
  users: [{ name: 'u', user: { token: 'a-token' } }],
});

/** An AgentConfig that follows `pool-a` as `node-1`. */
export function agentConfig(spec: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'AgentConfig',
    spec: {
      source: 'secret:kube-system/pool-a',
      nodeName: 'node-1',
      cluster: { kubeconfig: '/etc/nodekiln/kubeconfig' },
      ...spec,
    },
  });
}

/** Starts it. The Node is called `node-1`. */
export async function playAgent({ spec = {}, prepare, ...given }: PlayOptions = {}): Promise<PlayedAgent> {
  const machine = given.machine ?? (await createMemoryNode());
  const cluster = createKubeCluster(machine);
  await machine.files.write([
    textFile('/etc/nodekiln/agent.yaml', agentConfig(spec)),
    textFile('/etc/nodekiln/kubeconfig', kubeconfig),
  ]);
  await prepare?.(cluster, machine);
  const events: { atMs: number; event: AgentEvent }[] = [];
  let running: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;
  const played: PlayedAgent = {
    machine,
    cluster,
    events,
    summary: () => events.flatMap(({ event }) => (event.type === 'reconciled' ? [summaryOf(event.report)] : [])),
    pass: (ms) => machine.clock.sleep(ms),
    ended: () => running?.ended ?? Promise.resolve(),
    stop: async () => {
      running?.abort.abort(new NodekilnError('NK_INTERRUPTED', 'stopped by SIGTERM'));
      await running?.ended.catch(() => undefined);
      running = undefined;
    },
    start: () => {
      const abort = new AbortController();
      const ended = runAgentOn(machine.open(), {
        signal: abort.signal,
        onEvent: (event) => events.push({ atMs: machine.clock.monotonic(), event }),
      });
      running = { abort, ended };
    },
  };
  played.start();
  return played;
}

function summaryOf(report: AgentReport): string {
  const error = report.error as { code?: string } | undefined;
  return `${report.outcome} ${error?.code ?? report.changes}`;
}

/** An agent of a pool: its Node and its Secret are there before it starts, and it has had two seconds. */
export async function playPool(secret: object, options: PlayOptions = {}): Promise<PlayedAgent> {
  const agent = await playAgent({
    ...options,
    prepare: async (cluster, machine) => {
      cluster.put('nodes/node-1', { metadata: {} });
      cluster.put(poolKey, secret);
      await options.prepare?.(cluster, machine);
    },
  });
  await agent.pass(2000);
  return agent;
}

/** Undefined when there is none. */
export async function contentOf({ machine }: Pick<PlayedAgent, 'machine'>, path: string): Promise<string | undefined> {
  const content = await machine.files.read(path);
  return content && textOf(content);
}

/** Puts a folder with something in it where the agent has a file: it cannot write it. */
export async function putInTheWay({ machine: { files } }: PlayedAgent, path: string): Promise<void> {
  await files.remove([path]);
  await files.write([{ type: 'directory', path, mode: 0o755, uid: 0, gid: 0 }, textFile(`${path}/in-the-way`, 'x')]);
}
