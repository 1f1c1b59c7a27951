/**
 * `./dev bench agent`: from a changed Secret to a changed node. One lab host with an agent, in a real cluster: when the API
 * server has answered the write, the file is in place under its name, and the unit that reads it has a new process. Beside it on
 * the same host what only receives the event (the floor), and what a shell does: `kubectl get -w`, one file, one restart.
 * docs/benchmarks.md says what each number means.
 *
 * The tables go to standard output (`--json`: everything measured), progress to standard error.
 */
import { watch as watchFolder } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { dirname, join } from 'node:path';
import { describeMachine, load } from './lib/machine.ts';
import { quantile, ratioOfMedians } from './lib/statistics.ts';
import { markdownTable } from './lib/table.ts';
import { agentUnit, grantAgents, putSecret, startAgent, startApprover } from '../test/demo/agents.ts';
import { bakedRoot } from '../test/demo/baked.ts';
import { bakedNode, untilBooted } from '../test/demo/nodes.ts';
import { openCluster, type Cluster } from '../test/lab/cluster.ts';
import { adminKubeconfig } from '../test/lab/control-plane/pki.ts';
import type { KubeObject, Watch } from '../test/lab/control-plane/api.ts';
import { joinDocument } from '../test/lab/join.ts';
import { openLab, type LabHost } from '../test/lab/lab.ts';
import { installPrerequisites } from '../test/lab/prerequisites.ts';
import { monotonicMs } from '../test/lab/process.ts';

const usage = `usage: ./dev bench agent [--quick] [--runs N] [--soak N] [--idle SECONDS] [--json]

  --runs N        changes of each kind, taken in turns (default 100; --quick 20)
  --soak N        then so many changes one after the other of a file that no unit reads, for the memory (default 0)
  --idle SECONDS  how long the agent is watched while nothing happens (default 60)
  --json          everything measured, as JSON, instead of the tables`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    runs: { type: 'string' },
    soak: { type: 'string', default: '0' },
    idle: { type: 'string', default: '60' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
const runs = Number(values.runs ?? (values.quick === true ? 20 : 100));
const soak = Number(values.soak);
const idleS = Number(values.idle);
const isCount = (value: number, least: number): boolean => Number.isInteger(value) && value >= least;
if (values.help === true || !isCount(runs, 1) || !isCount(soak, 0) || !isCount(idleS, 1)) {
  console.log(usage);
  process.exit(values.help === true ? 0 : 2);
}

const name = 'node';
const podSubnet = '10.88.1.0/24';
const documentKey = '10-node.yaml';
const quietFile = '/etc/measured/quiet';
const namespace = '/api/v1/namespaces/kube-system/secrets';

/** Milliseconds after the API server’s answer to the write, but for `event`, which is of the floor. */
interface Times {
  /** A watcher that does nothing else had the event. */
  readonly event: number[];
  readonly file: number[];
  readonly unit: number[];
}

const started = performance.now();
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
};

const unitText = (file: string): string =>
  `[Service]\nType=exec\nExecStart=/usr/bin/sleep infinity\nEnvironmentFile=-${file}\n[Install]\nWantedBy=multi-user.target\n`;

/** What the agent follows: one file, one unit that reads it, and one file that no unit reads. */
function documentOf(cluster: Cluster, words: string, quiet = ''): string {
  return joinDocument(cluster, {
    podSubnet,
    spec: {
      takeover: true,
      files: [
        { path: '/etc/measured/words', content: words },
        { path: quietFile, content: `quiet ${quiet}\n` },
      ],
      units: [
        {
          name: 'measured.service',
          content: unitText('/etc/measured/words'),
          state: 'started',
          inputs: ['file:/etc/measured/words'],
        },
      ],
    },
  });
}

/** When the unit’s process was started, CLOCK_MONOTONIC milliseconds. */
async function startOf(host: LabHost, unit: string): Promise<number> {
  const text = await host.check(['systemctl', 'show', '-P', 'ExecMainStartTimestampMonotonic', unit]);
  return Number(text) / 1000;
}

interface Measuring {
  readonly cluster: Cluster;
  readonly host: LabHost;
  readonly secret: string;
  readonly file: string;
  readonly unit: string;
  readonly content: (words: string) => { readonly key: string; readonly text: string };
  readonly events: Watch<KubeObject>;
}

/** Watches the folder of a file on the machine’s own disk: the name appears at the rename. */
async function whenRenamed(host: LabHost, file: string): Promise<{ readonly at: Promise<number>; close(): void }> {
  const path = await host.path(dirname(file));
  const base = file.slice(dirname(file).length + 1);
  const seen = Promise.withResolvers<number>();
  const watcher = watchFolder(path, (_type, changed) => {
    if (changed === base) seen.resolve(monotonicMs());
  });
  return { at: seen.promise, close: () => watcher.close() };
}

/** The version that the API server answers with. */
async function patchSecret(
  cluster: Cluster,
  secret: string,
  { key, text }: { readonly key: string; readonly text: string },
): Promise<string | undefined> {
  const patch = { data: { [key]: Buffer.from(text).toString('base64') } };
  const path = `${namespace}/${secret}`;
  const answer = await cluster.admin.request<KubeObject>('PATCH', path, patch, 'application/merge-patch+json');
  if (answer.status !== 200) throw new Error(`the API server answered ${answer.status}`);
  return answer.body.metadata.resourceVersion;
}

async function measureOnce(about: Measuring, words: string, times: Times): Promise<void> {
  const { cluster, host, secret, file, unit, content, events } = about;
  const before = await startOf(host, unit);
  const renamed = await whenRenamed(host, file);
  const version = await patchSecret(cluster, secret, content(words));
  const answeredMs = monotonicMs();
  const event = await events.until(({ object }) => object.metadata.resourceVersion === version, 'the event', 30_000);
  const fileMs = await Promise.race([renamed.at, sleep(30_000, Number.NaN)]);
  renamed.close();
  let startedMs = before;
  for (let waited = 0; waited < 30_000 && startedMs === before; waited += 20) {
    await sleep(20);
    startedMs = await startOf(host, unit);
  }
  if (Number.isNaN(fileMs) || startedMs === before) throw new Error(`${unit} did not follow within 30 s`);
  times.event.push(event.atMs - answeredMs);
  times.file.push(fileMs - answeredMs);
  times.unit.push(startedMs - answeredMs);
}

/** `kubectl get -w`, one file, one restart. */
async function startShell(cluster: Cluster, host: LabHost): Promise<void> {
  await host.writeFile('/root/shell.conf', await readFile(join(cluster.folder, adminKubeconfig), 'utf8'), {
    mode: 0o600,
  });
  await host.writeFile('/etc/shell/words', '');
  await host.writeFile('/etc/systemd/system/shell-measured.service', unitText('/etc/shell/words'));
  const loop = `/opt/bin/kubectl --kubeconfig /root/shell.conf -n kube-system get secret shell -w -o jsonpath='{.data.words}{"\\n"}' |
while read -r line; do
  printf '%s' "$line" | base64 -d > /etc/shell/.words.tmp && mv /etc/shell/.words.tmp /etc/shell/words
  systemctl restart shell-measured.service
done`;
  await host.writeFile('/root/shell.sh', loop);
  await host.check(['systemctl', 'daemon-reload']);
  await host.check(['systemctl', 'start', 'shell-measured.service']);
  await host.check(['systemd-run', '--unit=shell', 'bash', '/root/shell.sh']);
}

interface Usage {
  /** Bytes. */
  readonly resident: number;
  readonly cpuMs: number;
}

async function usageOf(host: LabHost): Promise<Usage> {
  const pid = (await host.check(['systemctl', 'show', '-P', 'MainPID', agentUnit])).trim();
  const [status, stat] = [
    await host.check(['cat', `/proc/${pid}/status`]),
    await host.check(['cat', `/proc/${pid}/stat`]),
  ];
  // User and system time are the 14th and 15th field, in hundredths of a second; the second one may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    resident: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024,
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
  };
}

/** One after the other, as fast as they go. What is resident after some of them. */
async function soakWith(cluster: Cluster, host: LabHost, words: string): Promise<Map<number, number>> {
  const resident = new Map<number, number>();
  for (let count = 1; count <= soak; count++) {
    const renamed = await whenRenamed(host, quietFile);
    await patchSecret(cluster, 'pool', { key: documentKey, text: documentOf(cluster, words, String(count)) });
    if (Number.isNaN(await Promise.race([renamed.at, sleep(30_000, Number.NaN)])))
      throw new Error(`change ${count} was not followed within 30 s`);
    renamed.close();
    if (count === 50 || count % 250 === 0 || count === soak) {
      resident.set(count, (await usageOf(host)).resident);
      say(`${count} of ${soak} changes without a pause`);
    }
  }
  return resident;
}

const machine = await describeMachine();
const loadBefore = load();
await installPrerequisites(say);
await bakedRoot(say);
const lab = await openLab();
try {
  const cluster = await openCluster(lab, { progress: say });
  const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet });
  const host = await bakedNode(lab, { name, network: true, document });
  await host.start();
  await untilBooted(host);
  say('the host has joined');
  await grantAgents(cluster, host, { [name]: ['kube-system/pool'] });
  await startApprover(cluster, host);
  await putSecret(cluster, 'pool', { [documentKey]: documentOf(cluster, 'WORDS=start\n') });
  await putSecret(cluster, 'shell', { words: 'WORDS=start\n' });
  await startAgent(cluster, host, { source: 'secret:kube-system/pool', restarts: { maxDelay: '0s' } });
  await startShell(cluster, host);
  for (
    let waited = 0;
    waited < 60_000 && (await host.readFile('/etc/measured/words').catch(() => '')) === '';
    waited += 100
  )
    await sleep(100);
  // What the start set off is over.
  await sleep(5000);
  const events = await cluster.admin.watch<KubeObject>(namespace);
  const agent: Times = { event: [], file: [], unit: [] };
  const shell: Times = { event: [], file: [], unit: [] };
  const early = await usageOf(host);
  for (let turn = 0; turn < runs; turn++) {
    const words = `WORDS=${turn}\n`;
    await measureOnce(
      {
        cluster,
        host,
        secret: 'pool',
        file: '/etc/measured/words',
        unit: 'measured.service',
        content: (text) => ({ key: documentKey, text: documentOf(cluster, text) }),
        events,
      },
      words,
      agent,
    );
    await measureOnce(
      {
        cluster,
        host,
        secret: 'shell',
        file: '/etc/shell/words',
        unit: 'shell-measured.service',
        content: (text) => ({ key: 'words', text }),
        events,
      },
      words,
      shell,
    );
    if (turn % 10 === 9) say(`${turn + 1} of ${runs} changes of each kind`);
    // A unit that is started more than five times in ten seconds is not started again by systemd.
    await sleep(2200);
  }
  const late = await usageOf(host);
  const soaked = await soakWith(cluster, host, `WORDS=${runs - 1}\n`);
  await sleep(5000);
  const idleFromMs = monotonicMs();
  const still = await usageOf(host);
  await sleep(idleS * 1000);
  const idle = await usageOf(host);
  const idleShare = (idle.cpuMs - still.cpuMs) / (monotonicMs() - idleFromMs);
  events.close();
  const measured = {
    machine,
    loadBefore,
    loadAfter: load(),
    runs,
    agent,
    shell,
    early,
    late,
    soaked: [...soaked],
    idleShare,
  };
  if (values.json === true) console.log(JSON.stringify(measured));
  else print(measured);
} finally {
  await lab.close();
}

interface Measured {
  readonly agent: Times;
  readonly shell: Times;
  readonly early: Usage;
  readonly late: Usage;
  /** Bytes resident after so many changes without a pause. */
  readonly soaked: readonly (readonly [number, number])[];
  readonly idleShare: number;
}

function print({ agent, shell, early, late, soaked, idleShare }: Measured): void {
  const ms = (value: number): string => value.toFixed(0);
  const row = (title: string, list: readonly number[], other?: readonly number[]): string[] => {
    const ratio = other && ratioOfMedians(list, other);
    return [
      title,
      ...[0.5, 0.95, 0.99].map((share) => ms(quantile(list, share))),
      ratio ? `${ratio.ratio.toFixed(2)} (${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)})` : '',
    ];
  };
  console.log(`load ${loadBefore.toFixed(1)} before; ${runs} changes of each kind, in turns\n`);
  console.log(
    markdownTable(
      ['ms after the API server’s answer', 'p50', 'p95', 'p99', 'to the shell (95 %)'],
      [
        row('floor: a watcher has the event', agent.event),
        row('agent: file in place', agent.file, shell.file),
        row('agent: unit’s process started', agent.unit, shell.unit),
        row('shell: file in place', shell.file),
        row('shell: unit’s process started', shell.unit),
      ],
    ),
  );
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
  console.log(
    `\nagent: ${mb(early.resident)} MB resident before the changes, ${mb(late.resident)} MB after them; ` +
      `${(idleShare * 100).toFixed(2)} % of a core while idle`,
  );
  if (soaked.length > 0)
    console.log(`without a pause: ${soaked.map(([count, bytes]) => `${mb(bytes)} MB after ${count}`).join(', ')}`);
}
