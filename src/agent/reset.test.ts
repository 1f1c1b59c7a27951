/** What is left of an agent's work and of a node's identity, on a machine in memory. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createMemoryNode, nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { bootHost } from '../boot/boot.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import { agentUnit, agentUpdateUnit, bootUnit, sshHostKeysUnit } from '../desired/own-units.ts';
import { textOf } from '../model/bytes.ts';
import * as paths from '../model/state-paths.ts';
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

  describe('and was bootstrapped', () => {
    const update = 'nodekiln-agent-update.service';
    const agent = 'nodekiln-agent.service';
    const unitFile = (name: string): string => `/etc/systemd/system/${name}`;
    const wants = (name: string): string => `/etc/systemd/system/multi-user.target.wants/${name}`;
    const config = JSON.stringify({
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'AgentConfig',
      spec: {
        source: `dir:${folder}`,
        cluster: { kubeconfig: '/etc/nodekiln/kubeconfig' },
        tokens: [{ secret: 'kube-system/a', path: '/var/lib/collector/token' }],
      },
    });
    const program = ['/opt/nodekiln/bin/node', '/opt/nodekiln/bin/nodekiln'];
    const broughtBy = {
      bootstrap: [unitFile(agent), wants(agent), '/etc/nodekiln/agent.yaml', ...program],
      agent: [unitFile(update), wants(update), '/var/lib/collector/token'],
    };
    const thereAre = async (paths: readonly string[]): Promise<string[]> => {
      const found = await Promise.all(paths.map((path) => machine.files.stat(path)));
      return paths.filter((_, index) => found[index]);
    };
    /** As a bootstrap and the agent leave it; what image and boot bring is there, too. */
    const bootstrapped = async (brought: readonly string[]): Promise<void> => {
      await machine.files.write([
        ...program.map((path) => textFile(path, path, 0o755)),
        textFile('/etc/nodekiln/agent.yaml', config),
        textFile('/var/lib/collector/token', 'secret'),
        textFile(paths.bootstrapBroughtPath, JSON.stringify({ brought })),
        textFile(paths.agentBootstrapPath, '{}'),
        textFile(`${paths.agentUpdateFolder}/trial.json`, '{}'),
        textFile('/opt/nodekiln/before/node', 'x'),
        textFile('/opt/nodekiln/offer/node', 'x'),
        textFile(unitFile(agent), agentUnit(undefined), 0o644),
        textFile(unitFile(update), agentUpdateUnit(['/opt/nodekiln/before/node']), 0o644),
        textFile(unitFile('nodekiln-boot.service'), bootUnit(), 0o644),
        textFile(unitFile('nodekiln-ssh-host-keys.service'), sshHostKeysUnit(), 0o644),
        textFile(unitFile('nodekiln-agent-bootstrap.service'), unit.content, 0o644),
      ]);
      await machine.units.daemonReload();
      await machine.open().units.setEnablement('enable', [agent, update]);
    };
    const everything = ['program', 'config', 'unit', 'enablement'];

    it('has nothing left of it, nor of what its agent wrote beside documents', async () => {
      await bootstrapped(everything);
      const all = [...broughtBy.bootstrap, ...broughtBy.agent];
      assert.deepEqual(await thereAre(all), all);
      const { changes } = await resetNode(machine.open(), { dryRun: true });
      assert.ok(changes.includes(`disabled unit:${agent}`) && changes.includes(`disabled unit:${update}`));
      assert.deepEqual(await thereAre(all), all, 'it was only asked');
      await resetNode(machine.open());
      assert.deepEqual(
        await thereAre([...all, '/opt/nodekiln/bin', '/opt/nodekiln/before', '/opt/nodekiln/offer']),
        [],
      );
      for (const name of [agent, update]) {
        const { loadState, needDaemonReload } = await machine.open().units.get(name);
        assert.deepEqual([loadState, needDaemonReload], ['not-found', false]);
      }
      assert.equal((await resetNode(machine.open())).unchanged, true);
    });

    it('keeps what a bootstrap found there', async () => {
      await bootstrapped([]);
      await resetNode(machine.open());
      assert.deepEqual(await thereAre(broughtBy.bootstrap), broughtBy.bootstrap);
      assert.deepEqual(await thereAre(broughtBy.agent), []);
      await bootstrapped(['enablement']);
      await resetNode(machine.open());
      assert.deepEqual(await thereAre([unitFile(agent), wants(agent)]), [unitFile(agent)]);
    });

    it('has nothing left wherever a reset was killed, and the next one went on', async () => {
      await bootstrapped(everything);
      const start = machine.effects.length;
      await resetNode(machine.open());
      const count = machine.effects.length - start;
      for (let at = 1; at <= count; at += 1) {
        await bootstrapped(everything);
        await resetNode(machine.open({ crash: { at, when: 'after' } })).catch(() => undefined);
        await resetNode(machine.open());
        assert.deepEqual(await thereAre([...broughtBy.bootstrap, ...broughtBy.agent]), [], `killed after effect ${at}`);
      }
    });

    /** Each place of ours, and what becomes of it. */
    const places: Readonly<Record<string, 'goes' | 'stays'>> = {
      // The journal of all sources, with what they replaced and asked for.
      [`${paths.stateFolder}/${paths.databaseName}`]: 'stays',
      [paths.generationsFolder]: 'stays',
      [paths.originalsFolder]: 'stays',
      // The boot's.
      [paths.bootResultPath]: 'stays',
      [paths.lastResultPath]: 'stays',
      // Nothing is under way when it runs.
      [paths.downloadsFolder]: 'goes',
      [paths.agentFolder]: 'goes',
      [paths.agentUpdateFolder]: 'goes',
      [paths.agentBootstrapPath]: 'goes',
      [paths.bootstrapBroughtPath]: 'goes',
      [paths.programFolder]: 'goes',
      [unitFile(agent)]: 'goes',
      [unitFile(update)]: 'goes',
      // User data wrote it, and may call it again.
      [unitFile('nodekiln-agent-bootstrap.service')]: 'stays',
      // The image's.
      [paths.imageLockPath]: 'stays',
      [unitFile('nodekiln-boot.service')]: 'stays',
      [unitFile('nodekiln-ssh-host-keys.service')]: 'stays',
    };

    it('has of each place of nodekiln what is decided here', async () => {
      const known = new Set(Object.keys(places));
      for (const [name, path] of Object.entries(paths))
        assert.ok(
          name === 'stateFolder' || known.has(path.startsWith('/') ? path : `${paths.stateFolder}/${path}`),
          `${name} is not decided`,
        );
      await bootstrapped(everything);
      await machine.files.write([
        textFile(`${paths.generationsFolder}/0.json`, '{}'),
        textFile(paths.imageLockPath, '{}'),
        textFile(paths.lastResultPath, '{}'),
        textFile(`${paths.downloadsFolder}/part`, ''),
      ]);
      const all = [...known];
      assert.deepEqual(await thereAre(all), all);
      await resetNode(machine.open());
      assert.deepEqual(
        await thereAre(all),
        all.filter((path) => places[path] === 'stays'),
      );
    });
  });
});
