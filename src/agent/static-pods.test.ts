/** Documents with static pods are applied once kubelet runs them; kubelet and containerd are played. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { playPool, poolKey, secretOf, type PlayedAgent, type PlayOptions } from '../../test/support/cluster-agent.ts';
import { inlineFile, oscOf, type Json } from '../../test/support/osc.ts';
import { playContainers, type PlayedContainers } from '../../test/support/static-pods.ts';

const path = '/etc/kubernetes/manifests/etcd.yaml';
const key = 'kube-system/etcd-node-1/etcd';
const kubelet = { name: 'kubelet.service', content: '[Service]\nExecStart=/usr/bin/kubelet\n' };

const manifestOf = (image: string, metadata: Json = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'etcd', namespace: 'kube-system', ...metadata },
    spec: { containers: [{ name: 'etcd', image }] },
  });

const documentsOf = (manifest: string, annotations = {}): object =>
  secretOf(
    { 'osc.yaml': JSON.stringify(oscOf({ units: [kubelet], files: [inlineFile(path, manifest)] })) },
    annotations,
  );

let agent: PlayedAgent;
let played: PlayedContainers;
afterEach(() => agent.stop());

async function play(documents: object, options: PlayOptions = {}): Promise<void> {
  agent = await playPool(documents, {
    ...options,
    prepare: (_cluster, machine) => {
      played = playContainers(machine);
      played.containers.set(key, ['first']);
    },
  });
  await agent.pass(10_000);
}

const annotations = (): Readonly<Record<string, string>> =>
  agent.cluster.get('nodes/node-1')?.metadata.annotations ?? {};
const checksum = (): string | undefined => annotations()['checksum/cloud-config-data'];
const last = (): string | undefined => agent.summary().at(-1);
const change = async (documents: object): Promise<void> => {
  agent.cluster.put(poolKey, documents);
  await agent.pass(10_000);
};

describe('a static pod', () => {
  it('that is changed is waited for before the Node tells that documents are applied (B32, B35)', async () => {
    await play(documentsOf(manifestOf('etcd:1')));
    // What ran under that name before the manifest came.
    assert.equal(checksum(), undefined);
    played.containers.set(key, ['!first', 'second']);
    await agent.pass(10_000);
    const before = checksum();
    assert.match(before ?? '', /^[0-9a-f]{64}$/);
    const reports = agent.summary().length;
    await change(documentsOf(manifestOf('etcd:2')));
    await agent.pass(60_000);
    assert.deepEqual([checksum(), agent.summary().length], [before, reports]);
    played.containers.set(key, ['!first', '!second', 'third']);
    await agent.pass(10_000);
    assert.notEqual(checksum(), before);
    assert.equal(last(), 'converged 1');
  });

  it('is waited for by an agent that starts anew, too', async () => {
    await play(documentsOf(manifestOf('etcd:1')));
    await agent.stop();
    agent.start();
    await agent.pass(30_000);
    assert.equal(checksum(), undefined);
    played.containers.set(key, ['second']);
    await agent.pass(10_000);
    assert.match(checksum() ?? '', /^[0-9a-f]{64}$/);
  });

  it('that kubelet does not run in its time is said by its own code, and well when it runs after all', async () => {
    await play(documentsOf(manifestOf('etcd:1')));
    played.containers.set(key, ['second']);
    await agent.pass(10_000);
    const before = checksum();
    await change(documentsOf(manifestOf('etcd:2')));
    await agent.pass(280_000);
    assert.match(last() ?? '', /^converged/);
    await agent.pass(30_000);
    assert.equal(last(), 'failed NK_STATIC_POD');
    const event = agent.cluster.asked.findLast(({ resource }) => resource === 'events');
    assert.match(
      JSON.stringify(event?.body),
      /NK_STATIC_POD: kubelet does not run what its manifests say: kube-system\/etcd-node-1 is not as \/etc\/kubernetes\/manifests\/etcd\.yaml says \(the pod of before still runs\)/,
    );
    assert.equal(JSON.parse(annotations()['nodekiln.dev/status'] ?? '{}').failed?.[0], `file:${path}: NK_STATIC_POD`);
    assert.equal(checksum(), before);
    played.containers.set(key, ['third']);
    await agent.pass(120_000);
    assert.equal(last(), 'converged 0');
    assert.notEqual(checksum(), before);
    assert.deepEqual(JSON.parse(annotations()['nodekiln.dev/status'] ?? '{}').failed, []);
  });

  for (const aheadMs of [3_600_000, -3_600_000])
    it(`has its time, whatever the time of day is set to (${aheadMs / 60_000} minutes), over restarts of the agent`, async () => {
      await play(documentsOf(manifestOf('etcd:1')));
      agent.machine.clock.setAhead(aheadMs);
      await agent.pass(60_000);
      await agent.stop();
      agent.start();
      await agent.pass(200_000);
      assert.deepEqual(
        agent.summary().filter((one) => one.startsWith('failed')),
        [],
      );
      await agent.pass(60_000);
      assert.equal(last(), 'failed NK_STATIC_POD');
    });

  it('that is corrected does not wait until the wrong one has had its time', async () => {
    await play(documentsOf(manifestOf('etcd:none')));
    await change(documentsOf(manifestOf('etcd:1')));
    await agent.pass(10_000);
    played.containers.set(key, ['second']);
    await agent.pass(20_000);
    assert.match(last() ?? '', /^converged/);
  });

  it('whose manifest says the same in other words is not waited for', async () => {
    await play(documentsOf(manifestOf('etcd:1')));
    played.containers.set(key, ['second']);
    await agent.pass(10_000);
    const before = checksum();
    await change(documentsOf(JSON.stringify(JSON.parse(manifestOf('etcd:1')), undefined, 2)));
    assert.equal(last(), 'converged 1');
    assert.notEqual(checksum(), before);
  });

  it('that goes, or gets another name, is waited for until it no longer runs', async () => {
    await play(documentsOf(manifestOf('etcd:1')));
    played.containers.set(key, ['second']);
    await agent.pass(10_000);
    const [first] = [checksum()];
    await change(documentsOf(manifestOf('etcd:1', { name: 'renamed' })));
    played.containers.set('kube-system/renamed-node-1/etcd', ['third']);
    await agent.pass(20_000);
    assert.equal(checksum(), first, 'the one of before runs beside it');
    played.containers.delete(key);
    await agent.pass(10_000);
    const second = checksum();
    assert.notEqual(second, first);
    await change(secretOf({ 'osc.yaml': JSON.stringify(oscOf({ units: [kubelet] })) }));
    await agent.pass(400_000);
    assert.equal(checksum(), second);
    assert.match(
      JSON.stringify(agent.events.at(-1)),
      /kube-system\/renamed-node-1 still runs, and \/etc\/kubernetes\/manifests\/etcd\.yaml no longer says so/,
    );
    played.containers.clear();
    await agent.pass(90_000);
    assert.notEqual(checksum(), second);
    assert.equal(last(), 'converged 0');
  });

  it('is where the settings of kubelet say', async () => {
    const settings = inlineFile('/var/lib/kubelet/config/kubelet', 'staticPodPath: /etc/pods/\n');
    const file = inlineFile('/etc/pods/etcd.yaml', manifestOf('etcd:1'));
    await play(secretOf({ 'osc.yaml': JSON.stringify(oscOf({ units: [kubelet], files: [settings, file] })) }));
    assert.equal(checksum(), undefined);
    played.containers.set(key, ['second']);
    await agent.pass(10_000);
    assert.match(checksum() ?? '', /^[0-9a-f]{64}$/);
  });

  it('is nobody’s to run without kubelet', async () => {
    await play(secretOf({ 'osc.yaml': JSON.stringify(oscOf({ files: [inlineFile(path, manifestOf('etcd:1'))] })) }));
    assert.match(checksum() ?? '', /^[0-9a-f]{64}$/);
  });

  it('that restarts again and again does not count as running (B33)', async () => {
    await play(documentsOf(manifestOf('etcd:1')));
    for (let turn = 0; turn < 20; turn++) {
      played.containers.set(key, [`crashed-${turn}`]);
      await agent.pass(2000);
    }
    assert.equal(checksum(), undefined);
    // Made, and not running.
    played.containers.set(key, ['!made']);
    await agent.pass(300_000);
    assert.equal(last(), 'failed NK_STATIC_POD');
    assert.match(JSON.stringify(agent.events.at(-1)), /etcd-node-1 is not as .* says \(without etcd\)/);
    assert.equal(checksum(), undefined);
    played.containers.set(key, ['running']);
    await agent.pass(120_000);
    assert.match(checksum() ?? '', /^[0-9a-f]{64}$/, 'it is looked at again');
  });

  it('is waited for while containerd does not answer', async () => {
    await play(documentsOf(manifestOf('etcd:1')));
    played.isAway = true;
    await agent.pass(400_000);
    const [event] = agent.cluster.asked.filter(({ resource }) => resource === 'events');
    assert.match(JSON.stringify(event?.body), /containerd does not say what runs: ctr ended with exit status 1/);
    played.isAway = false;
    played.containers.set(key, ['second']);
    await agent.pass(120_000);
    assert.match(last() ?? '', /^converged/);
  });

  it('holds the line of nodes that follow each other until it runs', async () => {
    await play(documentsOf(manifestOf('etcd:1'), { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' }));
    const holder = (): unknown =>
      (agent.cluster.get('leases/kube-system/pool-a') as { spec?: { holderIdentity?: unknown } } | undefined)?.spec
        ?.holderIdentity;
    assert.equal(holder(), 'node-1');
    played.containers.set(key, ['second']);
    await agent.pass(10_000);
    assert.equal(holder() ?? undefined, undefined);
  });
});
