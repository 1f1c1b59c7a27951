/** Answers to requests for certificates, on an API server in memory. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { clusterAddress, createKubeCluster, type KubeCluster } from '../../test/support/kube-cluster.ts';
import { createMemoryMachine, type MemoryMachine } from '../host/memory/machine.ts';
import { createKubeApi, type KubeApi } from '../kube/api.ts';
import { requestCertificate } from '../kube/certificate-request.ts';
import { createKubeClient } from '../kube/client.ts';
import { agentGroup, agentUser } from '../model/agent-identity.ts';
import { approveOnce, approveUntil, type Answered } from './approver.ts';

let machine: MemoryMachine;
let cluster: KubeCluster;
let api: KubeApi;

beforeEach(() => {
  machine = createMemoryMachine();
  cluster = createKubeCluster(machine);
  const host = machine.open();
  api = createKubeApi(createKubeClient(host, { server: clusterAddress }), host.clock);
});

const pass = (ms: number): Promise<void> => machine.clock.sleep(ms);

/** Asks, and says to the server who it was; gives the name of the request. */
async function ask(nodeName: string, username: string, groups: readonly string[]): Promise<string> {
  const { signatures, clock } = machine.open();
  const abort = new AbortController();
  const pending = Promise.withResolvers<string>();
  requestCertificate(
    { api, clock, signatures, signal: abort.signal, onPending: pending.resolve },
    {
      key: await signatures.newKey(),
      commonName: agentUser(nodeName),
      organizations: [agentGroup],
      prefix: 'a',
      validityMs: 3_600_000,
    },
  ).catch(() => undefined);
  const name = await pending.promise;
  abort.abort();
  const key = `certificatesigningrequests/${name}`;
  const object = cluster.get(key) ?? assert.fail();
  cluster.put(key, { ...object, spec: { ...(object['spec'] as object), username, groups } });
  return name;
}

const byToken = ['system:bootstrap:abcdef', ['system:bootstrappers']] as const;
const conditionsOf = (name: string): unknown =>
  (
    (cluster.get(`certificatesigningrequests/${name}`)?.['status'] ?? {}) as { conditions?: { type: string }[] }
  ).conditions?.map(({ type }) => type);

const options = (signal = new AbortController().signal, onAnswered?: (answered: Answered) => void) => {
  const { clock, signatures } = machine.open();
  return { api, clock, signatures, signal, ...(onAnswered && { onAnswered }) };
};

describe('the approver', () => {
  it('tries again soon what it could not answer, and asks for nothing while nothing waits', async () => {
    const fits = await ask('new', ...byToken);
    const abort = new AbortController();
    let refusals = 3;
    cluster.instead = ({ resource }) => (resource === 'nodes' && refusals-- > 0 ? { status: 403 } : undefined);
    const ended = approveUntil(options(abort.signal));
    await pass(10_000);
    assert.deepEqual(conditionsOf(fits), ['Approved']);
    const before = cluster.told.length;
    await pass(200_000);
    assert.deepEqual(cluster.told.slice(before), []);
    abort.abort();
    await ended;
  });

  it('answers what waits, once, and leaves what is not of agents', async () => {
    cluster.put('nodes/old', { metadata: {} });
    const fits = await ask('new', ...byToken);
    const late = await ask('old', ...byToken);
    cluster.put('certificatesigningrequests/other', {
      metadata: {},
      spec: {
        request: Buffer.from('x').toString('base64'),
        signerName: 'kubernetes.io/kubelet-serving',
        username: 'x',
      },
    });
    const answered = await approveOnce(options());
    assert.deepEqual(
      new Map(answered.map(({ name, verdict }) => [name, verdict])),
      new Map([
        [fits, 'approved'],
        [late, 'denied'],
      ]),
    );
    assert.deepEqual(
      [conditionsOf(fits), conditionsOf(late), conditionsOf('other')],
      [['Approved'], ['Denied'], undefined],
    );
    assert.deepEqual(await approveOnce(options()), []);
    assert.ok(cluster.told.includes(`update certificatesigningrequests/approval/${fits}`), cluster.told.join('\n'));
  });

  it('answers kubelets for what they serve where it is told to, and leaves them else', async () => {
    const { signatures, clock } = machine.open();
    const abort = new AbortController();
    const pending = Promise.withResolvers<string>();
    requestCertificate(
      { api, clock, signatures, signal: abort.signal, onPending: pending.resolve },
      {
        key: await signatures.newKey(),
        commonName: 'system:node:one',
        organizations: ['system:nodes'],
        prefix: 'a',
        validityMs: 3_600_000,
      },
    ).catch(() => undefined);
    const name = await pending.promise;
    abort.abort();
    const key = `certificatesigningrequests/${name}`;
    const object = cluster.get(key) ?? assert.fail();
    const asked = { signerName: 'kubernetes.io/kubelet-serving', usages: ['server auth'], groups: ['system:nodes'] };
    cluster.put(key, {
      ...object,
      spec: { ...(object['spec'] as object), ...asked, username: 'system:node:one' },
    });
    assert.deepEqual(await approveOnce(options()), []);
    const [answered] = await approveOnce({ ...options(), kubeletServing: true });
    // It names no servers: what it may be is judged, and by which Node.
    assert.deepEqual([answered?.verdict, answered?.nodeName], ['denied', 'one']);
    assert.match(JSON.stringify(cluster.get(key)?.['status']), /KubeletDoesNotFit/);
  });

  it('denies a request that its key did not sign', async () => {
    const name = await ask('new', 'nodekiln:node-agent:new', ['nodekiln:node-agents']);
    const key = `certificatesigningrequests/${name}`;
    const object = cluster.get(key) ?? assert.fail();
    const spec = object['spec'] as { request: string };
    const pem = Buffer.from(spec.request, 'base64').toString();
    const der = Buffer.from(pem.replaceAll(/-----[^-]*-----|\s/g, ''), 'base64');
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    cluster.put(key, { ...object, spec: { ...spec, request: Buffer.from(forged).toString('base64') } });
    const [answered] = await approveOnce(options());
    assert.equal(answered?.verdict, 'denied');
  });

  it('follows them until it is told to stop, through trouble', async () => {
    const stop = new AbortController();
    const answered: Answered[] = [];
    const running = approveUntil(options(stop.signal, (one) => answered.push(one)));
    const first = await ask('one', ...byToken);
    await pass(1000);
    assert.deepEqual(conditionsOf(first), ['Approved']);
    cluster.instead = ({ verb, resource }) =>
      verb === 'update' && resource.endsWith('/approval') ? { status: 503, body: '{}' } : undefined;
    const second = await ask('two', ...byToken);
    await pass(1000);
    assert.equal(conditionsOf(second), undefined);
    cluster.instead = undefined;
    await pass(6 * 60_000);
    assert.deepEqual(conditionsOf(second), ['Approved']);
    assert.equal(answered.length, 2);
    stop.abort();
    await running;
  });
});
