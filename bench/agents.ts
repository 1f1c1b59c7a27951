/**
 * `./dev bench agents`: pools of agents that follow one Secret of a real API server, each on a machine in memory: how long a
 * change takes to be everywhere, what an idle node asks of the server, how restarts of kubelet are spread. The agents share one
 * process and one machine with the control plane, so times tell how they grow, not how long a real pool takes.
 * docs/benchmarks.md says what each number means.
 */
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { load } from './lib/machine.ts';
import type { AgentLine } from './lib/many-agents.ts';
import { quantile } from './lib/statistics.ts';
import { markdownTable } from './lib/table.ts';
import { groupAccess, nodeAccess } from '../src/fleet/access.ts';
import { agentGroup, agentUser } from '../src/model/agent-identity.ts';
import { putSecret } from '../test/demo/agents.ts';
import { openCluster, type Cluster } from '../test/lab/cluster.ts';
import { openLab, type Lab } from '../test/lab/lab.ts';
import { installPrerequisites } from '../test/lab/prerequisites.ts';
import { issueCertificate } from '../test/servers/certificates.ts';
import { nodeDocument } from '../test/support/memory-node.ts';

const usage = `usage: ./dev bench agents [--agents 50,200] [--changes N] [--idle SECONDS] [--json]

  --agents LIST   sizes of pools, one after the other (default 50,200)
  --changes N     changes of one file (default 5)
  --idle SECONDS  how long requests are counted while nothing changes (default 60)`;

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '50,200' },
    changes: { type: 'string', default: '5' },
    idle: { type: 'string', default: '60' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
const sizes = values.agents.split(',').map(Number);
const [changes, idleSeconds] = [Number(values.changes), Number(values.idle)];
if (values.help === true || ![...sizes, changes, idleSeconds].every((value) => Number.isInteger(value) && value > 0)) {
  console.log(usage);
  process.exit(values.help === true ? 0 : 2);
}

const secret = 'pool-many';
const maxDelaySeconds = 20;
/** Between changes, until all of a pool is done with the one before. */
const settleMs = 5000;
const worker = fileURLToPath(new URL('lib/many-agents.ts', import.meta.url));
const started = performance.now();
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
};

interface Pool {
  readonly size: number;
  /** From the start of the first to the first good run of the last. Milliseconds, as all of these. */
  readonly startMs: number;
  /** From the API server’s answer to the end of each agent’s run, of each change. */
  readonly appliedMs: readonly number[];
  /** The last agent’s, one for each change. */
  readonly everywhereMs: readonly number[];
  /** Of one node and hour, while nothing changes. */
  readonly requestsPerHour: number;
  readonly watches: number;
  /** Of kubelet, after the API server’s answer. */
  readonly restartsMs: readonly number[];
}

/** A certificate of its own for every agent, a Node, and its rights. */
async function enrol(cluster: Cluster, folder: string, names: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const data = (text: string): string => Buffer.from(text).toString('base64');
  for (const name of names) {
    const subject = `/O=${agentGroup}/CN=${agentUser(name)}`;
    const issued = await issueCertificate(folder, name, cluster.authority, { subject });
    const kubeconfig = {
      'current-context': 'agent',
      contexts: [{ name: 'agent', context: { cluster: 'lab', user: 'agent' } }],
      clusters: [
        { name: 'lab', cluster: { server: cluster.server, 'certificate-authority-data': data(cluster.caBundle) } },
      ],
      users: [
        {
          name: 'agent',
          user: {
            'client-certificate-data': data(await readFile(issued.certificate, 'utf8')),
            'client-key-data': data(await readFile(issued.key, 'utf8')),
          },
        },
      ],
    };
    await writeFile(join(folder, `${name}.conf`), stringify(kubeconfig), { mode: 0o600 });
  }
  const nodes = names.map((name) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } }));
  const access = names.flatMap((nodeName) => nodeAccess({ nodeName, secrets: [`kube-system/${secret}`] }));
  const items = [...groupAccess(), ...access, ...nodes];
  await cluster.kubectl(['apply', '--server-side', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    timeoutMs: 300_000,
  });
}

const put = async (cluster: Cluster, words: string, version = '1.34.3'): Promise<number> => {
  const document = nodeDocument({ kubernetes: { version }, files: [{ path: '/etc/words', content: words }] });
  await putSecret(cluster, secret, { '10-node.json': document });
  return Date.now();
};

async function measure(lab: Lab, cluster: Cluster, size: number): Promise<Pool> {
  const names = Array.from({ length: size }, (_, at) => `many-${size}-${at}`);
  const folder = join(cluster.folder, `agents-${size}`);
  await enrol(cluster, folder, names);
  say(`${size} agents have certificates and rights`);
  await put(cluster, 'first');
  const beganMs = Date.now();
  const child = lab.spawnInNetwork(
    [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      worker,
      folder,
      `secret:kube-system/${secret}`,
      `${maxDelaySeconds}s`,
      ...names,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  if (!child.stdout || !child.stdin) throw new Error('the agents have no streams');
  const lines: AgentLine[] = [];
  let wake = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    // Our own program wrote it.
    lines.push(JSON.parse(line) as AgentLine);
    wake.resolve();
    wake = Promise.withResolvers();
  });
  /** Of every agent one line like that after the given one, at the latest so much later. */
  const untilAll = async (what: AgentLine['what'], from: number, patienceMs: number): Promise<AgentLine[]> => {
    const untilMs = Date.now() + patienceMs;
    for (;;) {
      const found = new Map(lines.slice(from).flatMap((line) => (line.what === what ? [[line.agent, line]] : [])));
      if (found.size === size) return [...found.values()];
      if (Date.now() > untilMs) throw new Error(`only ${found.size} of ${size} agents are ${what}`);
      await Promise.race([wake.promise, sleep(1000)]);
    }
  };
  const ready = await untilAll('ready', 0, 300_000);
  const startMs = Math.max(...ready.map(({ atMs }) => atMs)) - beganMs;
  say(`${size} agents are ready after ${(startMs / 1000).toFixed(1)} s`);
  await sleep(5000);
  const idleFrom = new Date();
  await sleep(idleSeconds * 1000);
  const idleTo = new Date();
  const own = new Set(names.map(agentUser));
  const audit = (await cluster.audit()).filter(({ user }) => own.has(user.username));
  const idle = audit.filter(({ stage, requestReceivedTimestamp }) => {
    const at = Date.parse(requestReceivedTimestamp);
    return stage !== 'ResponseStarted' && at >= idleFrom.getTime() && at < idleTo.getTime();
  });
  const watches = audit.filter(({ verb, stage }) => verb === 'watch' && stage === 'ResponseStarted').length / size;
  const appliedMs: number[] = [];
  const everywhereMs: number[] = [];
  for (let turn = 0; turn < changes; turn++) {
    const from = lines.length;
    const answeredMs = await put(cluster, `change ${turn}`);
    const times = (await untilAll('applied', from, 120_000)).map(({ atMs }) => atMs - answeredMs);
    appliedMs.push(...times);
    everywhereMs.push(Math.max(...times));
    // Their reports go on after the last run has ended; the next change is to meet a quiet pool, whatever its size.
    await sleep(settleMs);
  }
  say(`${changes} changes are everywhere after ${quantile(everywhereMs, 0.5).toFixed(0)} ms (median)`);
  const from = lines.length;
  const answeredMs = await put(cluster, 'restart', '1.34.4');
  const restartsMs = (await untilAll('restart', from, 180_000)).map(({ atMs }) => atMs - answeredMs);
  child.stdin.end();
  await Promise.race([once(child, 'exit'), sleep(20_000)]);
  child.kill('SIGKILL');
  const failed = lines.filter(({ what }) => what === 'failed');
  if (failed.length > 0)
    say(`${failed.length} runs failed: ${[...new Set(failed.map(({ why }) => why))].slice(0, 3).join('; ')}`);
  const requestsPerHour = (idle.length / size / idleSeconds) * 3600;
  return { size, startMs, appliedMs, everywhereMs, requestsPerHour, watches, restartsMs };
}

/** The largest number within any second. */
function mostWithinASecond(times: readonly number[]): number {
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 1000).length));
}

const loadBefore = load();
await installPrerequisites(say);
const lab = await openLab();
try {
  const cluster = await openCluster(lab, { progress: say, audit: true });
  const pools: Pool[] = [];
  for (const size of sizes) pools.push(await measure(lab, cluster, size));
  if (values.json === true) console.log(JSON.stringify({ loadBefore, pools }));
  else {
    console.log(`load ${loadBefore.toFixed(1)} before; ${changes} changes of one file, then one of kubelet\n`);
    const seconds = (ms: number): string => (ms / 1000).toFixed(2);
    console.log(
      markdownTable(
        [
          'agents',
          'start, s',
          'change: p50, s',
          'p99, s',
          'everywhere, s',
          'requests a node and hour',
          'watches',
          'restarts over, s',
          'most in a second',
        ],
        pools.map((pool) => [
          String(pool.size),
          seconds(pool.startMs),
          seconds(quantile(pool.appliedMs, 0.5)),
          seconds(quantile(pool.appliedMs, 0.99)),
          seconds(quantile(pool.everywhereMs, 0.5)),
          pool.requestsPerHour.toFixed(0),
          pool.watches.toFixed(1),
          seconds(Math.max(...pool.restartsMs) - Math.min(...pool.restartsMs)),
          String(mostWithinASecond(pool.restartsMs)),
        ]),
      ),
    );
  }
} finally {
  await lab.close();
}
