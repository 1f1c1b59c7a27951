/** Containers of a machine in memory as containerd's own tool lists them: what kubelet runs is what a test says. */
import type { MemoryMachine } from '../../src/host/memory/machine.ts';

export interface PlayedContainers {
  /** `kube-system/etcd-node-1/etcd` → ids; a `!` before one: it has ended. */
  readonly containers: Map<string, readonly string[]>;
  /** containerd does not answer. */
  isAway: boolean;
}

export function playContainers(machine: MemoryMachine): PlayedContainers {
  const played: PlayedContainers = { containers: new Map(), isAway: false };
  machine.program('ctr', ({ argv }) => {
    if (played.isAway) return { status: 1, stderr: 'ctr: failed to dial "/run/containerd/containerd.sock"' };
    if (argv.includes('tasks')) {
      const lines = [...played.containers.values()].flat().map((id, index) => {
        const status = id.startsWith('!') ? 'STOPPED' : 'RUNNING';
        return `${id.replace('!', '').padEnd(12)}    ${1000 + index}     ${status}    `;
      });
      return { stdout: ['TASK            PID     STATUS    ', ...lines, ''].join('\n') };
    }
    const wanted = [...(argv.at(-1) ?? '').matchAll(/labels\."io\.kubernetes\.([a-z.]+)"=="([^"]+)"/g)];
    const label = new Map(wanted.map(([, name = '', value = '']) => [name, value]));
    const key = ['pod.namespace', 'pod.name', 'container.name'].map((name) => label.get(name)).join('/');
    return { stdout: (played.containers.get(key) ?? []).map((id) => `${id.replace('!', '')}\n`).join('') };
  });
  return played;
}
