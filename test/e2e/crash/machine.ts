/**
 * A lab host on which a boot or a tend step is killed and repeated, and everything that counts about it as data: file
 * trees, unit states, the journal. Volatile things are left out here, each with its reason.
 */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { bakedRoot, demoFolder } from '../../demo/baked.ts';
import type { Lab, LabHost } from '../../lab/lab.ts';
import { diffTrees, type TreeEntry } from '../../lab/tree.ts';

export const program = '/opt/nodekiln/bin/nodekiln';
export const agentFolder = '/etc/nodekiln/desired';
const units = ['kubelet.service', 'containerd.service', 'nodekiln-demo.service', 'nodekiln-demo-watched.service'];

export async function crashHost(lab: Lab, name: string): Promise<LabHost> {
  const root = await bakedRoot();
  const node = await readFile(join(demoFolder, 'node.yaml'));
  const host = await lab.host({ name, root, seeds: ['/opt', '/var/lib/containerd'] });
  await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', node, { mode: 0o600 });
  // The test itself calls the boot.
  await rm(await host.path('/etc/systemd/system/multi-user.target.wants'), { recursive: true });
  await host.start();
  await host.waitRunning(30_000).catch(() => undefined);
  return host;
}

export interface Snapshot {
  readonly tree: readonly TreeEntry[];
  readonly units: readonly string[];
  readonly journal: unknown;
}

/** Paths that two equal machines do not have alike. */
const volatile: readonly (string | RegExp)[] = [
  // Compared as data by `journal`: pages of a database differ, and so do its times.
  /^\/var\/lib\/nodekiln\/(state\.db|lock\.)/,
  // Holds a time of creation; compared as data.
  '/var/lib/nodekiln/generations',
  // Times of the run itself; the outcome is checked.
  '/var/lib/nodekiln/boot',
  // Made by containerd's own `opt` plugin when it runs.
  '/opt/containerd',
  // kubelet's own; the folder itself is ours.
  /^\/var\/lib\/kubelet\/.+/,
  // The test's own.
  '/opt/crash-baseline.tar',
  // Written by systemd and the lab at a first start.
  /^\/etc\/(\.updated|\.pwd\.lock|machine-id|hostname|hosts|resolv\.conf|ld\.so\.cache)$/,
];

export async function snapshot(host: LabHost): Promise<Snapshot> {
  const [tree, states, journal] = await Promise.all([
    host.tree(['/etc', '/opt', '/usr/local/bin', '/var/lib/nodekiln', '/var/lib/kubelet'], { exclude: [...volatile] }),
    host.check([
      'systemctl',
      'show',
      '--property=Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload',
      ...units,
    ]),
    journalOf(host),
  ]);
  return {
    tree,
    units: states
      .trim()
      .split('\n\n')
      .map((block) => block.split('\n').sort().join(' ')),
    journal,
  };
}

/**
 * Claims, what is touched and how, the last generation's end. No times; and no seals, which only spare the hashing of
 * files and are made again when they are missing. Numbers grow from case to case: what counts is that files and table
 * agree on the last one. And what kubelet and containerd run with: an end state of files means nothing to a process that
 * was started before it.
 */
async function journalOf(host: LabHost): Promise<unknown> {
  const state = await host.path('/var/lib/nodekiln');
  // SQLite would follow the host's root to the machine's own.
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-crash-journal-'));
  await cp(state, folder, { recursive: true });
  const names = await readdir(`${folder}/generations`);
  const newest = Math.max(...names.map((name) => Number.parseInt(name, 10)));
  const { claims } = JSON.parse(await readFile(`${folder}/generations/${newest}.json`, 'utf8')) as { claims: unknown };
  const database = new DatabaseSync(`${folder}/state.db`);
  try {
    const all = (sql: string): unknown[] => database.prepare(sql).all();
    const [last] = all('SELECT max(number) AS number FROM generations') as { number: number }[];
    return {
      claims: all('SELECT source, id, resource FROM claims ORDER BY source, id'),
      touched: all('SELECT id, source, definitions, done, started_with, original FROM touched ORDER BY id'),
      generation: all('SELECT source, digest, status FROM generations ORDER BY number DESC LIMIT 1'),
      lastIsBegun: newest === last?.number,
      temporaries: names.filter((name) => !/^[0-9]+[.]json$/.test(name)),
      processes: [await processOf(host, 'kubelet.service'), await processOf(host, 'containerd.service')],
      file: claims,
    };
  } finally {
    database.close();
    await rm(folder, { recursive: true });
  }
}

async function processOf(host: LabHost, unit: string): Promise<unknown> {
  const pid = (await host.check(['systemctl', 'show', '--property=MainPID', '--value', unit])).trim();
  if (pid === '0') return 'none';
  const words = async (file: string): Promise<string[]> =>
    (await host.readFile(`/proc/${pid}/${file}`)).split('\0').filter((word) => word !== '');
  const own = /^(INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MEMORY_PRESSURE_\w+|NOTIFY_SOCKET|FDSTORE)=/;
  return {
    program: (await host.check(['readlink', `/proc/${pid}/exe`])).trim(),
    arguments: await words('cmdline'),
    environment: (await words('environ')).filter((word) => !own.test(word)).sort(),
  };
}

/** What differs between two snapshots, a line each; empty when they are equal. */
export function differences(wanted: Snapshot, found: Snapshot): string[] {
  return [
    ...diffTrees(wanted.tree, found.tree),
    ...lineDifferences(wanted.units, found.units),
    ...lineDifferences(
      JSON.stringify(wanted.journal, undefined, 1).split('\n'),
      JSON.stringify(found.journal, undefined, 1).split('\n'),
    ),
  ];
}

function lineDifferences(wanted: readonly string[], found: readonly string[]): string[] {
  if (wanted.join('\n') === found.join('\n')) return [];
  const missing = wanted.filter((line) => !found.includes(line)).map((line) => `- ${line.slice(0, 300)}`);
  const added = found.filter((line) => !wanted.includes(line)).map((line) => `+ ${line.slice(0, 300)}`);
  if (missing.length + added.length > 0) return [...missing, ...added];
  const index = wanted.findIndex((line, position) => line !== found[position]);
  return [`- ${wanted[index]?.slice(0, 300)} (line ${index})`, `+ ${found[index]?.slice(0, 300)}`];
}

/** Remembers the host as it is before the first boot, for `reset`. */
export async function remember(host: LabHost): Promise<readonly TreeEntry[]> {
  await host.check([
    'tar',
    '--create',
    '--file=/opt/crash-baseline.tar',
    '--exclude=/var/lib/kubelet/*',
    '/etc',
    '/var/lib/nodekiln',
    '/var/lib/kubelet',
  ]);
  return baselineTree(host);
}

function baselineTree(host: LabHost): Promise<readonly TreeEntry[]> {
  return host.tree(['/etc', '/opt', '/var/lib/nodekiln', '/var/lib/kubelet'], { exclude: [...volatile] });
}

/** Brings the host back to what it was before its first boot, and makes sure that it is. */
export async function reset(host: LabHost, baseline: readonly TreeEntry[]): Promise<void> {
  await host.check(['sh', '-c', resetScript], { timeoutMs: 60_000 });
  const differing = diffTrees(baseline, await baselineTree(host));
  if (differing.length > 0) throw new Error(`the reset left:\n${differing.join('\n')}`);
}

const resetScript = `
systemctl stop kubelet.service containerd.service nodekiln-demo.service 2>/dev/null
rm -rf /etc/kubernetes /etc/containerd /etc/cni /etc/nodekiln-demo /etc/nodekiln /etc/sysctl.d /etc/modules-load.d /etc/systemd/system /var/lib/nodekiln
rm -f /opt/bin/kubelet /opt/bin/kubectl /opt/bin/.nodekiln-tmp-*
tar --extract --file=/opt/crash-baseline.tar --directory=/ --same-permissions
sysctl -q -w net.ipv4.ip_forward=0
systemctl daemon-reload
systemctl reset-failed
`;

/** Runs nodekiln with a fault; the process must die of it, and of nothing else. */
export async function killed(host: LabHost, args: readonly string[], fault: string): Promise<void> {
  const result = await host.exec([program, ...args], { env: { NODEKILN_FAULT: fault }, timeoutMs: 120_000 });
  if (result.status !== 137)
    throw new Error(`${fault}: exit status ${result.status} instead of death by SIGKILL\n${result.stderr}`);
}

/** The effects of an undisturbed run, in order. */
export async function effectsOf(host: LabHost, args: readonly string[]): Promise<string[]> {
  await host.check([program, ...args], { env: { NODEKILN_FAULT: 'count:/run/effects' }, timeoutMs: 120_000 });
  return (await host.check(['cat', '/run/effects'])).trim().split('\n');
}
