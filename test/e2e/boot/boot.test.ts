/**
 * What people see of boots and find by name, on a real systemd: a boot that fails before it plans, one by hand that puts it
 * right and waits for a unit of its document, one that finds nothing to do; and programs of the image on the PATH of login
 * shells and sudo, unless its manifest leaves them out.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Timeline } from '../../../src/inspect/timeline.ts';
import { demoFolder, nodekiln } from '../../demo/baked.ts';
import { programPath as program } from '../../demo/host-program.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { artifacts } from '../../lab/packages.ts';
import { bakedCopy, type BakedCopy } from '../image/baked-copy.ts';

const document = '/etc/nodekiln/conf.d/10-node.yaml';
const units = `    - name: slow.service
      content: |
        [Service]
        Type=oneshot
        ExecStart=/bin/sleep 1.5
      state: started
    - name: late.service
      content: |
        [Service]
        Type=oneshot
        ExecStart=/bin/sleep 1.5
      state: started
      deferrable: true
`;

describe('a baked machine', { concurrency: 1 }, () => {
  let lab: Lab;
  let copy: BakedCopy;
  let host: LabHost;
  before(async () => {
    lab = await openLab();
    copy = await bakedCopy();
    await bake(copy, '');
    host = await start(lab, 'boots', copy, (await example()).replace('version: 1.34.3', 'verison: 1.34.3'));
  });
  after(async () => {
    await lab?.close();
    await copy?.remove();
  });

  test('whose boot failed before it planned shows it, and what to do', { timeout: 60_000 }, async () => {
    await host.exec(['systemctl', 'start', 'nodekiln-boot.service']);
    assert.equal((await state(host)).trim(), 'degraded');
    const shown = await host.check([program, 'timeline']);
    assert.match(shown, /^failed, ended after /);
    assert.match(shown, /no step ran, so there is no critical path/);
    assert.match(await host.check([program, 'status']), /last boot +failed, .*NK_DOCUMENT_INVALID/);
  });

  test('whose boot ran out of its budget shows how far it came', { timeout: 60_000 }, async () => {
    const text = (await example()).replace('spec:\n', 'spec:\n  boot: { deadline: 4s }\n');
    await host.writeFile(document, `${text.trimEnd()}\n${units.replaceAll('sleep 1.5', 'sleep 30')}`, { mode: 0o600 });
    await host.exec(['systemctl', 'restart', 'nodekiln-boot.service'], { timeoutMs: 50_000 });
    assert.equal((await state(host)).trim(), 'degraded');
    const { data } = await timelineOf(host);
    assert.deepEqual([data.outcome, data.reached, data.delays], ['failed', false, []]);
    assert.ok(
      data.rows.some(({ id }) => id === 'start unit:slow.service'),
      'its steps are published',
    );
    const shown = await host.check([program, 'timeline', '--svg', '/tmp/boot.svg']);
    assert.match(shown, /^failed, still waiting for (?:.*, )?ready unit:slow\.service/);
    assert.match(shown, /ready unit:slow\.service .* interrupted$/m);
    assert.doesNotMatch(await host.readFile('/tmp/boot.svg'), /Goal reached/i);
    assert.match(await host.check([program, 'status']), /last boot +failed, .*NK_TIMEOUT/);
  });

  test('is put right by hand, names what kubelet waited for, and is not degraded', { timeout: 120_000 }, async () => {
    await host.writeFile(document, `${(await example()).trimEnd()}\n${units}`, { mode: 0o600 });
    const planned = JSON.parse(await host.check([program, 'plan', '--json'])) as {
      data: { beforeGoal: { unit: string; mayWait: boolean }[] };
    };
    assert.deepEqual(
      planned.data.beforeGoal.flatMap(({ unit, mayWait }) => (mayWait ? [unit] : [])),
      ['slow.service'],
      'the other one runs since the boot before',
    );
    const said = await host.check([program, 'boot'], { timeoutMs: 90_000 });
    assert.match(said, /kubelet waited for unit:slow\.service \(1\.[5-9]\d* s\)/);
    assert.equal((await state(host)).trim(), 'running');
    assert.doesNotMatch(await host.check(['systemctl', '--failed', '--no-legend', '--plain']), /nodekiln/);

    const { data } = await timelineOf(host);
    assert.deepEqual([data.origin, data.reached, data.outcome], ['process', true, 'converged']);
    assert.deepEqual(data.delays.map(({ resource }) => resource).slice(0, 1), ['unit:slow.service']);
    const [delay] = data.delays;
    assert.ok(delay && delay.ms >= 1400 && delay.ms < 10_000, JSON.stringify(data.delays));
    assert.ok(!data.delays.some(({ resource }) => resource === 'unit:late.service'));
    assert.doesNotMatch(await host.check([program, 'timeline']), /systemd before nodekiln/);
  });

  test('keeps the record of the boot that did the work', { timeout: 60_000 }, async () => {
    const before = await timelineOf(host);
    assert.match(await host.check([program, 'boot']), /nothing to do/);
    assert.deepEqual((await timelineOf(host)).data.critical, before.data.critical);
    assert.match(await host.check([program, 'status']), /last boot +converged/);
  });

  test('writes the password of its proxy nowhere but for those who need it', { timeout: 120_000 }, async () => {
    const proxy = 'http://user:hunter2%40$a@127.0.0.1:3128';
    const services = ['containerd.service', 'kubelet.service'];
    const variables = async (service: string): Promise<string[]> => {
      const pid = (await host.check(['systemctl', 'show', '--value', '--property=MainPID', service])).trim();
      return (await host.check(['cat', `/proc/${pid}/environ`])).split('\0');
    };
    const withProxy = (await example()).replace('network:\n', `network:\n    proxy: { http: "${proxy}" }\n`);
    await host.writeFile(document, `${withProxy.trimEnd()}\n${units}`, { mode: 0o600 });
    await host.check([program, 'boot'], { timeoutMs: 90_000 });
    const search =
      'find / -xdev -type f -perm -o=r -newer /etc/kubernetes/kubelet.yaml -exec grep -l hunter2 {} +; true';
    assert.equal(await host.check(['sh', '-c', search]), '');
    for (const service of services) assert.ok((await variables(service)).includes(`HTTP_PROXY=${proxy}`), service);

    await host.writeFile(document, `${(await example()).trimEnd()}\n${units}`, { mode: 0o600 });
    await host.check([program, 'boot'], { timeoutMs: 90_000 });
    for (const service of services)
      assert.ok(!(await variables(service)).some((variable) => variable.startsWith('HTTP_PROXY')), service);
  });

  test('has its programs on the PATH of login shells and sudo', { timeout: 60_000 }, async () => {
    const version = /^Client Version: v1\.32/m;
    const named = 'kubectl version --client && nodekiln --version';
    for (const argv of [
      ['bash', '-lc', named],
      ['sh', '-lc', named],
      ['su', '-', '-c', named],
      ['sudo', 'sh', '-c', named],
      ['sudo', '-i', 'sh', '-c', named],
      ['su', '-', 'nobody', '-s', '/bin/sh', '-c', named],
    ])
      assert.match(await host.check(['env', '-i', 'PATH=/usr/bin:/bin:/usr/sbin', ...argv]), version, argv.join(' '));
    // On a terminal of its own: what somebody gets who asks for no command.
    const typed = `(sleep 2; echo '${named}'; sleep 2; echo exit) | script -qec 'machinectl shell -q .host' /dev/null`;
    assert.match(await host.check(['sh', '-c', typed]), version, 'machinectl shell');
    const order = await host.check(['bash', '-lc', 'echo "$PATH"']);
    assert.match(order, /:\/opt\/bin$/m, 'what the system has is found first');
    assert.equal((await host.check(['visudo', '-c', '-f', '/etc/sudoers'])).includes('parsed OK'), true);
    await host.remove();
  });

  test('has none of that when its manifest says so', { timeout: 120_000 }, async () => {
    await bake(copy, '\n    path: false');
    const bare = await start(lab, 'bare', copy, await example());
    for (const argv of [
      ['bash', '-lc', 'type nodekiln'],
      ['sudo', 'sh', '-c', 'type nodekiln'],
      ['test', '-e', '/opt/bin/nodekiln'],
    ])
      assert.notEqual((await bare.exec(argv)).status, 0, argv.join(' '));
    assert.doesNotMatch(await bare.check(['bash', '-lc', 'echo "$PATH"']), /\/opt/);
    await bare.remove();
  });
});

async function example(): Promise<string> {
  return readFile(join(demoFolder, 'node.yaml'), 'utf8');
}

/** The demo's manifest with sudo, its paths made absolute, and more to say of nodekiln. */
async function bake(copy: BakedCopy, said: string): Promise<void> {
  const { dir } = await artifacts();
  const text = await readFile(join(demoFolder, 'image.yaml'), 'utf8');
  const changed = text
    .replaceAll('artifacts/', `${dir}/`)
    .replace('containernetworking-plugins]', 'containernetworking-plugins, sudo, systemd-container]')
    .replace('    agent: false', `    agent: false${said}`);
  const path = join(dirname(copy.root), 'image.yaml');
  await writeFile(path, changed);
  const baked = await nodekiln(['bake', path, '--root', copy.root]);
  assert.equal(baked.status, 0, baked.stderr);
}

/** Started, and nothing of ours ran. */
async function start(lab: Lab, name: string, copy: BakedCopy, text: string): Promise<LabHost> {
  const host = await lab.host({ name, root: copy.root, seeds: ['/opt', '/var/lib/containerd'] });
  await host.writeFile(document, text, { mode: 0o600 });
  await host.start();
  await host.waitRunning(60_000).catch(() => undefined);
  return host;
}

async function state(host: LabHost): Promise<string> {
  return (await host.exec(['systemctl', 'is-system-running'])).stdout;
}

async function timelineOf(host: LabHost): Promise<{ data: Timeline }> {
  return JSON.parse(await host.check([program, 'timeline', '--json'])) as { data: Timeline };
}
