/**
 * A whole cycle on a machine in memory: a document with files and units of every sort, and the next one that changes, drops and
 * keeps some of each; with every file and every call of systemd that comes of it. A unit that does not run is started where the
 * agent of before restarted it, and one that never ran is not stopped.
 */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { digestOf, image, ociManifest } from '../../../../test/servers/registry.ts';
import { createEngine, type Engine } from '../../../../test/support/engine.ts';
import { createMemoryNode, textFile } from '../../../../test/support/memory-node.ts';
import { inlineFile, oscOf, renderOsc, secretValue, type Json } from '../../../../test/support/osc.ts';
import { tar } from '../../../../test/support/tar.ts';
import type { MemoryMachine } from '../../../host/memory/machine.ts';

const folder = '/etc/systemd/system';
const text = (name: string): string => `[Service]\nExecStart=/bin/${name}\n[Install]\nWantedBy=multi-user.target\n`;
const drop = (...names: readonly string[]): Json[] =>
  names.map((name) => ({ name: `${name}.conf`, content: `# ${name}\n` }));
const unit = (name: string, about: Json = {}): Json => ({ name: `${name}.service`, content: text(name), ...about });
/** Without content: the system's. */
const systems = (name: string, about: Json): Json => ({ name: `${name}.service`, ...about });
const running = { enable: true, command: 'start' } as const;
const mode = { permissions: 0o750 } as const;
const fromImage = {
  path: '/third/file',
  content: { imageRef: { image: 'registry.example/foo-image:v1', filePathInImage: '/foo-file' } },
  ...mode,
};
const fromSecret = {
  path: '/secretref/file',
  content: { secretRef: { name: 'file9-secret', dataKey: 'content' } },
  ...mode,
};
const secrets = new Map([['file9-secret', { content: secretValue('file9') }]]);
const criConfig = {
  name: 'containerd',
  cgroupDriver: 'systemd',
  containerd: { sandboxImage: 'registry.k8s.io/pause:latest' },
};

const first = oscOf(
  {
    criConfig,
    files: [
      inlineFile('/example/file', 'file1', { permissions: 0o777 }),
      fromImage,
      inlineFile('/changed/file', 'file5', mode),
      inlineFile('/opt/bin/init-containerd', 'file8', { permissions: 0o644 }),
      fromSecret,
    ],
    units: [
      unit('unit1', { ...running, dropIns: drop('drop') }),
      unit('unit2', { enable: false, command: 'stop' }),
      unit('unit5', { ...running, dropIns: drop('drop1', 'drop2') }),
      systems('unit5', { dropIns: drop('extensionsdrop') }),
      unit('unit6', { ...running, filePaths: ['/third/file'] }),
      unit('unit7', { ...running, filePaths: ['/changed/file'] }),
    ],
  },
  {
    extensionFiles: [
      { path: '/another/file', content: { inline: { encoding: 'b64', data: 'ZmlsZTI=' } } },
      inlineFile('/unchanged/file', 'file4', mode),
      inlineFile('/sixth/file', 'file6', mode),
      inlineFile('/seventh/file', 'file7', mode),
    ],
    extensionUnits: [
      systems('unit3', { dropIns: drop('drop'), filePaths: ['/unchanged/file'] }),
      unit('unit4', { ...running, dropIns: drop('drop') }),
      unit('unit8', { ...running, filePaths: ['/sixth/file'] }),
      systems('unit9', { dropIns: drop('drop'), filePaths: ['/seventh/file'] }),
      systems('existing-unit', { dropIns: drop('drop') }),
      systems('containerd', { dropIns: drop('extensionsdrop') }),
    ],
  },
);

/** unit1 and /another/file go, existing-unit and containerd's drop-in, too; unit3 and /example/file stay as they are. */
const second = oscOf(
  {
    criConfig,
    files: [
      inlineFile('/example/file', 'file1', { permissions: 0o777 }),
      fromImage,
      inlineFile('/changed/file', 'changed5', mode),
      inlineFile('/opt/bin/init-containerd', 'file8', { permissions: 0o644 }),
      fromSecret,
    ],
    units: [
      unit('unit2', { enable: true, dropIns: drop('dropdropdrop') }),
      unit('unit5', { ...running, dropIns: drop('drop2') }),
      unit('unit6', running),
      unit('unit7', { ...running, filePaths: ['/changed/file'] }),
    ],
  },
  {
    extensionFiles: [
      inlineFile('/unchanged/file', 'file4', mode),
      inlineFile('/sixth/file', 'changed6', mode),
      inlineFile('/seventh/file', 'changed7', mode),
    ],
    extensionUnits: [
      systems('unit3', { dropIns: drop('drop'), filePaths: ['/unchanged/file'] }),
      unit('unit4', { enable: false }),
      unit('unit8', { ...running, filePaths: ['/sixth/file'] }),
      systems('unit9', { dropIns: drop('drop'), filePaths: ['/seventh/file'] }),
    ],
  },
);

let machine: MemoryMachine;
let engine: Engine;
beforeEach(async () => {
  machine = await createMemoryNode();
  await machine.files.write([
    ...['unit3', 'unit9'].map((name) => textFile(`/usr/lib/systemd/system/${name}.service`, text(name), 0o644)),
    textFile(`${folder}/existing-unit.service`, text('existing-unit'), 0o644),
    textFile(`${folder}/existing-unit.service.d/foreign.conf`, '# theirs\n', 0o644),
  ]);
  const { manifest, blobs = [] } = image([tar([{ name: 'foo-file', content: 'file3' }])]);
  const known = new Map<string, Uint8Array>([
    ['manifests/v1', Buffer.from(JSON.stringify(manifest))],
    ...blobs.map((blob) => [`blobs/${digestOf(blob)}`, blob] as const),
  ]);
  machine.serve('https://registry.example', ({ url }) => {
    const body = known.get(new URL(url).pathname.replace('/v2/foo-image/', ''));
    return body ? { body, headers: { 'content-type': ociManifest } } : { status: 404 };
  });
  engine = await createEngine(machine);
});

async function applied(document: Json): Promise<void> {
  const { resources } = await renderOsc(document, {}, secrets);
  const result = await engine.apply([...resources.values()], { source: 'agent' });
  assert.deepEqual([result.outcome, result.error?.message], ['converged', undefined]);
}

/** What systemd was asked since the last look, sorted. */
function calls(): string[] {
  const words = /^(start|stop|restart|reload|enable|disable|daemon-reload|unmask|mask)\b/;
  return engine
    .effects()
    .filter((effect) => words.test(effect))
    .map((effect) => effect.replaceAll('.service', ''))
    .sort();
}
const names = [...Array.from({ length: 9 }, (_none, index) => `unit${index + 1}`), 'containerd', 'existing-unit'];
const enablement = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, await engine.host.units.enablement(`${name}.service`)] as const),
    ),
  );
const fileAt = async (path: string): Promise<readonly [string | undefined, number | undefined]> => [
  await engine.text(path),
  (await machine.files.stat(path))?.mode,
];

describe('B: a whole cycle', () => {
  it('B1: every file of the first document is there, with its mode', async () => {
    await applied(first);
    for (const [path, content, bits] of [
      ['/example/file', 'file1', 0o777],
      ['/another/file', 'file2', 0o600],
      ['/third/file', 'file3', 0o750],
      ['/unchanged/file', 'file4', 0o750],
      ['/changed/file', 'file5', 0o750],
      ['/sixth/file', 'file6', 0o750],
      ['/seventh/file', 'file7', 0o750],
      ['/opt/bin/init-containerd', 'file8', 0o644],
      ['/secretref/file', 'file9', 0o750],
    ] as const)
      assert.deepEqual(await fileAt(path), [content, bits], path);
  });

  it('B2: every unit with content has a file, every drop-in its own, of root’s alone; the system’s units stay the system’s', async () => {
    await applied(first);
    for (const name of ['unit1', 'unit2', 'unit4', 'unit5', 'unit6', 'unit7', 'unit8'])
      assert.deepEqual(await fileAt(`${folder}/${name}.service`), [text(name), 0o600], name);
    for (const name of ['unit3', 'unit9', 'containerd'])
      assert.equal(await machine.files.stat(`${folder}/${name}.service`), undefined, name);
    for (const [name, files] of [
      ['unit1', ['drop.conf']],
      ['unit3', ['drop.conf']],
      ['unit4', ['drop.conf']],
      ['unit5', ['drop1.conf', 'drop2.conf', 'extensionsdrop.conf']],
      ['unit9', ['drop.conf']],
      ['existing-unit', ['drop.conf', 'foreign.conf']],
      ['containerd', ['30-env_config.conf', 'extensionsdrop.conf']],
    ] as const) {
      assert.deepEqual(await machine.files.list(`${folder}/${name}.service.d`), files, name);
      for (const file of files.filter((one) => one !== 'foreign.conf'))
        assert.equal((await fileAt(`${folder}/${name}.service.d/${file}`))[1], 0o600, `${name}/${file}`);
    }
    for (const name of ['unit2', 'unit6', 'unit7', 'unit8'])
      assert.equal(await machine.files.stat(`${folder}/${name}.service.d`), undefined, name);
    assert.deepEqual(await fileAt(`${folder}/existing-unit.service.d/foreign.conf`), ['# theirs\n', 0o644]);
  });

  it('B5: units that are asked for are enabled and started, each once; others that run restart; systemd reads them before and after', async () => {
    for (const name of ['containerd', 'existing-unit']) await machine.units.start(`${name}.service`);
    calls();
    await applied(first);
    assert.deepEqual(calls(), [
      'daemon-reload',
      'daemon-reload',
      'restart containerd',
      'restart existing-unit',
      ...['1', '3', '4', '5', '6', '7', '8', '9'].map((number) => `start unit${number}`),
    ]);
    assert.deepEqual(await enablement(), {
      ...Object.fromEntries(names.map((name) => [name, 'enabled'])),
      unit2: 'disabled',
    });
  });

  it('B9: what changed or reads a change restarts, what goes is stopped and disabled, what stays is not touched', async () => {
    for (const name of ['containerd', 'existing-unit']) await machine.units.start(`${name}.service`);
    await applied(first);
    const before = await machine.units.get('unit3.service');
    calls();
    await applied(second);
    assert.deepEqual(calls(), [
      'daemon-reload',
      'daemon-reload',
      'restart containerd',
      'restart existing-unit',
      ...['5', '6', '7', '8', '9'].map((number) => `restart unit${number}`),
      'start unit2',
      'stop unit1',
      'stop unit4',
    ]);
    assert.deepEqual(await enablement(), {
      ...Object.fromEntries(names.map((name) => [name, 'enabled'])),
      unit1: '',
      unit4: 'disabled',
      // As it was before the first document.
      'existing-unit': 'disabled',
    });
    assert.equal((await machine.units.get('unit3.service')).invocationId, before.invocationId);
    for (const [path, content] of [
      ['/example/file', 'file1'],
      ['/another/file', undefined],
      ['/third/file', 'file3'],
      ['/unchanged/file', 'file4'],
      ['/changed/file', 'changed5'],
      ['/sixth/file', 'changed6'],
      ['/seventh/file', 'changed7'],
      ['/opt/bin/init-containerd', 'file8'],
      ['/secretref/file', 'file9'],
      [`${folder}/unit1.service`, undefined],
      [`${folder}/existing-unit.service`, text('existing-unit')],
    ] as const)
      assert.equal((await fileAt(path))[0], content, path);
    for (const [name, files] of [
      ['unit2', ['dropdropdrop.conf']],
      ['unit3', ['drop.conf']],
      ['unit5', ['drop2.conf']],
      ['unit9', ['drop.conf']],
      ['existing-unit', ['foreign.conf']],
      ['containerd', ['30-env_config.conf']],
    ] as const)
      assert.deepEqual(await machine.files.list(`${folder}/${name}.service.d`), files, name);
    for (const name of ['unit1', 'unit4'])
      assert.equal(await machine.files.stat(`${folder}/${name}.service.d/drop.conf`), undefined, name);
  });
});
