import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNeverDeferrable, isNeverDeferrablePath, isNeverDeferrableUnit } from './never-deferrable.ts';

/** What is read before kubelet starts, and beside each what only resembles it. */
const table: readonly (readonly [never: string, mayWait: string])[] = [
  ['file:/etc/containerd/config.toml', 'file:/etc/containerd'],
  ['file:/etc/hostname', 'file:/etc/hostnames'],
  ['file:/etc/hosts', 'file:/etc/hosts.allow'],
  ['file:/etc/kubernetes/kubelet.yaml', 'file:/srv/etc/kubernetes/kubelet.yaml'],
  ['file:/etc/machine-id', 'file:/etc/machine-info'],
  ['file:/etc/modprobe.d/a.conf', 'file:/etc/modprobe.conf'],
  ['file:/etc/modules-load.d/a.conf', 'file:/etc/modules'],
  ['file:/etc/pki/ca-trust/source/anchors/a.pem', 'file:/etc/pkirc'],
  ['file:/etc/resolv.conf', 'file:/etc/resolv.conf.d'],
  ['file:/etc/ssl/certs/a.pem', 'file:/etc/sslrc'],
  ['file:/etc/sysctl.d/a.conf', 'file:/etc/sysctl.conf'],
  ['file:/usr/local/share/ca-certificates/a.crt', 'file:/usr/local/share/a.crt'],
  ['file:/var/lib/kubelet/config', 'file:/var/lib/kubelet-plugins'],
  ['unit:var-lib.mount', 'unit:var-lib.mount.service'],
  ['unit:var-lib.automount', 'unit:automount.service'],
  ['unit:swapfile.swap', 'unit:a-swap.timer'],
  ['unit:containerd.service', 'unit:my-containerd.service'],
  ['unit:kubelet.service', 'unit:kubelet.service.service'],
  ['binary:kubelet', 'binary:kubectl'],
  ['extension:a', 'image:a/b:1'],
  ['kernel:module/overlay', 'action:overlay'],
];

for (const [never, mayWait] of table) {
  test(`${never} never waits for kubelet, ${mayWait} may`, () => {
    assert.equal(isNeverDeferrable(never), true);
    assert.equal(isNeverDeferrable(mayWait), false);
  });
}

test('what is no id of a resource is nothing that could not wait', () => {
  for (const text of ['', 'kernel', 'other:a', '/etc/hosts', 'containerd.service'])
    assert.equal(isNeverDeferrable(text), false);
});

test('paths and units are also asked for by name', () => {
  assert.ok(isNeverDeferrablePath('/etc/hosts') && !isNeverDeferrablePath('/etc/motd'));
  assert.ok(isNeverDeferrableUnit('a.mount') && !isNeverDeferrableUnit('a.service'));
});
