import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkDocuments } from '../documents/check.ts';
import { NodekilnError } from '../errors.ts';
import { parseDocument } from './load.ts';

const ofAnyone = /^Use apiVersion nodekiln\.dev\/v1alpha1 .*nodekiln schema/;

describe('a document that is none of ours', () => {
  for (const [text, hint] of [
    ['apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n', /of kubeadm\. .*spec\.cluster/],
    ['apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n', /of kubeadm/],
    ['apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\n', /of nodeadm/],
    ['apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n', /spec\.kubelet\.configuration/],
    ['apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n', /of kubelet/],
    ['apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n', /of kube-proxy.*spec\.files/],
    ['apiVersion: extensions.gardener.cloud/v1alpha1\nkind: Worker\n', /of Gardener.*OperatingSystemConfig/],
    ['apiVersion: extensions.gardener.cloud/v1\nkind: OperatingSystemConfig\n', /of Gardener.*\/v1alpha1/],
    ['apiVersion: bootstrap.cluster.x-k8s.io/v1beta1\nkind: KubeadmConfig\n', /of Cluster API/],
    ['apiVersion: kops.k8s.io/v1alpha2\nkind: InstanceGroup\n', /of kOps/],
    ['apiVersion: v1\nkind: Secret\n', /an object of Kubernetes.*secret:NAMESPACE\/NAME/],
    ['apiVersion: apps/v1\nkind: DaemonSet\n', /an object of Kubernetes/],
    ['apiVersion: v1alpha1\nkind: HostnameConfig\n', /of Talos/],
    ['version: v1alpha1\nmachine: {type: worker}\n', /of Talos/],
    ['#cloud-config\nwrite_files: []\n', /cloud-config/],
    ['#cloud-config\npackages: [a]\n', /cloud-config/],
    ['#cloud-config\nhostname: a\n', /cloud-config/],
    ['{"ignition": {"version": "3.4.0"}}', /Ignition/],
    ['variant: flatcar\nversion: 1.1.0\n', /Butane/],
    ['{"Packages": []}', /AgentBaker.*nodekiln manifest import agentbaker FILE/],
    ['apiVersion: nodekiln.dev/v1alpha2\nkind: NodeConfig\n', /another version of nodekiln\. Use apiVersion/],
    ['apiVersion: example.org/v1\nkind: A\n', ofAnyone],
    ['a: b\n', ofAnyone],
  ] as const)
    test(`is told whose it looks like, and what to do: ${JSON.stringify(text)}`, async () => {
      await assert.rejects(parseDocument({ file: 'a.yaml', text }, 'NodeConfig'), (thrown) => {
        assert.ok(thrown instanceof NodekilnError);
        assert.equal(thrown.code, 'NK_DOCUMENT_KIND');
        assert.match(thrown.hint, hint);
        return true;
      });
      // The same of a check, which collects problems.
      const { problems } = await checkDocuments([{ file: 'a.yaml', text }]);
      assert.deepEqual(
        problems.map(({ code }) => code),
        ['NK_DOCUMENT_KIND'],
      );
    });
});
