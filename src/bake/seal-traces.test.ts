/** What of clouds, tools and machines sealing takes out of a root, what it leaves, and what it is told to leave. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { diffTrees, snapshotTree } from '../../test/lab/tree.ts';
import { emptyImageLock } from '../../test/support/image-lock.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { formatImageLock, imageLockPath } from '../image/image-lock.ts';
import { measureSpace } from '../image/space.ts';
import { traces } from '../image/trace-table.ts';
import { verifyHost } from '../inspect/verify/verify.ts';
import { sealImage } from './seal.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-traces-'));
after(() => void spawnSync('rm', ['-rf', folder]));

function put(root: string, path: string, text = 'of one machine'): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function rootWith(paths: readonly string[]): string {
  const root = mkdtempSync(join(folder, 'root-'));
  put(root, '/etc/os-release', 'ID=debian\n');
  put(root, '/etc/machine-id', '');
  put(root, imageLockPath, formatImageLock(emptyImageLock));
  for (const path of paths) put(root, path);
  put(root, '/etc/passwd', accounts);
  return root;
}

/** Also such as have no home of their own, or one that is no place for any. */
const accounts = [
  'root:x:0:0:root:/root:/bin/bash',
  'ci:x:900:900::/srv/builders/ci:/bin/sh',
  'jenkins:x:901:901::/var/lib/jenkins:/bin/sh',
  'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
  'bin:x:2:2:bin:/:/usr/sbin/nologin',
  'odd:x:902:902::/srv/*:/bin/sh',
  'broken',
  '',
].join('\n');

/** A path that a pattern is for: `/var/lib/dhcp/**` → `/var/lib/dhcp/some/file`. */
function exampleOf(pattern: string): string {
  return pattern
    .replace(/^~/, '/home/ubuntu')
    .replace(/\*\*$/, 'some/file')
    .replaceAll('**', 'a/b')
    .replaceAll(/\[[^\]]*\]/g, '1')
    .replaceAll('*', 'x');
}

/** Files as clouds, agents and tools write them, by who does. */
const known: Readonly<Record<string, readonly string[]>> = {
  'cloud-init': [
    '/var/lib/cloud/instances/i-0abc/user-data.txt',
    '/var/lib/cloud/data/result.json',
    '/etc/netplan/50-cloud-init.yaml',
    '/etc/sudoers.d/90-cloud-init-users',
    '/var/log/cloud-init-output.log',
  ],
  'an Azure machine': [
    '/var/lib/waagent/ovf-env.xml',
    '/var/lib/waagent/8A1B.prv',
    '/var/lib/waagent/Microsoft.Azure.Extensions.CustomScript-2.1.6/config/0.settings',
    '/var/lib/hyperv/.kvp_pool_1',
    '/var/log/waagent.log',
    '/var/log/azure/custom-script/handler.log',
  ],
  'a node of AKS': [
    '/etc/kubernetes/azure.json',
    '/etc/kubernetes/certs/client.key',
    '/var/lib/kubelet/bootstrap-kubeconfig',
    '/opt/azure/containers/provision.complete',
  ],
  'an EC2 machine': [
    '/var/lib/amazon/ssm/Vault/Store/RegistrationKey',
    '/var/lib/amazon/ssm/registration',
    '/var/lib/amazon/ssm/i-0abc/inventory/file',
    '/var/lib/amazon/toe/TOE_1/detailedoutput.json',
    '/var/lib/ecs/data/agent.db',
    '/home/ec2-user/.aws/credentials',
    '/home/ec2-user/.ssh/authorized_keys',
  ],
  'a Google machine': [
    '/etc/instance_id',
    '/etc/default/instance_configs.cfg',
    '/etc/boto.cfg',
    '/etc/sudoers.d/google_sudoers',
    '/var/lib/google/cache_id',
    '/root/.config/gcloud/credentials.db',
  ],
  'OpenStack and VMware': [
    '/var/lib/heat-config/deployed/1.json',
    '/var/lib/os-collect-config/heat.json',
    '/etc/vmware-tools/GuestProxyData/server/key.pem',
    '/var/log/vmware-vmsvc-root.1.log',
  ],
  'Packer, Vagrant and Ansible': [
    '/home/packer/.ssh/authorized_keys',
    '/etc/sudoers.d/packer',
    '/home/vagrant/.ssh/authorized_keys',
    '/etc/sudoers.d/vagrant',
    '/root/.ansible/tmp/ansible-tmp-1/AnsiballZ_setup.py',
    '/home/ubuntu/.ansible/cp/control',
    '/tmp/packer-shell123/script.sh',
  ],
  'agents of clouds, as root and for accounts': [
    '/etc/sudoers.d/waagent',
    '/etc/sudoers.d/azure-init-user',
    '/var/lib/azure-init/8a1b.provisioned',
    '/etc/NetworkManager/conf.d/99-cloud-init.conf',
    '/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg',
    '/etc/oslogin_passwd.cache',
    '/var/google-sudoers.d/ada_example_com',
    '/etc/iam/pki/server.key',
    '/var/awslogs/state/agent-state',
    '/etc/.ignition-result.json',
  ],
  'homes elsewhere': [
    '/var/home/core/.ssh/authorized_keys.d/ignition',
    '/var/roothome/.bash_history',
    '/srv/builders/ci/.docker/config.json',
    '/var/lib/jenkins/.ssh/id_ed25519',
  ],
  'watchers, networks and storage': [
    '/opt/splunkforwarder/etc/instance.cfg',
    '/var/lib/elastic-agent/state.enc',
    '/var/osquery/osquery.db/CURRENT',
    '/var/lib/netdata/registry/netdata.public.unique.id',
    '/opt/nomad/data/client/client-id',
    '/opt/consul/data/node-id',
    '/var/lib/snmp/snmpd.conf',
    '/etc/openvswitch/system-id.conf',
    '/var/lib/longhorn/longhorn-disk.cfg',
    '/var/lib/netbird/config.json',
  ],
  'jobs and mail that wait': [
    '/var/spool/at/a00001018f3e2c',
    '/var/spool/cron/atjobs/a00001018f3e2c',
    '/var/spool/postfix/deferred/A/A1',
    '/var/spool/exim4/input/1-D',
    '/root/dead.letter',
  ],
  'Puppet, Chef and Salt': [
    '/etc/puppetlabs/puppet/ssl/private_keys/build.example.pem',
    '/opt/puppetlabs/puppet/cache/state/state.yaml',
    '/etc/chef/client.pem',
    '/etc/chef/validation.pem',
    '/var/chef/cache/chef-client-running.pid',
    '/etc/salt/minion_id',
    '/etc/salt/pki/minion/minion.pem',
  ],
  'an installer': [
    '/var/log/installer/autoinstall-user-data',
    '/etc/cloud/cloud.cfg.d/99-installer.cfg',
    '/root/anaconda-ks.cfg',
    '/root/ks-post.log',
    '/root/install.log.syslog',
  ],
  'K3s, RKE2, k0s and etcd': [
    '/etc/rancher/k3s/k3s.yaml',
    '/etc/rancher/node/password',
    '/var/lib/rancher/k3s/server/node-token',
    '/var/lib/rancher/rke2/server/tls/server-ca.key',
    '/var/lib/rancher/k3s/server/db/state.db',
    '/var/lib/rancher/rke2/agent/client-kubelet.key',
    '/var/lib/k0s/pki/ca.key',
    '/var/lib/etcd/member/wal/0.wal',
  ],
  'agents that a machine is known by': [
    '/var/lib/amazon/ssm/runtimeconfig/identity_config.json',
    '/var/lib/azure-proxy-agent/keys/1.key',
    '/opt/CrowdStrike/falconstore',
    '/var/lib/landscape/client/broker.bpickle',
    '/opt/aws/amazon-cloudwatch-agent/logs/amazon-cloudwatch-agent.log',
  ],
  'what ran when, and on which disks': [
    '/var/lib/systemd/timers/stamp-apt-daily.timer',
    '/var/spool/anacron/cron.daily',
    '/var/lib/logrotate/logrotate.status',
    '/var/lib/rsyslog/imjournal.state',
    '/etc/lvm/backup/vg0',
    '/etc/lvm/archive/vg0_00000-1.vg',
    '/var/lib/zypp/AnonymousUniqueId',
    '/etc/dnf/vars/uuid',
  ],
  'people and their programs': [
    '/root/.bash_history',
    '/home/ubuntu/.python_history',
    '/home/ubuntu/.ssh/id_ed25519',
    '/root/.ssh/known_hosts',
    '/root/.docker/config.json',
    '/home/ubuntu/.netrc',
    '/root/.kube/config',
    '/home/ubuntu/.cache/pip/http/1',
    '/root/.cargo/credentials.toml',
    '/home/ubuntu/.terraform.d/credentials.tfrc.json',
    '/root/.gnupg/private-keys-v1.d/1.key',
  ],
  'a distribution': [
    '/etc/ssh/ssh_host_rsa_key',
    '/var/lib/dhcp/dhclient.eth0.leases',
    '/var/lib/NetworkManager/dhclient-1-eth0.lease',
    '/etc/udev/rules.d/70-persistent-net.rules',
    '/var/lib/systemd/random-seed',
    '/var/lib/apt/lists/deb.debian.org_dists_bookworm_InRelease',
    '/var/log/syslog.1',
    '/var/log/messages-20240101',
    '/etc/shadow-',
    '/etc/pki/consumer/key.pem',
    '/etc/lvm/devices/system.devices',
  ],
};

/** Beside what goes: configuration, programs, trust, and what waits for the next machine. */
const stays = [
  '/var/spool/at/spool/.keep',
  '/var/spool/cron/crontabs/root',
  '/etc/openvswitch/default.conf',
  '/opt/nomad/bin/nomad',
  '/opt/splunkforwarder/etc/system/local/outputs.conf',
  '/srv/builders/ci/.bashrc',
  '/etc/ssh/sshd_config.d/60-mine.conf',
  '/etc/ssh/sshd_config',
  '/var/lib/cloud/seed/nocloud/user-data',
  '/var/lib/cloud/scripts/per-boot/10-mine',
  '/etc/cloud/cloud.cfg.d/90_dpkg.cfg',
  '/etc/waagent.conf',
  '/etc/amazon/ssm/amazon-ssm-agent.json',
  '/etc/ecs/ecs.config',
  '/opt/azure/vhd-install.complete',
  '/etc/kubernetes/certs/ca.crt',
  '/etc/kubernetes/pki/ca.crt',
  '/etc/default/instance_configs.cfg.template',
  '/etc/puppetlabs/puppet/puppet.conf',
  '/etc/chef/client.rb',
  '/etc/salt/minion',
  '/etc/salt/pki/minion/master_sign.pub',
  '/etc/sudoers.d/ops',
  '/etc/netplan/01-all.yaml',
  '/etc/udev/rules.d/99-mine.rules',
  '/etc/shadow',
  '/home/ubuntu/.bashrc',
  '/root/.ssh/config',
  '/root/.aws/config',
  '/var/cache/debconf/config.dat',
  '/var/lib/apt/extended_states',
  '/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/1',
  '/var/lib/kubelet/config.yaml',
  '/etc/iscsi/iscsid.conf',
];

describe('traces of a machine', () => {
  for (const [who, paths] of Object.entries(known))
    it(`of ${who} are found by verify, and gone after seal`, async () => {
      const root = rootWith([...paths, ...stays]);
      await sealImage({ root });
      for (const path of paths) assert.ok(!existsSync(join(root, path)), path);
      for (const path of stays) assert.equal(readFileSync(join(root, path), 'utf8'), 'of one machine', path);
      assert.equal((await sealImage({ root })).changed, false);
    });

  it('each have a reason, and every pattern takes what it is for', async () => {
    const ids = new Set<string>();
    for (const { id, title, why, patterns, class: kind } of traces) {
      assert.ok(!ids.has(id), id);
      ids.add(id);
      assert.ok(title !== '' && why.length > 10 && why.length < 100 && !why.endsWith('.'), id);
      const examples = patterns.map(exampleOf);
      const root = rootWith(examples);
      const report = await checked(root);
      assert.equal(
        report.some((text) => text.includes(why)),
        kind === 'identity',
        `${id}: ${report.join('\n')}`,
      );
      await sealImage({ root });
      for (const path of examples) assert.ok(!existsSync(join(root, path)), `${id}: ${path}`);
      assert.deepEqual(await checked(root), [], id);
    }
  });

  it('are found and gone however deep they lie, where no path is long enough', async () => {
    const root = rootWith(stays);
    for (const top of [...deep, '/var/log/deep', '/srv/deep', '/run/extensions/deep']) digDown(join(root, top));
    const dry = await sealImage({ root, dryRun: true });
    const sealed = await sealImage({ root });
    assert.deepEqual({ ...dry, dryRun: false }, sealed);
    for (const top of deep) assert.equal(bytesBelow(join(root, top)), 0, top);
    assert.ok(sealed.emptied.some((path) => path.length > 2500 && path.endsWith('/f')));
    assert.equal(bytesBelow(join(root, '/var/log')), 0);
    assert.equal(bytesBelow(join(root, '/srv/deep')), 4);
    for (const path of stays) assert.equal(readFileSync(join(root, path), 'utf8'), 'of one machine', path);
    assert.deepEqual(await checked(root), []);
    assert.equal((await sealImage({ root })).changed, false);
    const { totalBytes } = await measureSpace(createLinuxHost({ root }), emptyImageLock);
    assert.ok(totalBytes > 0);
  });

  it('stay where they are told to, and verify knows it', async () => {
    const kept = ['/home/ops/.ssh', '/etc/hostname', '/var/lib/waagent/extension', '/var/log/app', '/tmp/a/b'];
    const inKept = [
      '/home/ops/.ssh/authorized_keys',
      '/etc/hostname',
      '/var/lib/waagent/extension/settings',
      '/var/log/app/app.log',
      '/tmp/a/b/c',
    ];
    const others = ['/home/dev/.ssh/authorized_keys', '/var/lib/waagent/ovf-env.xml', '/tmp/a/d', '/tmp/e'];
    const root = rootWith([...inKept, ...others, '/var/log/dpkg.log']);
    await sealImage({ root, keep: kept });
    for (const path of inKept) assert.equal(readFileSync(join(root, path), 'utf8'), 'of one machine', path);
    for (const path of others) assert.ok(!existsSync(join(root, path)), path);
    assert.equal(statSync(join(root, '/var/log/dpkg.log')).size, 0);
    assert.deepEqual(await checked(root), []);
    assert.equal((await sealImage({ root, keep: kept })).changed, false);

    await sealImage({ root });
    for (const path of inKept.slice(0, 3)) assert.ok(!existsSync(join(root, path)), path);
    assert.deepEqual(await checked(root), []);
  });

  it('are not kept by a path that is none, and nothing is touched then', async () => {
    const root = rootWith(['/etc/hostname']);
    const before = await snapshotTree(root, ['/']);
    for (const path of ['etc/hostname', '', '/', '/etc/../etc/hostname', '/etc/hostname/', './x'])
      await assert.rejects(sealImage({ root, keep: [path] }), { code: 'NK_USAGE' }, path);
    assert.deepEqual(diffTrees(before, await snapshotTree(root, ['/'])), []);
  });
});

/** What verify says against the identity of the root. */
/** Of trees whose paths are longer than a system call takes. */
const deep = ['/tmp/deep', '/var/tmp/deep', '/var/cache/dnf/deep', '/root/.azure/deep', '/var/lib/kubelet/pods/deep'];

function digDown(top: string): void {
  const script =
    'mkdir -p "$1" && cd -P "$1" && for i in $(seq 20); do mkdir "$2" && cd -P "$2"; done && printf deep >f';
  const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', top, 'ü'.repeat(125)], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

function bytesBelow(top: string): number {
  const { stdout } = spawnSync('find', [top, '-type', 'f', '-printf', '%s\n'], { encoding: 'utf8' });
  return stdout.split('\n').reduce((sum, size) => sum + Number(size), 0);
}

async function checked(root: string): Promise<string[]> {
  const host = createLinuxHost({ root });
  try {
    const { checks } = await verifyHost(host, { root });
    return checks.flatMap(({ area, status, detail }) =>
      area === 'identity' && status === 'failed' ? [detail ?? ''] : [],
    );
  } finally {
    await host.close();
  }
}
