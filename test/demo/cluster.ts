/**
 * `./dev demo --cluster`: two hosts, old and new Debian, become nodes of a real control plane and are tended from it. Each
 * stage shows what it does and checks that it did.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCluster, type Cluster } from '../lab/cluster.ts';
import type { KubeObject } from '../lab/control-plane/api.ts';
import { joinDocument } from '../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../lab/lab.ts';
import { installPrerequisites } from '../lab/prerequisites.ts';
import { agentUnit, grantAgents, nodekiln, putSecret, startAgent, startApprover } from './agents.ts';
import { bakedRoot } from './baked.ts';
import { StageFailure } from './demo.ts';
import { bakedNode, untilBooted } from './nodes.ts';
import type { StageName } from './sabotage.ts';

const nodes = [
  { name: 'old', suite: 'bookworm' },
  { name: 'new', suite: 'trixie' },
] as const;
const secretName = 'pool';
const secret = `kube-system/${secretName}`;
/** One node after the other takes a change. */
const serial = { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' };
const patched = '1.34.4';
/** Between two looks for drift; a minute where a document does not say it. */
const resync = '10s';

interface NodeObject extends KubeObject {
  readonly status: {
    readonly nodeInfo: { readonly kubeletVersion: string; readonly osImage: string };
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
  };
}

interface PodObject extends KubeObject {
  readonly status: { readonly phase: string; readonly podIP?: string };
}

interface Show {
  readonly say: (line: string) => void;
  readonly cluster: Cluster;
  readonly hosts: readonly LabHost[];
  readonly fail: (message: string) => never;
}

export async function runCluster(say: (line: string) => void): Promise<void> {
  let stage: StageName = 'prepare';
  let lab: Lab | undefined;
  const enter = (name: StageName, about: string): void => {
    stage = name;
    say(`\n── ${name} ${'─'.repeat(Math.max(0, 12 - name.length))} ${about}`);
  };
  const fail = (message: string): never => {
    throw new StageFailure(stage, message);
  };
  try {
    enter('prepare', 'what this machine lacks, and a control plane: etcd, API server, controller manager, scheduler');
    if (process.getuid?.() !== 0) fail('the demo makes hosts of its own and needs root rights: run it as root');
    await installPrerequisites(say);
    enter('bake', 'an image for each Debian; one of an earlier run is taken as it is');
    for (const { suite } of nodes) await bakedRoot(say, suite);
    lab = await openLab();
    const cluster = await openCluster(lab, { progress: say });
    enter('boot', 'two hosts join with a bootstrap token each, and are Ready');
    const hosts = await boot(lab, cluster);
    const show: Show = { say, cluster, hosts, fail };
    await showNodes(show);
    enter('tend', 'an agent on each follows one Secret; a change goes from node to node');
    await tend(show);
    await reach(show);
    enter('away', 'the API server stops; what is in force is kept all the same');
    await away(show);
    enter('upgrade', `kubelet ${patched} from the cache, one node after the other`);
    await upgrade(show);
    enter('timeline', 'where the time to Ready went');
    await timeline(show);
  } catch (error) {
    if (error instanceof StageFailure) throw error;
    throw new StageFailure(stage, error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    await lab?.close();
  }
}

async function boot(lab: Lab, cluster: Cluster): Promise<LabHost[]> {
  const hosts: LabHost[] = [];
  for (const { name, suite } of nodes) {
    const token = await cluster.newToken();
    const document = joinDocument(cluster, { token, spec: { boot: { goal: 'ready' } } });
    hosts.push(await bakedNode(lab, { name, suite, network: true, document }));
  }
  await Promise.all(hosts.map((host) => host.start()));
  await Promise.all(hosts.map((host) => untilBooted(host)));
  return hosts;
}

async function showNodes({ say, cluster, hosts, fail }: Show): Promise<void> {
  for (const { name } of hosts) {
    const { status } = await cluster.admin.get<NodeObject>(`/api/v1/nodes/${name}`);
    if (status.conditions.find(({ type }) => type === 'Ready')?.status !== 'True') fail(`${name} is not Ready`);
    say(`  ${name}: Ready, kubelet ${status.nodeInfo.kubeletVersion}, ${status.nodeInfo.osImage}`);
  }
}

// ── tend ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What both nodes are to be. */
function documentOf(cluster: Cluster, words: string, version = '1.34.3'): string {
  return joinDocument(cluster, {
    version,
    labels: { 'example.org/pool': 'demo' },
    spec: {
      takeover: true,
      files: [{ path: '/etc/words', content: words }],
      units: [
        {
          name: 'words.service',
          content: '[Service]\nType=exec\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n',
          state: 'started',
          inputs: ['file:/etc/words'],
        },
      ],
    },
  });
}

async function tend(show: Show): Promise<void> {
  const { say, cluster, hosts, fail } = show;
  const [first] = hosts;
  if (!first) return fail('there is no host');
  await grantAgents(
    cluster,
    first,
    Object.fromEntries(nodes.map(({ name }) => [name, [secret]])),
    [],
    ['--pod-routes'],
  );
  await startApprover(cluster, first);
  say(`$ ${nodekiln} cluster rbac ${nodes.map(({ name }) => name).join(' ')} --secrets ${secret} | kubectl apply -f -`);
  say(`$ ${nodekiln} cluster approve`);
  await give(show, 'first words\n');
  for (const host of hosts)
    await startAgent(cluster, host, {
      source: `secret:${secret}`,
      podRoutes: true,
      restarts: { maxDelay: '0s' },
      resync,
    });
  say(`$ ${nodekiln} agent   # source: secret:${secret}, as nodekiln:node-agent:NODE`);
  await untilApplied(show, 'first words\n');
  for (const { name } of hosts)
    await cluster.admin.until<KubeObject>(
      `/api/v1/nodes/${name}`,
      ({ metadata: { labels, annotations } }) =>
        labels?.['example.org/pool'] === 'demo' && annotations?.['nodekiln.dev/applied'] !== undefined,
      `the Node ${name} says what is applied`,
      30_000,
    );
  const before = await Promise.all(hosts.map(startsOf));
  await give(show, 'other words\n');
  await untilApplied(show, 'other words\n');
  const after = await Promise.all(hosts.map(startsOf));
  for (const [index, host] of hosts.entries()) {
    const restarted = watched.filter((unit) => before[index]?.[unit] !== after[index]?.[unit]);
    if (restarted.join() !== 'words.service') fail(`on ${host.name} restarted: ${restarted.join(', ') || 'nothing'}`);
  }
  const [one, two] = hosts
    .map((host, index) => ({ host, at: after[index]?.['words.service'] ?? 0 }))
    .toSorted((a, b) => a.at - b.at);
  if (!one || !two) return fail('there are no two hosts');
  const active = await one.host.check(['systemctl', 'show', '-P', 'ActiveEnterTimestampMonotonic', 'words.service']);
  if (two.at < Number(active) / 1000) fail('the second node began before the first was done');
  const apart = (two.at - one.at).toFixed(0);
  say(`a changed Secret: words.service alone restarted, on ${one.host.name} and ${apart} ms later on ${two.host.name}`);
}

/** A pod of the one host asks one of the other, by the routes that the agents keep. */
async function reach({ say, cluster, hosts, fail }: Show): Promise<void> {
  const [one, other] = hosts;
  if (!one || !other) return fail('there are no two hosts');
  const pods = '/api/v1/namespaces/default/pods';
  const container = { name: 'web', image: 'lab.nodekiln.dev/web:1', imagePullPolicy: 'Never' };
  for (const { name } of [one, other])
    await cluster.admin.create(pods, {
      metadata: { name: `web-${name}` },
      spec: { nodeName: name, terminationGracePeriodSeconds: 1, containers: [container] },
    });
  const running = ({ name }: LabHost): Promise<PodObject> =>
    cluster.admin.until<PodObject>(`${pods}/web-${name}`, ({ status }) => status.phase === 'Running', 'runs');
  await running(one);
  const { podIP = '' } = (await running(other)).status;
  const get = ['exec', `web-${one.name}`, '--', 'wget', '-q', '-T', '2', '-O', '-', `http://${podIP}:8080/`];
  const answer = (): Promise<string> => cluster.tryKubectl(get).then(({ stdout }) => stdout);
  // A route is there a moment after its Node.
  for (const began = performance.now(); (await answer()) !== 'nodekiln lab\n';)
    if (performance.now() - began > 30_000) return fail(`a pod of ${one.name} does not reach one of ${other.name}`);
  say(`$ kubectl ${get.join(' ')}   # a pod of ${other.name}, by the agents’ routes: nodekiln lab`);
}

const watched = ['kubelet.service', 'containerd.service', 'words.service'] as const;
type Starts = Readonly<Record<(typeof watched)[number], number>>;

/** When each was started, in milliseconds of the clock that all hosts share. */
async function startsOf(host: LabHost): Promise<Starts> {
  const times = await Promise.all(
    watched.map(async (unit) => {
      const shown = await host.check(['systemctl', 'show', '-P', 'ExecMainStartTimestampMonotonic', unit]);
      return [unit, Number(shown) / 1000] as const;
    }),
  );
  return Object.fromEntries(times) as Starts;
}

async function give({ cluster, say }: Show, words: string, version?: string): Promise<void> {
  await putSecret(cluster, secretName, { '10-node.yaml': documentOf(cluster, words, version) }, serial);
  say(
    `$ kubectl -n kube-system apply secret ${secretName}   # words: ${words.trim()}${version ? `, kubelet ${version}` : ''}`,
  );
}

/** On every host, and told on its Node. */
async function untilApplied({ hosts, fail }: Show, words: string): Promise<void> {
  for (const host of hosts) {
    const deadline = performance.now() + 60_000;
    while ((await host.readFile('/etc/words').catch(() => '')) !== words) {
      if (performance.now() > deadline) return fail(`${host.name} has other words after 60 s\n${await agentLog(host)}`);
      await sleep(50);
    }
    while ((await host.exec(['systemctl', 'is-active', '--quiet', 'words.service'])).status !== 0) {
      if (performance.now() > deadline)
        return fail(`words.service does not run on ${host.name}\n${await agentLog(host)}`);
      await sleep(50);
    }
  }
}

async function agentLog(host: LabHost): Promise<string> {
  return (await host.exec(['journalctl', '-u', agentUnit, '-n', '20', '-o', 'cat', '--no-pager'])).stdout;
}

// ── away ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function away(show: Show): Promise<void> {
  const { say, cluster, hosts, fail } = show;
  await cluster.servers['kube-apiserver'].stop('SIGTERM');
  say('the API server is stopped');
  const [host] = hosts;
  if (!host) return fail('there is no host');
  const began = performance.now();
  await host.check(['sh', '-c', 'echo tampered > /etc/words']);
  say(`$ echo tampered > /etc/words   # on ${host.name}`);
  while ((await host.readFile('/etc/words')) !== 'other words\n') {
    if (performance.now() - began > 120_000) fail(`nobody put /etc/words back\n${await agentLog(host)}`);
    await sleep(200);
  }
  say(
    `put back after ${((performance.now() - began) / 1000).toFixed(0)} s, without the API server; drift is looked for every ${resync}`,
  );
  await cluster.startApiServer();
  say('the API server is back');
  await give(show, 'words of after\n');
  await untilApplied(show, 'words of after\n');
  say('both follow it again');
}

// ── upgrade ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function upgrade(show: Show): Promise<void> {
  const { say, cluster, hosts, fail } = show;
  const before = await Promise.all(hosts.map(startsOf));
  await give(show, 'words of after\n', patched);
  for (const { name } of hosts)
    await cluster.admin.until<NodeObject>(
      `/api/v1/nodes/${name}`,
      ({ status }) =>
        status.nodeInfo.kubeletVersion === `v${patched}` &&
        status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      `${name} is Ready with kubelet ${patched}`,
      120_000,
    );
  const after = await Promise.all(hosts.map(startsOf));
  for (const [index, host] of hosts.entries()) {
    const restarted = watched.filter((unit) => before[index]?.[unit] !== after[index]?.[unit]);
    if (restarted.join() !== 'kubelet.service') fail(`on ${host.name} restarted: ${restarted.join(', ') || 'nothing'}`);
  }
  say('kubelet alone restarted');
  await showNodes(show);
}

// ── timeline ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function timeline({ say, hosts }: Show): Promise<void> {
  const folder = join(import.meta.dirname, '..', '..', 'dist');
  await mkdir(folder, { recursive: true });
  for (const host of hosts) {
    const table = await host.check([nodekiln, 'timeline', '--svg', '/tmp/timeline.svg']);
    say(`${host.name}:\n${table.trimEnd()}`);
    await writeFile(join(folder, `timeline-${host.name}.svg`), await host.readFile('/tmp/timeline.svg'));
  }
  say(`the pictures: ${hosts.map(({ name }) => `dist/timeline-${name}.svg`).join(', ')}`);
}
