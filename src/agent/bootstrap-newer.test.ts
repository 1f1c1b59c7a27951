/** A newer nodekiln that user data brings to an agent that runs: in its place, killed anywhere, and back when it does not come up. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { agentUnit, playUnitAgent, programPath, type Killed, type UnitAgent } from '../../test/support/agent-unit.ts';
import { poolKey, secretOf } from '../../test/support/cluster-agent.ts';
import { nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { tar } from '../../test/support/tar.ts';
import { createHttpClient } from '../artifacts/sources/http-client.ts';
import { sha256 } from '../host/digest.ts';
import type { CrashPoint } from '../host/memory/effects.ts';
import { textOf } from '../model/bytes.ts';
import { bootstrapAgent, type BootstrapReport } from './bootstrap.ts';

const origin = 'https://files.example.org';
const marker = '/var/lib/nodekiln/agent-bootstrap.json';
const trial = '/var/lib/nodekiln/agent/update/trial.json';
/** What `version` says, by what is in the file that is run. */
const versions = new Map([
  ['nodekiln 1', '1.2.0'],
  ['nodekiln 2', '1.10.0'],
  ['nodekiln 3', '1.11.0'],
  ['bad 2', '1.10.0'],
  ['nodekiln 0', '1.1.0'],
]);
const archiveOf = (program: string): Buffer =>
  tar([
    { name: 'node', content: `node of ${program}` },
    { name: 'nodekiln', content: program },
  ]);
const documentOf = (words: string): object =>
  secretOf({ '10-node.json': nodeDocument({ files: [{ path: '/etc/a', content: words }] }) });

let agent: UnitAgent;
/** How often something was fetched. */
let fetched: number;
afterEach(() => agent.stop());

/** A node whose agent an earlier bootstrap brought. */
async function play(killed?: Killed): Promise<void> {
  agent = await playUnitAgent(documentOf('one'), killed);
  const { machine } = agent;
  fetched = 0;
  machine.program('node', async ({ argv, files }) => {
    const nodekiln = versions.get(textOf(await files.read(argv[1] ?? '')) ?? '');
    return nodekiln === undefined ? { status: 1 } : { stdout: JSON.stringify({ data: { nodekiln } }) };
  });
  machine.serve(origin, ({ url }) => {
    fetched += 1;
    return { body: archiveOf(decodeURIComponent(new URL(url).pathname.slice(1))) };
  });
  await machine.files.write([textFile(marker, JSON.stringify({ digest: sha256(archiveOf('nodekiln 1')) }), 0o644)]);
}

/** One process of user data. */
function bring(program: string, crash?: CrashPoint): Promise<BootstrapReport> {
  const host = agent.machine.open(crash ? { crash } : {});
  return bootstrapAgent(host, {
    origin: { urls: [`${origin}/${encodeURIComponent(program)}`], digest: sha256(archiveOf(program)) },
    config: '/run/gone.yaml',
    client: createHttpClient({ net: host.net, environment: {} }),
    budgetMs: 5000,
    certificateMs: 60_000,
    path: true,
  });
}

const agents = (): string[] => agent.processes.map(({ what }) => what).filter((what) => what !== 'errand');
const inPlace = (): Promise<(string | undefined)[]> =>
  Promise.all(['/opt/nodekiln/bin/node', programPath].map((path) => agent.read(path)));
const brought = (program: string): string[] => [`node of ${program}`, program];
const summary = ({ steps }: BootstrapReport): string[] => steps.map(({ step, outcome }) => `${step} ${outcome}`);
const told = (reason: string): string[] =>
  agent.events.flatMap(({ event }) =>
    event.type === 'notice' && event.notice.reason === reason ? [event.notice.message] : [],
  );

async function assertRuns(program: string, about: string): Promise<void> {
  assert.equal(agents().at(-1), `agent ${program}`, about);
  assert.equal((await agent.machine.units.get(agentUnit)).activeState, 'active', about);
  assert.equal(await agent.read(trial), undefined, about);
  assert.deepEqual(agent.wrongs, [], about);
}

describe('a newer nodekiln that a bootstrap brings', () => {
  it('takes the place of the one that runs, once; all else stays', async () => {
    await play();
    assert.deepEqual(summary(await bring('nodekiln 2')), ['restart done', 'program done']);
    assert.deepEqual(await inPlace(), brought('nodekiln 2'));
    await assertRuns('nodekiln 2', '');
    assert.deepEqual(agents(), ['agent nodekiln 1', 'agent nodekiln 2']);
    assert.equal(told('AgentUpdated').length, 1);
    assert.deepEqual(await agent.machine.files.list('/opt/nodekiln'), ['bin', 'cache'], 'nothing is left beside it');
    fetched = 0;
    assert.deepEqual(await bring('nodekiln 2'), { applied: true, steps: [] });
    assert.equal(fetched, 0);
    agent.cluster.put(poolKey, documentOf('two'));
    await agent.pass(120_000);
    assert.equal(await agent.read('/etc/a'), 'two');
    assert.equal(agents().length, 2, 'documents have nothing to do with it');
  });

  it('is not an older one, nor one that does not run here', async () => {
    await play();
    await bring('nodekiln 2');
    assert.deepEqual(summary(await bring('nodekiln 0')), ['program kept']);
    await assert.rejects(bring('nodekiln 9'), { code: 'NK_AGENT_UPDATE_FAILED', message: /does not run here/ });
    assert.deepEqual(await inPlace(), brought('nodekiln 2'));
    assert.equal(agents().length, 2);
  });

  it('is taken back when it does not come up, which is said, and not brought again until it is another', async () => {
    await play();
    const failed = {
      code: 'NK_AGENT_UPDATE_FAILED',
      message: /a bootstrap brought did not come up: it ended \d times/,
    };
    await assert.rejects(bring('bad 2'), failed);
    assert.deepEqual(await inPlace(), ['node 1', 'nodekiln 1']);
    await assertRuns('nodekiln 1', '');
    await agent.pass(3_600_000);
    const count = agents().length;
    assert.ok(count <= 9, agents().join());
    assert.match(told('AgentUpdateFailed')[0] ?? '', /^NK_AGENT_UPDATE_FAILED: .*until it brings another$/);
    assert.match(agent.reports().at(-1) ?? '', /converged/, 'its documents are in force');
    fetched = 0;
    await assert.rejects(bring('bad 2'), failed);
    assert.deepEqual([agents().length, fetched], [count, 0], 'it is not tried again');
    await bring('nodekiln 3');
    assert.deepEqual(await inPlace(), brought('nodekiln 3'));
    await assertRuns('nodekiln 3', '');
  });

  it('is taken back when it never looks at its documents', async () => {
    await play();
    agent.machine.units.behave(agentUnit, {});
    await assert.rejects(bring('nodekiln 2'), {
      code: 'NK_AGENT_UPDATE_FAILED',
      message: /did not take up its documents within 5 minutes/,
    });
    assert.deepEqual(await inPlace(), ['node 1', 'nodekiln 1']);
  });

  it('is not confirmed by the agent that it replaces', async () => {
    await play();
    // The errand has said that it restarts it, and is slow to do so.
    const { machine } = agent;
    const before = await machine.units.get(agentUnit);
    const instead = before.invocationId;
    const record = { version: 1, state: 'trying', configures: false, offer: 'x', saved: [], instead };
    machine.units.behave('nodekiln-agent-update.service', {});
    await machine.files.write([textFile(trial, JSON.stringify(record))]);
    agent.cluster.put(poolKey, documentOf('two'));
    await agent.pass(70_000);
    assert.equal(await agent.read('/etc/a'), 'two', 'it has looked at its documents');
    assert.equal((await machine.units.get(agentUnit)).invocationId, instead);
    assert.notEqual(await agent.read(trial), undefined);
    await machine.files.remove([trial]);
  });

  it('waits for documents that make the agent another one', async () => {
    await play();
    agent.machine.units.behave('nodekiln-agent-update.service', {});
    const program = { path: programPath, content: 'nodekiln 2', mode: '0755' };
    agent.cluster.put(poolKey, secretOf({ '10-node.json': nodeDocument({ files: [program] }) }));
    await agent.pass(5_000);
    assert.notEqual(await agent.read(trial), undefined);
    assert.deepEqual(summary(await bring('nodekiln 3')), ['program kept']);
    assert.equal(fetched, 0);
    assert.ok((await agent.read(marker))?.includes(sha256(archiveOf('nodekiln 1'))), 'it is brought the next time');
  });

  it('is put in place of an agent that does not run, which stays stopped', async () => {
    await play();
    await agent.machine.units.stop(agentUnit);
    await agent.pass(1000);
    assert.deepEqual(summary(await bring('nodekiln 2')), ['program done']);
    assert.deepEqual(await inPlace(), brought('nodekiln 2'));
    assert.equal((await agent.machine.units.get(agentUnit)).activeState, 'inactive');
  });

  it('has its place wherever the bootstrap was killed', async () => {
    await play();
    const start = agent.machine.effects.length;
    await bring('nodekiln 2');
    const count = agent.machine.effects.length - start;
    let reached = 0;
    for (let at = 1; at <= count; at += 1)
      for (const when of ['before', 'after'] as const) {
        await agent.stop();
        await play();
        const isKilled = await bring('nodekiln 2', { at, when }).then(
          () => false,
          () => true,
        );
        if (isKilled) reached += 1;
        await agent.pass(30_000);
        const about = `killed ${when} effect ${at}`;
        assert.match(agents().at(-1) ?? '', /^agent nodekiln/, about);
        await bring('nodekiln 2');
        assert.deepEqual(await inPlace(), brought('nodekiln 2'), about);
        await assertRuns('nodekiln 2', about);
        assert.ok(agents().length <= 2, `${about}: ${agents().join()}`);
        assert.deepEqual(await agent.machine.files.list('/opt/nodekiln'), ['bin', 'cache'], about);
      }
    assert.ok(reached > 15, `${reached} of these killed it`);
  });

  for (const [program, last] of [
    ['nodekiln 2', 'nodekiln 2'],
    ['bad 2', 'nodekiln 1'],
  ] as const)
    it(`is ${last}, and one runs, wherever the errand was killed as ${program} came`, async () => {
      let reached = 0;
      for (let at = 1; reached === at - 1; at += 1)
        for (const when of ['before', 'after'] as const) {
          if (at > 1 || when === 'after') await agent.stop();
          await play({ process: 2, at, when });
          await bring(program).catch(() => undefined);
          await agent.pass(90_000);
          const all = agent.processes.map(({ what }) => what);
          const about = `killed ${when} effect ${at}: ${all.join(', ')}`;
          if (when === 'after' && all.filter((what) => what === 'errand').length > 1) reached += 1;
          await assertRuns(last, about);
          assert.deepEqual(await inPlace(), last === 'nodekiln 1' ? ['node 1', last] : brought(last), about);
        }
      assert.ok(reached >= 5, `${reached} of these killed the errand`);
    });
});
