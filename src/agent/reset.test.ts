/** What is left of an agent's work and of a node's identity, on a machine in memory. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createMemoryNode, nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { bootHost } from '../boot/boot.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import { textOf } from '../model/bytes.ts';
import { runAgentOn } from './agent.ts';
import { resetNode } from './reset.ts';

const folder = '/etc/nodekiln/desired';
const unit = {
  name: 'brought.service',
  content: '[Service]\nType=exec\nExecStart=/bin/x\n[Install]\nWantedBy=multi-user.target\n',
  state: 'started',
};
const identity = [
  '/etc/kubernetes/bootstrap-kubeconfig',
  '/var/lib/kubelet/pki/kubelet-client-current.pem',
  '/var/lib/nodekiln/agent/client-current.pem',
];

let machine: MemoryMachine;

beforeEach(async () => {
  machine = await createMemoryNode({
    '10-node.json': nodeDocument({ files: [{ path: '/etc/boot', content: 'boot' }] }),
  });
  await bootHost(machine.open());
  await machine.files.write([
    textFile('/etc/replaced', 'of somebody else', 0o644),
    ...identity.map((path) => textFile(path, 'secret')),
    { type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 },
    textFile(
      `${folder}/10-node.json`,
      nodeDocument({
        takeover: true,
        files: [
          { path: '/etc/boot', content: 'agent' },
          { path: '/etc/brought', content: 'brought' },
          { path: '/etc/replaced', content: 'ours' },
        ],
        units: [unit],
      }),
    ),
  ]);
  await machine.clock.sleep(2_000);
  await runAgentOn(machine.open(), { source: `dir:${folder}`, once: true });
});

const text = async (path: string): Promise<string | undefined> => textOf(await machine.files.read(path));
const all = (): Promise<(string | undefined)[]> =>
  Promise.all(['/etc/boot', '/etc/brought', '/etc/replaced', ...identity].map(text));
const active = async (name: string): Promise<string> => (await machine.units.get(name)).activeState;

describe('a node that is reset', () => {
  it('has nothing left that the agent brought, and is nobody; what was there before is there again (K14)', async () => {
    assert.deepEqual(await all(), ['agent', 'brought', 'ours', 'secret', 'secret', 'secret']);
    const report = await resetNode(machine.open());
    assert.deepEqual(await all(), ['boot', undefined, 'of somebody else', undefined, undefined, undefined]);
    assert.deepEqual([await active('brought.service'), await active('kubelet.service')], ['inactive', 'inactive']);
    assert.deepEqual(report.changes.toSorted(), [
      'removed file:/etc/brought',
      'removed file:/etc/replaced',
      'removed unit:brought.service',
      'restored file:/etc/boot',
    ]);
    assert.deepEqual(report.stopped, ['kubelet.service']);
    assert.equal(report.removed.length, 3);
    assert.equal((await resetNode(machine.open())).unchanged, true, 'a second time there is nothing to do');
  });

  it('is first asked what would be done', async () => {
    const before = machine.effects.filter((effect) => !effect.includes('/var/lib/nodekiln/')).length;
    const report = await resetNode(machine.open(), { dryRun: true });
    assert.equal(report.changes.length, 4);
    assert.deepEqual([report.stopped, report.removed.length], [['kubelet.service'], 3]);
    assert.deepEqual(await all(), ['agent', 'brought', 'ours', 'secret', 'secret', 'secret']);
    assert.equal(machine.effects.filter((effect) => !effect.includes('/var/lib/nodekiln/')).length, before);
  });

  it('is one that user data may make a node of again', async () => {
    const marker = '/var/lib/nodekiln/agent-bootstrap.json';
    const bootstrap = 'nodekiln-agent-bootstrap.service';
    await machine.files.write([
      textFile(marker, '{}'),
      textFile(`/etc/systemd/system/${bootstrap}`, unit.content, 0o644),
    ]);
    await machine.units.daemonReload();
    await machine.units.start(bootstrap);
    const { stopped, removed } = await resetNode(machine.open());
    assert.deepEqual(stopped, [bootstrap, 'kubelet.service'], 'what would start the agent again stops before all');
    assert.ok(removed.includes(marker));
    assert.equal(await text(marker), undefined);
  });

  it('stops the agent first, which would put back what goes', async () => {
    await machine.files.write([textFile('/etc/systemd/system/nodekiln-agent.service', unit.content, 0o644)]);
    await machine.units.daemonReload();
    await machine.units.start('nodekiln-agent.service');
    const { stopped } = await resetNode(machine.open());
    assert.deepEqual(stopped, ['nodekiln-agent.service', 'kubelet.service']);
    assert.equal(await active('nodekiln-agent.service'), 'inactive');
  });

  it('keeps its identity while kubelet cannot be stopped, and says so', async () => {
    const own = machine.open();
    const stop = async (name: string) => {
      const job = await own.units.stop(name);
      return name === 'kubelet.service' ? { ...job, result: Promise.resolve('timeout' as const) } : job;
    };
    await assert.rejects(resetNode({ ...own, units: { ...own.units, stop } }), {
      code: 'NK_UNIT_FAILED',
      message: /kubelet\.service could not be stopped: its job ended as timeout/,
    });
    assert.deepEqual((await all()).slice(3), ['secret', 'secret', 'secret']);
  });

  it('says what stands in the way, and keeps the credentials until the rest is gone', async () => {
    machine.breakEffect('stop brought.service', new Error('it does not stop'));
    await assert.rejects(resetNode(machine.open()));
    assert.deepEqual((await all()).slice(3), ['secret', 'secret', 'secret']);
    machine.breakEffect('stop brought.service', undefined);
    await resetNode(machine.open());
    assert.deepEqual(await all(), ['boot', undefined, 'of somebody else', undefined, undefined, undefined]);
  });
});
