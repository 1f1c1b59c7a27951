import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openJournal, type Journal } from '../apply/journal.ts';
import { carryOut, prepare } from '../apply/reconcile.ts';
import { bytesOf } from '../model/bytes.ts';
import { rootFile, type FileWrite } from '../model/files.ts';
import { bootResultPath, lastResultPath } from '../model/state-paths.ts';
import type { FileResource, Resource, ResourceId } from '../model/resources.ts';
import { createMemoryHost } from '../host/memory/machine.ts';
import type { Host } from '../host/port.ts';
import { planText } from './plan-text.ts';
import { statusText } from './status.ts';
import { plainLook } from './table.ts';
import { planReport } from '../inspect/plan-report.ts';
import { status } from '../inspect/status.ts';
import { bootResult, step } from '../../test/support/boot-results.ts';
import { textFile } from '../../test/support/memory-node.ts';
import { openSource } from '../documents/sources/table.ts';
import { NodekilnError } from '../errors.ts';
import { sha256 } from '../host/digest.ts';
import { textOf } from '../model/bytes.ts';
import { keepReport, type AgentReport } from '../telemetry/agent-report.ts';
import { agentStatePath } from '../telemetry/agent-state.ts';

const secret = 'hunter2-of-the-node';

function file(path: string, text: FileResource['entry'] | string): FileResource {
  return {
    kind: 'file',
    id: `file:${path}`,
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: [],
    path,
    entry: typeof text === 'string' ? { type: 'file', content: { text }, mode: '0644', uid: 0, gid: 0 } : text,
  };
}

const hidden = file('/etc/token', {
  type: 'file',
  content: { text: { sensitive: secret } },
  mode: '0600',
  uid: 0,
  gid: 0,
});

describe('status', () => {
  let journal: Journal;
  let host: Host;

  beforeEach(async () => {
    host = createMemoryHost();
    journal = await openJournal(host);
  });
  afterEach(() => journal.close());

  const prepared = (resources: readonly Resource[]) =>
    prepare({
      host,
      journal,
      source: 'boot',
      desired: {
        resources: new Map<ResourceId, Resource>(resources.map((item) => [item.id, item])),
        goal: undefined,
        warnings: [],
      },
    });
  const apply = async (...resources: readonly Resource[]): Promise<void> => {
    const result = await carryOut(await prepared(resources), { artifactBase: '/' });
    assert.equal(result.outcome, 'converged');
  };

  it('says nothing was applied where there is no journal', async () => {
    const found = await status(host, undefined);
    assert.equal(found.generation, undefined);
    assert.equal(statusText(found, plainLook), 'nodekiln has applied nothing here');
  });

  it('counts what is in place, by source', async () => {
    await apply(file('/etc/a', 'a'), file('/etc/b', 'b'));
    const found = await status(host, journal);
    assert.equal(found.generation?.number, 1);
    assert.equal(found.generation.status, 'applied');
    assert.deepEqual(found.sources, [{ source: 'boot', resources: 2 }]);
    assert.deepEqual(found.summary, { inPlace: 2, pending: 0, failed: 0, drifted: 0 });
    assert.deepEqual(found.resources, []);
  });

  it('names what drifted, and what about it', async () => {
    await apply(file('/etc/a', 'a'), file('/etc/b', 'b'));
    await host.files.write([
      { type: 'file', path: '/etc/a', content: new TextEncoder().encode('other'), mode: 0o644, uid: 0, gid: 0 },
    ]);
    await host.files.remove(['/etc/b']);
    const found = await status(host, journal);
    assert.deepEqual(
      found.resources.map(({ id, state, change }) => [id, state, change]),
      [
        ['file:/etc/a', 'drifted', 'update'],
        ['file:/etc/b', 'drifted', 'create'],
      ],
    );
    assert.ok(found.resources.every(({ details }) => details.length > 0));
    assert.match(statusText(found, plainLook), /^resources +0 in place, 2 drifted \(boot 2\)$/m);
    assert.equal(textOf(await host.files.read('/etc/a')), 'other', 'nothing is changed by looking');
  });

  it('calls pending what was begun and not done', async () => {
    const made = await prepared([file('/etc/a', 'a')]);
    await journal.begin({ source: 'boot', claims: made.claims, changes: made.plan.changes, starting: [], nowMs: 0 });
    const found = await status(host, journal);
    assert.deepEqual(
      found.resources.map(({ id, state }) => [id, state]),
      [['file:/etc/a', 'pending']],
    );
    assert.equal(found.generation?.status, 'pending');
  });

  it('calls failed what the last boot failed on, and shows its outcome', async () => {
    const made = await prepared([file('/etc/a', 'a')]);
    await journal.begin({ source: 'boot', claims: made.claims, changes: made.plan.changes, starting: [], nowMs: 0 });
    const result = bootResult({
      outcome: 'failed',
      steps: [step('write file:/etc/a', [1500, 1510], { status: 'failed', resource: 'file:/etc/a' })],
      error: { code: 'NK_FILE_WRITE', message: 'no space left', resource: 'file:/etc/a' },
    });
    await host.files.write([
      {
        type: 'file',
        path: bootResultPath,
        content: new TextEncoder().encode(JSON.stringify(result)),
        mode: 0o600,
        uid: 0,
        gid: 0,
      },
    ]);
    const found = await status(host, journal);
    assert.deepEqual(
      found.resources.map(({ id, state }) => [id, state]),
      [['file:/etc/a', 'failed']],
    );
    assert.equal(found.boot?.outcome, 'failed');
    assert.match(statusText(found, plainLook), /last boot +failed, .*: NK_FILE_WRITE no space left/);
  });

  const cut = JSON.stringify(bootResult({ outcome: 'converged' })).slice(0, 40);
  const records: Readonly<Record<string, FileWrite>> = {
    'that is cut': rootFile(bootResultPath, bytesOf(cut), 0o600),
    'that is empty': rootFile(bootResultPath, bytesOf(''), 0o600),
    'that is something else': rootFile(bootResultPath, bytesOf('[1, 2]'), 0o600),
    'with a line in it': rootFile(lastResultPath, bytesOf('{"apiVersion": "a\\nb"}'), 0o600),
    'that is a folder': { type: 'directory', path: lastResultPath, mode: 0o700, uid: 0, gid: 0 },
  };
  for (const [name, record] of Object.entries(records)) {
    it(`names the record of a boot ${name}, and shows the rest`, async () => {
      const made = await prepared([file('/etc/a', 'a')]);
      await journal.begin({ source: 'boot', claims: made.claims, changes: made.plan.changes, starting: [], nowMs: 0 });
      await host.files.write([record]);
      const found = await status(host, journal);
      assert.deepEqual(
        [found.resources.length, found.boot, found.worked, found.bootDamage.length],
        [1, undefined, undefined, 1],
      );
      assert.match(statusText(found, plainLook), new RegExp(`last boot +.*${record.path}`));
    });
  }

  it('shows what an agent that runs cannot put right, and what it remarked', async () => {
    const error = new NodekilnError('NK_CLUSTER_NAME_TAKEN', 'the Node a is another machine’s, too').toJSON();
    const at = '2026-01-02T03:04:05.000Z';
    const said = {
      troubles: [{ controller: 'node-machine', since: at, error }],
      notices: [
        { at, type: 'Warning', reason: 'ClusterPutBack', message: 'the cluster is at an earlier state' },
        { at, type: 'Normal', reason: 'DriftRepaired', message: 'put back' },
      ],
    };
    await host.files.write([textFile(agentStatePath, JSON.stringify(said))]);
    const untouched = statusText(await status(host, undefined), plainLook);
    await apply(file('/etc/a', 'a'));
    for (const text of [untouched, statusText(await status(host, journal), plainLook)]) {
      assert.match(
        text,
        /^trouble +node-machine, since 2026-01-02T03:04:05.000Z: NK_CLUSTER_NAME_TAKEN the Node a is/m,
      );
      assert.match(text, /Give each machine a name of its own/);
      assert.match(text, /^warning +2026-01-02T03:04:05.000Z: the cluster is at an earlier state$/m);
      assert.doesNotMatch(text, /put back/);
    }
    await host.files.write([textFile(agentStatePath, '{')]);
    assert.equal((await status(host, journal)).agentState, undefined);
  });

  it('shows what the agent reported last, and whether its documents have changed since', async () => {
    await apply(file('/etc/a', 'a'));
    const document = textFile('/etc/desired/10-node.json', '{}');
    await host.files.write([document]);
    const source = openSource('dir:/etc/desired', { host });
    const report = async (about: Partial<AgentReport> = {}): Promise<void> => {
      const { digest, texts } = await source.read();
      keepReport(journal, {
        source: source.address,
        reasons: ['change'],
        digest,
        documents: texts.map(({ file: path, text }) => ({ file: path, digest: sha256(text) })),
        outcome: 'converged',
        generation: 1,
        changes: 1,
        impact: [],
        durationMs: 1,
        finishedAt: '2026-01-02T03:04:05Z',
        ...about,
      });
      journal.flush();
    };
    await report();
    await report({ outcome: 'failed', error: new NodekilnError('NK_UNIT_FAILED', 'it failed').toJSON() });
    const found = await status(host, journal);
    assert.match(
      statusText(found, plainLook),
      /^agent +failed, 2026-01-02T03:04:05Z, documents sha256:[0-9a-f]{12}: NK_UNIT_FAILED it failed$/m,
    );
    assert.deepEqual(
      found.agentReports.map(({ outcome }) => outcome),
      ['converged', 'failed'],
    );
    assert.equal(found.agentDocuments?.reported, true);
    assert.equal(found.agentDocuments?.digest, found.agent?.digest);

    await host.files.write([textFile('/etc/desired/10-node.json', '{ }')]);
    const changed = await status(host, journal);
    assert.equal(changed.agentDocuments?.reported, false);
    assert.match(statusText(changed, plainLook), /^agent +failed, .*, which have changed since: NK_UNIT_FAILED/m);

    await host.files.removeTree('/etc/desired');
    const missing = await status(host, journal);
    assert.equal(missing.agentDocuments?.reported, false);
    assert.match(JSON.stringify(missing.agentDocuments), /NK_DOCUMENT_MISSING/);
  });

  it('shows units with their state', async () => {
    const unit: Resource = {
      kind: 'unit',
      id: 'unit:demo.service',
      name: 'demo.service',
      scope: 'node',
      deferrable: false,
      importance: 'required',
      needs: [],
      content: '[Service]\nExecStart=/bin/true\n',
      dropIns: [],
      inputs: [],
      onChange: 'none',
      readiness: { type: 'active' },
      deadlineMs: 1000,
    };
    await apply(unit);
    const found = await status(host, journal);
    assert.deepEqual(
      found.units.map(({ name, activeState }) => [name, activeState]),
      [['demo.service', 'inactive']],
    );
    assert.match(statusText(found, plainLook), /^demo\.service +inactive/m);
  });

  it('and plans never show secrets', async () => {
    const report = planReport(await prepared([hidden, file('/etc/a', 'a')]), { warnings: ['a remark'] });
    const text = JSON.stringify(report) + planText(report);
    assert.ok(!text.includes(secret) && !text.includes(Buffer.from(secret).toString('base64')));
    assert.match(text, /"sensitive":true/);
    assert.doesNotMatch(
      JSON.stringify(report.steps.find((one) => one.resource === hidden.id)),
      /sha256/,
      'nor their digest',
    );
    await apply(hidden);

    const found = await status(host, journal);
    const again = planReport(
      await prepared([
        {
          ...hidden,
          entry: { type: 'file', content: { text: { sensitive: `${secret}2` } }, mode: '0400', uid: 0, gid: 0 },
        },
      ]),
      { warnings: [] },
    );
    assert.ok(!(JSON.stringify(found) + JSON.stringify(again) + planText(again)).includes(secret));
  });

  it('and plans say for every step why, and why there', async () => {
    const text = planText(
      planReport(await prepared([file('/etc/a', 'a'), file('/etc/b', 'b')]), { warnings: ['a remark'] }),
    );
    assert.match(text, /^warning: a remark$/m);
    assert.match(text, /^create +file:\/etc\/a +is missing$/m);
    assert.match(text, /^ *1 +file:\/etc\/a +write$/m);
    assert.match(text, /^1-2 +nothing in this plan has to be reached first$/m);
    assert.match(text, /^no unit starts, stops, restarts or reloads$/m);
    assert.match(text, /^2 resources to change in 2 steps$/m);
  });
});
