/**
 * The same document in conf.d and in the folder that an agent follows, on a real host: the agent takes over what is equal and
 * restarts nothing; what differs is a conflict, one line each, with nothing touched; `takeover` settles it.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { demoFolder } from '../../demo/baked.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { bootedHost, program } from './agent-host.ts';

const folder = '/etc/nodekiln/desired';
const paths = ['/etc/nodekiln-demo/message', '/etc/nodekiln-demo/second', '/etc/nodekiln-demo/third'];

describe('one document for boot and agent', { concurrency: 1 }, () => {
  let lab: Lab;
  let host: LabHost;
  let text = '';
  before(async () => {
    lab = await openLab();
    const more = paths.slice(1).map((path) => `    - { path: ${path}, content: "of the boot\\n" }\n`);
    text = (await readFile(join(demoFolder, 'node.yaml'), 'utf8')).replace('  units:\n', `${more.join('')}  units:\n`);
    host = await bootedHost(lab, 'take-over', { document: text });
  });
  after(() => lab?.close());

  const give = (document: string): Promise<void> => host.writeFile(`${folder}/10-node.yaml`, document, { mode: 0o600 });
  const once = () => host.exec([program, 'agent', '--source', `dir:${folder}`, '--once'], { timeoutMs: 60_000 });
  const pids = (): Promise<string> =>
    host.check(['systemctl', 'show', '--property=MainPID', 'kubelet', 'containerd', 'nodekiln-demo']);
  /** Of boot and agent: the lab itself disables the unit of the boot that the image wants. */
  const differing = async (): Promise<unknown[]> => {
    const { data } = JSON.parse(await host.check([program, 'status', '--json'])) as {
      data: { resources: { source: string }[] };
    };
    return data.resources.filter(({ source }) => source !== 'image');
  };
  const contents = (): Promise<string> => host.check(['cat', ...paths]);

  test('is the agent’s where it is equal, and restarts nothing', { timeout: 90_000 }, async () => {
    const before = await pids();
    await give(text);
    const { status, stdout, stderr } = await once();
    assert.equal(status, 0, stdout + stderr);
    assert.equal(await pids(), before);
    assert.deepEqual(await differing(), [], 'all is in place');
    const again = await once();
    assert.match(again.stdout + again.stderr, /nothing to do/);
    assert.match(await host.check([program, 'boot']), /nothing to do/, 'nor is it taken back');
    assert.equal(await pids(), before);
  });

  test('conflicts where it differs, one line each, with nothing touched', { timeout: 90_000 }, async () => {
    const before = [await pids(), await contents()];
    await give(text.replaceAll('of the boot', 'of the agent').replace('hello from the first boot', 'hello'));
    const { status, stdout, stderr } = await once();
    assert.notEqual(status, 0, stdout);
    const said = (stdout + stderr).split('\n');
    for (const path of paths)
      assert.equal(said.filter((line) => line.includes(`file:${path} `)).length, 1, `${path}: ${said.join('\n')}`);
    assert.equal(said.filter((line) => /belongs to source boot and is claimed by agent/.test(line)).length, 3);
    assert.match(said.join('\n'), /NK_PLAN_CONFLICT/);
    assert.equal(said.filter((line) => line.startsWith('hint:')).length, 1);
    assert.deepEqual([await pids(), await contents()], before);
  });

  test('is the agent’s where it says so, and the boot’s again when it says nothing', { timeout: 120_000 }, async () => {
    const before = await contents();
    await give(
      text
        .replace('spec:\n', 'spec:\n  takeover: true\n')
        .replaceAll('of the boot', 'of the agent')
        .replace('hello from the first boot', 'hello'),
    );
    const { status, stdout, stderr } = await once();
    assert.equal(status, 0, stdout + stderr);
    assert.equal(await contents(), 'hello\nof the agent\nof the agent\n');
    await give(text);
    const back = await once();
    assert.equal(back.status, 0, back.stdout + back.stderr);
    assert.equal(await contents(), before);
  });
});
