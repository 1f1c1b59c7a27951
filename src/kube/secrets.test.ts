/** Values of Secrets as an API server gives them: got, listed and watched, they are concealed. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inspect } from 'node:util';
import { clusterAddress, createKubeCluster } from '../../test/support/kube-cluster.ts';
import { createMemoryMachine } from '../host/memory/machine.ts';
import { textOf } from '../model/bytes.ts';
import { createKubeApi } from './api.ts';
import { createKubeClient } from './client.ts';
import { secretsIn, type KubeSecret } from './secrets.ts';
import { watch } from './watch.ts';

const marker = 'hunter2hunter2hunter2';
const base64 = Buffer.from(marker).toString('base64');
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

it('is revealed to who asks for it, and to nobody else', async () => {
  const machine = createMemoryMachine();
  const cluster = createKubeCluster(machine);
  cluster.put('secrets/a/one', {
    metadata: { annotations: { [lastApplied]: JSON.stringify({ data: { key: base64 } }), kept: 'yes' } },
    data: { key: base64, number: 7 },
  });
  const { net, clock, program } = machine.open();
  const api = createKubeApi(createKubeClient({ net, clock, program }, { server: clusterAddress }), clock);
  const resource = secretsIn('a');
  const stop = new AbortController();
  const watched: KubeSecret[] = [];
  const following = (async () => {
    for await (const news of watch<KubeSecret>({ api, clock, resource, signal: stop.signal }))
      watched.push(...(news.type === 'listed' ? news.objects : [news.object]));
  })();
  await machine.clock.sleep(10);
  cluster.put('secrets/a/one', { data: { key: base64 } });
  await machine.clock.sleep(10);
  stop.abort();
  await following;
  const [got, { items }] = [await api.get<KubeSecret>(resource, 'one'), await api.list<KubeSecret>(resource)];
  const changed = await api.patch<KubeSecret>(resource, 'one', {
    type: 'merge',
    content: { metadata: { labels: {} } },
  });
  const all = [got, ...items, changed, ...watched];
  assert.equal(all.length, 5);
  for (const secret of all) {
    const value = secret?.data?.['key'];
    assert.equal(textOf(value?.reveal()), marker);
    assert.equal(`${String(value)} ${JSON.stringify(value)}`, '<redacted> "<redacted>"');
  }
  const shown = inspect(all, { depth: Infinity, showHidden: true }) + JSON.stringify(all);
  assert.ok(!shown.includes(marker) && !shown.includes(base64), shown);
  assert.deepEqual(watched[0]?.metadata.annotations, { kept: 'yes' });
  assert.deepEqual(Object.keys(watched[0]?.data ?? {}), ['key']);
});
