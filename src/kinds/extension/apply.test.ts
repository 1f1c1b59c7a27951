/**
 * Effects of extensions on a machine in memory. Its `systemd-sysext refresh` merges what is linked in /etc/extensions and
 * keeps the names where systemd does; `unshare` looks into folders.
 */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { ExtensionResource, UnitResource } from '../../model/resources.ts';
import { createEngine, type Engine } from '../../../test/support/engine.ts';
import { unit } from '../../../test/support/planning.ts';

const mergedList = '/usr/.systemd-sysext/extensions';
const mask = '/etc/systemd/system/multi-user.target.d/10-tool.conf';

function extension(name: string, about: Partial<ExtensionResource> = {}): ExtensionResource {
  return {
    kind: 'extension',
    id: `extension:${name}`,
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: [],
    name,
    architecture: 'amd64',
    sources: [{ type: 'local', path: `/opt/extensions/${name}` }],
    tools: [name],
    ...about,
  };
}

interface Refresh {
  readonly merged: readonly string[];
  /** What stood over the drop-in that starts the tool's unit. */
  readonly masked: string | undefined;
}

let engine: Engine;
let refreshes: Refresh[];
/** Ends a refresh in turn, from the first. */
let statuses: number[];

/** A folder as an extension, with a program and a drop-in by which the host's multi-user.target starts its unit. */
async function putExtension(name: string): Promise<void> {
  const root = `/opt/extensions/${name}/usr`;
  await engine.put(`${root}/bin/${name}`, 'program', 0o755);
  await engine.put(`${root}/lib/extension-release.d/extension-release.${name}`, 'ID=_any\n');
  await engine.put(`${root}/lib/systemd/system/${name}.service`, '[Service]\nExecStart=/usr/bin/tool\n');
  await engine.put(
    `${root}/lib/systemd/system/multi-user.target.d/10-${name}.conf`,
    `[Unit]\nUpholds=${name}.service\n`,
  );
}

beforeEach(async () => {
  engine = await createEngine();
  [refreshes, statuses] = [[], []];
  const { machine } = engine;
  const { files } = machine;
  const copyTree = async (from: string, to: string): Promise<void> => {
    for (const name of await files.list(from)) {
      const stat = await files.stat(`${from}/${name}`);
      if (stat?.type === 'directory') await copyTree(`${from}/${name}`, `${to}/${name}`);
      else await engine.put(`${to}/${name}`, (await engine.text(`${from}/${name}`)) ?? '');
    }
  };
  machine.program('unshare', async ({ argv }) => {
    const [file = '', out = ''] = argv.slice(-2);
    const listed = { top: '', opt: '/opt', etc: '/etc', tools: '/usr/bin' };
    for (const [name, folder] of Object.entries(listed))
      await engine.put(`${out}/${name}`, (await files.list(`${file}${folder}`)).map((each) => `${each}\n`).join(''));
    await engine.put(`${out}/system`, '');
    for (const folder of ['usr/lib/systemd/system', 'usr/lib/extension-release.d'])
      await copyTree(`${file}/${folder}`, `${out}/copy/${folder}`);
    return {};
  });
  machine.program('systemd-sysext', async () => {
    const status = statuses.shift() ?? 0;
    const merged = (await files.list('/etc/extensions')).map((name) => name.replace(/\.raw$/, ''));
    refreshes.push({ merged, masked: (await files.stat(mask))?.target });
    if (status === 0) await engine.put(mergedList, merged.map((name) => `${name}\n`).join(''));
    return { status, stderr: status === 0 ? '' : 'Failed to merge hierarchies' };
  });
  await engine.put('/etc/os-release', 'ID=debian\nVERSION_ID=12\n');
  for (const name of ['tool', 'other']) await putExtension(name);
});

const stat = (path: string) => engine.machine.files.stat(path);

describe('extensions', () => {
  test('are merged by one refresh for all, with their links and their tools', async () => {
    await engine.applied([extension('tool'), extension('other')]);
    assert.deepEqual(
      refreshes.map(({ merged }) => merged),
      [['other', 'tool']],
    );
    assert.equal((await stat('/etc/extensions/tool'))?.target, '/opt/extensions/tool');
    assert.equal((await stat('/opt/bin/tool'))?.target, '/usr/bin/tool');
    engine.effects();
    await engine.applied([extension('tool'), extension('other')]);
    assert.deepEqual(engine.effects(), []);
  });

  test('have what would start their units masked before they are merged', async () => {
    await engine.applied([extension('tool')]);
    assert.deepEqual(refreshes, [{ merged: ['tool'], masked: '/dev/null' }]);
    // The unit itself is not: kubelet's must be there to be started.
    assert.equal(await stat('/etc/systemd/system/tool.service'), undefined);
    await engine.applied([]);
    assert.equal(await stat(mask), undefined, 'the mask goes with the extension');
  });

  test('that cannot be merged leave everything as it was, and what was merged is merged again', async () => {
    await engine.applied([extension('other')]);
    const before = engine.machine.snapshot();
    [refreshes, statuses] = [[], [1, 0]];
    const { outcome, error, steps } = await engine.apply([extension('tool'), extension('other')]);
    assert.deepEqual([outcome, error?.code], ['failed', 'NK_EXTENSION_MERGE']);
    assert.deepEqual(
      refreshes.map(({ merged }) => merged),
      [['other', 'tool'], ['other']],
      'a second refresh brings back what was merged',
    );
    // Until then what the masks cover may still be merged.
    assert.equal(refreshes[1]?.masked, '/dev/null');
    const merge = steps.find(({ id }) => id === 'merge extensions');
    assert.deepEqual(merge?.details, ['the extensions of before are merged again']);
    assert.deepEqual(error?.lines, ['Failed to merge hierarchies']);
    for (const path of ['/etc/extensions/tool', '/opt/bin/tool', mask]) assert.equal(await stat(path), undefined, path);
    const after = engine.machine.snapshot();
    for (const path of ['/etc/extensions/other', '/opt/bin/other', mergedList]) assert.equal(after[path], before[path]);
  });

  test('that systemd passes over in silence were not merged, either', async () => {
    engine.machine.program('systemd-sysext', async () => {
      refreshes.push({ merged: [], masked: undefined });
      return {};
    });
    const { error } = await engine.apply([extension('tool')]);
    assert.equal(error?.code, 'NK_EXTENSION_MERGE');
    assert.match(error?.message ?? '', /did not merge tool/);
    assert.equal(refreshes.length, 2);
  });

  test('are taken up where an earlier run failed', async () => {
    statuses = [1, 0];
    await engine.apply([extension('tool')]);
    await engine.applied([extension('tool')]);
    assert.equal((await stat('/opt/bin/tool'))?.target, '/usr/bin/tool');
  });

  test('of an older systemd are refreshed without the option it does not know', async () => {
    const calls: (readonly string[])[] = [];
    engine.machine.program('systemd-sysext', async ({ argv }) => {
      calls.push(argv.slice(1));
      if (argv.includes('--no-reload'))
        return { status: 1, stderr: "systemd-sysext: unrecognized option '--no-reload'" };
      await engine.put(mergedList, 'tool\n');
      return {};
    });
    await engine.applied([extension('tool')]);
    assert.deepEqual(calls, [['--no-reload', 'refresh'], ['refresh']]);
  });

  test('are merged, then systemd reads units, then what uses them starts', async () => {
    const user: UnitResource = unit('user.service', { inputs: ['extension:tool'] });
    await engine.applied([extension('tool'), user]);
    const effects = engine.effects();
    const order = ['exec systemd-sysext --no-reload refresh', 'daemon-reload', 'start user.service'].map((effect) =>
      effects.indexOf(effect),
    );
    assert.ok(order.every((at) => at >= 0));
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
  });

  test('of somebody else stay, and ours does not take their place', async () => {
    await engine.put('/etc/extensions/tool.raw', 'theirs');
    const { error } = await engine.apply([extension('tool')]);
    assert.equal(error?.code, 'NK_PLAN_CONFLICT');
    assert.equal(await engine.text('/etc/extensions/tool.raw'), 'theirs');
    assert.deepEqual(refreshes, []);
  });

  const refused: readonly (readonly [string, () => Promise<void>, string])[] = [
    ['with content in /etc', () => engine.put('/opt/extensions/tool/etc/x', 'x'), 'NK_EXTENSION_REFUSED'],
    [
      'for another system',
      () => engine.put('/opt/extensions/tool/usr/lib/extension-release.d/extension-release.tool', 'ID=fedora\n'),
      'NK_EXTENSION_REFUSED',
    ],
    [
      'without a tool that it is to bring',
      async () => void (await engine.machine.files.remove(['/opt/extensions/tool/usr/bin/tool'])),
      'NK_ARTIFACT_MEMBER',
    ],
  ];
  for (const [what, change, code] of refused) {
    test(`${what} are refused before anything changes`, async () => {
      await change();
      const { error } = await engine.apply([extension('tool')]);
      assert.equal(error?.code, code);
      assert.deepEqual(refreshes, []);
      assert.equal(await stat('/etc/extensions/tool'), undefined);
    });
  }

  test('that a document drops are unmerged, with the links of their tools', async () => {
    await engine.applied([extension('tool'), extension('other')]);
    await engine.applied([extension('other')]);
    assert.deepEqual(refreshes.at(-1)?.merged, ['other']);
    assert.deepEqual([await stat('/etc/extensions/tool'), await stat('/opt/bin/tool')], [undefined, undefined]);
    assert.equal((await stat('/opt/bin/other'))?.target, '/usr/bin/other');
  });
});
