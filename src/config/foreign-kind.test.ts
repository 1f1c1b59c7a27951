import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { parseDocument } from './load.ts';

for (const [text, hint] of [
  ['apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n', /of kubeadm/],
  ['apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\n', /of nodeadm/],
  ['apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n', /spec\.kubelet\.configuration/],
  ['apiVersion: extensions.gardener.cloud/v1alpha1\nkind: Worker\n', /OperatingSystemConfig/],
  ['#cloud-config\nwrite_files: []\n', /cloud-config/],
  ['#cloud-config\npackages: [a]\n', /cloud-config/],
  ['{"ignition": {"version": "3.4.0"}}', /Ignition/],
  ['apiVersion: example.org/v1\nkind: A\n', /nodekiln schema/],
  ['a: b\n', /nodekiln schema/],
] as const)
  test(`of ${JSON.stringify(text)} is told whose it looks like`, async () => {
    await assert.rejects(parseDocument({ file: 'a.yaml', text }, 'NodeConfig'), (thrown) => {
      assert.ok(thrown instanceof NodekilnError);
      assert.equal(thrown.code, 'NK_DOCUMENT_KIND');
      assert.match(thrown.hint, hint);
      return true;
    });
  });
