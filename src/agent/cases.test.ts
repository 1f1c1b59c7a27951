/**
 * Cases from the field, by their numbers: what is looked at and when (F), the Lease of nodes that follow each other (G), names (H),
 * health (I), the condition of units (J), and the configuration of the agent before (M). What has a test of its own beside the code
 * carries its number there.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import {
  contentOf,
  playAgent,
  playPool,
  poolKey,
  secretOf,
  type PlayedAgent,
} from '../../test/support/cluster-agent.ts';
import { createMemoryNode, nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { runningUnit } from '../../test/support/unit-status.ts';
import { checkDocuments } from '../documents/check.ts';
import type { UnitStatus } from '../host/port.ts';
import { microTime, type Lease } from '../kube/lease.ts';
import type { NodeObject } from './cluster.ts';
import { judgeUnit, unitsCondition, type JudgedUnit } from './health/units.ts';
import { healthyComponent, judgeComponent } from './health/component.ts';
import { judgeNode, unseenNode, type NodeHealth } from './health/node.ts';
import { drainedBy } from './in-place/drained.ts';
import { renamedBy } from './renamed-secret.ts';
import { judgeTurn } from './serial.ts';
import { annotatedDelay } from './turn.ts';

let agent: PlayedAgent | undefined;
afterEach(async () => {
  await agent?.stop();
  agent = undefined;
});

const document = nodeDocument({ files: [{ path: '/etc/a', content: 'one' }] });
const nodeOf = (metadata: Partial<NodeObject['metadata']>, status: object = {}): NodeObject => ({
  metadata: { name: 'a', ...metadata },
  status,
});

describe('F: what is looked at, and when', () => {
  it('F1, F2, F3, F5, F6: a Secret that comes or changes is applied at once, one that says the same is not', async () => {
    agent = await playPool(secretOf({ 'a.json': document }), { prepare: (cluster) => cluster.delete(poolKey) });
    agent.cluster.put(poolKey, secretOf({ 'a.json': document }));
    await agent.pass(2000);
    assert.equal(await contentOf(agent, '/etc/a'), 'one');
    const before = agent.summary().length;
    agent.cluster.put(poolKey, secretOf({ 'a.json': document }, { 'example.org/other': 'annotation' }));
    await agent.pass(2000);
    assert.equal(agent.summary().length, before);
    agent.cluster.put(poolKey, secretOf({ 'a.json': document.replace('one', 'two') }));
    await agent.pass(100);
    assert.deepEqual([await contentOf(agent, '/etc/a'), agent.summary().at(-1)], ['two', 'converged 1']);
  });

  // Undefined: the node waits as long as its name says, which needs nobody who writes annotations.
  for (const [id, annotation, ms] of [
    ['F8: no Node', undefined, undefined],
    ['F10: no annotation', '', undefined],
    ['F12: an annotation that says nothing', 'fjj123hi', undefined],
    ['F14: twelve hours', '12h', 43_200_000],
  ] as const)
    it(`${id} is a delay of ${ms ?? 'its own'}`, () => {
      const key = 'node-agent.gardener.cloud/reconciliation-delay';
      const annotations: Record<string, string> = annotation ? { [key]: annotation } : {};
      assert.equal(annotatedDelay(annotation === undefined ? undefined : nodeOf({ annotations })), ms);
    });

  for (const [id, labels, name] of [
    ['F22: a Node that names a Secret', 'pool-b', 'pool-b'],
    ['F22: a Node that names none', '', undefined],
    ['H18: a Node that names the one in force', 'pool-a', undefined],
  ] as const)
    it(id, () => {
      const label = 'worker.gardener.cloud/gardener-node-agent-secret-name';
      const node = nodeOf({ labels: labels === '' ? {} : { [label]: labels } });
      assert.equal(renamedBy(node, 'secret:kube-system/pool-a'), name);
    });

  for (const [reason, by] of [
    ['ReadyForUpdate', 'gardener'],
    ['SelectedForUpdate', undefined],
  ] as const)
    it(`F23: the condition InPlaceUpdate with reason ${reason}`, () =>
      assert.equal(drainedBy(nodeOf({}, { conditions: [{ type: 'InPlaceUpdate', status: 'True', reason }] })), by));
});

describe('G: the Lease of nodes that follow each other', () => {
  const turn = (spec: Lease['spec'], unchangedMs = 0): number | undefined =>
    judgeTurn({ metadata: { name: 'a' }, ...(spec && { spec }) }, { nodeName: 'me', checksum: 'c', unchangedMs })
      ?.waitMs;
  const other = (about: object): Lease['spec'] => ({ holderIdentity: 'other', renewTime: microTime(0), ...about });

  // A wait of milliseconds; undefined begins. It counts how long the Lease did not change, not what its times say.
  for (const [id, spec, unchangedMs, waitMs] of [
    ['G4: mine', { holderIdentity: 'me', leaseDurationSeconds: 600 }, 0, undefined],
    ['G4: nobody’s', { holderIdentity: null }, 0, undefined],
    ['G4: another’s', other({ leaseDurationSeconds: 600 }), 0, 15_000],
    ['G4: of an empty name', { holderIdentity: '' }, 0, undefined],
    ['G6: no duration', other({}), 0, undefined],
    ['G6: no time', other({ leaseDurationSeconds: 0 }), 0, undefined],
    ['G8: less than no time', other({ leaseDurationSeconds: -1 }), 0, undefined],
    ['G8: 595 of 600 seconds gone', other({ leaseDurationSeconds: 600 }), 595_000, 5000],
    ['G8: 700 of 600 seconds gone', other({ leaseDurationSeconds: 600 }), 700_000, undefined],
    ['G8: a time that is none', other({ leaseDurationSeconds: 600, renewTime: undefined }), 0, 15_000],
  ] as const)
    it(id, () => assert.equal(turn(spec, unchangedMs), waitMs));

  const key = 'leases/kube-system/pool-a';
  const annotation = 'reconciliation.osc.node-agent.gardener.cloud/serial';
  const held = (): Lease['spec'] => agent?.cluster.get(key)?.['spec'] as Lease['spec'];
  for (const [value, isSerial] of [
    ['true', true],
    [undefined, false],
    ['false', false],
    ['', false],
  ] as const)
    it(`G1, G2: the annotation ${JSON.stringify(value)} ${isSerial ? 'takes' : 'takes no'} Lease`, async () => {
      agent = await playPool(secretOf({ 'a.json': document }, value === undefined ? {} : { [annotation]: value }));
      await agent.pass(5000);
      assert.equal(held() !== undefined, isSerial);
      assert.equal(await contentOf(agent, '/etc/a'), 'one');
    });

  for (const [id, before] of [
    ['G10: there is none', undefined],
    ['G12: it was another’s', { holderIdentity: 'other', leaseDurationSeconds: 0 }],
    ['G13: it is free', {}],
  ] as const)
    it(`${id}: it is taken with both times now, and G16: given back whole`, async () => {
      const seen: NonNullable<Lease['spec']>[] = [];
      agent = await playPool(secretOf({ 'a.json': document }, { [annotation]: 'true' }), {
        prepare: (cluster) => {
          if (before) cluster.put(key, { metadata: {}, spec: before });
          cluster.instead = ({ resource, body }) => {
            const { spec } = (body ?? {}) as Lease;
            if (resource === 'leases' && spec?.holderIdentity === 'node-1') seen.push(spec);
            return undefined;
          };
        },
      });
      await agent.pass(5000);
      assert.equal(seen[0]?.holderIdentity, 'node-1');
      assert.equal(seen[0].acquireTime, seen[0].renewTime);
      assert.equal(seen[0].leaseDurationSeconds, 180);
      assert.equal(held()?.holderIdentity ?? null, null);
      assert.equal(held()?.leaseDurationSeconds ?? null, null);
      assert.deepEqual([held()?.acquireTime ?? null, held()?.renewTime ?? null], [null, null]);
    });
});

describe('H: names', () => {
  it('H1: the name of the host is in lower case', async () => {
    const machine = await createMemoryNode();
    await machine.files.write([textFile('/proc/sys/kernel/hostname', 'FooObAr\n')]);
    agent = await playAgent({
      machine,
      spec: { nodeName: undefined },
      prepare: (cluster) => {
        cluster.put('nodes/foo', { metadata: { labels: { 'kubernetes.io/hostname': 'foooobar' } } });
        cluster.put('nodes/fooobar', { metadata: {} });
        cluster.put(poolKey, secretOf({ 'a.json': document }));
      },
    });
    await agent.pass(10_000);
    // H2: it goes by the Node's name, of which there is one; a label may be on several.
    const applied = (name: string): string | undefined =>
      agent?.cluster.get(`nodes/${name}`)?.metadata.annotations?.['nodekiln.dev/applied'];
    assert.match(applied('fooobar') ?? '', /^sha256:/);
    assert.equal(applied('foo'), undefined);
  });
});

describe('I: health', () => {
  const rules = { restartAfterMs: 60_000, maxRestarts: 5 };
  for (const [id, looks, restarts] of [
    ['I1: all is well', '++++++++++', 0],
    ['I2: it fails for a minute', '+-------', 1],
    ['I2: it fails for less', '+------', 0],
    ['I4: all is well, eighty seconds long', '+++++++++', 0],
  ] as const)
    it(id, () => {
      let state = healthyComponent;
      const news = looks.split('').map((look, index) => {
        const failure = look === '+' ? undefined : 'no answer';
        const judged = judgeComponent(state, { nowMs: index * 10_000, failure, inTransition: false }, rules);
        ({ state } = judged);
        return judged.news;
      });
      assert.equal(news.filter((one) => one === 'restart').length, restarts);
    });

  for (const [id, looks, isFlapping] of [
    ['I6: it came back once', '+-+', false],
    ['I6: it came back four times', '+-+-+-+-+', false],
    ['I6: it came back five times', '+-+-+-+-+-+', true],
  ] as const)
    it(id, () => {
      let state: NodeHealth = unseenNode;
      const news = looks.split('').map((look, index) => {
        const judged = judgeNode(state, { nowMs: index * 1000, isReady: look === '+', hasAddress: true });
        ({ state } = judged);
        return judged.news;
      });
      assert.equal(news.includes('flapping'), isFlapping);
    });

  it('I9: no single return is taken back, and none when there is none; each goes by its time', () => {
    let state: NodeHealth = unseenNode;
    const counts = (looks: string, fromMinute: number): number[] =>
      looks.split('').map((look, index) => {
        const nowMs = (fromMinute + index) * 60_000;
        ({ state } = judgeNode(state, { nowMs, isReady: look === '+', hasAddress: true }));
        return state.returnsMs.length;
      });
    assert.deepEqual(counts('-++-+-', 0), [0, 1, 1, 1, 2, 2]);
    // Whatever was said, and whoever started something anew for it.
    assert.deepEqual(counts('-++++++++', 6), [2, 3, 3, 3, 3, 2, 2, 2, 1]);
    assert.deepEqual(counts('----', 40), [0, 0, 0, 0]);
  });
});

describe('J: the condition of units', () => {
  const unit = (name: string, about: Partial<UnitStatus> = {}, more: Partial<JudgedUnit> = {}): JudgedUnit => ({
    wanted: { name: `${name}.service`, state: 'started' },
    status: { ...runningUnit, ...about },
    changingMs: undefined,
    isTriggered: false,
    ...more,
  });
  const dead = { activeState: 'inactive', subState: 'dead' } as const;
  const minute = 60_000;

  for (const [id, units, said] of [
    ['J2', [unit('kubelet'), unit('containerd')], ['True', 'AllUnitsHealthy']],
    [
      'J3',
      [unit('bad', { activeState: 'failed', subState: 'failed' })],
      ['False', 'UnhealthyUnits', 'bad.service has failed'],
    ],
    [
      'J4',
      [unit('stuck', { activeState: 'activating', subState: 'start' }, { changingMs: 10 * minute })],
      ['False', 'UnhealthyUnits', 'stuck.service is stuck in activating'],
    ],
    [
      'J5',
      [unit('slow', { activeState: 'activating', subState: 'start' }, { changingMs: minute / 2 })],
      ['True', 'ProgressingUnits'],
    ],
    ['J6', [unit('again', { activeState: 'activating', subState: 'auto-restart' })], ['True', 'AllUnitsHealthy']],
    ['J8', [unit('gardener-user', dead, { isTriggered: true })], ['True', 'AllUnitsHealthy']],
    ['J11', [unit('off', dead, { wanted: { name: 'off.service', state: 'stopped' } })], ['True', 'AllUnitsHealthy']],
    ['J13', [unit('nodekiln-agent'), unit('nodekiln-boot')], ['True', 'AllUnitsHealthy']],
    [
      'J13',
      [unit('nodekiln-agent', { activeState: 'failed', subState: 'failed' }), unit('nodekiln-boot', dead)],
      [
        'False',
        'UnhealthyUnits',
        'nodekiln-agent.service has failed; nodekiln-boot.service is inactive but should run',
      ],
    ],
    [
      'J14',
      [unit('missing', { ...dead, loadState: 'not-found' })],
      ['False', 'UnhealthyUnits', 'missing.service is not loaded'],
    ],
    [
      'J17',
      [unit('systemd-user-sessions', dead)],
      ['False', 'UnhealthyUnits', 'systemd-user-sessions.service is inactive but should run'],
    ],
  ] as readonly (readonly [string, readonly JudgedUnit[], readonly string[]])[])
    it(`${id}: ${units.map(({ wanted }) => wanted.name).join(', ')}`, () => {
      const { status, reason, message } = unitsCondition(units.map((one) => judgeUnit(one, 5 * minute)));
      assert.deepEqual([status, reason, message].slice(0, said.length), said);
    });

  it('J1: nothing was ever applied', async () => {
    agent = await playPool({ data: {} }, { prepare: (cluster) => cluster.delete(poolKey) });
    await agent.pass(5 * minute);
    const { conditions = [] } = (agent.cluster.get('nodes/node-1')?.['status'] ?? {}) as {
      conditions?: readonly { readonly type: string }[];
    };
    assert.ok(!conditions.some(({ type }) => type === 'SystemdUnitsReady'));
  });
});

describe('M: the configuration of gardener-node-agent', () => {
  const sync = (secretName: string | undefined, path: string): object => ({ secretName, path });
  const configuration = (controllers: object): string =>
    JSON.stringify({
      apiVersion: 'nodeagent.config.gardener.cloud/v1alpha1',
      kind: 'NodeAgentConfiguration',
      apiServer: { server: 'https://a:6443', caFile: '/ca.crt' },
      controllers: {
        operatingSystemConfig: { secretName: 'pool', kubernetesVersion: '1.34.3' },
        token: { syncConfigs: [sync('one', '/a')] },
        ...controllers,
      },
    });
  for (const [id, controllers, path] of [
    ['M1: nothing is wrong', {}, undefined],
    [
      'M1: with all defaults written out',
      {
        operatingSystemConfig: { secretName: 'pool', kubernetesVersion: '1.34.3', syncPeriod: '10m0s' },
        token: { syncConfigs: [sync('one', '/a')], syncPeriod: '1h0m0s' },
        systemdUnitCheck: { syncPeriod: '1m0s', stuckThreshold: '5m0s' },
      },
      undefined,
    ],
    // Which version runs is what kubelet says.
    ['M3: no version of Kubernetes', { operatingSystemConfig: { secretName: 'pool' } }, undefined],
    ['M4: no Secret', { operatingSystemConfig: { secretName: '' } }, 'controllers.operatingSystemConfig.secretName'],
    [
      'M6: a token of no Secret',
      { token: { syncConfigs: [sync('one', '/a'), sync(undefined, '/b')] } },
      'controllers.token.syncConfigs[1].secretName',
    ],
    ['M9: tokens too often', { token: { syncPeriod: '10s' } }, 'controllers.token.syncPeriod'],
    [
      'M11: stuck too soon',
      { systemdUnitCheck: { stuckThreshold: '10s' } },
      'controllers.systemdUnitCheck.stuckThreshold',
    ],
  ] as const)
    it(id, async () => {
      const { problems } = await checkDocuments([{ file: 'a.yaml', text: configuration(controllers) }]);
      assert.deepEqual(
        problems.map(({ place }) => place?.path),
        path === undefined ? [] : [path],
      );
    });

  it('M8: two tokens in one file', async () => {
    const syncConfigs = [sync('one', '/a'), sync('two', '/a')];
    const { problems } = await checkDocuments([{ file: 'a.yaml', text: configuration({ token: { syncConfigs } }) }]);
    assert.deepEqual(
      problems.map(({ message, place }) => [place?.path, message]),
      [['controllers.token.syncConfigs[1].path', 'path names "/a" a second time in this list']],
    );
  });
});
