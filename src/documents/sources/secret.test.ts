/** Documents in a Secret, followed on a machine in memory. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { clusterAddress, createKubeCluster, type KubeCluster } from '../../../test/support/kube-cluster.ts';
import { createMemoryMachine, type MemoryMachine } from '../../host/memory/machine.ts';
import { createKubeApi } from '../../kube/api.ts';
import { createKubeClient } from '../../kube/client.ts';
import type { DocumentSource } from './source.ts';
import { openSource } from './table.ts';

const key = 'secrets/kube-system/pool-a';
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const secret = (data: Readonly<Record<string, string>>, annotations = {}): object => ({
  metadata: { annotations },
  data: Object.fromEntries(Object.entries(data).map(([name, text]) => [name, base64(text)])),
});

let machine: MemoryMachine;
let cluster: KubeCluster;
let stop: AbortController;
let changes: number;

beforeEach(() => {
  machine = createMemoryMachine();
  cluster = createKubeCluster(machine);
  stop = new AbortController();
  changes = 0;
});
afterEach(() => stop.abort());

function open(address = 'secret:kube-system/pool-a'): DocumentSource {
  const host = machine.open();
  const api = createKubeApi(createKubeClient(host, { server: clusterAddress }), host.clock);
  return openSource(address, { host, cluster: { api, available: () => Promise.resolve() } });
}

async function watched(): Promise<DocumentSource> {
  const source = open();
  void (async () => {
    for await (const _change of source.watch(stop.signal)) changes += 1;
  })();
  await pass(10);
  return source;
}

const pass = (ms: number): Promise<void> => machine.clock.sleep(ms);
const textsOf = async (source: DocumentSource): Promise<Record<string, string>> =>
  Object.fromEntries((await source.read()).texts.map(({ file, text }) => [file, text]));

describe('a Secret', () => {
  it('is read whole, and each change told once', async () => {
    cluster.put(key, secret({ '10-a.yaml': 'a', 'notes.txt': 'n' }));
    const source = await watched();
    assert.deepEqual(await textsOf(source), { 'secret:kube-system/pool-a/10-a.yaml': 'a' });
    const first = await source.read();
    assert.equal(first.whole, true);
    assert.equal(changes, 1);
    cluster.put(key, secret({ '10-a.yaml': 'b' }));
    await pass(10);
    assert.equal(changes, 2);
    assert.deepEqual(await textsOf(source), { 'secret:kube-system/pool-a/10-a.yaml': 'b' });
    assert.notEqual((await source.read()).digest, first.digest);
  });

  it('is asked for by its own name alone, and not again while it is watched', async () => {
    cluster.put(key, secret({ '10-a.yaml': 'a' }));
    cluster.put('secrets/kube-system/other', secret({ '10-a.yaml': 'x' }));
    const source = await watched();
    cluster.put('secrets/kube-system/other', secret({ '10-a.yaml': 'y' }));
    await pass(1000);
    await source.read();
    assert.equal(changes, 1);
    assert.deepEqual(cluster.told, ['list secrets/kube-system', 'watch secrets/kube-system']);
  });

  it('that is not watched yet is read as it is now', async () => {
    cluster.put(key, secret({ '10-a.yaml': 'a' }));
    assert.deepEqual(await textsOf(open()), { 'secret:kube-system/pool-a/10-a.yaml': 'a' });
  });

  it('that is deleted or empty is unknown, never empty', async () => {
    const source = await watched();
    await assert.rejects(source.read(), { code: 'NK_DOCUMENT_MISSING', message: /kube-system\/pool-a does not exist/ });
    cluster.put(key, secret({}));
    await pass(10);
    await assert.rejects(source.read(), { code: 'NK_DOCUMENT_MISSING' });
    cluster.put(key, secret({ '10-a.yaml': 'a' }));
    await pass(10);
    assert.equal((await source.read()).texts.length, 1);
    cluster.delete(key);
    await pass(10);
    await assert.rejects(source.read(), { code: 'NK_DOCUMENT_MISSING' });
  });

  it('keeps what it said while the server is away', async () => {
    cluster.put(key, secret({ '10-a.yaml': 'a' }));
    const source = await watched();
    cluster.stop();
    await pass(60_000);
    assert.deepEqual(await textsOf(source), { 'secret:kube-system/pool-a/10-a.yaml': 'a' });
    await assert.rejects(open().read(), { code: 'NK_CLUSTER_UNREACHABLE' });
    cluster.put(key, secret({ '10-a.yaml': 'b' }));
    cluster.start();
    await pass(60_000);
    assert.equal(changes, 2);
    assert.deepEqual(await textsOf(source), { 'secret:kube-system/pool-a/10-a.yaml': 'b' });
  });

  it('brings the Secrets that its documents name, and is another when one of those is', async () => {
    const osc = JSON.stringify({
      apiVersion: 'extensions.gardener.cloud/v1alpha1',
      kind: 'OperatingSystemConfig',
      spec: { files: [{ path: '/a', content: { secretRef: { name: 'named', dataKey: 'a' } } }] },
    });
    cluster.put(key, secret({ 'osc.yaml': osc }, { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' }));
    cluster.put('secrets/kube-system/named', secret({ a: 'one' }));
    const source = await watched();
    const { texts, digest, delivery } = await source.read();
    assert.deepEqual(texts[0]?.secrets?.get('named')?.['a']?.reveal(), new Uint8Array(Buffer.from('one')));
    assert.equal(delivery?.serial, true);
    assert.match(delivery?.checksum ?? '', /^[0-9a-f]{64}$/);
    cluster.put('secrets/kube-system/named', secret({ a: 'two' }));
    assert.notEqual((await source.read()).digest, digest);
    cluster.delete('secrets/kube-system/named');
    assert.equal((await source.read()).texts[0]?.secrets?.has('named'), false);
  });

  it('is followed until the signal', async () => {
    cluster.put(key, secret({ '10-a.yaml': 'a' }));
    await watched();
    stop.abort();
    await pass(10);
    const before = cluster.asked.length;
    await pass(600_000);
    assert.equal(cluster.asked.length, before);
  });

  it('has an address of a namespace and a name, in a cluster', () => {
    for (const address of [
      'secret:',
      'secret:a',
      'secret:a/',
      'secret:/a',
      'secret:a/b/c',
      'secret:a/..',
      'secret:A/b',
    ])
      assert.throws(() => open(address), { code: 'NK_USAGE' }, address);
    assert.throws(() => openSource('secret:a/b', { host: machine.open() }), {
      code: 'NK_USAGE',
      message: /no cluster/,
    });
  });
});
