/**
 * `./dev bench boot --cluster`: how long a baked machine takes from its first process to Ready in a real cluster, beside the
 * same machine started by systemd alone with every file in place. The floor begins with the bootstrap kubeconfig, too, not
 * with the certificate: both ask for one. The Node is Ready when the API server’s watch says so.
 */
import { stringify } from 'yaml';
import { prepareBootHosts, type BootHosts, type Kind } from './lib/boot-hosts.ts';
import { describeMachine, load, preferLab, writeBack } from './lib/machine.ts';
import { quantile, ratioOfMedians } from './lib/statistics.ts';
import { markdownTable } from './lib/table.ts';
import { untilBooted } from '../test/demo/nodes.ts';
import { openCluster, type Cluster } from '../test/lab/cluster.ts';
import type { KubeObject } from '../test/lab/control-plane/api.ts';
import { joinDocument } from '../test/lab/join.ts';
import { openLab, type LabHost } from '../test/lab/lab.ts';

interface Node extends KubeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

interface ClusterBoot {
  readonly kind: Kind;
  /** From the start of the host’s systemd to the event that says Ready. Milliseconds. */
  readonly readyMs: number;
}

export interface ClusterBootOptions {
  readonly runs: number;
  readonly asJson: boolean;
  readonly say: (line: string) => void;
}

const target = 1.1;
const bootstrapPath = '/etc/kubernetes/bootstrap-kubeconfig';

export async function measureClusterBoots({ runs, asJson, say }: ClusterBootOptions): Promise<void> {
  const [machine, loadBefore] = [await describeMachine(), load()];
  const lab = await openLab();
  try {
    const cluster = await openCluster(lab, { progress: say });
    if (!(await preferLab(lab.id))) say('this machine gives the hosts no precedence: other work counts fully');
    const token = await cluster.newToken();
    const document = joinDocument(cluster, { token, podSubnet: '10.88.1.0/24' });
    const consumed = { [bootstrapPath]: bootstrapKubeconfig(cluster, token) };
    const hosts = await prepareBootHosts(lab, say, { document, network: true, consumed });
    try {
      say('one unmeasured boot of each kind');
      for (const kind of ['nodekiln', 'floor'] as const) await bootOnce(hosts, cluster, kind);
      const boots: ClusterBoot[] = [];
      for (let round = 1; round <= runs; round += 1) {
        // The second of a pair must not always be the same kind.
        const pair: readonly Kind[] = round % 2 === 1 ? ['nodekiln', 'floor'] : ['floor', 'nodekiln'];
        const made: ClusterBoot[] = [];
        for (const kind of pair) made.push(await bootOnce(hosts, cluster, kind));
        boots.push(...made);
        say(`${round} of ${runs}: ${made.map(({ kind, readyMs }) => `${kind} ${readyMs.toFixed(0)} ms`).join(', ')}`);
      }
      if (asJson) console.log(JSON.stringify({ machine, loadBefore, loadAfter: load(), boots }));
      else print(boots, loadBefore);
    } finally {
      await hosts.close();
    }
  } finally {
    await lab.close();
  }
}

async function bootOnce(hosts: BootHosts, cluster: Cluster, kind: Kind): Promise<ClusterBoot> {
  const host = await hosts.create(kind);
  const nodes = await cluster.admin.watch<Node>('/api/v1/nodes');
  try {
    await writeBack(host.disk);
    await host.start();
    const isReady = ({ status }: Node): boolean =>
      status?.conditions?.some(({ type, status: word }) => type === 'Ready' && word === 'True') ?? false;
    const ready = await nodes.until(
      ({ type, object }) => type !== 'DELETED' && object.metadata.name === host.name && isReady(object),
      `${host.name} is Ready`,
      60_000,
    );
    if (kind === 'nodekiln') await untilBooted(host);
    return { kind, readyMs: ready.atMs - (await userspaceMs(host)) };
  } finally {
    nodes.close();
    await host.remove();
    await cluster.tryKubectl(['delete', 'node', host.name]);
  }
}

/** When the host’s systemd began, on the clock that machine and hosts share. */
async function userspaceMs(host: LabHost): Promise<number> {
  const text = await host.check(['systemctl', 'show', '--property=UserspaceTimestampMonotonic', '--value']);
  return Number(text.trim()) / 1000;
}

function bootstrapKubeconfig({ server, caBundle }: Cluster, token: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'default',
    contexts: [{ name: 'default', context: { cluster: 'cluster', user: 'kubelet' } }],
    clusters: [
      {
        name: 'cluster',
        cluster: { server, 'certificate-authority-data': Buffer.from(caBundle).toString('base64') },
      },
    ],
    users: [{ name: 'kubelet', user: { token } }],
  });
}

function print(boots: readonly ClusterBoot[], loadBefore: number): void {
  const of = (kind: Kind): number[] => boots.flatMap((boot) => (boot.kind === kind ? [boot.readyMs] : []));
  const row = (title: string, values: readonly number[]): string[] => [
    title,
    ...[0, 0.5, 1].map((share) => quantile(values, share).toFixed(0)),
  ];
  const { ratio, low, high } = ratioOfMedians(of('nodekiln'), of('floor'));
  console.log(`load ${loadBefore.toFixed(1)} before; ${boots.length / 2} boots of each kind, in turns, warm\n`);
  console.log(
    markdownTable(
      ['ms from PID 1 to Ready', 'least', 'median', 'most'],
      [row('nodekiln', of('nodekiln')), row('floor: systemd alone', of('floor'))],
    ),
  );
  console.log(
    `\nnodekiln / floor = ${ratio.toFixed(3)} (95 % interval ${low.toFixed(3)} to ${high.toFixed(3)}); target ${target}: ${ratio <= target ? 'met' : 'missed'}`,
  );
}
