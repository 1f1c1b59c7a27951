/**
 * Which containers of a pod run, as containerd says through its own tool: an agent has no right to Pods, and kubelet tells
 * nobody else. Whether a container is ready is not known there.
 */
import { NodekilnError } from '../../errors.ts';
import type { Exec } from '../../host/port.ts';

const ctr = ['ctr', '--address', '/run/containerd/containerd.sock', '--namespace', 'k8s.io'] as const;
const timeoutMs = 10_000;

/** A pod as the runtime knows it. */
export interface PodName {
  readonly namespace: string;
  /** With the name of the node. */
  readonly name: string;
}

export interface PodContainer {
  readonly id: string;
  readonly container: string;
  readonly isRunning: boolean;
}

/** Those of these names, of before and of now. NK_STATIC_POD when containerd does not say. */
export async function containersOf(
  exec: Exec,
  { namespace, name }: PodName,
  { containers, signal }: { readonly containers: readonly string[]; readonly signal: AbortSignal },
): Promise<PodContainer[]> {
  const running = runningIn(await ask(exec, ['tasks', 'list'], signal));
  const found: PodContainer[] = [];
  for (const container of containers) {
    const labels = {
      'io.kubernetes.pod.namespace': namespace,
      'io.kubernetes.pod.name': name,
      'io.kubernetes.container.name': container,
    };
    const filter = Object.entries(labels).map(
      ([label, value]) => `labels.${JSON.stringify(label)}==${JSON.stringify(value)}`,
    );
    const listed = await ask(exec, ['containers', 'list', '--quiet', filter.join(',')], signal);
    for (const id of listed.split('\n').map((line) => line.trim()))
      if (id !== '') found.push({ id, container, isRunning: running.has(id) });
  }
  return found;
}

async function ask(exec: Exec, args: readonly string[], signal: AbortSignal): Promise<string> {
  const { status, stdout } = await exec.run([...ctr, ...args], { timeoutMs, maxOutput: 1024 * 1024, signal });
  if (status === 0) return stdout;
  throw new NodekilnError('NK_STATIC_POD', `containerd does not say what runs: ctr ended with exit status ${status}`);
}

/** `TASK PID STATUS` */
function runningIn(listing: string): ReadonlySet<string> {
  return new Set(
    listing.split('\n').flatMap((line) => {
      const [id = '', , status] = line.trim().split(/\s+/);
      return status === 'RUNNING' ? [id] : [];
    }),
  );
}
