/**
 * The agent as it is installed, on a real host: what it does about its folder, and that nothing that happens to the folder,
 * the disk or the lock ends it or makes it take away what nobody gave up.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../../../src/host/digest.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { bootedHost, documentWith, program, startAgent, type Agent } from './agent-host.ts';

const folder = '/etc/nodekiln/desired';
const kept = '/etc/nodekiln-demo/short-lived';

function extraFile(words: string): string {
  return `    - path: /etc/nodekiln-demo/extra\n      content: |\n        ${words}\n`;
}

describe('the agent on a real host', { concurrency: 1 }, () => {
  let lab: Lab;
  let host: LabHost;
  let agent: Agent;
  let document = '';

  const exists = async (path: string): Promise<boolean> => (await host.exec(['test', '-e', path])).status === 0;
  const give = async (text: string): Promise<void> => {
    document = text;
    await agent.give(text);
  };
  const converged = async (text = document): Promise<void> => {
    const report = await agent.reportOn(text);
    assert.equal(report.outcome, 'converged', JSON.stringify(report.error));
  };
  /** Until everything that was told of is over: what still came would be seen. */
  const settled = (): Promise<void> => sleep(1500);

  before(async () => {
    lab = await openLab();
    host = await bootedHost(lab, 'agent');
    agent = await startAgent(host, folder);
    await agent.report(({ outcome }) => outcome === 'converged', 'at the start');
  });
  after(() => lab?.close());

  test('a document renamed into place is one reconciliation', { timeout: 120_000 }, async (context) => {
    await give(await documentWith());
    await converged();
    await give(await documentWith({ files: extraFile('one') }));
    await converged();
    assert.equal(await host.readFile('/etc/nodekiln-demo/extra'), 'one\n');
    // Both got their names by a rename, which their inodes keep the time of.
    const times = await host.check(['stat', '--format=%.9Z', `${folder}/10-node.yaml`, '/etc/nodekiln-demo/extra']);
    const [given = 0, placed = 0] = times.trim().split('\n').map(Number);
    context.diagnostic(`${((placed - given) * 1000).toFixed(0)} ms from the document in place to the file in place`);
    await settled();
    const digest = sha256(document);
    const about = (await agent.reports()).filter(({ documents }) => documents.some((each) => each.digest === digest));
    assert.deepEqual(
      about.map(({ reasons, changes }) => [reasons, changes]),
      [[['change'], 1]],
    );
  });

  test('files that are no documents, and one that says what it said, are none', { timeout: 60_000 }, async () => {
    const before = (await agent.reports()).length;
    await agent.give('notes', 'notes.txt');
    await agent.give('kind: Broken', '.hidden.yaml');
    await agent.give(document);
    await host.check(['touch', `${folder}/10-node.yaml`]);
    await settled();
    assert.equal((await agent.reports()).length, before);
  });

  test('a document written in place, in parts, is read when it is whole', { timeout: 60_000 }, async () => {
    const text = await documentWith({ files: extraFile('two') });
    document = text;
    await host.check(
      ['sh', '-c', `head -c 300 /dev/stdin >${folder}/10-node.yaml; sleep 0.02; cat >>${folder}/10-node.yaml`],
      {
        input: text,
      },
    );
    await settled();
    await host.check(['sh', '-c', `cat >${folder}/10-node.yaml`], { input: text });
    await converged();
    assert.equal(await host.readFile('/etc/nodekiln-demo/extra'), 'two\n');
  });

  test('a bad document changes nothing, and the next good one is taken up', { timeout: 60_000 }, async () => {
    const good = document;
    await give(good.replace('takeover: true', 'takeovr: true'));
    const report = await agent.reportOn(document);
    assert.equal(report.outcome, 'failed');
    assert.equal((report.error as { code?: string }).code, 'NK_DOCUMENT_INVALID');
    assert.ok(await exists(kept));
    await give(good);
    await agent.report(
      ({ outcome, finishedAt }) => outcome === 'converged' && finishedAt > report.finishedAt,
      'after it',
    );
  });

  test(
    'a folder that is renamed away keeps what is applied, and is followed when it is back',
    { timeout: 90_000 },
    async () => {
      await host.check(['mv', folder, `${folder}.away`]);
      const report = await agent.report(
        ({ error }) => (error as { code?: string })?.code === 'NK_DOCUMENT_MISSING',
        'missing',
      );
      assert.equal(report.changes, 0);
      await settled();
      assert.ok(await exists(kept), 'nothing is removed');
      await host.check(['mv', `${folder}.away`, folder]);
      await agent.report(
        ({ outcome, finishedAt }) => outcome === 'converged' && finishedAt > report.finishedAt,
        'back again',
      );
      await give(await documentWith({ files: extraFile('three') }));
      await converged();
    },
  );

  test('a folder that is replaced by another is followed', { timeout: 90_000 }, async () => {
    const text = await documentWith({ files: extraFile('four') });
    await host.writeFile(`${folder}.next/10-node.yaml`, text, { mode: 0o600 });
    await host.check(['sh', '-c', `mv ${folder} ${folder}.old && mv ${folder}.next ${folder}`]);
    await converged(text);
    assert.equal(await host.readFile('/etc/nodekiln-demo/extra'), 'four\n');
    await give(await documentWith({ files: extraFile('five') }));
    await converged();
  });

  test('a FIFO and a file without end are refused, and do not hold it up', { timeout: 90_000 }, async () => {
    await host.check(['mkfifo', `${folder}/20-fifo.yaml`]);
    const refused = await agent.report(
      ({ error }) => /no regular file/.test((error as { message?: string })?.message ?? ''),
      'on the FIFO',
    );
    assert.equal(refused.outcome, 'failed');
    await host.check(['sh', '-c', `rm ${folder}/20-fifo.yaml && truncate -s 64G ${folder}/30-endless.yaml`]);
    await agent.report(
      ({ error }) => /is larger than/.test((error as { message?: string })?.message ?? ''),
      'on the endless file',
    );
    assert.ok(await exists(kept));
    await host.check(['rm', `${folder}/30-endless.yaml`]);
    await give(await documentWith({ files: extraFile('six') }));
    await converged();
  });

  test('a full state folder is reported, and recovered from by itself', { timeout: 120_000 }, async () => {
    const state = '/var/lib/nodekiln';
    assert.equal((await agent.terminate()).status, 0);
    await host.check([
      'sh',
      '-c',
      `cp -a ${state} /root/state && mount -t tmpfs -o size=2m,mode=0700 tmpfs ${state} && cp -a /root/state/. ${state}/`,
    ]);
    agent = await startAgent(host, folder);
    await agent.report(({ outcome }) => outcome === 'converged', 'at the start');
    await host.exec(['dd', 'if=/dev/zero', `of=${state}/filler`, 'bs=4k'], { timeoutMs: 30_000 });
    await give(await documentWith({ files: extraFile('seven') }));
    const report = await agent.report(({ outcome }) => outcome === 'failed', 'of the full disk');
    assert.equal((report.error as { code?: string }).code, 'NK_STATE_UNUSABLE', JSON.stringify(report.error));
    await sleep(4000);
    assert.ok(await agent.isRunning(), await agent.log());
    await host.check(['rm', `${state}/filler`]);
    await agent.report(
      ({ outcome, documents }) => outcome === 'converged' && documents.some((each) => each.digest === sha256(document)),
      'once there is space',
    );
    assert.equal(await host.readFile('/etc/nodekiln-demo/extra'), 'seven\n');
    assert.equal((await agent.terminate()).status, 0);
    await host.check([
      'sh',
      '-c',
      `cp -a ${state}/. /root/state/ && umount ${state} && rm -rf ${state} && mv /root/state ${state}`,
    ]);
    agent = await startAgent(host, folder);
    await agent.report(({ outcome }) => outcome === 'converged', 'at the start');
  });

  test('status keeps the last reports, to be asked for by the digest of a document', { timeout: 60_000 }, async () => {
    const { data } = JSON.parse(await host.check([program, 'status', '--json'])) as {
      data: { agentReports: { outcome: string; documents: { digest: string }[] }[] };
    };
    const digest = sha256(document);
    const about = data.agentReports.filter(({ documents }) => documents.some((each) => each.digest === digest));
    assert.ok(about.length > 0 && about.every(({ outcome }) => outcome === 'converged' || outcome === 'failed'));
    assert.equal(about.at(-1)?.outcome, 'converged');
  });

  test(
    'an empty folder asks for nothing: what the agent brought goes, what the boot brought stays',
    { timeout: 60_000 },
    async () => {
      await host.check(['rm', `${folder}/10-node.yaml`]);
      await agent.report(({ documents, changes }) => documents.length === 0 && changes > 0, 'of the empty folder');
      assert.equal(await exists(kept), false);
      assert.ok(await exists('/etc/nodekiln-demo/message'));
      assert.equal((await agent.terminate()).status, 0);
    },
  );
});
