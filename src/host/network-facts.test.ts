import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Facts } from '../model/facts.ts';
import { createMemoryMachine } from './memory/machine.ts';
import { readNetwork } from './network-facts.ts';
import type { FileWrite } from './port.ts';

function file(path: string, content: string): FileWrite {
  return { type: 'file', path, content: Buffer.from(content), mode: 0o644, uid: 0, gid: 0 };
}

async function network(...writes: FileWrite[]): Promise<Partial<Facts>> {
  const machine = createMemoryMachine();
  await machine.files.write(writes);
  return readNetwork(machine.files);
}

const resolvConf = '/etc/resolv.conf';
const link = (target: string): FileWrite => ({ type: 'symlink', path: resolvConf, target });
const servers = '/run/systemd/resolve/resolv.conf';
const networkManager = '/run/NetworkManager/no-stub-resolv.conf';

for (const [name, writes, expected] of [
  ['missing', [], undefined],
  ['servers of their own', [file(resolvConf, 'nameserver 10.0.0.2\nnameserver fd00::2\n')], undefined],
  ['no server', [file(resolvConf, 'search example.org\n')], undefined],
  ['systemd-resolved, not up yet', [link('../run/systemd/resolve/stub-resolv.conf')], servers],
  ['systemd-resolved, by its whole path', [link('/run/systemd/resolve/stub-resolv.conf')], servers],
  ['systemd-resolved’s own static file', [link('/usr/lib/systemd/resolv.conf')], servers],
  [
    'systemd-resolved’s servers',
    [link('../run/systemd/resolve/resolv.conf'), file(servers, 'nameserver 10.0.0.2\n')],
    undefined,
  ],
  ['systemd-resolved, copied', [file(resolvConf, '# stub\nnameserver 127.0.0.53\noptions edns0\n')], servers],
  ['the other stub of systemd-resolved', [file(resolvConf, 'nameserver 127.0.0.54\n')], servers],
  ['dnsmasq', [file(resolvConf, 'nameserver 127.0.0.1\n')], 'none'],
  ['by IPv6', [file(resolvConf, 'nameserver ::1\n')], 'none'],
  [
    'NetworkManager’s dnsmasq',
    [file(resolvConf, 'nameserver 127.0.0.1\n'), file(networkManager, 'nameserver 10.0.0.2\n')],
    networkManager,
  ],
  ['one on the host and one elsewhere', [file(resolvConf, 'nameserver 127.0.0.1\nnameserver 10.0.0.2\n')], undefined],
] as const)
  test(`resolvers: ${name}`, async () => assert.equal((await network(...writes)).resolvConf, expected));

test('pod networks are those that containerd takes', async () => {
  const names = ['10-b.conflist', '05-a.conf', '20-c.json', 'README', '.keep', '30-d.conflist.disabled'];
  const { podNetworks } = await network(...names.map((name) => file(`/etc/cni/net.d/${name}`, '{}')));
  assert.deepEqual(
    podNetworks,
    ['05-a.conf', '10-b.conflist', '20-c.json'].map((name) => `/etc/cni/net.d/${name}`),
  );
});

test('links with a default route of a router that the kernel heard', async () => {
  const zeros = '0'.repeat(32);
  const route = (prefix: string, flags: string, name: string): string =>
    `${zeros} ${prefix} ${zeros} 00 fe80000000000000021122fffe334455 00000400 00000001 00000000 ${flags} ${name.padStart(8)}`;
  const table = [
    route('00', '00450003', 'eth0'),
    route('00', '00450003', 'eth0'),
    route('00', '00000003', 'eth1'),
    route('40', '00440001', 'eth2'),
    route('00', '00200200', 'lo'),
  ].join('\n');
  assert.deepEqual((await network(file('/proc/net/ipv6_route', table))).raLinks, ['eth0']);
});
