/** What of a cluster's settings starts kubelet anew, on a machine in memory: only what its running process does not have. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleAuthority, exampleNodeCertificate } from '../../test/support/authority.ts';
import { createMemoryNode, nodeDocument, textFile } from '../../test/support/memory-node.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import { textOf } from '../model/bytes.ts';
import { nodeCertificatePath } from '../model/facts.ts';
import { bootHost } from './boot.ts';

const token = 'abcdef.0123456789abcdef';
const bootstrapPath = '/etc/kubernetes/bootstrap-kubeconfig';

interface Cluster {
  readonly server?: string;
  readonly caBundle?: string;
  readonly bootstrapToken?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly object[];
  readonly goal?: string;
}

function documentOf({ labels = {}, taints = [], goal = 'healthz', ...cluster }: Cluster = {}): string {
  return nodeDocument({
    cluster: { server: 'https://a.example.org:6443', caBundle: exampleAuthority, bootstrapToken: token, ...cluster },
    kubelet: { labels, taints, nodeName: 'node-1' },
    boot: { goal },
  });
}

async function machineWith(cluster?: Cluster): Promise<MemoryMachine> {
  const machine = await createMemoryNode({ '10-node.json': documentOf(cluster) });
  await bootAs(machine);
  return machine;
}

/** What it warned of. */
async function bootAs(machine: MemoryMachine, cluster?: Cluster): Promise<readonly string[]> {
  if (cluster) await machine.files.write([textFile('/etc/nodekiln/conf.d/10-node.json', documentOf(cluster))]);
  const { outcome, error, warnings, join } = await bootHost(machine.open());
  assert.equal(outcome, 'converged', JSON.stringify([error, join]));
  return warnings;
}

const process = async (machine: MemoryMachine): Promise<string> =>
  (await machine.units.get('kubelet.service')).invocationId;

const withCertificate = (machine: MemoryMachine): Promise<unknown> =>
  machine.files.write([textFile(nodeCertificatePath, exampleNodeCertificate)]);

describe('kubelet of a cluster', () => {
  for (const [name, change] of [
    ['a corrected token', { bootstrapToken: 'abcdef.fedcba9876543210' }],
    ['another server', { server: 'https://b.example.org:6443' }],
    ['another authority', { caBundle: `${exampleAuthority}${exampleNodeCertificate}` }],
  ] as const) {
    it(`is started anew with ${name}`, async () => {
      const machine = await machineWith();
      if (!('bootstrapToken' in change)) {
        // Of the credential that goes, both say nothing.
        await withCertificate(machine);
        await bootAs(machine);
      }
      const before = await process(machine);
      await bootAs(machine, change);
      assert.notEqual(await process(machine), before);
    });
  }

  it('goes on with other labels, which are there at its next start', async () => {
    const machine = await machineWith();
    const before = await process(machine);
    await bootAs(machine, { labels: { 'example.org/zone': 'a' } });
    assert.equal(await process(machine), before);
    const registration = textOf(await machine.files.read('/etc/kubernetes/registration.env'));
    assert.equal(registration, 'KUBELET_REGISTRATION=--node-labels=example.org/zone=a\n');
  });

  it('goes on with other labels and taints, which the registered Node has not: that is said', async () => {
    const machine = await machineWith();
    await withCertificate(machine);
    await bootAs(machine);
    const node = { kind: 'Node', metadata: { creationTimestamp: '2020-01-01T00:00:00Z' }, status: {} };
    machine.serve('https://a.example.org:6443', () => ({ body: JSON.stringify(node) }));
    const labels = { 'example.org/zone': 'a' };
    const taints = [{ key: 'example.org/gpu', effect: 'NoSchedule' }];
    const changed = await bootAs(machine, { labels, taints, goal: 'registered' });
    assert.match(changed.join('\n'), /example\.org\/zone=a.*\n.*example\.org\/gpu:NoSchedule/);
    const again = await bootAs(machine, { labels, taints, goal: 'registered' });
    assert.match(again.join('\n'), /^[^\n]*example\.org\/zone=a[^\n]*$/, 'somebody may have taken the taint away');
  });

  it('goes on when its token goes, and with another token, once it has its certificate', async () => {
    const machine = await machineWith();
    const before = await process(machine);
    assert.ok(await machine.files.stat(bootstrapPath));
    await withCertificate(machine);
    await bootAs(machine);
    assert.equal(await machine.files.stat(bootstrapPath), undefined);
    await bootAs(machine, { bootstrapToken: 'abcdef.fedcba9876543210' });
    assert.equal(await machine.files.stat(bootstrapPath), undefined);
    assert.equal(await process(machine), before);
  });

  it('is started anew with its token when the certificate is lost', async () => {
    const machine = await machineWith();
    await withCertificate(machine);
    await bootAs(machine);
    const before = await process(machine);
    await machine.files.remove([nodeCertificatePath]);
    await bootAs(machine);
    assert.ok(await machine.files.stat(bootstrapPath));
    assert.notEqual(await process(machine), before);
  });
});
