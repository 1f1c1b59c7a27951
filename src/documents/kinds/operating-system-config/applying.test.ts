/**
 * What one OperatingSystemConfig after the other does to a machine in memory: which files and units change, and what is
 * left alone. Some cases pin what the reference agent gets wrong.
 */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { digestOf, image, ociManifest } from '../../../../test/servers/registry.ts';
import { createEngine, type Engine } from '../../../../test/support/engine.ts';
import { createMemoryNode, textFile } from '../../../../test/support/memory-node.ts';
import { inlineFile, oscOf, renderOsc, type Json } from '../../../../test/support/osc.ts';
import { tar } from '../../../../test/support/tar.ts';
import type { MemoryMachine } from '../../../host/memory/machine.ts';
import type { Result } from '../../../apply/reconcile.ts';

const units = '/etc/systemd/system';
const text = (about = ''): string => `[Service]\nExecStart=/bin/x ${about}\n[Install]\nWantedBy=multi-user.target\n`;
const unit = (name: string, about: Json = {}): Json => ({
  name: `${name}.service`,
  enable: true,
  content: text(name),
  ...about,
});
const dropIns = (...names: readonly string[]): Json[] =>
  names.map((name) => ({ name: `${name}.conf`, content: `# ${name}\n` }));
const runtime = (about: Json = {}): Json => ({
  name: 'containerd',
  cgroupDriver: 'systemd',
  containerd: { sandboxImage: 'registry.k8s.io/pause:3.10', ...about },
});

let machine: MemoryMachine;
let engine: Engine;
beforeEach(async () => {
  machine = await createMemoryNode();
  await machine.files.write([
    textFile('/usr/lib/systemd/system/vendor.service', text('vendor'), 0o644),
    textFile(
      '/usr/lib/systemd/system/once.service',
      '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/x\n',
      0o644,
    ),
  ]);
  engine = await createEngine(machine);
});

async function apply(spec: Json, status?: Json): Promise<Result> {
  const { resources } = await renderOsc(oscOf(spec, status));
  return engine.apply([...resources.values()], { source: 'agent' });
}

async function applied(spec: Json, status?: Json): Promise<Result> {
  const result = await apply(spec, status);
  assert.deepEqual([result.outcome, result.error?.message], ['converged', undefined]);
  return result;
}

/** What happened to units since the last look, sorted: `restart a.service`. */
function jobs(): string[] {
  return engine
    .effects()
    .filter((effect) => /^(start|stop|restart|reload|enable|disable|daemon-reload|systemctl|unmask|mask)/.test(effect))
    .sort();
}
const state = async (name: string): Promise<string> => (await machine.units.get(`${name}.service`)).activeState;
const mode = async (path: string): Promise<number | undefined> => (await machine.files.stat(path))?.mode;

describe('a first document', () => {
  it('puts files and units in place with their modes, and starts, enables and stops what it says', async () => {
    await machine.units.start('vendor.service');
    jobs();
    await applied(
      {
        files: [inlineFile('/example/file', 'file1', { permissions: 0o777 })],
        units: [
          unit('u1', { command: 'start', dropIns: dropIns('drop') }),
          unit('u2', { enable: false, command: 'stop' }),
          unit('u5', { dropIns: dropIns('drop1', 'drop2') }),
          { name: 'u5.service', dropIns: dropIns('extension') },
        ],
      },
      {
        extensionFiles: [{ path: '/another/file', content: { inline: { encoding: 'b64', data: 'ZmlsZTI=' } } }],
        extensionUnits: [{ name: 'vendor.service', dropIns: dropIns('drop') }],
      },
    );
    assert.deepEqual(
      await Promise.all(
        ['/example/file', '/another/file'].map(async (path) => [await engine.text(path), await mode(path)]),
      ),
      [
        ['file1', 0o777],
        ['file2', 0o600],
      ],
    );
    for (const path of [
      'u1.service',
      'u2.service',
      'u5.service',
      'u1.service.d/drop.conf',
      'vendor.service.d/drop.conf',
    ])
      assert.equal(await mode(`${units}/${path}`), 0o600, path);
    assert.deepEqual(await machine.files.list(`${units}/u5.service.d`), ['drop1.conf', 'drop2.conf', 'extension.conf']);
    assert.equal(await machine.files.stat(`${units}/vendor.service`), undefined, 'it is the system’s');
    assert.deepEqual(await Promise.all(['u1', 'u2', 'u5', 'vendor'].map(state)), [
      'active',
      'inactive',
      'active',
      'active',
    ]);
    const done = jobs();
    for (const effect of ['start u1.service', 'start u5.service', 'restart vendor.service'])
      assert.equal(done.filter((other) => other === effect).length, 1, `${effect} once: ${done.join(', ')}`);
    assert.equal(done.filter((effect) => effect.includes('u2')).join(), '', 'what never ran needs no stop');
    assert.equal(await engine.host.units.enablement('u1.service'), 'enabled');
    assert.notEqual(await engine.host.units.enablement('u2.service'), 'enabled');
  });

  it('does nothing a second time', async () => {
    const document = {
      criConfig: runtime(),
      files: [inlineFile('/a', 'x')],
      units: [unit('u1', { filePaths: ['/a'] }), { name: 'once.service', command: 'restart', filePaths: ['/a'] }],
    };
    await applied(document);
    jobs();
    assert.equal((await applied(document)).changes, 0);
    assert.deepEqual(jobs(), []);
  });

  it('without a runtime to configure leaves containerd alone (B18, X9)', async () => {
    await machine.units.start('containerd.service');
    jobs();
    await applied({ files: [inlineFile('/a', 'x')] });
    assert.deepEqual(jobs(), []);
    assert.equal(await machine.files.stat('/etc/containerd'), undefined);
  });

  it('with a unit that fails starts all others, and says which one failed', async () => {
    machine.units.behave('bad.service', { start: 'fail' });
    const { outcome, steps } = await apply({ units: [unit('bad'), unit('good')], files: [inlineFile('/a', 'x')] });
    assert.equal(outcome, 'degraded');
    assert.deepEqual([await state('good'), await engine.text('/a')], ['active', 'x']);
    assert.deepEqual(
      steps.filter(({ status }) => status === 'failed').map(({ resource }) => resource),
      ['unit:bad.service'],
    );
  });
});

describe('files out of images', () => {
  const program = (version: string): string => `#!/bin/sh\n# ${version}\n`;
  /** What a registry has of a repository, by the end of the path. */
  function publish(...versions: readonly string[]): () => readonly string[] {
    const asked: string[] = [];
    const known = new Map<string, Uint8Array>();
    for (const version of versions) {
      const { manifest, blobs = [] } = image([tar([{ name: 'bin/kubelet', content: program(version) }])]);
      known.set(`manifests/${version}`, Buffer.from(JSON.stringify(manifest)));
      for (const blob of blobs) known.set(`blobs/${digestOf(blob)}`, blob);
    }
    machine.serve('https://registry.example', ({ url }) => {
      const path = new URL(url).pathname.replace('/v2/team/kubelet/', '');
      asked.push(path);
      const body = known.get(path);
      return body ? { body, headers: { 'content-type': ociManifest } } : { status: 404 };
    });
    return () => asked.splice(0);
  }
  const document = (version: string, about: Json = {}): Json => ({
    files: [
      {
        path: '/opt/bin/tool',
        permissions: 0o755,
        content: { imageRef: { image: `registry.example/team/kubelet:${version}`, filePathInImage: '/bin/kubelet' } },
        ...about,
      },
    ],
    units: [unit('reader', { filePaths: ['/opt/bin/tool'] }), unit('other')],
  });

  it('are fetched once, restart what reads them, and go with the document', async () => {
    const asked = publish('v1', 'v2');
    await applied(document('v1'));
    assert.deepEqual([await engine.text('/opt/bin/tool'), await mode('/opt/bin/tool')], [program('v1'), 0o755]);
    assert.ok(asked().length > 0);
    jobs();
    await applied(document('v1'));
    await applied(document('v1', { permissions: 0o700 }));
    assert.deepEqual([asked(), jobs(), await mode('/opt/bin/tool')], [[], [], 0o700]);
    await applied(document('v2'));
    assert.equal(await engine.text('/opt/bin/tool'), program('v2'));
    assert.deepEqual(jobs(), ['restart reader.service']);
    await applied({});
    assert.equal(await machine.files.stat('/opt/bin/tool'), undefined);
  });

  it('that cannot be had leave what is there, keep back only what reads them, and come with the next try', async () => {
    publish('v1');
    await applied(document('v1'));
    jobs();
    const { outcome, steps } = await apply({
      ...document('v2'),
      files: [...(document('v2')['files'] as Json[]), inlineFile('/a', 'x')],
    });
    assert.equal(outcome, 'degraded');
    assert.deepEqual(
      steps.filter(({ status }) => status === 'failed').map(({ id }) => id),
      ['place file:/opt/bin/tool'],
    );
    assert.deepEqual([await engine.text('/opt/bin/tool'), await engine.text('/a'), jobs()], [program('v1'), 'x', []]);
    publish('v1', 'v2');
    await applied(document('v2'));
    assert.deepEqual(jobs(), ['restart reader.service']);
  });
});

describe('a changed document', () => {
  it('restarts what reads a changed file, and nothing else', async () => {
    const document = (five: string): Json => ({
      files: ['/five', '/four'].map((path) => inlineFile(path, path === '/five' ? five : 'x')),
      units: [
        unit('reader', { filePaths: ['/five', '/four'] }),
        unit('other', { filePaths: ['/four'] }),
        { name: 'once.service', command: 'restart', filePaths: ['/five'] },
      ],
    });
    await applied(document('one'));
    jobs();
    await applied(document('two'));
    assert.deepEqual(jobs(), ['restart once.service', 'restart reader.service']);
  });

  it('takes away what it no longer names, stops and disables it, and leaves the rest', async () => {
    await applied({
      files: [inlineFile('/stays', 'x'), inlineFile('/goes', 'x')],
      units: [
        unit('gone'),
        unit('stays', { filePaths: ['/stays'] }),
        unit('off', { dropIns: dropIns('a') }),
        unit('five', { dropIns: dropIns('drop1', 'drop2') }),
      ],
    });
    jobs();
    await applied({
      files: [inlineFile('/stays', 'x')],
      units: [
        unit('stays', { filePaths: ['/stays'] }),
        unit('off', { enable: false }),
        unit('five', { dropIns: dropIns('drop2') }),
      ],
    });
    assert.deepEqual(
      await Promise.all(
        ['/goes', `${units}/gone.service`, `${units}/off.service.d/a.conf`].map((path) => engine.text(path)),
      ),
      [undefined, undefined, undefined],
    );
    assert.deepEqual(await Promise.all(['gone', 'off', 'stays', 'five'].map(state)), [
      'inactive',
      'inactive',
      'active',
      'active',
    ]);
    assert.deepEqual(await machine.files.list(`${units}/five.service.d`), ['drop2.conf']);
    const done = jobs();
    assert.deepEqual(
      done.filter((effect) => /^(re)?start|^stop/.test(effect)),
      ['restart five.service', 'stop gone.service', 'stop off.service'],
    );
    assert.equal(await engine.host.units.enablement('off.service'), 'disabled');
  });

  it('that only stops a unit stops it', async () => {
    await applied({ units: [unit('u1')] });
    jobs();
    await applied({ units: [unit('u1', { command: 'stop' })] });
    assert.deepEqual([await state('u1'), await engine.host.units.enablement('u1.service')], ['inactive', 'enabled']);
  });

  it('that says a unit’s file no longer leaves the system’s own in force', async () => {
    await applied({ units: [{ name: 'vendor.service', content: text('ours') }] });
    await applied({ units: [{ name: 'vendor.service' }] });
    assert.equal(await machine.files.stat(`${units}/vendor.service`), undefined);
    assert.equal(await state('vendor'), 'active');
  });

  it('that drops a drop-in of the system’s unit restarts it once, after a reload, and leaves foreign drop-ins (X10)', async () => {
    await machine.files.write([textFile(`${units}/vendor.service.d/foreign.conf`, '# theirs\n', 0o644)]);
    await applied({ units: [{ name: 'vendor.service', dropIns: dropIns('ours') }] });
    engine.effects();
    await applied({});
    assert.deepEqual(await machine.files.list(`${units}/vendor.service.d`), ['foreign.conf']);
    assert.equal(await state('vendor'), 'active');
    const order = engine.effects().filter((effect) => /vendor|reload/.test(effect));
    const at = (word: string): number => order.findIndex((effect) => effect.startsWith(word));
    assert.equal(order.filter((effect) => effect.startsWith('restart')).length, 1);
    assert.ok(
      at('remove') >= 0 && at('remove') < at('daemon-reload') && at('daemon-reload') < at('restart'),
      order.join(', '),
    );
  });

  it('changes mirrors without a restart, and restarts containerd once for another sandbox image (B13)', async () => {
    const registry = (upstream: string): Json => ({ upstream, server: `https://${upstream}` });
    const both = [registry('_default'), registry('docker.io')].map((one, at) =>
      at === 0 ? { ...one, server: 'https://a.example' } : one,
    );
    await applied({ criConfig: runtime({ registries: both }) });
    jobs();
    await applied({ criConfig: runtime({ registries: both.slice(1) }) });
    assert.deepEqual(jobs(), []);
    assert.equal(await engine.text('/etc/containerd/certs.d/_default/hosts.toml'), undefined);
    assert.match((await engine.text('/etc/containerd/certs.d/docker.io/hosts.toml')) ?? '', /docker\.io/);
    await applied({ criConfig: runtime({ registries: both.slice(1), sandboxImage: 'registry.k8s.io/pause:3.11' }) });
    assert.deepEqual(jobs(), ['restart containerd.service']);
  });

  it('leaves nothing of a change of containerd that it drops', async () => {
    const path = ['io.containerd.grpc.v1.cri', 'x'];
    await applied({ criConfig: runtime({ plugins: [{ path, values: { left: true } }] }) });
    await applied({ criConfig: runtime() });
    assert.doesNotMatch((await engine.text('/etc/containerd/config.toml')) ?? '', /left/);
  });

  it('moves a file between document and extension without touching it', async () => {
    const file = inlineFile('/a', 'x');
    await applied({ files: [file], units: [unit('u1', { filePaths: ['/a'] })] });
    jobs();
    await applied({ units: [unit('u1', { filePaths: ['/a'] })] }, { extensionFiles: [file] });
    assert.deepEqual(jobs(), []);
  });
});

describe('a document that came only halfway', () => {
  it('keeps its drop-ins when it is tried again (X1)', async () => {
    machine.units.behave('new.service', ({ start }) => (start === 1 ? { start: 'fail' } : {}));
    const document = { units: [unit('new', { dropIns: dropIns('a', 'b') })] };
    assert.equal((await apply(document)).outcome, 'degraded');
    await applied(document);
    assert.deepEqual(await machine.files.list(`${units}/new.service.d`), ['a.conf', 'b.conf']);
    assert.equal(await state('new'), 'active');
  });

  it('leaves nothing behind when another takes its place (X3)', async () => {
    const before = { units: [unit('u1')], files: [inlineFile('/kept', 'x')] };
    await applied(before);
    machine.units.behave('stuck.service', { start: 'fail' });
    const halfway = {
      units: [unit('u1'), unit('stuck', { dropIns: dropIns('a') })],
      files: [inlineFile('/kept', 'x'), inlineFile('/new', 'x')],
    };
    assert.equal((await apply(halfway)).outcome, 'degraded');
    await applied(before);
    assert.deepEqual(
      await Promise.all(
        ['/new', `${units}/stuck.service`, `${units}/stuck.service.d/a.conf`].map((path) => engine.text(path)),
      ),
      [undefined, undefined, undefined],
    );
    assert.notEqual(await engine.host.units.enablement('stuck.service'), 'enabled');
    assert.equal(await engine.text('/kept'), 'x');
  });

  it('repeats only what failed (B8)', async () => {
    machine.units.behave('late.service', ({ start }) => (start === 1 ? { start: 'fail' } : {}));
    const document = { units: [unit('late'), unit('fine')] };
    await apply(document);
    jobs();
    await applied(document);
    assert.ok(!jobs().some((effect) => effect.includes('fine')));
  });
});
