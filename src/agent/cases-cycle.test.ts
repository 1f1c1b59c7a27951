/**
 * Cases from the field, by their numbers: what a whole agent makes of documents, Leases and Secrets (B, F, G, X), and what it says
 * of what was changed behind its back (K).
 */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import {
  contentOf,
  playPool,
  poolKey,
  secretOf,
  type PlayedAgent,
  type PlayOptions,
} from '../../test/support/cluster-agent.ts';
import { createMemoryNode, nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { inlineFile, oscOf, type Json } from '../../test/support/osc.ts';
import type { Lease } from '../kube/lease.ts';

let agent: PlayedAgent;
afterEach(() => agent.stop());

const osc = (spec: Json): object => secretOf({ 'osc.yaml': JSON.stringify(oscOf(spec)) });
async function play(spec: Json, options: PlayOptions = {}): Promise<void> {
  agent = await playPool(osc(spec), options);
  await agent.pass(3000);
}
const events = (): string[] =>
  agent.cluster.asked.flatMap(({ resource, body }) => {
    if (resource !== 'events') return [];
    const { type, reason, message } = body as { type: string; reason: string; message: string };
    return [`${type} ${reason}: ${message}`];
  });
const saidOf = (reason: string): string[] => events().filter((event) => event.includes(` ${reason}: `));

describe('B: a cycle', () => {
  it('B12: a token whose file goes with a document is back at once', async () => {
    const tokens = ['/another/file', '/no/such/file'].map((path, at) => ({
      secret: `kube-system/test-${at + 1}`,
      path,
    }));
    await play({ files: [inlineFile('/another/file', 'of the document')] }, { spec: { tokens, tokensPeriod: '1h' } });
    // Until what is missing is tried again but once a minute.
    await agent.pass(600_000);
    agent.cluster.put('secrets/kube-system/test-1', secretOf({ token: 'one' }));
    agent.cluster.put(poolKey, osc({}));
    await agent.pass(2000);
    assert.equal(await contentOf(agent, '/another/file'), 'one');
    assert.equal(await contentOf(agent, '/no/such/file'), undefined);
  });

  const server = '/etc/kubernetes/manifests/kube-apiserver.yaml';
  const pod = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'kube-apiserver' } });
  for (const [role, files] of [
    ['worker', []],
    ['control-plane', [inlineFile(server, pod)]],
  ] as const)
    it(`B19: ${files.length === 0 ? 'without' : 'with'} the manifest of an API server the Node is a ${role}`, async () => {
      await play({ files });
      const labels = agent.cluster.get('nodes/node-1')?.metadata.labels ?? {};
      assert.deepEqual(
        Object.keys(labels).filter((label) => label.startsWith('node-role.kubernetes.io/')),
        [`node-role.kubernetes.io/${role}`],
      );
      assert.equal(labels[`node-role.kubernetes.io/${role}`], '');
    });
});

describe('F, G: the Lease of nodes that follow each other', () => {
  const key = 'leases/kube-system/pool-a';
  const serial = { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' };
  const documentOf = (content: string, spec: Json = {}): object =>
    secretOf({ 'a.json': nodeDocument({ files: [{ path: '/etc/a', content }], ...spec }) }, serial);
  const put = (holderIdentity: string | null): void =>
    agent.cluster.put(key, { metadata: {}, spec: { holderIdentity, leaseDurationSeconds: 180 } });
  const holder = (): unknown => (agent.cluster.get(key)?.['spec'] as Lease['spec'])?.holderIdentity;

  it('F15, F16: that comes, goes or is given back moves no node that has nothing to do', async () => {
    agent = await playPool(documentOf('one'));
    await agent.pass(3000);
    const before = agent.summary().length;
    for (const change of [() => put('node-1'), () => put(null), () => agent.cluster.delete(key), () => put('other')]) {
      change();
      await agent.pass(2000);
    }
    assert.equal(agent.summary().length, before);
  });

  it('F18: given back while the Secret is missing, the last good state stays, and that is said', async () => {
    agent = await playPool(documentOf('one'));
    put('other');
    agent.cluster.delete(poolKey);
    await agent.pass(2000);
    put(null);
    await agent.pass(60_000);
    assert.equal(await contentOf(agent, '/etc/a'), 'one');
    assert.equal(agent.summary().at(-1), 'failed NK_DOCUMENT_MISSING');
  });

  it('G15: that another took meanwhile stays with that one', async () => {
    const machine = await createMemoryNode();
    machine.units.behave('slow.service', { startMs: 20_000 });
    agent = await playPool(documentOf('one'), { machine });
    await agent.pass(3000);
    const slow = { name: 'slow.service', content: '[Service]\nType=notify\nExecStart=/bin/slow\n', state: 'started' };
    agent.cluster.put(poolKey, documentOf('two', { units: [slow] }));
    await agent.pass(5000);
    assert.equal(holder(), 'node-1');
    put('other');
    await agent.pass(30_000);
    assert.equal(await contentOf(agent, '/etc/a'), 'two');
    assert.equal(holder(), 'other');
  });
});

describe('K: what was changed behind the agent', () => {
  const path = '/etc/systemd/system/mine.service';
  const unit = { name: 'mine.service', content: '[Service]\nExecStart=/bin/mine\n' };
  const spec = { files: [inlineFile('/etc/a', 'one')], units: [unit] };

  it('K7: a Node that is not there is told by its name all the same, and all is put back', async () => {
    await play(spec, { prepare: (cluster) => cluster.delete('nodes/node-1') });
    await agent.machine.files.write([textFile('/etc/a', 'other')]);
    await agent.pass(120_000);
    assert.equal(await contentOf(agent, '/etc/a'), 'one');
    assert.equal(saidOf('DriftRepaired').length, 1);
    assert.equal(agent.cluster.get('nodes/node-1'), undefined);
  });

  it('K8: nothing is drift before anything was applied', async () => {
    await play({}, { prepare: (cluster) => cluster.delete(poolKey) });
    await agent.machine.files.write([textFile('/etc/a', 'other')]);
    await agent.pass(120_000);
    assert.deepEqual(saidOf('DriftRepaired'), []);
  });

  for (const [id, change, said] of [
    ['K10: a file', () => agent.machine.files.write([textFile('/etc/a', 'other')]), /file:\/etc\/a \(content\)/],
    ['K12: a unit file that is gone', () => agent.machine.files.remove([path]), /unit:mine\.service/],
    [
      'K12: a unit file that is another',
      () => agent.machine.files.write([textFile(path, '[Service]\nExecStart=/bin/other\n')]),
      /unit:mine\.service/,
    ],
    ['K12: a unit file that is the same', () => agent.machine.files.write([textFile(path, unit.content)]), undefined],
  ] as const)
    it(`${id} ${said ? 'is put back and said' : 'is no drift'}`, async () => {
      await play(spec);
      await change();
      await agent.pass(120_000);
      assert.deepEqual([await contentOf(agent, '/etc/a'), await contentOf(agent, path)], ['one', unit.content]);
      const drift = saidOf('DriftRepaired');
      assert.equal(drift.length, said ? 1 : 0, drift.join());
      if (said) assert.match(drift[0] ?? '', said);
    });
});

describe('X: a Secret', () => {
  it('X15: that is not there is said, on the Node, too, and is taken up when it comes', async () => {
    await play({}, { prepare: (cluster) => cluster.delete(poolKey) });
    assert.equal(agent.summary()[0], 'failed NK_DOCUMENT_MISSING');
    assert.match(saidOf('DesiredStateFailed')[0] ?? '', /^Warning .*NK_DOCUMENT_MISSING/);
    agent.cluster.put(poolKey, osc({ files: [inlineFile('/etc/a', 'one')] }));
    await agent.pass(5000);
    assert.equal(await contentOf(agent, '/etc/a'), 'one');
  });
});
