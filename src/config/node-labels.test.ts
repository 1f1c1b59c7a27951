import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configCheck } from './inspect.ts';

const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  kubernetes: {version: 1.34.3}\n';

async function said(kubelet: object): Promise<string[]> {
  const problems = await configCheck([{ file: 'node.yaml', text: `${head}  kubelet: ${JSON.stringify(kubelet)}\n` }]);
  return problems.map(({ message, place }) => `${place?.path}: ${message}`);
}

/** As kubelet 1.34 takes and refuses them. */
for (const key of [
  'node-role.kubernetes.io/worker',
  'kubernetes.io/role',
  'k8s.io/x',
  'storage.k8s.io/a',
  'a.kubernetes.io/b',
  'kubernetes.io/hostnames',
  'mynode.kubernetes.io/a',
])
  test(`the label ${key} is refused, as a field and as a flag`, async () => {
    const message = `kubelet refuses to give its own node the label ${key}`;
    assert.deepEqual(await said({ labels: { [key]: 'a' } }), [`spec.kubelet.labels["${key}"]: ${message}`]);
    assert.deepEqual(await said({ flags: { 'node-labels': `example.org/a=b,${key}=a` } }), [
      `spec.kubelet.flags["node-labels"]: ${message}`.replace('flags["node-labels"]', 'flags.node-labels'),
    ]);
  });

for (const key of [
  'node.kubernetes.io/pool',
  'kubelet.kubernetes.io/x',
  'a.node.kubernetes.io/x',
  'topology.kubernetes.io/zone',
  'kubernetes.io/os',
  'kubernetes.io/hostname',
  'example.org/x',
  'mykubernetes.io/x',
  'plain',
])
  test(`the label ${key} is taken`, async () => {
    assert.deepEqual(await said({ labels: { [key]: 'a' } }), []);
  });
