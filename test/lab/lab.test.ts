/** The lab's promises, on real hosts. Needs root and, on first use, some minutes for the roots. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder, exists } from './cache.ts';
import { groupProcesses, hierarchies, labGroup, labsWithGroups } from './cgroups.ts';
import type { Lab } from './lab.ts';
import { networkAddress, openLab } from './lab.ts';
import { installPrerequisites } from './prerequisites.ts';
import { monotonicMs } from './process.ts';
import { runFolder } from './protocol.ts';
import { rootFolder } from './root.ts';
import { tryRun } from './run.ts';
import { snapshotTree } from './tree.ts';

describe('a lab', () => {
  let lab: Lab;
  before(async () => {
    await installPrerequisites(console.error);
    lab = await openLab();
  });
  after(() => lab.close());

  test('a trixie host boots to running in seconds, with a name, an address and an identity of its own', async () => {
    const root = await rootFolder('trixie', console.error);
    const [one, two] = [await lab.host({ name: 'one', root }), await lab.host({ name: 'two', root })];
    const begun = monotonicMs();
    await Promise.all([one.start(), two.start()]);
    await Promise.all([one.waitRunning(), two.waitRunning()]);
    assert.ok(monotonicMs() - begun < 20_000);
    const { launchedMs, pid1Ms } = one.timestamps ?? { launchedMs: 0, pid1Ms: 0 };
    assert.ok(launchedMs >= begun && pid1Ms >= launchedMs - 10 && pid1Ms < monotonicMs());
    assert.equal((await one.check(['hostname'])).trim(), 'one');
    assert.equal((await one.check(['systemctl', 'is-system-running'])).trim(), 'running');
    assert.equal((await one.check(['cat', '/etc/machine-id'])).trim(), one.machineId);
    assert.notEqual(one.machineId, two.machineId);
    assert.match(await one.check(['ip', '-4', 'address', 'show', 'eth0']), new RegExp(`inet ${one.address}/24`));
    assert.match(await one.check(['ip', 'route']), /^default via 10\.77\.0\.254 dev eth0/m);
    assert.equal(await one.readFile('/etc/resolv.conf'), '');
    await two.remove();
    assert.ok(!(await exists(two.disk)));
    await one.remove();
  });

  test('exec gives status, output, input, environment and deadline, inside the guest’s groups', async () => {
    const host = await lab.host({ name: 'exec', root: await rootFolder('trixie') });
    await assert.rejects(host.exec(['true']), /exec does not run/);
    await host.start();
    await host.waitRunning();
    const result = await host.exec(['sh', '-c', 'cat; echo "$WORD" >&2; pwd; exit 7'], {
      input: 'hello\n',
      env: { WORD: 'world' },
      cwd: '/etc',
    });
    assert.deepEqual(result, { status: 7, stdout: 'hello\n/etc\n', stderr: 'world\n' });
    assert.match(await host.check(['cat', '/proc/self/cgroup']), /^0::\/nodekiln-lab-exec$/m);
    const slow = await host.exec(['sleep', '60'], { timeoutMs: 300 });
    assert.equal(slow.status, 124);
    // Killed at once; its entry goes when the guest's PID 1 has taken note.
    for (let tries = 0; tries < 40 && (await host.exec(['pgrep', '-x', 'sleep'])).status === 0; tries += 1)
      await sleep(50);
    assert.equal((await host.exec(['pgrep', '-x', 'sleep'])).status, 1);
    await assert.rejects(host.check(['sh', '-c', 'echo why >&2; exit 3']), /exit status 3\nwhy/);
    await host.remove();
  });

  test('files survive reboot, power cut and shutdown, and are seen running and stopped', async () => {
    const host = await lab.host({
      name: 'disk',
      root: await rootFolder('trixie'),
      seeds: ['/opt'],
      prepare: async (root) => assert.ok(await exists(join(root, 'usr/lib/systemd/systemd'))),
    });
    await host.writeFile('/etc/before', 'start\n', { mode: 0o600 });
    await host.start();
    await host.waitRunning();
    assert.equal(await host.check(['cat', '/etc/before']), 'start\n');
    await host.writeFile('/opt/lab/running', 'now\n');
    // An absolute symlink of the guest must not lead to the machine.
    await host.writeFile('/var/run/lab-through-link', 'inside');
    assert.equal(await host.check(['cat', '/run/lab-through-link']), 'inside');
    assert.ok(!(await exists('/run/lab-through-link')));

    const first = { pid1: host.pid1, boot: await host.readFile('/proc/sys/kernel/random/boot_id') };
    await host.reboot();
    assert.notEqual(host.pid1, first.pid1);
    assert.notEqual(await host.check(['cat', '/proc/sys/kernel/random/boot_id']), first.boot);
    assert.equal(await host.check(['cat', '/etc/before', '/opt/lab/running']), 'start\nnow\n');

    const running = await host.tree(['/opt', '/etc/before']);
    await host.kill();
    assert.equal(host.pid1, undefined);
    assert.deepEqual(groupProcesses(labGroup(lab.id), 'disk'), []);
    assert.deepEqual(await host.tree(['/opt', '/etc/before']), running);
    assert.deepEqual(
      running.map((entry) => `${entry.path} ${entry.mode}`),
      ['/etc/before 0600', '/opt 0755', '/opt/lab 0755', '/opt/lab/running 0644'],
    );
    await host.start();
    await host.waitRunning();
    await assert.rejects(host.saveRoot('/var/tmp/never'), /disk runs/);
    await host.poweroff();
    assert.equal(host.pid1, undefined);
    assert.equal(await host.readFile('/opt/lab/running'), 'now\n');

    const saved = await mkdtemp('/var/tmp/lab-saved-');
    await host.saveRoot(join(saved, 'root'));
    assert.deepEqual(await snapshotTree(join(saved, 'root'), ['/opt', '/etc/before']), running);
    const second = await lab.host({ name: 'second', root: join(saved, 'root') });
    await Promise.all([host.start(), second.start()]);
    await Promise.all([host.waitRunning(), second.waitRunning()]);
    assert.equal(await second.readFile('/opt/lab/running'), 'now\n');
    assert.notEqual(second.machineId, host.machineId);
    await host.remove();
    await second.remove();
    await rm(saved, { recursive: true });
  });

  test('a host without network has no way out; one with it reaches the lab’s, until the cable is cut', async () => {
    const root = await rootFolder('trixie');
    const [plugged, alone] = [
      await lab.host({ name: 'plugged', root, network: true }),
      await lab.host({ name: 'alone', root }),
    ];
    await Promise.all([plugged.start(), alone.start()]);
    await Promise.all([plugged.waitRunning(), alone.waitRunning()]);
    const server = lab.spawnInNetwork(
      [
        process.execPath,
        '--eval',
        `require('node:http').createServer((q, a) => a.end('lab')).listen(8000, () => console.log('up'))`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    assert.ok(server.stdout);
    await once(server.stdout, 'data');
    const fetch = `exec 3<>/dev/tcp/${networkAddress}/8000 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && tail -1 <&3`;
    const reach = (host: typeof plugged): Promise<{ status: number; stdout: string }> =>
      host.exec(['bash', '-c', fetch], { timeoutMs: 1_500 });
    assert.equal((await reach(plugged)).stdout, 'lab');
    assert.notEqual((await reach(alone)).status, 0);
    const there = await lab.execInNetwork(['sh', '-c', 'ip -4 address show lab0; cat; exit 3'], { input: 'words' });
    assert.match(there.stdout, new RegExp(`inet ${networkAddress}/24[\\s\\S]*words$`));
    assert.equal(there.status, 3);
    await plugged.cutNetwork();
    assert.notEqual((await reach(plugged)).status, 0);
    assert.match(await plugged.check(['ip', 'route']), /^default via/m);
    await plugged.restoreNetwork();
    assert.equal((await reach(plugged)).stdout, 'lab');
    server.kill();
    await plugged.remove();
    await alone.remove();
  });

  test('a guest’s settings are its own: the machine’s kernel keeps what it has', async () => {
    const machine = await readFile('/proc/sys/vm/overcommit_memory', 'utf8');
    const host = await lab.host({ name: 'kernel', root: await rootFolder('trixie') });
    await host.start();
    await host.waitRunning();
    assert.equal((await host.check(['cat', '/proc/sys/vm/overcommit_memory'])).trim(), '1');
    await host.check(['sh', '-c', 'echo 2 >/proc/sys/vm/overcommit_memory; echo 1 >/proc/sys/net/ipv4/ip_forward']);
    assert.equal((await host.check(['cat', '/proc/sys/vm/overcommit_memory'])).trim(), '2');
    assert.equal(await readFile('/proc/sys/vm/overcommit_memory', 'utf8'), machine);
    await host.check(['sh', '-c', 'cd /sys/fs/cgroup; [ ! -d memory ] || cd memory; mkdir mine && rmdir mine']);
    assert.equal((await host.check(['stat', '-c', '%t:%T', '/dev/kmsg', '/dev/loop3'])).trim(), '1:b\n7:3');
    await host.remove();
  });

  test('a degraded host is an error that names the failed unit', async () => {
    const host = await lab.host({
      name: 'degraded',
      root: await rootFolder('trixie'),
      prepare: async (root) => {
        const units = join(root, 'etc/systemd/system');
        await writeFile(join(units, 'broken.service'), '[Service]\nType=oneshot\nExecStart=false\n');
        await mkdir(join(units, 'multi-user.target.wants'), { recursive: true });
        await symlink('../broken.service', join(units, 'multi-user.target.wants/broken.service'));
      },
    });
    await host.start();
    await assert.rejects(host.waitRunning(), /is not running but degraded[\s\S]*broken\.service/);
    await host.remove();
  });

  test('a bookworm host boots, too', async () => {
    const host = await lab.host({ name: 'bookworm', root: await rootFolder('bookworm', console.error) });
    await host.start();
    await host.waitRunning();
    assert.match(await host.check(['systemctl', '--version']), /^systemd 252 /);
    await host.remove();
  });

  test('a wrong name or root is refused and leaves nothing', async () => {
    const root = await rootFolder('trixie');
    await assert.rejects(lab.host({ name: 'Bad_Name', root }), /lower-case letters/);
    await assert.rejects(lab.host({ name: 'nowhere', root: '/no/such/root' }), /no root folder \/no\/such\/root/);
    await assert.rejects(lab.host({ name: 'file', root: '/etc/hostname' }), /mount/);
    const disks = await readdir(join(cacheFolder(), 'labs', lab.id));
    assert.ok(!disks.includes('nowhere') && !disks.includes('file'));
  });
});

// ── nothing stays behind ─────────────────────────────────────────────────────────────────────────────────────────

interface Child {
  readonly process: ChildProcess;
  readonly id: string;
  readonly pid1: number;
  readonly keeper: number;
}

/** Another process that opens a lab, boots a host, serves in its network, and says so. */
async function openElsewhere(more = ''): Promise<Child> {
  const at = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const script = `
    import { openLab } from ${at('lab.ts')};
    import { rootFolder } from ${at('root.ts')};
    const lab = await openLab();
    const host = await lab.host({ name: 'left', root: await rootFolder('trixie'), network: true });
    await host.start();
    await host.waitRunning();
    lab.spawnInNetwork(['sh', '-c', 'sleep 1000; true', lab.id], { stdio: 'ignore' });
    host.spawn(['sh', '-c', 'sleep 1000; true', lab.id], { stdio: 'ignore' });
    ${more}
    console.log(JSON.stringify({ id: lab.id, pid1: host.pid1 }));
    setInterval(() => {}, 1000);`;
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '--eval', script],
    {
      stdio: ['ignore', 'pipe', more.includes('throw') ? 'ignore' : 'inherit'],
    },
  );
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { id, pid1 } = JSON.parse(line.toString()) as { id: string; pid1: number };
  const owner = JSON.parse(await readFile(join(runFolder, id, 'owner.json'), 'utf8')) as { pid: number };
  return { process: child, id, pid1, keeper: owner.pid };
}

/**
 * Everything of a lab that can be found on the machine. Its network namespaces need no search of their own: only its
 * processes and the mounts in its keeper's namespace hold them.
 */
function traces(child: Child): readonly string[] {
  const found: string[] = [];
  for (const hierarchy of hierarchies()) {
    if (readdirSync(hierarchy.path).includes(labGroup(child.id))) found.push(join(hierarchy.path, labGroup(child.id)));
  }
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n'))
    if (line.includes(child.id)) found.push(line);
  for (const folder of [runFolder, join(cacheFolder(), 'labs')]) {
    try {
      if (readdirSync(folder).includes(child.id)) found.push(join(folder, child.id));
    } catch {
      // The folder itself went with its last lab.
    }
  }
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(`/labs/${child.id}/`);
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (mounts || command.includes(child.id)) found.push(`process ${pid} ${command}`);
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

async function assertGone(child: Child): Promise<void> {
  const deadline = monotonicMs() + 10_000;
  while (traces(child).length > 0 && monotonicMs() < deadline) await sleep(50);
  assert.deepEqual(traces(child), []);
}

describe('nothing of a lab stays behind', () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    test(`nothing stays when the opener gets ${signal}`, async () => {
      const child = await openElsewhere();
      assert.ok(traces(child).length > 10, 'the search finds a lab that is there');
      child.process.kill(signal);
      await assertGone(child);
    });
  }

  test('nothing stays when the opener dies while it opens', async () => {
    const cache = await mkdtemp('/var/tmp/lab-early-');
    const script = `
      import { openLab } from ${JSON.stringify(new URL('lab.ts', import.meta.url).href)};
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(process.env.DELAY));
      const lab = await openLab();
      await lab.host({ name: 'early', root: ${JSON.stringify(await rootFolder('trixie'))} }).then((host) => host.start());
      setInterval(() => {}, 1000);`;
    const left = async (): Promise<readonly string[]> => {
      const processes = await tryRun(['pgrep', '--full', '--list-full', cache]);
      const disks = await readdir(join(cache, 'labs')).catch(() => []);
      const records: readonly string[] = await readdir(runFolder).catch(() => []);
      const groups = [...(await labsWithGroups())].filter((id) => !records.includes(id));
      return [...processes.stdout.split('\n').filter((line) => line !== ''), ...disks, ...groups];
    };
    for (const delay of ['10', '50', '90', '130', '170', '250', '400']) {
      const env = { ...process.env, NODEKILN_CACHE: cache, DELAY: delay };
      await tryRun([process.execPath, '--input-type=module-typescript', '--eval', script], { env });
    }
    // Where keeper and opener are gone together, the next lab sweeps.
    await (await openLab()).close();
    let found = await left();
    for (let tries = 0; tries < 200 && found.length > 0; tries += 1) {
      await sleep(50);
      found = await left();
    }
    // Not looked for once more: labs of others that open meanwhile have groups before they have records.
    assert.deepEqual(found, []);
    await rm(cache, { recursive: true });
  });

  test('nothing stays when something is frozen, as by a runtime that died', async () => {
    const child = await openElsewhere();
    const frozen = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const all = hierarchies();
    const freezer = all.find(({ options }) => options.includes('freezer')) ?? all.find(({ version }) => version === 2);
    assert.ok(freezer && frozen.pid !== undefined);
    const group = join(freezer.path, labGroup(child.id), 'frozen');
    await mkdir(group);
    await writeFile(join(group, 'cgroup.procs'), String(frozen.pid));
    await (freezer.version === 1
      ? writeFile(join(group, 'freezer.state'), 'FROZEN')
      : writeFile(join(group, 'cgroup.freeze'), '1'));
    child.process.kill('SIGKILL');
    await assertGone(child);
    assert.equal(frozen.signalCode ?? (await once(frozen, 'exit'))[1], 'SIGKILL');
  });

  test('nothing stays when the opener throws', async () => {
    const child = await openElsewhere(`setTimeout(() => { throw new Error('on purpose') }, 100);`);
    await assertGone(child);
  });

  test('nothing stays when the keeper itself is killed: the opener sweeps', async () => {
    const child = await openElsewhere();
    process.kill(child.keeper, 'SIGKILL');
    await assertGone(child);
    child.process.kill();
  });

  test('nothing stays when both are killed: the next lab sweeps', async () => {
    const child = await openElsewhere();
    child.process.kill('SIGSTOP');
    process.kill(child.keeper, 'SIGKILL');
    child.process.kill('SIGKILL');
    await once(child.process, 'exit');
    // Until init has reaped it, it counts as alive, and its lab as somebody's.
    for (const deadline = monotonicMs() + 10_000; (await exists(`/proc/${child.keeper}`)) && monotonicMs() < deadline;)
      await sleep(20);
    const next = await openLab();
    // Another lab that opens at this moment may be the one that sweeps, and not be done yet.
    await assertGone(child);
    await next.close();
  });

  test('a kept lab outlives its opener and goes with its keeper', async () => {
    const child = await openElsewhere('await lab.keep();');
    child.process.kill();
    await once(child.process, 'exit');
    await sleep(500);
    assert.ok(await exists(`/proc/${child.pid1}`));
    const other = await openLab();
    assert.ok(await exists(`/proc/${child.pid1}`), 'opening another lab does not sweep it');
    await other.close();
    process.kill(child.keeper, 'SIGTERM');
    await assertGone(child);
  });
});
