/**
 * The keeper of one lab: a process of its own, in a mount namespace of its own, that holds everything a lab has and
 * takes it away when the process that opened the lab is gone, whatever ended that.
 *
 * Started by lab.ts as `keeper.ts ID DISK` with an IPC channel; `protocol.ts` has the messages. The channel closing is
 * the sign that the opener died; a lab told to `keep` stays until this process gets SIGTERM. Guests get SIGKILL from
 * the kernel when the keeper itself is killed, and the mounts end with the namespace; `sweep.ts` does the rest.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exists } from './cache.ts';
import { groupProcesses, labGroup, makeGroups, makeGroupsOfGuest, removeGroups } from './cgroups.ts';
import { guestUnitFolder, writeGuestUnits } from './guest.ts';
import { millisecondsPerTick, monotonicMs, startTicks } from './process.ts';
import type { Answer, CreatedHost, HostSpecification, LaunchedHost, Notice, Reply, Request } from './protocol.ts';
import { runFolder } from './protocol.ts';
import { run, tryRun } from './run.ts';
import { sweepLab } from './sweep.ts';

const [id = '', disk = ''] = process.argv.slice(2);
if (id === '' || disk === '') throw new Error('usage: keeper.ts ID DISK');

const networkFolder = join(runFolder, id, 'net');
/** nspawn ends with this status when the guest asked for a reboot and systemd --keep-unit cannot do it for it. */
const rebootStatus = 133;

interface Host extends HostSpecification, CreatedHost {
  launcher: ChildProcess | undefined;
  ended: Promise<void>;
  pid1: number | undefined;
}

const hosts = new Map<string, Host>();
let kept = false;
let closing: Promise<void> | undefined;
const underway = new Set<Promise<unknown>>();

function tell(message: Reply | Notice): void {
  if (process.connected) process.send?.(message, undefined, {}, () => undefined);
}

function find(name: string): Host {
  const host = hosts.get(name);
  if (!host) throw new Error(`lab ${id}: no host ${name}`);
  return host;
}

// ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function create(specification: HostSpecification): Promise<CreatedHost> {
  const { name, root } = specification;
  if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(name))
    throw new Error(`host name ${name}: lower-case letters, digits, hyphens`);
  if (name === 'switch') throw new Error('host name switch: taken by the lab’s own network');
  if (/[:,\\]/.test(root))
    throw new Error(`root ${root}: overlayfs takes no colon, comma or backslash in a folder's name`);
  if (hosts.has(name)) throw new Error(`lab ${id} has a host ${name} already`);
  if (!(await exists(root))) throw new Error(`host ${name}: there is no root folder ${root}`);
  const folder = join(disk, name);
  const host: Host = {
    ...specification,
    merged: join(folder, 'merged'),
    disk: folder,
    address: freeAddress(),
    machineId: randomBytes(16).toString('hex'),
    launcher: undefined,
    ended: Promise.resolve(),
    pid1: undefined,
  };
  hosts.set(name, host);
  try {
    await mountDisk(host);
    await writeIdentity(host);
    await makeNetwork(host);
  } catch (error) {
    await remove(host);
    throw error;
  }
  return { merged: host.merged, disk: folder, address: host.address, machineId: host.machineId };
}

function freeAddress(): string {
  const taken = new Set([...hosts.values()].map((host) => host.address));
  for (let number = 1; number < 254; number += 1) {
    const address = `10.77.0.${number}`;
    if (!taken.has(address)) return address;
  }
  throw new Error(`lab ${id} has no address left: remove some of its ${hosts.size} hosts`);
}

async function mountDisk(host: Host): Promise<void> {
  const [upper, work] = [join(host.disk, 'upper'), join(host.disk, 'work')];
  for (const each of [host.merged, upper, work]) await mkdir(each, { recursive: true });
  await writeGuestUnits(join(host.disk, 'units'));
  const layers = `lowerdir=${host.root},upperdir=${upper},workdir=${work}`;
  await run(['mount', '-t', 'overlay', 'overlay', '-o', layers, host.merged]);
  await bindSeeds(host);
}

/** containerd and kubelet do not work on overlayfs, and links and reflinks need one file system: real-disk folders. */
async function bindSeeds(host: Host): Promise<void> {
  // The longest path last, so that a seed below another one lands on top of it.
  for (const seed of [...new Set([...host.seeds, '/var/lib/kubelet'])].sort()) {
    const real = join(host.disk, 'seeds', seed);
    await mkdir(join(real, '..'), { recursive: true });
    const baked = await lstat(join(host.root, seed)).catch(() => undefined);
    if (baked?.isDirectory()) {
      await rm(real, { recursive: true, force: true });
      await run(['cp', '--archive', '--reflink=auto', join(host.root, seed), real]);
    } else {
      await mkdir(real, { recursive: true });
    }
    await mkdir(join(host.merged, seed), { recursive: true });
    await run(['mount', '--bind', real, join(host.merged, seed)]);
  }
}

async function writeIdentity(host: Host): Promise<void> {
  const etc = join(host.merged, 'etc');
  await rm(join(etc, 'resolv.conf'), { force: true });
  // Empty, not unreachable: a resolver that does not answer costs five seconds each time.
  await writeFile(join(etc, 'resolv.conf'), '');
  await writeFile(join(etc, 'machine-id'), `${host.machineId}\n`, { mode: 0o444 });
  await writeFile(join(etc, 'hostname'), `${host.name}\n`);
  await writeFile(join(etc, 'hosts'), `127.0.0.1 localhost\n::1 localhost\n${host.address} ${host.name}\n`);
}

// ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────────

function namespaceOf(name: string): string {
  return join(networkFolder, name);
}

async function inNamespace(name: string, script: string): Promise<void> {
  await run(['nsenter', `--net=${namespaceOf(name)}`, 'sh', '-euc', script]);
}

async function makeNamespace(name: string): Promise<void> {
  await mkdir(networkFolder, { recursive: true });
  await writeFile(namespaceOf(name), '');
  // The bind mount that keeps the namespace is private to the keeper's mount namespace and ends with it.
  await run(['unshare', `--net=${namespaceOf(name)}`, 'ip', 'link', 'set', 'lo', 'up']);
}

function portOf(host: Host): string {
  return `port${host.address.split('.').pop() ?? ''}`;
}

/** A cable between the guest's eth0 and a port in the lab's own namespace, which only `network: true` puts on the switch. */
async function makeNetwork(host: Host): Promise<void> {
  await makeNamespace(host.name);
  const port = portOf(host);
  await inNamespace('switch', `ip link add ${port} type veth peer name eth0 netns ${namespaceOf(host.name)}`);
  await inNamespace('switch', `${host.network ? `ip link set ${port} master lab0; ` : ''}ip link set ${port} up`);
  await inNamespace(
    host.name,
    `ip address add ${host.address}/24 dev eth0; ip link set eth0 up; ip route add default via 10.77.0.254`,
  );
}

async function makeSwitch(): Promise<void> {
  await makeNamespace('switch');
  await inNamespace(
    'switch',
    // Without an address of its own it takes the least of its ports’, anew with each host that comes or goes: neighbours then
    // send to one that nobody has.
    'ip link add lab0 address 02:00:0a:4d:00:fe type bridge; ip address add 10.77.0.254/24 dev lab0; ip link set lab0 up',
  );
}

/** Pulls or plugs the cable: addresses and routes of the guest stay, as with a real one. */
async function cable(host: Host, connected: boolean): Promise<void> {
  await inNamespace('switch', `ip link set ${portOf(host)} ${connected ? 'up' : 'down'}`);
}

// ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function start(host: Host): Promise<LaunchedHost> {
  if (host.launcher) throw new Error(`host ${host.name} runs already`);
  // The last start's groups pass controllers on, and such a group of version 2 takes no process.
  await removeGroups(labGroup(id), host.name);
  const groups = await makeGroups(labGroup(id), host.name);
  const log = openSync(join(host.disk, 'console.log'), 'a');
  const nspawn = [
    'systemd-nspawn',
    `--directory=${host.merged}`,
    `--machine=${host.name}`,
    '--register=no',
    '--keep-unit',
    '--boot',
    '--console=pipe',
    '--capability=all',
    '--resolv-conf=off',
    '--timezone=off',
    '--link-journal=no',
    `--network-namespace-path=${namespaceOf(host.name)}`,
    `--bind-ro=${join(host.disk, 'units')}:${guestUnitFolder}`,
  ];
  // --pdeathsig: the guest dies with the keeper, even when that is killed with SIGKILL.
  const script =
    'for group in $GROUPS_TO_JOIN; do echo $$ >"$group/cgroup.procs"; done; unset GROUPS_TO_JOIN; exec "$@"';
  const launchedMs = monotonicMs();
  const launcher = spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-euc', script, 'sh', ...nspawn], {
    stdio: ['ignore', log, log],
    detached: true,
    env: {
      PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      GROUPS_TO_JOIN: groups.join(' '),
      // runc in the guest joins session keyrings, which nspawn's own filter forbids.
      SYSTEMD_SECCOMP: '0',
      SYSTEMD_NSPAWN_LOCK: '0',
    },
  });
  closeSync(log);
  host.launcher = launcher;
  host.ended = new Promise((resolve) => {
    const ended = (status: number): void => {
      if (host.launcher !== launcher) return;
      host.launcher = undefined;
      host.pid1 = undefined;
      const rebooting = status === rebootStatus && closing === undefined;
      tell({ notice: 'ended', name: host.name, status, rebooting });
      resolve();
      if (rebooting) track(startAgain(host));
    };
    launcher.on('error', () => ended(127));
    launcher.on('exit', (code) => ended(code ?? 137));
  });
  const pid1 = await waitForPid1(host, launcher);
  const launched: LaunchedHost = {
    pid1,
    launchedMs,
    pid1Ms: Number(startTicks(pid1) ?? 0) * millisecondsPerTick,
    groups: await makeGroupsOfGuest(pid1, 'nodekiln-lab-exec'),
  };
  host.pid1 = pid1;
  return launched;
}

async function startAgain(host: Host): Promise<void> {
  try {
    tell({ notice: 'launched', name: host.name, launched: await start(host) });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    tell({ notice: 'lost', name: host.name, reason });
  }
}

/** The guest's PID 1: the process in the host's groups that is number 1 in a namespace just below ours. */
async function waitForPid1(host: Host, launcher: ChildProcess): Promise<number> {
  for (;;) {
    if (host.launcher !== launcher) {
      const log = readFileSync(join(host.disk, 'console.log'), 'utf8').trim().split('\n').slice(-10).join('\n  ');
      throw new Error(`host ${host.name} did not start:\n  ${log}`);
    }
    const found = groupProcesses(labGroup(id), host.name).find(isGuestInit);
    if (found !== undefined) return found;
    await sleep(10);
  }
}

function isGuestInit(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    // Before it becomes systemd it is still nspawn's own child, with the machine's view of things.
    return /^NSpid:\t\d+\t1$/m.test(status) && /^Name:\t(systemd|init)$/m.test(status);
  } catch {
    return false;
  }
}

/** Cuts the power: everything in the guest gets SIGKILL at once. What was written but not synced stays written. */
async function kill(host: Host): Promise<void> {
  const launcher = host.launcher;
  if (!launcher) return;
  signal(host.pid1 ?? groupProcesses(labGroup(id), host.name).find(isGuestInit), 'SIGKILL');
  const gone = await Promise.race([host.ended.then(() => true), sleep(3_000, false)]);
  if (!gone) {
    launcher.kill('SIGKILL');
    await host.ended;
  }
}

function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, name);
  } catch {
    // It ended meanwhile.
  }
}

async function remove(host: Host): Promise<void> {
  await kill(host);
  await removeGroups(labGroup(id), host.name);
  const unmounted = await tryRun(['umount', '--recursive', host.merged]);
  // Somebody may still have a file of it open through /proc.
  if (unmounted.status !== 0) await tryRun(['umount', '--recursive', '--lazy', host.merged]);
  // At once and by name: with its namespace it would go some time later, and the next host gets the same name.
  await tryRun(['nsenter', `--net=${namespaceOf('switch')}`, 'ip', 'link', 'delete', portOf(host)]);
  await tryRun(['umount', '--lazy', namespaceOf(host.name)]);
  await rm(namespaceOf(host.name), { force: true });
  await rm(host.disk, { recursive: true, force: true, maxRetries: 10 });
  hosts.delete(host.name);
}

/** Takes everything away and ends the keeper. */
function close(): Promise<void> {
  closing ??= (async () => {
    await Promise.allSettled(underway);
    await Promise.allSettled([...hosts.values()].map((host) => remove(host)));
    await tryRun(['umount', '--lazy', namespaceOf('switch')]);
    await sweepLab(id, disk);
  })();
  return closing;
}

function track(work: Promise<unknown>): void {
  const guarded = work.catch((error: unknown) => console.error(error));
  underway.add(guarded);
  void guarded.finally(() => underway.delete(guarded));
}

// ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function answer(request: Request): Promise<Answer> {
  if (closing && request.method !== 'close') throw new Error(`lab ${id} is closing`);
  switch (request.method) {
    case 'create':
      return { created: await create(request.host) };
    case 'start':
      return { launched: await start(find(request.name)) };
    case 'kill':
      await kill(find(request.name));
      return {};
    case 'remove':
      await remove(find(request.name));
      return {};
    case 'cable':
      await cable(find(request.name), request.connected);
      return {};
    case 'keep':
      kept = true;
      return {};
    case 'close':
      await close();
      return {};
  }
}

async function onRequest(reply: number, request: Request): Promise<void> {
  try {
    tell({ reply, ...(await answer(request)) });
  } catch (error) {
    tell({ reply, error: error instanceof Error ? error.message : String(error) });
  }
}

/** Takes everything away, then ends, whatever goes wrong: what could not be removed is swept by the next lab. */
function finish(status: number): void {
  void close()
    .catch((error: unknown) => console.error(error))
    .finally(() => process.exit(status));
}

process.on('message', (message: { readonly id: number; readonly request: Request }) => {
  const work = onRequest(message.id, message.request);
  // Closing waits for what is under way, so it must not wait for itself.
  if (message.request.method === 'close') void work.finally(() => process.exit(0));
  else track(work);
});
process.on('disconnect', () => {
  if (!kept) finish(0);
});
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => finish(0));
process.on('uncaughtException', (error) => {
  console.error(error);
  finish(1);
});

async function setUp(): Promise<void> {
  await mkdir('/run/systemd/nspawn', { recursive: true });
  // nspawn's own records of machines would stay on the machine when a guest is killed.
  await run(['mount', '-t', 'tmpfs', 'tmpfs', '/run/systemd/nspawn']);
  await makeSwitch();
  // For the programs that the opener starts in the lab's network: they end with the lab, too.
  tell({ notice: 'ready', groups: await makeGroups(labGroup(id), 'switch') });
}

// Keeps a kept lab's process alive when the channel is closed.
setInterval(() => undefined, 1 << 30);
const ready = setUp();
track(ready);
ready.catch(() => finish(1));
// The opener may have died while we were loading, before anybody listened.
if (!process.connected) finish(0);
