import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleAuthority, exampleNodeCertificate } from '../../test/support/authority.ts';
import { nodeCertificatePath } from '../model/facts.ts';
import { createLinuxHost } from './linux/host.ts';
import { observeFacts } from './facts.ts';
import { createMemoryMachine } from './memory/machine.ts';
import type { FileWrite } from './port.ts';

function file(path: string, content: string): FileWrite {
  return { type: 'file', path, content: Buffer.from(content), mode: 0o644, uid: 0, gid: 0 };
}

test('facts are read from a host’s files', async () => {
  const machine = createMemoryMachine();
  await machine.files.write([
    file('/etc/os-release', 'NAME="Azure Linux"\nID=azurelinux\nVERSION_ID="3.0"\nVARIANT_ID=osguard\n'),
    file('/proc/sys/kernel/hostname', 'node-1\n'),
    file('/proc/sys/kernel/osrelease', '6.12.0-azure\n'),
    file('/proc/meminfo', 'MemTotal:        4194304 kB\nMemFree: 1 kB\n'),
    file('/proc/modules', 'overlay 1 0 - Live 0x0\nbr_netfilter 1 0 - Live 0x0\n'),
    file('/proc/swaps', 'Filename Type Size Used Priority\n'),
    file('/etc/machine-id', 'uninitialized\n'),
    file('/sys/devices/system/cpu/online', '0-1,4\n'),
    file('/sys/fs/cgroup/cgroup.controllers', 'cpu memory\n'),
    file('/sys/class/net/lo/mtu', '1'),
    file('/sys/class/net/eth0/mtu', '1'),
    file('/usr/lib/systemd/libsystemd-shared-257.so', ''),
    file('/opt/bin/kubelet-1.34.3', 'x'),
    file('/opt/bin/kubelet-1.34.4', 'x'),
    file('/opt/bin/cni-plugins-1.6.2', 'x'),
    file('/var/lib/dpkg/status', 'Package: containerd\nStatus: install ok installed\nVersion: 1.7.24~ds1-6+b4\n\n'),
  ]);

  assert.deepEqual(
    { ...(await observeFacts(machine.open())), arch: undefined },
    {
      os: { id: 'azurelinux', release: '3.0', variant: 'osguard' },
      arch: undefined,
      hostName: 'node-1',
      kernelRelease: '6.12.0-azure',
      kernelModules: ['br_netfilter', 'overlay'],
      hasMachineId: false,
      hasSwap: false,
      cgroupVersion: 2,
      cgroupLayout: 'unified',
      systemdVersion: '257',
      containerdVersion: '1.7.24',
      cpus: 3,
      memoryBytes: 4 * 1024 ** 3,
      interfaces: ['eth0'],
      cache: { kubelet: ['1.34.3', '1.34.4'], 'cni-plugins': ['1.6.2'] },
    },
  );
});

test('the plugins of the pod network are where one of the usual folders has them', async () => {
  const folderOf = async (...folders: string[]): Promise<unknown> => {
    const machine = createMemoryMachine();
    await machine.files.write(folders.map((folder) => file(`${folder}/bridge`, '')));
    return (await observeFacts(machine.open())).cniPlugins;
  };
  assert.equal(await folderOf(), undefined);
  assert.equal(await folderOf('/usr/lib/cni'), '/usr/lib/cni');
  assert.equal(await folderOf('/usr/libexec/cni'), '/usr/libexec/cni');
  assert.equal(await folderOf('/usr/lib/cni', '/opt/cni/bin'), '/opt/cni/bin');
});

test('the three layouts of control groups are told apart', async () => {
  const layout = async (...paths: string[]): Promise<unknown> => {
    const machine = createMemoryMachine();
    await machine.files.write(paths.map((path) => file(path, '')));
    const { cgroupVersion, cgroupLayout } = await observeFacts(machine.open());
    return [cgroupVersion, cgroupLayout];
  };
  assert.deepEqual(await layout('/sys/fs/cgroup/cgroup.controllers'), [2, 'unified']);
  assert.deepEqual(await layout('/sys/fs/cgroup/unified/cgroup.controllers'), [1, 'hybrid']);
  assert.deepEqual(await layout('/sys/fs/cgroup/cpu/tasks'), [1, 'legacy']);
});

test('the node’s name stands in kubelet’s certificate while that holds', async () => {
  const nameIn = async (pem: string): Promise<string | undefined> => {
    const machine = createMemoryMachine();
    await machine.files.write([file(nodeCertificatePath, pem)]);
    return (await observeFacts(machine.open())).nodeCertificate;
  };
  assert.equal(await nameIn(exampleNodeCertificate), 'node-1');
  assert.equal(await nameIn(`${exampleNodeCertificate}-----BEGIN EC PRIVATE KEY-----\nAA==\n`), 'node-1');
  assert.equal(await nameIn(exampleAuthority), undefined, 'of nobody’s node');
  // A machine in memory lives in 2030.
  assert.equal(await nameIn(exampleNodeCertificateFrom('200101000000Z', '290101000000Z')), undefined, 'expired');
  assert.equal(await nameIn(exampleNodeCertificateFrom('310101000000Z', '400101000000Z')), undefined, 'to come');
  assert.equal(await nameIn(exampleNodeCertificateFrom('290101000000Z', '310101000000Z')), 'node-1');
  assert.equal(await nameIn('nothing'), undefined);
});

/** With other times; its signature is nobody's, and nobody looks at it here. */
function exampleNodeCertificateFrom(notBefore: string, notAfter: string): string {
  const [body = ''] = /(?<=-----\n)[^-]+/.exec(exampleNodeCertificate) ?? [];
  const der = Buffer.from(body, 'base64');
  const at = der.indexOf('200101000000Z');
  // The end stands in the longer form of years from 2050 on: [tag, length, 15 characters].
  const validity = Buffer.concat([der.subarray(at - 2, at), Buffer.from(notBefore), Buffer.from([0x18, 15])]);
  const changed = Buffer.concat([
    der.subarray(0, at - 2),
    validity,
    Buffer.from(`20${notAfter}`),
    der.subarray(at + 30),
  ]);
  return `-----BEGIN CERTIFICATE-----\n${changed.toString('base64')}\n-----END CERTIFICATE-----\n`;
}

test('an empty root folder has facts too', async () => {
  const facts = await observeFacts(createMemoryMachine().open());
  assert.deepEqual([facts.os.id, facts.cache, facts.hasMachineId], ['', {}, false]);
});

test('this machine has facts', async () => {
  const host = createLinuxHost();
  const facts = await observeFacts(host);
  assert.ok(facts.cpus > 0 && facts.memoryBytes > 0 && facts.hostName !== '' && facts.kernelRelease !== '');
  await host.close();
});

test('containerd is also that of Docker’s package, and the distribution’s own counts first', async () => {
  const version = async (...packages: string[]): Promise<string | undefined> => {
    const machine = createMemoryMachine();
    const stanzas = packages.map((stanza) => {
      const [name, of] = stanza.split(' ');
      return `Package: ${name}\nStatus: install ok installed\nVersion: ${of}\n\n`;
    });
    await machine.files.write([file('/var/lib/dpkg/status', stanzas.join(''))]);
    return (await observeFacts(machine.open())).containerdVersion;
  };
  assert.equal(await version('containerd.io 2.1.4-1'), '2.1.4');
  assert.equal(await version('containerd 1.7.24~ds1-6', 'docker-ce 28.0.1'), '1.7.24');
  assert.equal(await version('docker-ce 28.0.1'), undefined);
});
