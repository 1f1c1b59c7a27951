import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createMemoryMachine } from '../host/memory/machine.ts';
import type { EndpointResponse, MemoryMachine } from '../host/memory/machine.ts';
import { NetError, type HttpExchange } from '../host/port.ts';
import { createKubeApi } from './api.ts';
import type { KubeApi } from './api.ts';
import { createKubeClient } from './client.ts';
import { KubeApiError } from './error.ts';
import type { ApiServer } from './kubeconfig.ts';

const server = 'https://10.0.0.1:6443';
const secrets = { apiVersion: 'v1', plural: 'secrets', namespace: 'kube-system' };
const nodes = { apiVersion: 'v1', plural: 'nodes' };
const leases = { apiVersion: 'coordination.k8s.io/v1', plural: 'leases', namespace: 'kube-node-lease' };
const stored = { metadata: { name: 'a', resourceVersion: '7' } };
const secret = 'hunter2-in-the-clear';

let machine: MemoryMachine;
let api: KubeApi;
let requests: HttpExchange[];
let answer: EndpointResponse;

beforeEach(() => {
  machine = createMemoryMachine();
  const { net, clock, program } = machine.open();
  api = createKubeApi(createKubeClient({ net, clock, program }, { server: `${server}/`, token: secret }), clock);
  requests = [];
  answer = { body: JSON.stringify(stored) };
  machine.serve(server, (request) => {
    requests.push(request);
    return answer;
  });
});

/** What was asked: method, address after the server, type and body. */
const asked = (): unknown[][] =>
  requests.map(({ method = 'GET', url, headers, body }) => [
    method,
    url.slice(server.length),
    ...(body === undefined ? [] : [headers?.['content-type'], JSON.parse(String(body))]),
  ]);

describe('an API', () => {
  it('asks as kubectl does', async () => {
    const object = { metadata: { name: 'a' } };
    await api.get(nodes, 'a');
    await api.create(secrets, object);
    await api.update(leases, object);
    await api.update(nodes, object, { subresource: 'status' });
    await api.patch(nodes, 'a', { type: 'merge', content: { metadata: { labels: { x: null } } } });
    await api.patch(nodes, 'a', { type: 'json', content: [] }, { subresource: 'status' });
    await api.apply(nodes, object, { fieldManager: 'nodekiln' });
    await api.apply(nodes, object, { fieldManager: 'nodekiln', force: true, subresource: 'status' });
    assert.equal(await api.delete(secrets, 'a'), true);
    assert.deepEqual(asked(), [
      ['GET', '/api/v1/nodes/a'],
      ['POST', '/api/v1/namespaces/kube-system/secrets', 'application/json', object],
      ['PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a', 'application/json', object],
      ['PUT', '/api/v1/nodes/a/status', 'application/json', object],
      ['PATCH', '/api/v1/nodes/a', 'application/merge-patch+json', { metadata: { labels: { x: null } } }],
      ['PATCH', '/api/v1/nodes/a/status', 'application/json-patch+json', []],
      ['PATCH', '/api/v1/nodes/a?fieldManager=nodekiln', 'application/apply-patch+yaml', object],
      ['PATCH', '/api/v1/nodes/a/status?fieldManager=nodekiln&force=true', 'application/apply-patch+yaml', object],
      ['DELETE', '/api/v1/namespaces/kube-system/secrets/a'],
    ]);
    assert.ok(requests.every(({ headers }) => headers?.['authorization'] === `Bearer ${secret}`));
  });

  it('selects by field and label, and lets no name lead elsewhere', async () => {
    answer = { body: '{"metadata":{"resourceVersion":"9"},"items":[]}' };
    const { items, resourceVersion } = await api.list(secrets, {
      fieldSelector: 'metadata.name=a',
      labelSelector: 'x in (1,2)',
    });
    assert.deepEqual([items, resourceVersion], [[], '9']);
    answer = { status: 404 };
    await api.get(nodes, 'x?y#z');
    assert.deepEqual(asked(), [
      [
        'GET',
        '/api/v1/namespaces/kube-system/secrets?limit=500&fieldSelector=metadata.name%3Da&labelSelector=x+in+%281%2C2%29',
      ],
      ['GET', '/api/v1/nodes/x%3Fy%23z'],
    ]);
  });

  for (const name of ['', '.', '..', '../x', 'a/b', 'a%2Fb', '/'])
    it(`asks for nothing called ${JSON.stringify(name)}`, async () => {
      const named = { metadata: { name } };
      await assert.rejects(api.get(nodes, name), { code: 'NK_USAGE' });
      await assert.rejects(api.delete(nodes, name), { code: 'NK_USAGE' });
      await assert.rejects(api.update(nodes, named), { code: 'NK_USAGE' });
      await assert.rejects(api.patch(nodes, name, { type: 'strategic', content: {} }), { code: 'NK_USAGE' });
      await assert.rejects(api.apply(nodes, named, { fieldManager: 'nodekiln' }), { code: 'NK_USAGE' });
      await assert.rejects(api.list({ ...secrets, namespace: name }), { code: 'NK_USAGE' });
      assert.deepEqual(asked(), []);
    });

  it('reads no list that does not end', async () => {
    answer = { body: '{"metadata":{"resourceVersion":"9","continue":"again"},"items":[]}' };
    await assert.rejects(api.list(secrets), { code: 'NK_SOURCE_UNAVAILABLE', message: /does not end/ });
    assert.equal(requests.length, 2, 'the same page a second time');
    requests.length = 0;
    machine.serve(server, (request) => {
      requests.push(request);
      return { body: `{"metadata":{"resourceVersion":"9","continue":"${requests.length}"},"items":[]}` };
    });
    await assert.rejects(api.list(secrets), { message: /does not end/ });
    assert.ok(requests.length <= 1_001, 'an endless row of empty pages');
  });

  it('asks the next address when one does not answer, and stays with it', async () => {
    const other = 'https://10.0.0.2:6443';
    const { net, clock, program } = machine.open();
    const credentials = async (): Promise<ApiServer> => ({ server });
    const both = createKubeApi(
      createKubeClient({ net, clock, program }, { servers: [server, other], credentials }),
      clock,
    );
    let [first, second] = [true, true];
    const serve = (address: string, isUp: () => boolean): void => {
      machine.serve(address, (request) => {
        requests.push(request);
        if (!isUp()) throw new NetError('connection', { where: address, why: 'refused', reason: 'refused' });
        return answer;
      });
    };
    serve(server, () => first);
    serve(other, () => second);
    const hosts = (): string[] => requests.splice(0).map(({ url }) => new URL(url).hostname);
    await both.get(nodes, 'a');
    assert.deepEqual([hosts(), both.where], [['10.0.0.1'], server]);
    first = false;
    await both.get(nodes, 'a');
    await both.get(nodes, 'a');
    assert.deepEqual([hosts(), both.where], [['10.0.0.1', '10.0.0.2', '10.0.0.2'], other]);
    second = false;
    first = true;
    await assert.rejects(both.create(nodes, { metadata: { name: 'b' } }), { code: 'NK_CLUSTER_UNREACHABLE' });
    assert.deepEqual(hosts(), ['10.0.0.2'], 'what may have been done is not done twice');
    await both.create(nodes, { metadata: { name: 'b' } });
    assert.deepEqual(hosts(), ['10.0.0.1']);
    first = false;
    await assert.rejects(both.get(nodes, 'a'), { code: 'NK_CLUSTER_UNREACHABLE' });
    assert.deepEqual(hosts(), ['10.0.0.1', '10.0.0.2'], 'each once');
  });

  it('takes what is not there for an answer', async () => {
    answer = { status: 404, body: '{"kind":"Status","reason":"NotFound"}' };
    assert.equal(await api.get(secrets, 'a'), undefined);
    assert.equal(await api.delete(secrets, 'a'), false);
    await assert.rejects(api.update(secrets, stored), { status: 404, reason: 'NotFound' });
  });

  const refusals: readonly { name: string; answer: EndpointResponse; is: Partial<KubeApiError> }[] = [
    {
      name: 'conflict',
      answer: { status: 409, body: `{"reason":"Conflict","message":"${secret}"}` },
      is: { status: 409, reason: 'Conflict', retryAfterMs: undefined },
    },
    { name: 'words', answer: { status: 500, body: secret }, is: { status: 500, reason: '' } },
    {
      name: 'hostile reason',
      answer: { status: 400, body: `{"reason":"${secret}"}` },
      is: { status: 400, reason: '' },
    },
    {
      name: 'busy, by header',
      answer: { status: 429, headers: { 'retry-after': '3' }, body: '{"details":{"retryAfterSeconds":9}}' },
      is: { status: 429, retryAfterMs: 3000 },
    },
    {
      name: 'busy, by body',
      answer: { status: 503, body: '{"details":{"retryAfterSeconds":9}}' },
      is: { status: 503, retryAfterMs: 9000 },
    },
  ];
  for (const { name, answer: refusal, is } of refusals)
    it(`says how it was refused: ${name}`, async () => {
      answer = refusal;
      await assert.rejects(api.create(secrets, stored), (thrown: unknown) => {
        assert.ok(thrown instanceof KubeApiError);
        for (const [key, value] of Object.entries(is)) assert.equal(thrown[key as keyof KubeApiError], value, key);
        assert.match(thrown.message, /answered POST \/api\/v1\/namespaces\/kube-system\/secrets with status/);
        assert.doesNotMatch(JSON.stringify(thrown), new RegExp(secret));
        return true;
      });
    });

  it('takes nothing for an object that is none', async () => {
    for (const body of ['', 'garbage', '[]', '{"metadata":{"name":"a"}}', '{"metadata":null}']) {
      answer = { body };
      await assert.rejects(api.get(nodes, 'a'), { code: 'NK_SOURCE_UNAVAILABLE' }, body);
      await assert.rejects(api.list(nodes), { code: 'NK_SOURCE_UNAVAILABLE' }, body);
    }
  });

  it('waits for no server beyond its deadline, and reads no more than it must', async () => {
    answer = { durationMs: 31_000 };
    await assert.rejects(api.get(nodes, 'a'), { code: 'NK_TIMEOUT' });
    answer = { body: new Uint8Array(100) };
    await assert.rejects(api.request({ path: '/version', maxBytes: 99 }), /more than 99 bytes/);
  });
});
