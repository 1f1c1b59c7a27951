import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkDocuments } from '../documents/check.ts';
import { NodekilnError } from '../errors.ts';
import { parseDocument } from './load.ts';

const ours = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec: {}\n';
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

describe('documents one behind the other in a file', () => {
  const join = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n';
  const kubelet = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';
  const worker = 'apiVersion: extensions.gardener.cloud/v1alpha1\nkind: Worker\n';
  const osc = 'apiVersion: extensions.gardener.cloud/v1alpha1\nkind: OperatingSystemConfig\n';
  const cloudConfig = '#cloud-config\npackages: [a]\n';
  const secret = 'apiVersion: v1\nkind: Secret\n';
  const one = /^Correct the place named/;
  const apart = 'Put what is read here into a file of its own. The rest looks like';
  for (const [what, texts, code, hint] of [
    ['kubeadm’s', [join, join], 'NK_DOCUMENT_KIND', /^It looks like a document of kubeadm\. How a node joins/],
    [
      'of two programs, each with its own advice',
      [join, kubelet, join],
      'NK_DOCUMENT_KIND',
      /^It looks like a document of kubeadm, a configuration of kubelet\. How a node joins.* Its fields go into/,
    ],
    [
      'of two programs with one advice',
      [cloudConfig, 'machine: {}\n'],
      'NK_DOCUMENT_KIND',
      /cloud-init, a .*of Talos\. Its/,
    ],
    [
      'of a cluster, with an empty one',
      [secret, '', 'apiVersion: v1\nkind: Pod\n'],
      'NK_DOCUMENT_KIND',
      /of Kubernetes/,
    ],
    ['Gardener’s, of a kind that is not read', [worker, worker], 'NK_DOCUMENT_KIND', /OperatingSystemConfig/],
    [
      'somebody’s behind one of ours',
      [ours, join],
      'NK_DOCUMENT_SYNTAX',
      new RegExp(`^${apart} a document of kubeadm`),
    ],
    [
      'ours behind somebody’s',
      [kubelet, ours],
      'NK_DOCUMENT_SYNTAX',
      new RegExp(`^${apart} a configuration of kubelet`),
    ],
    [
      'somebody’s behind one that is read',
      [osc, secret],
      'NK_DOCUMENT_SYNTAX',
      new RegExp(`^${apart} an object of Kub`),
    ],
    ['two of ours', [ours, ours], 'NK_DOCUMENT_SYNTAX', one],
    ['two that are read', [osc, osc], 'NK_DOCUMENT_SYNTAX', one],
    ['of nobody', ['a: b\n', 'c: d\n'], 'NK_DOCUMENT_SYNTAX', one],
    ['one of them broken', [join, 'a: [\n'], 'NK_DOCUMENT_KIND', /of kubeadm/],
  ] as const)
    test(`are told: ${what}`, async () => {
      const text = texts.join('---\n');
      await assert.rejects(parseDocument({ file: 'a.yaml', text }), (thrown) => {
        assert.ok(thrown instanceof NodekilnError);
        assert.equal(thrown.code, code);
        assert.match(thrown.hint, hint);
        assert.ok(thrown.place?.line !== undefined);
        return true;
      });
      const { problems } = await checkDocuments([{ file: 'a.yaml', text }]);
      assert.deepEqual(
        problems.map((problem) => problem.code),
        [code],
      );
      assert.match(problems[0]?.hint ?? '', hint === one ? /^$/ : hint);
    });
});
