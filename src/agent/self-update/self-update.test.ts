/** An agent that documents make another one, on a machine in memory where systemd runs it: in order, killed anywhere, and back. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { agentUnit, configPath, playUnitAgent, programPath } from '../../../test/support/agent-unit.ts';
import { agentConfig } from '../../../test/support/cluster-agent.ts';
import type { Killed, UnitAgent } from '../../../test/support/agent-unit.ts';
import { poolKey, secretOf } from '../../../test/support/cluster-agent.ts';
import { nodeDocument, textFile } from '../../../test/support/memory-node.ts';
import { openJournal } from '../../apply/journal.ts';
import { NodekilnError } from '../../errors.ts';
import { agentUnit as agentUnitText } from '../../desired/own-units.ts';
import { status } from '../../inspect/status.ts';
import { version } from '../../model/program.ts';

type Json = Readonly<Record<string, unknown>>;

const trial = '/var/lib/nodekiln/agent/update/trial.json';
const refused = '/var/lib/nodekiln/agent/update/refused.json';
const applied = 'nodekiln.dev/applied';
/** What puts the program in place. */
const effect = `write ${programPath}`;
const program = (content: string): Json => ({ path: programPath, content, mode: '0755' });
const config = (content: string): Json => ({ path: configPath, content, mode: '0600' });
const words = (content: string): Json => ({ path: '/etc/a', content });
const broken = { name: 'broken.service', content: '[Service]\nExecStart=/bin/x\n', state: 'started' };
const documentOf = (files: readonly Json[], spec: Json = {}): object =>
  secretOf({ '10-node.json': nodeDocument({ files, ...spec }) });

let agent: UnitAgent;
afterEach(() => agent.stop());

async function play(killed?: Killed): Promise<void> {
  agent = await playUnitAgent(documentOf([words('one')]), killed);
}

const ask = (files: readonly Json[], spec: Json = {}): void => agent.cluster.put(poolKey, documentOf(files, spec));
const agents = (): string[] => agent.processes.map(({ what }) => what).filter((what) => what !== 'errand');
const told = (reason: string): string[] =>
  agent.events.flatMap(({ event }) =>
    event.type === 'notice' && event.notice.reason === reason ? [event.notice.message] : [],
  );
const nodeStatus = (): Json => JSON.parse(agent.annotations()['nodekiln.dev/status'] ?? '{}') as Json;
const indexOf = (effect: string): number => {
  const at = agent.machine.effects.lastIndexOf(effect);
  assert.ok(at >= 0, `${effect} was never done`);
  return at;
};

describe('an agent that documents make another one', () => {
  it('applies everything else first, reports it, and is restarted last, once', async () => {
    await play();
    const before = agent.annotations()[applied];
    ask([words('two'), program('nodekiln 2')]);
    await agent.pass(600_000);
    assert.deepEqual(agents(), ['agent nodekiln 1', 'agent nodekiln 2']);
    assert.ok(indexOf('write /etc/a') < indexOf(`write ${programPath}`));
    assert.ok(indexOf(`write ${programPath}`) < indexOf(`restart ${agentUnit}`));
    const now = agent.annotations()[applied];
    assert.notEqual(now, before);
    assert.equal(agent.processes.at(-1)?.applied, now, 'the Node was told before');
    assert.deepEqual(agent.reports(), ['1 converged 12', '1 converged 2', '3 converged 0']);
    assert.equal(nodeStatus()['nodekiln'], version);
    assert.deepEqual(told('AgentUpdated'), [`the agent is nodekiln ${version} now`]);
    assert.deepEqual(
      [await agent.read(trial), await agent.read('/opt/nodekiln/before/nodekiln')],
      [undefined, undefined],
    );
    assert.deepEqual(agent.wrongs, []);
  });

  it('takes its unit and its configuration the same way, and no document stops, disables or removes it', async () => {
    await play();
    const content = agentUnitText(undefined).replace('RestartSec=2', 'RestartSec=3');
    const unit = { name: agentUnit, content, state: 'stopped', enablement: 'disabled' };
    const other = agentConfig({ resync: '2m' });
    ask([config(other)], { units: [unit] });
    await agent.pass(20_000);
    const unitPath = `/etc/systemd/system/${agentUnit}`;
    const states = async (): Promise<unknown> => {
      const { activeState, needDaemonReload } = await agent.machine.open().units.get(agentUnit);
      const enablement = await agent.machine.open().units.enablement(agentUnit);
      return [activeState, enablement, needDaemonReload, await agent.read(unitPath), await agent.read(configPath)];
    };
    assert.deepEqual(await states(), ['active', 'enabled', false, content, other]);
    assert.equal(agents().length, 2);
    ask([words('two')]);
    await agent.pass(20_000);
    assert.deepEqual(await states(), ['active', 'enabled', false, content, other]);
    assert.equal(agents().length, 2);
    assert.equal(await agent.read('/etc/a'), 'two');
  });

  it('is not held up by a unit that fails: it may wait for what only the agent that comes does', async () => {
    await play();
    agent.machine.units.behave(broken.name, { start: 'fail' });
    ask([program('nodekiln 2')], { units: [broken] });
    await agent.pass(20_000);
    assert.deepEqual(agents(), ['agent nodekiln 1', 'agent nodekiln 2']);
    assert.match(agent.reports().at(-1) ?? '', /^3 failed NK_UNIT_FAILED$/);
  });

  it('stays what it is when what it is to be cannot be put in place', async () => {
    await play();
    agent.machine.breakEffect(effect, new NodekilnError('NK_FILE_WRITE', 'no space left'));
    const other = agentConfig({ resync: '2m' });
    ask([program('nodekiln 2'), config(other)]);
    await agent.pass(20_000);
    assert.ok(!agent.machine.effects.includes(`write ${configPath}`), 'no configuration without its program');
    assert.deepEqual([agents(), await agent.read('/opt/nodekiln/before/nodekiln')], [['agent nodekiln 1'], undefined]);
    assert.match(agent.reports().at(-1) ?? '', /^1 failed NK_FILE_WRITE$/);
    agent.machine.breakEffect(effect, undefined);
    await agent.pass(120_000);
    assert.deepEqual(agents(), ['agent nodekiln 1', 'agent nodekiln 2']);
    assert.equal(await agent.read(configPath), other);
  });

  it('has back what was put in place when the rest cannot be', async () => {
    await play();
    agent.machine.breakEffect(`write ${configPath}`, new NodekilnError('NK_FILE_WRITE', 'no space left'));
    ask([program('nodekiln 2'), config(agentConfig({ resync: '2m' }))]);
    await agent.pass(500);
    assert.match(agent.reports().at(-1) ?? '', /^1 failed NK_FILE_WRITE$/);
    assert.deepEqual([await agent.read(programPath), agents()], ['nodekiln 1', ['agent nodekiln 1']]);
  });

  it('puts back a program that somebody changed, and is restarted with it', async () => {
    await play();
    ask([program('nodekiln 2')]);
    await agent.pass(20_000);
    await agent.machine.files.write([textFile(programPath, 'another', 0o755)]);
    const before = agent.machine.effects.length;
    await agent.pass(90_000);
    const effects = agent.machine.effects.slice(before);
    assert.ok(effects.indexOf(`write ${trial}`) < effects.indexOf(effect), 'not as any other file');
    assert.equal(await agent.read(programPath), 'nodekiln 2');
    assert.equal(agents().length, 3);
  });

  it('tells the Node first, which may take its time', async () => {
    await play();
    const untilMs = agent.machine.clock.monotonic() + 4_000;
    agent.cluster.instead = ({ verb, resource }) =>
      verb === 'apply' && resource === 'nodes' && agent.machine.clock.monotonic() < untilMs
        ? { status: 500 }
        : undefined;
    ask([program('nodekiln 2')]);
    await agent.pass(20_000);
    const last = agent.processes.at(-1);
    assert.deepEqual([last?.what, last?.applied], ['agent nodekiln 2', agent.annotations()[applied]]);
  });

  it('asks no more for what could not be put in place and is dropped', async () => {
    await play();
    agent.machine.breakEffect(effect, new NodekilnError('NK_FILE_WRITE', 'no space left'));
    ask([program('nodekiln 2')]);
    await agent.pass(20_000);
    agent.machine.breakEffect(effect, undefined);
    ask([words('three')]);
    await agent.pass(120_000);
    assert.deepEqual(new Set(agents()), new Set(['agent nodekiln 1']));
    assert.deepEqual([await agent.read('/etc/a'), await agent.read(trial)], ['three', undefined]);
    assert.equal(await agent.read(programPath), 'nodekiln 1');
    assert.match(agent.reports().at(-1) ?? '', /converged 0$/);
  });

  it('becomes it wherever a process of it is killed, and two never run', async () => {
    const wanted = async (): Promise<void> => {
      ask([words('two'), program('nodekiln 2')]);
      await agent.pass(30_000);
    };
    await play();
    const begun = agent.machine.effects.length;
    await wanted();
    const { processes, machine } = agent;
    const [first, errand, second] = processes;
    assert.ok(first && errand && second && processes.length === 3);
    const own = indexOf('write /etc/a') - 3;
    // Effects of a process from its first on; those of the agent from the change on.
    const places = [
      ...range(begun - first.since + (own - begun) + 1, second.since - first.since).map((at) => ({ process: 1, at })),
      ...range(1, 4).map((at) => ({ process: 2, at })),
      ...range(1, machine.effects.length - second.since).map((at) => ({ process: 3, at })),
    ];
    assert.ok(places.length > 30, String(places.length));
    let killed = 0;
    for (const place of places)
      for (const when of ['before', 'after'] as const) {
        await agent.stop();
        await play({ ...place, when });
        await wanted();
        const about = `process ${place.process} killed ${when} effect ${place.at}: ${agents().join(', ')}`;
        if (agents().length > 2) killed += 1;
        assert.equal(agents().at(-1), 'agent nodekiln 2', about);
        assert.deepEqual([await agent.read('/etc/a'), await agent.read(trial)], ['two', undefined], about);
        assert.equal(await agent.read(refused), undefined, about);
        assert.ok(agents().length <= 4, about);
        assert.match(agent.reports().at(-1) ?? '', /converged 0$/, about);
        assert.deepEqual(agent.wrongs, [], about);
      }
    assert.ok(killed > 30, `${killed} of these killed an agent`);
  });
});

describe('an agent that does not come up', () => {
  const bad = {
    program: [words('two'), program('bad')],
    configuration: [words('two'), config('{"kind":"AgentConfigg"}')],
  };

  for (const [what, files] of Object.entries(bad))
    it(`is taken back with its ${what}, which is said, and not tried again until the documents change`, async () => {
      await play();
      ask(files);
      await agent.pass(30_000);
      assert.deepEqual(
        [await agent.read(programPath), await agent.read(configPath), await agent.read('/etc/a')],
        ['nodekiln 1', agentConfig(), 'two'],
      );
      assert.equal(agents().at(-1), 'agent nodekiln 1');
      const count = agents().length;
      assert.ok(count <= 9, agents().join());
      assert.match(agent.reports().at(-1) ?? '', /failed NK_AGENT_UPDATE_FAILED$/);
      assert.equal(agent.annotations()[applied], undefined, 'what was taken back is not in force');
      assert.deepEqual(nodeStatus()['failed'], [`unit:${agentUnit}: NK_AGENT_UPDATE_FAILED`]);
      const events = [...agent.cluster.told].filter((one) => one.startsWith('create events'));
      assert.ok(events.length > 0);
      const host = agent.machine.open();
      const journal = await openJournal(host);
      const claimed = (journal.claims().agent ?? []).map(({ id }) => id);
      assert.ok(claimed.includes('file:/etc/a'));
      assert.ok(!claimed.includes(`file:${programPath}`) && !claimed.includes(`file:${configPath}`), 'as if it were');
      const error = (await status(host, journal)).agent?.error as { code?: string; message?: string } | undefined;
      journal.close();
      assert.equal(error?.code, 'NK_AGENT_UPDATE_FAILED');
      assert.match(
        error.message ?? '',
        /it ended \d times \((exit status [1-9]\d*|ended by SIGKILL)(, [a-z-]+)?\); the one before runs on until they change/,
      );

      await agent.pass(3_600_000);
      assert.equal(agents().length, count, 'it is not tried again');
      ask([words('three'), program('nodekiln 3')]);
      await agent.pass(30_000);
      assert.equal(agents().at(-1), 'agent nodekiln 3');
      assert.match(agent.reports().at(-1) ?? '', /converged 0$/);
      assert.ok(agent.annotations()[applied]);
      assert.deepEqual(agent.wrongs, []);
    });

  it('is taken back when its configuration leads it nowhere', async () => {
    await play();
    ask([config(agentConfig({ source: 'secret:kube-system/nobody' }))]);
    await agent.pass(60_000);
    assert.equal(agents().length, 2, 'it may take its time');
    await agent.pass(300_000);
    assert.equal(await agent.read(configPath), agentConfig());
    assert.match(agent.reports().at(-1) ?? '', /failed NK_AGENT_UPDATE_FAILED$/);
  });

  it('is taken back wherever a process is killed', async () => {
    const wanted = async (): Promise<void> => {
      ask(bad.program);
      await agent.pass(90_000);
    };
    await play();
    await wanted();
    const errand = agent.processes.findIndex(({ what }) => what === 'errand');
    const { effects } = agent.machine;
    const places = effects.slice(agent.processes[errand + 1]?.since).length;
    let reached = 0;
    for (let at = 1; at <= places; at += 1)
      for (const when of ['before', 'after'] as const) {
        await agent.stop();
        await play({ process: errand + 1, at, when });
        await wanted();
        const about = `killed ${when} effect ${at}: ${agents().join(', ')}`;
        if (agent.processes.filter(({ what }) => what === 'errand').length > 1) reached += 1;
        assert.equal(agents().at(-1), 'agent nodekiln 1', about);
        assert.equal(await agent.read(programPath), 'nodekiln 1', about);
        assert.deepEqual([await agent.read(trial), await agent.read('/etc/a')], [undefined, 'two'], about);
        assert.match(agent.reports().at(-1) ?? '', /failed NK_AGENT_UPDATE_FAILED$/, about);
        assert.deepEqual(agent.wrongs, [], about);
      }
    assert.ok(reached > 10, `${reached} of these killed the errand`);
  });
});

describe('state that a newer nodekiln left', () => {
  it('is said once, and what is known of it holds', async () => {
    await play();
    const database = await agent.machine.open().databases.open('/var/lib/nodekiln/state.db', { busyMs: 0 });
    database.exec('PRAGMA user_version=99');
    database.close();
    ask([words('two')]);
    await agent.pass(300_000);
    assert.equal(await agent.read('/etc/a'), 'two');
    assert.deepEqual(told('StateNewer').length, 1);
    assert.match(told('StateNewer')[0] ?? '', /^NK_STATE_NEWER: /);
  });

  it('about another agent is left alone, and said', async () => {
    await play();
    await agent.machine
      .open()
      .files.write([{ type: 'file', path: trial, content: Buffer.from('{"version":2}'), mode: 0o600, uid: 0, gid: 0 }]);
    ask([words('two'), program('nodekiln 2')]);
    await agent.pass(20_000);
    assert.match(agent.reports().at(-1) ?? '', /^1 failed NK_STATE_NEWER$/);
    assert.deepEqual([await agent.read(programPath), await agent.read(trial)], ['nodekiln 1', '{"version":2}']);
  });
});

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
