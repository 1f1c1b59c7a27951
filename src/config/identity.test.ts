import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isIdentityPath, isIdentityUnit } from './identity.ts';

/** What belongs to one machine, and beside it what only resembles it. */
for (const [own, shared] of [
  ['/etc/hostname', '/etc/hostnames'],
  ['/etc/kubernetes/bootstrap-kubeconfig', '/etc/kubernetes/kubelet.yaml'],
  ['/etc/machine-id', '/srv/etc/machine-id'],
  ['/etc/ssh/ssh_host_rsa_key', '/etc/ssh/sshd_config'],
  ['/var/lib/dbus/machine-id', '/var/lib/dbus/machine-id/a'],
  ['/var/lib/kubelet/pki/kubelet.crt', '/var/lib/kubelet-plugins'],
  ['/var/lib/systemd/random-seed', '/var/lib/systemd'],
] as const) {
  test(`${own} is of one machine, ${shared} is not`, () => {
    assert.equal(isIdentityPath(own), true);
    assert.equal(isIdentityPath(shared), false);
  });
}

test('kubelet is registered under the machine’s name, containerd is not', () => {
  assert.equal(isIdentityUnit('kubelet.service'), true);
  assert.equal(isIdentityUnit('containerd.service'), false);
});
