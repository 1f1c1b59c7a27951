/**
 * The product's client and informer against a real API server, and on a way to it on which things go wrong. After each
 * fault what was changed meanwhile is known, told once, and nothing is left open.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { createLinuxHost } from '../../../src/host/linux/host.ts';
import type { Host } from '../../../src/host/port.ts';
import { createKubeApi, type KubeApi } from '../../../src/kube/api.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import type { KubeApiError } from '../../../src/kube/error.ts';
import { startInformer, type Informer } from '../../../src/kube/informer.ts';
import { readKubeconfig, type ApiServer } from '../../../src/kube/kubeconfig.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import { adminKubeconfig } from '../../lab/control-plane/pki.ts';
import { openFaultProxy, type FaultProxy } from '../../lab/fault-proxy.ts';
import { openLab, type Lab } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { issueCertificate, makeAuthority } from '../../servers/certificates.ts';

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const configMaps = { apiVersion: 'v1', plural: 'configmaps', namespace: 'default' };
const leases = { apiVersion: 'coordination.k8s.io/v1', plural: 'leases', namespace: 'default' };

describe('the client of the API', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  let host: Host;
  let proxy: FaultProxy;
  let admin: ApiServer;
  let api: KubeApi;
  /** Of the cluster's authority, and of another. */
  let own: { cert: string; key: string };
  let stranger: { cert: string; key: string };

  before(async () => {
    await installPrerequisites(console.error);
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    host = createLinuxHost();
    proxy = await openFaultProxy(cluster.socket);
    await cluster.admin.create('/api/v1/namespaces/default/configmaps', {
      metadata: { name: 'followed', labels: { followed: 'yes' } },
      data: { value: '0' },
    });
    admin = await readKubeconfig(host.files, join(cluster.folder, adminKubeconfig));
    api = apiTo(proxy.server);
    const folder = join(cluster.folder, 'certificates');
    const about = { subject: '/CN=api', names: ['IP:127.0.0.1'] };
    const other = await makeAuthority(folder, 'other');
    [own, stranger] = await Promise.all([
      pemOf(await issueCertificate(folder, 'own', cluster.authority, about)),
      pemOf(await issueCertificate(folder, 'stranger', other, about)),
    ]);
  });
  after(async () => {
    await proxy?.close();
    await host?.close();
    await lab?.close();
  });

  async function pemOf(pair: { certificate: string; key: string }): Promise<{ cert: string; key: string }> {
    const [cert, key] = await Promise.all([readFile(pair.certificate, 'utf8'), readFile(pair.key, 'utf8')]);
    return { cert, key };
  }

  function apiTo(...servers: readonly string[]): KubeApi {
    const credentials = async (): Promise<ApiServer> => admin;
    return createKubeApi(createKubeClient(host, { servers, credentials }, { keepAlive: true }), host.clock);
  }

  const configMap = (name: string, value: string): ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default' },
    data: { value },
  });

  test('reads, lists in pages, writes, applies and removes', async () => {
    const made = await api.create<ConfigMap>(configMaps, configMap('one', '1'));
    assert.equal(made.data?.['value'], '1');
    const merged = { type: 'merge', content: { data: { other: 'x' } } } as const;
    assert.deepEqual((await api.patch<ConfigMap>(configMaps, 'one', merged)).data, { value: '1', other: 'x' });
    const strategic = { type: 'strategic', content: { data: { other: null } } } as const;
    assert.deepEqual((await api.patch<ConfigMap>(configMaps, 'one', strategic)).data, { value: '1' });
    const json = { type: 'json', content: [{ op: 'replace', path: '/data/value', value: '2' }] } as const;
    const patched = await api.patch<ConfigMap>(configMaps, 'one', json);
    await assert.rejects(api.update(configMaps, made), { status: 409, reason: 'Conflict' });
    assert.equal((await api.update<ConfigMap>(configMaps, { ...patched, data: { value: '3' } })).data?.['value'], '3');
    const applied = configMap('one', '4');
    await assert.rejects(api.apply(configMaps, applied, { fieldManager: 'tested' }), { status: 409 });
    const forced = await api.apply<ConfigMap>(configMaps, applied, { fieldManager: 'tested', force: true });
    assert.equal(forced.data?.['value'], '4');
    await assert.rejects(api.create(configMaps, configMap('one', '1')), { status: 409, reason: 'AlreadyExists' });
    await cluster.kubectl(['apply', '-f', '-'], {
      input: JSON.stringify({
        apiVersion: 'v1',
        kind: 'List',
        items: Array.from({ length: 520 }, (_none, index) => ({
          ...configMap(`many-${index}`, ''),
          metadata: { name: `many-${index}`, namespace: 'default', labels: { many: 'yes' } },
        })),
      }),
      timeoutMs: 120_000,
    });
    assert.equal((await api.list(configMaps, { labelSelector: 'many=yes' })).items.length, 520);
    assert.equal((await api.list(configMaps, { fieldSelector: 'metadata.name=many-7' })).items.length, 1);
    await cluster.kubectl(['delete', 'configmap', '-l', 'many=yes', '--wait=false'], { timeoutMs: 120_000 });
    assert.deepEqual([await api.delete(configMaps, 'one'), await api.delete(configMaps, 'one')], [true, false]);
    assert.equal(await api.get(configMaps, 'one'), undefined);
  });

  test('a Lease keeps its microseconds', async () => {
    const spec = { holderIdentity: 'me', leaseDurationSeconds: 40, renewTime: '2030-01-01T00:00:00.123456Z' };
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'mine' }, spec };
    const made = await api.create<KubeObject & { spec: typeof spec }>(leases, lease);
    assert.equal(made.spec.renewTime, spec.renewTime);
  });

  test('refusals have their codes, and no secret is in them', async () => {
    const token = 'abcdef.0123456789abcdef';
    const unknown = createKubeApi(
      createKubeClient(host, { server: proxy.server, ca: cluster.caBundle, token }),
      host.clock,
    );
    const known = createKubeApi(
      createKubeClient(host, { server: proxy.server, ca: cluster.caBundle, token: await cluster.newToken() }),
      host.clock,
    );
    await assert.rejects(unknown.get(configMaps, 'one'), (error: KubeApiError) => {
      assert.deepEqual([error.code, error.status], ['NK_CLUSTER_CREDENTIAL_REFUSED', 401]);
      assert.doesNotMatch(JSON.stringify(error), /0123456789abcdef/);
      return true;
    });
    await assert.rejects(known.get(configMaps, 'one'), { code: 'NK_CLUSTER_FORBIDDEN', status: 403 });
  });

  test('the next address is asked when one does not answer', async () => {
    const both = apiTo('https://127.0.0.1:9', proxy.server);
    assert.equal(await both.get(configMaps, 'nothing'), undefined);
    assert.equal(both.where, proxy.server);
  });

  // ── an informer while the way is bad ──────────────────────────────────────────────────────────────────────────

  interface Following {
    readonly informer: Informer<ConfigMap>;
    readonly changes: string[];
    readonly troubles: string[];
    stop(): Promise<void>;
  }

  function follow(silenceMs = 120_000): Following {
    const ended = new AbortController();
    const changes: string[] = [];
    const troubles: string[] = [];
    const informer = startInformer<ConfigMap>({
      api,
      clock: host.clock,
      resource: configMaps,
      labelSelector: 'followed=yes',
      signal: ended.signal,
      silenceMs,
      onChange: ({ type, object }) => changes.push(`${type} ${object.metadata.name} ${object.data?.['value']}`),
      onTrouble: (trouble) => troubles.push(trouble instanceof Error ? trouble.message : String(trouble)),
    });
    return {
      informer,
      changes,
      troubles,
      stop: async () => {
        ended.abort();
        await informer.done;
      },
    };
  }

  let turn = 0;
  /** Changes it past the bad way. */
  async function change(): Promise<string> {
    const value = String((turn += 1));
    await cluster.admin.request('PATCH', '/api/v1/namespaces/default/configmaps/followed', { data: { value } });
    return value;
  }
  async function untilKnown({ informer, troubles }: Following, value: string): Promise<void> {
    for (let waited = 0; waited < 45_000; waited += 20) {
      if (informer.objects.get('default/followed')?.data?.['value'] === value) return;
      await sleep(20);
    }
    assert.fail(`the change is not known: ${troubles.join('; ')}`);
  }

  const statusBody = JSON.stringify({ kind: 'Status', reason: 'TooManyRequests', details: { retryAfterSeconds: 1 } });
  const faults: readonly {
    readonly name: string;
    readonly happens: () => void | Promise<void>;
    readonly silenceMs?: number;
    readonly trouble: RegExp | undefined;
  }[] = [
    { name: 'the connection ends', happens: () => proxy.end('close'), trouble: undefined },
    { name: 'the connection is cut', happens: () => proxy.end('cut'), trouble: /API server/ },
    { name: 'the connection is reset', happens: () => proxy.end('reset'), trouble: /API server/ },
    { name: 'the connection stalls', happens: () => proxy.stall(), silenceMs: 3_000, trouble: /within 3000 ms/ },
    {
      name: 'nobody listens',
      happens: async () => {
        await proxy.way('refused');
        proxy.end('reset');
        await sleep(1_500);
        await proxy.way('through');
      },
      trouble: /the connection was refused/,
    },
    {
      name: 'connections are taken and nothing is said',
      happens: async () => {
        await proxy.way('silent');
        proxy.end('reset');
        await sleep(2_000);
        await proxy.way('through');
        proxy.end('cut');
      },
      trouble: /API server/,
    },
    ...[429, 500, 503].map((status) => ({
      name: `every answer is ${status}`,
      happens: async () => {
        await proxy.answer({ status, headers: { 'retry-after': '1' }, body: statusBody }, own);
        proxy.end('cut');
        await sleep(1_500);
        await proxy.way('through');
      },
      trouble: new RegExp(`status ${status}`),
    })),
    {
      name: 'another authority’s server answers',
      happens: async () => {
        await proxy.answer({ status: 200, body: '{"metadata":{"resourceVersion":"1"},"items":[]}' }, stranger);
        proxy.end('cut');
        await sleep(1_000);
        await proxy.way('through');
      },
      trouble: /certificate|issuer/,
    },
    {
      name: 'answers are garbage',
      happens: async () => {
        await proxy.answer({ status: 200, body: '{"type":"ADDED","object"\n' }, own);
        proxy.end('cut');
        await sleep(1_000);
        await proxy.way('through');
      },
      trouble: /no event/,
    },
    {
      name: 'the API server starts anew',
      happens: async () => {
        await cluster.servers['kube-apiserver'].stop('SIGKILL');
        await cluster.startApiServer();
      },
      trouble: /API server/,
    },
  ];

  for (const { name, happens, silenceMs, trouble } of faults)
    test(`an informer holds out when ${name}`, { timeout: 120_000 }, async () => {
      const following = follow(silenceMs);
      const { informer, changes, troubles } = following;
      try {
        await informer.synced;
        await sleep(200);
        const known = informer.objects.get('default/followed');
        assert.ok(known);
        await happens();
        assert.ok(informer.objects.has('default/followed'), 'what is known stays known');
        const value = await change();
        await untilKnown(following, value);
        assert.equal(changes.filter((line) => line === `modified followed ${value}`).length, 1);
        assert.ok(!changes.some((line) => line.startsWith('deleted')), changes.join());
        if (trouble) assert.match(troubles.join('\n'), trouble);
      } finally {
        await following.stop();
        // The one that is kept for further requests, too, which may have stalled.
        proxy.end('reset');
        await sleep(100);
      }
      const before = proxy.connections;
      await api.get(configMaps, 'followed');
      await api.get(configMaps, 'followed');
      assert.equal(proxy.connections - before, 1, 'one is kept, and the watch begins none after its end');
    });
});
