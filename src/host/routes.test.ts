/** Routes through ip(8): a machine in memory, and the real program in a network namespace of its own. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { serveIp } from '../../test/support/ip-program.ts';
import { subnetOf, type Subnet } from '../model/subnet.ts';
import { createLinuxHost } from './linux/host.ts';
import { createMemoryMachine } from './memory/machine.ts';
import type { Exec } from './port.ts';
import { changeRoutes, readHostRoutes, type WantedRoute } from './routes.ts';

const subnet = (text: string): Subnet => subnetOf(text) ?? assert.fail(text);
const wanted = (text: string, gateway: string): WantedRoute => ({ subnet: subnet(text), gateway, link: 'up0' });
const nothing = { add: [], replace: [], remove: [] };

/** Of a host with 10.77.0.2/24 and fd00:77::2/64 on `up0`, a default route, and a route of somebody’s to 10.99.0.0/16 by way of 10.77.0.9. */
function expectRoutes(exec: () => Exec): void {
  const own = async (): Promise<string[]> => {
    const { routes } = await readHostRoutes(exec());
    return routes
      .filter(({ isOwn }) => isOwn)
      .map((route) => `${route.subnet.text} ${route.gateway} ${route.link}`)
      .sort();
  };

  it('are told with their link, their gateway and whose they are', async () => {
    const { routes, addresses } = await readHostRoutes(exec());
    assert.ok(addresses.some(({ text }) => text === '10.77.0.2/32'));
    assert.ok(addresses.some(({ text }) => text === subnet('fd00:77::2').text));
    const at = (text: string) => routes.find((route) => route.subnet.text === subnet(text).text);
    assert.deepEqual(at('10.77.0.0/24'), {
      subnet: subnet('10.77.0.0/24'),
      link: 'up0',
      gateway: undefined,
      isOwn: false,
    });
    assert.deepEqual(at('10.99.0.0/16'), {
      subnet: subnet('10.99.0.0/16'),
      link: 'up0',
      gateway: '10.77.0.9',
      isOwn: false,
    });
    assert.equal(at('0.0.0.0/0'), undefined);
    assert.ok(!routes.some(({ subnet: { text } }) => text === '10.5.0.0/16'), 'of another table');
    assert.deepEqual(at('fd00:77::/64')?.gateway, undefined);
  });

  it('are made, changed and taken away, of both families', async () => {
    const four = wanted('10.90.2.0/24', '10.77.0.3');
    const six = wanted('fd00:2::/64', 'fd00:77::3');
    await changeRoutes(exec(), { ...nothing, add: [four, six] });
    assert.deepEqual(await own(), ['10.90.2.0/24 10.77.0.3 up0', 'fd00:2:0:0:0:0:0:0/64 fd00:77:0:0:0:0:0:3 up0']);
    await changeRoutes(exec(), { ...nothing, replace: [{ ...four, gateway: '10.77.0.4' }], remove: [six.subnet] });
    assert.deepEqual(await own(), ['10.90.2.0/24 10.77.0.4 up0']);
    await changeRoutes(exec(), { ...nothing, remove: [four.subnet] });
    assert.deepEqual(await own(), []);
  });

  it('of somebody else are neither taken over nor taken away', async () => {
    const foreign = async () => (await readHostRoutes(exec())).routes.filter(({ isOwn }) => !isOwn);
    const before = await foreign();
    await assert.rejects(changeRoutes(exec(), { ...nothing, add: [wanted('10.99.0.0/16', '10.77.0.3')] }), {
      code: 'NK_ROUTE_FAILED',
      message: /File exists/,
    });
    await assert.rejects(changeRoutes(exec(), { ...nothing, remove: [subnet('10.99.0.0/16')] }), {
      code: 'NK_ROUTE_FAILED',
    });
    assert.deepEqual(await foreign(), before);
  });

  it('that cannot be made do not keep others from it', async () => {
    const add = [wanted('10.90.3.0/24', '192.0.2.1'), wanted('10.90.4.0/24', '10.77.0.3')];
    await assert.rejects(changeRoutes(exec(), { ...nothing, add }), { code: 'NK_ROUTE_FAILED' });
    assert.deepEqual(await own(), ['10.90.4.0/24 10.77.0.3 up0']);
    await changeRoutes(exec(), { ...nothing, remove: [subnet('10.90.4.0/24')] });
  });
}

describe('routes of a machine in memory', () => {
  const machine = createMemoryMachine();
  const table = serveIp(machine, { lo: ['127.0.0.1/8'], up0: ['10.77.0.2/24', 'fd00:77::2/64'] });
  table.routes.push({ dst: 'default', dev: 'up0', gateway: '10.77.0.1' });
  table.routes.push({ dst: '10.99.0.0/16', dev: 'up0', gateway: '10.77.0.9' });
  const { exec } = machine.open();
  expectRoutes(() => exec);
});

describe('routes of a Linux machine', { skip: process.getuid?.() !== 0 && 'needs root rights' }, () => {
  const host = createLinuxHost();
  let holder: ChildProcess;
  const inside: Exec = {
    run: (argv, options) => host.exec.run(['nsenter', `--net=/proc/${holder.pid}/ns/net`, ...argv], options),
  };
  before(async () => {
    // Its network ends with it.
    const script = `ip link set lo up; ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up
      ip address add 10.77.0.2/24 dev up0; ip address add fd00:77::2/64 dev up0 nodad
      ip route add default via 10.77.0.1; ip route add 10.5.0.0/16 via 10.77.0.9 table 100; ip route add 10.99.0.0/16 via 10.77.0.9
      ip route add unreachable 10.98.0.0/16; ip route add 10.97.0.0/16 nexthop via 10.77.0.5 nexthop via 10.77.0.6
      echo there; exec sleep 300`;
    holder = spawn('unshare', ['--net', 'sh', '-ec', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    assert.ok(holder.stdout);
    await once(holder.stdout, 'data');
  });
  after(async () => {
    holder.kill('SIGKILL');
    await host.close();
  });
  expectRoutes(() => inside);

  it('that lead nowhere or several ways have no link', async () => {
    const { routes } = await readHostRoutes(inside);
    for (const text of ['10.98.0.0/16', '10.97.0.0/16'])
      assert.equal(routes.find((route) => route.subnet.text === text)?.link, undefined, text);
  });
});

it('a program that is missing, fails or talks nonsense is an error with its words', async () => {
  const machine = createMemoryMachine();
  const { exec } = machine.open();
  await assert.rejects(readHostRoutes(exec), { code: 'NK_TOOL_MISSING' });
  machine.program('ip', () => ({ status: 255, stderr: 'Option "-json" is unknown\nmore' }));
  await assert.rejects(readHostRoutes(exec), {
    code: 'NK_ROUTE_FAILED',
    message: /status 255: Option "-json" is unknown$/,
  });
  machine.program('ip', () => ({ stdout: '{"a": 1}' }));
  await assert.rejects(readHostRoutes(exec), { code: 'NK_ROUTE_FAILED' });
  machine.program('ip', () => ({
    stdout: '[{"dst": 7}, null, {"dst": "nonsense"}, {"dst": "x", "table": "255", "type": "2"}]',
  }));
  assert.deepEqual(await readHostRoutes(exec), { routes: [], addresses: [] });
});
