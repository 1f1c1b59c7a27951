/**
 * A node that gardener-node-agent tended until now, as the first document of ours finds it: prepared in memory as that agent
 * leaves it. What did not change is not touched, what nobody asks for any more goes.
 */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { stringify } from 'yaml';
import { createMemoryNode, textFile } from '../../test/support/memory-node.ts';
import { inlineFile, oscOf, type Json } from '../../test/support/osc.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import { textOf } from '../model/bytes.ts';
import { runAgentOn } from './agent.ts';

const base = '/var/lib/gardener-node-agent';
const folder = '/etc/nodekiln/desired';
const units = '/etc/systemd/system';
const content = (name: string): string => `[Service]\nExecStart=/bin/${name}\n[Install]\nWantedBy=multi-user.target\n`;
const unit = (name: string, about: Json = {}): Json => ({
  name: `${name}.service`,
  enable: true,
  content: content(name),
  ...about,
});
const agentUnit = unit('gardener-node-agent');

const before: Json = {
  type: 'gardenlinux',
  purpose: 'reconcile',
  files: [
    inlineFile('/etc/kept', 'kept', { permissions: 0o644 }),
    inlineFile('/etc/read', 'read by kept', { permissions: 0o600 }),
    inlineFile('/etc/gone', 'gone'),
    { path: '/etc/secret', content: { secretRef: { name: 'some', dataKey: 'key' } } },
  ],
  units: [
    unit('kept', { filePaths: ['/etc/read'], dropIns: [{ name: '10-more.conf', content: '[Service]\nNice=5\n' }] }),
    unit('gone'),
    agentUnit,
  ],
};
/** What the document says next: without what is gone. */
const next: Json = {
  ...before,
  files: (before['files'] as Json[]).filter(({ path }) => path !== '/etc/gone' && path !== '/etc/secret'),
  units: (before['units'] as Json[]).filter(({ name }) => name !== 'gone.service'),
};

let machine: MemoryMachine;

beforeEach(async () => {
  machine = await createMemoryNode();
  const list = (key: string): Json[] => before[key] as Json[];
  await machine.files.write([
    ...list('files').map((file) => {
      const { inline } = file['content'] as { inline?: { data: string } };
      return textFile(String(file['path']), inline?.data ?? 'from a Secret', Number(file['permissions'] ?? 0o600));
    }),
    // The reference writes units so that only root can read them.
    ...list('units').map(({ name, content: text }) => textFile(`${units}/${String(name)}`, String(text))),
    textFile(`${units}/kept.service.d/10-more.conf`, '[Service]\nNice=5\n'),
    textFile(`${base}/last-applied-osc.yaml`, stringify(oscOf(before))),
  ]);
  await machine.units.daemonReload();
  for (const { name } of list('units')) {
    await machine.open().units.setEnablement('enable', [String(name)]);
    await machine.units.start(String(name));
  }
});

const text = async (path: string): Promise<string | undefined> => textOf(await machine.files.read(path));
const state = async (name: string): Promise<string> => (await machine.units.get(`${name}.service`)).activeState;

/** One agent's first reconciliation; what it did to units, and what it told. */
async function follow(spec: Json): Promise<{ jobs: string[]; notices: string[] }> {
  await machine.files.write([
    { type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 },
    textFile(`${folder}/osc.yaml`, stringify(oscOf(spec))),
  ]);
  await machine.clock.sleep(2_000);
  const seen = machine.effects.length;
  const notices: string[] = [];
  await runAgentOn(machine.open(), {
    source: `dir:${folder}`,
    once: true,
    onEvent: (event) => {
      if (event.type === 'notice') notices.push(`${event.notice.type} ${event.notice.reason} ${event.notice.message}`);
    },
  });
  const jobs = machine.effects.slice(seen).filter((effect) => /^(?:start|stop|restart|reload) /.test(effect));
  return { jobs: jobs.sort(), notices };
}

describe('a node of gardener-node-agent', () => {
  it('goes on as it was; the agent of before is stopped, and what is no longer asked for goes', async () => {
    const { jobs, notices } = await follow(next);
    assert.deepEqual(jobs, ['stop gardener-node-agent.service', 'stop gone.service']);
    const { units: systemd } = machine.open();
    assert.deepEqual(
      await Promise.all(['kept', 'gone', 'gardener-node-agent'].map((name) => systemd.enablement(`${name}.service`))),
      ['enabled', '', 'disabled'],
    );
    assert.equal(await text('/etc/kept'), 'kept');
    assert.equal((await machine.files.stat(`${units}/kept.service`))?.mode, 0o600, 'its unit file is not written anew');
    assert.deepEqual([await text('/etc/gone'), await text('/etc/secret')], [undefined, undefined]);
    assert.equal(await text(`${units}/gone.service`), undefined);
    assert.deepEqual([await state('kept'), await state('gardener-node-agent')], ['active', 'inactive']);
    assert.match(notices.join(), /^Normal NodeTakenOver .*taken over: \d+ resources$/);
  });

  it('restarts what really changed', async () => {
    const files = (next['files'] as Json[]).map((file) =>
      file['path'] === '/etc/read' ? inlineFile('/etc/read', 'changed', { permissions: 0o600 }) : file,
    );
    const { jobs } = await follow({ ...next, files });
    assert.ok(jobs.includes('restart kept.service'), jobs.join());
  });

  it('is taken over once', async () => {
    await follow(next);
    await machine.files.write([textFile('/etc/gone', 'of somebody else')]);
    const { jobs, notices } = await follow(next);
    assert.deepEqual([jobs, notices], [[], []]);
    assert.equal(await text('/etc/gone'), 'of somebody else');
  });

  it('that was in the middle of a change leaves nothing of it', async () => {
    const half = {
      operatingSystemConfigChecksum: '0'.repeat(64),
      files: { changed: [inlineFile('/etc/half', 'half')] },
      units: { changed: [{ ...unit('half'), dropInsChanges: { changed: [], deleted: [] } }], commands: [] },
    };
    await machine.files.write([
      textFile(`${base}/last-computed-osc-changes.yaml`, stringify(half)),
      textFile('/etc/half', 'half'),
      textFile(`${units}/half.service`, content('half')),
    ]);
    await machine.units.daemonReload();
    await machine.units.start('half.service');
    await follow(next);
    assert.deepEqual([await text('/etc/half'), await text(`${units}/half.service`)], [undefined, undefined]);
  });

  for (const [what, put] of [
    [
      'is cut off',
      () => textFile(`${base}/last-applied-osc.yaml`, `${stringify(oscOf(before)).slice(0, -40)}\n  "cut`),
    ],
    ['is empty', () => textFile(`${base}/last-applied-osc.yaml`, '')],
    [
      'is of somebody else',
      () => ({ ...textFile(`${base}/last-applied-osc.yaml`, stringify(oscOf(before))), uid: 1000 }),
    ],
    ['can be written by others', () => textFile(`${base}/last-applied-osc.yaml`, stringify(oscOf(before)), 0o666)],
    [
      'names a file outside of every rule',
      () =>
        textFile(
          `${base}/last-applied-osc.yaml`,
          stringify(oscOf({ ...before, files: [inlineFile('/etc/../x', '')] })),
        ),
    ],
  ] as const)
    it(`whose state ${what} is gone on from all the same, and nothing is removed for it (X5)`, async () => {
      await machine.files.write([put()]);
      const { notices } = await follow(next);
      assert.match(notices.join(), /^Warning NodeTakenOver .*last-applied-osc\.yaml cannot be used/);
      assert.deepEqual([await text('/etc/gone'), await state('kept')], ['gone', 'active']);
    });
});
