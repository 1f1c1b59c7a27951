/** Files out of container images through the whole engine, on a root folder, from a real registry. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { createEngine, type Engine } from '../../../test/support/engine.ts';
import { file, touchedEntry, planned, unit } from '../../../test/support/planning.ts';
import { tar } from '../../../test/support/tar.ts';
import {
  image,
  indexOf,
  makeCertificates,
  manifestDescriptor,
  password,
  startRegistry,
  user,
  type TestRegistry,
} from '../../../test/servers/registry.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import { createMemoryMachine } from '../../host/memory/machine.ts';
import type { Host } from '../../host/port.ts';
import type { FileResource, ImageFile } from '../../model/resources.ts';
import { placedFrom } from './entry.ts';

/** A file whose bytes come out of an image, as every test here asks for it. */
function placed(about: Partial<ImageFile> = {}, mode = '0750'): FileResource {
  const from: ImageFile = { reference: '127.0.0.1:1/team/tools:v1', member: '/usr/bin/tool', ...about };
  return file('/opt/bin/tool', { entry: { type: 'file', content: { image: from }, mode, uid: 0, gid: 0 } });
}

describe('a file out of an image', () => {
  const tool = (seed: number): Buffer => programBytes(40_000, seed);
  const layered = (seed: number, architecture = 'amd64') =>
    image(
      [
        tar([
          { name: 'usr/bin/tool', content: 'below' },
          { name: 'usr/bin/gone', content: 'gone' },
        ]),
        tar([
          { name: 'usr/bin/tool', content: tool(seed) },
          { name: 'usr/bin/.wh.gone' },
          { name: 'bin', type: '2', target: '/usr/bin' },
        ]),
      ],
      architecture,
    );

  let registry: TestRegistry;
  let folder = '';
  let root = '';
  let host: Host;
  let engine: Engine;
  before(async () => {
    registry = await startRegistry({ login: 'basic' });
    await registry.push({ repository: 'team/tools', tag: 'v1', ...layered(1) });
    await registry.push({ repository: 'team/tools', tag: 'v2', ...layered(2) });
    const builds = (['amd64', 'arm64'] as const).map((architecture, seed) => layered(seed + 3, architecture));
    for (const build of builds) await registry.push({ repository: 'team/tools', ...build });
    const descriptors = builds.map((build, at) => manifestDescriptor(build, at === 0 ? 'amd64' : 'arm64'));
    await registry.push({ repository: 'team/tools', tag: 'multi', ...indexOf(descriptors) });
  });
  after(() => registry.close());
  beforeEach(async () => {
    folder = temporaryFolder();
    root = join(folder, 'root');
    mkdirSync(join(root, 'opt/bin'), { recursive: true });
    mkdirSync(join(folder, 'docker'));
    const auth = Buffer.from(`${user}:${password}`).toString('base64');
    writeFileSync(join(folder, 'docker/config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
    const linux = createLinuxHost({ root });
    const environment = { DOCKER_CONFIG: join(folder, 'docker') };
    host = { ...linux, program: { ...linux.program, environment } };
    engine = await createEngine(createMemoryMachine(), host);
  });
  afterEach(async () => {
    engine.journal.close();
    await host.close();
    removeFolder(folder);
  });

  /** Through a mirror of a registry that is not there, with the credentials of the mirror. */
  const through = (about: Partial<ImageFile> = {}, mode?: string, port = registry.port): FileResource =>
    placed(
      {
        transfer: {
          budgetMs: 1_000,
          mirrors: [{ host: '127.0.0.1:1', url: `http://127.0.0.1:${port}` }],
        },
        ...about,
      },
      mode,
    );
  const at = (): { content: Buffer; mode: number } => ({
    content: readFileSync(join(root, 'opt/bin/tool')),
    mode: statSync(join(root, 'opt/bin/tool')).mode & 0o7777,
  });

  it('is what a container would see, with exactly its mode, by tag and by digest', async () => {
    await engine.applied([through()]);
    assert.deepEqual(at(), { content: tool(1), mode: 0o750 });
    const digest = await registry.push({ repository: 'team/tools', ...layered(7) });
    await engine.applied([through({ reference: `127.0.0.1:1/team/tools@${digest}`, member: 'bin/tool' }, '0755')]);
    assert.deepEqual(at(), { content: tool(7), mode: 0o755 });
    assert.deepEqual(readdirSync(join(root, 'var/lib/nodekiln')).includes('downloads'), false);
  });

  for (const [subject, where] of [
    ['a layer of', 'local'],
    ['file:/opt/bin/tool', 'files'],
  ] as const)
    it(`is refused where there is no room for ${subject}`, async () => {
      const full = { ...host[where], space: () => Promise.resolve({ totalBytes: 2 ** 30, availableBytes: 2 ** 26 }) };
      const small = await createEngine(createMemoryMachine(), { ...host, [where]: full });
      try {
        const { error } = await small.apply([through()]);
        assert.equal(error?.code, 'NK_NO_SPACE');
        assert.ok(error.message.startsWith(subject), error.message);
        assert.match(error.message, / needs 1 MiB at \S+, where 64 MiB are free and 64 MiB are to stay so$/);
      } finally {
        small.journal.close();
      }
    });

  it('is for the architecture of the host', async () => {
    const reference = '127.0.0.1:1/team/tools:multi';
    await engine.applied([through({ reference, architecture: 'arm64' })]);
    assert.deepEqual(at().content, tool(4));
    const refused = await engine.apply([through({ reference, architecture: 's390x' })]);
    assert.equal(refused.error?.code, 'NK_ARTIFACT_ARCHITECTURE');
    assert.deepEqual(at().content, tool(4), 'what is there stays');
  });

  it('is neither fetched nor read again while it stays as it was placed', async () => {
    await engine.applied([through()]);
    const away = through({}, undefined, 1);
    assert.equal((await engine.applied([away])).changes, 0, 'another mirror is no other file');
    chmodSync(join(root, 'opt/bin/tool'), 0o600);
    await engine.applied([away]);
    assert.deepEqual(at(), { content: tool(1), mode: 0o750 }, 'attributes need no registry');
    assert.equal((await engine.applied([away])).changes, 0);

    // The same size and time would pass for the same bytes: that is what a seal is.
    writeFileSync(join(root, 'opt/bin/tool'), 'changed');
    assert.notEqual((await engine.apply([away])).outcome, 'converged', 'what somebody changed is fetched again');
    await engine.applied([through()]);
    assert.deepEqual(at().content, tool(1));
  });

  it('is replaced when another file is asked for, and restarts what reads it', async () => {
    await engine.applied([through()]);
    await engine.applied([through({ reference: '127.0.0.1:1/team/tools:v2' })]);
    assert.deepEqual(at().content, tool(2));
    await engine.applied([through()]);
    assert.deepEqual(at().content, tool(1));
  });

  it('takes the place of a foreign file of any size, which comes back when it is dropped', async () => {
    const foreign = Buffer.alloc(70 * 1024 * 1024, 'x');
    writeFileSync(join(root, 'opt/bin/tool'), foreign, { mode: 0o711 });
    await engine.applied([through()]);
    assert.deepEqual(at().content, tool(1));
    await engine.applied([]);
    assert.equal(at().mode, 0o711);
    assert.ok(at().content.equals(foreign));
  });

  it('comes from a server with an authority of its own, once another file has brought its certificate', async () => {
    const tls = await makeCertificates(folder);
    const secure = await startRegistry({ tls });
    try {
      await secure.push({ repository: 'team/tools', tag: 'v1', ...layered(9) });
      const mirrors = [{ host: '127.0.0.1:1', url: `https://127.0.0.1:${secure.port}` }];
      const refused = await engine.apply([through({ transfer: { budgetMs: 500, mirrors } })]);
      assert.equal(refused.outcome, 'failed');
      const trusting = mirrors.map((mirror) => ({ ...mirror, caFiles: [tls.ca] }));
      const asked = through({ transfer: { budgetMs: 2_000, mirrors: trusting } });
      await engine.applied([asked]);
      assert.deepEqual(at().content, tool(9));
      const place = planned({ desired: [file(tls.ca), asked] }).steps.find(({ action }) => action.do === 'place');
      assert.deepEqual(place?.after, [`write file:${tls.ca}`]);
    } finally {
      await secure.close();
    }
  });

  it('comes past a mirror that does not answer, which is asked for nothing more', async () => {
    const asked: string[] = [];
    const deaf = createServer((request) => {
      asked.push(request.url ?? '');
      request.socket.destroy();
    });
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = deaf.address() as { port: number };
      const mirrors = [port, registry.port].map((at) => ({ host: '127.0.0.1:1', url: `http://127.0.0.1:${at}` }));
      await engine.applied([through({ architecture: 'amd64', transfer: { budgetMs: 3_000, mirrors } })]);
      assert.deepEqual(at().content, tool(1));
      assert.deepEqual([...new Set(asked)], ['/v2/team/tools/manifests/v1']);
    } finally {
      deaf.close();
    }
  });

  it('that is nowhere is said with each address that was asked, and why', async () => {
    const silent = 'http://127.0.0.1:2';
    const held = `http://127.0.0.1:${registry.port}`;
    const mirrors = [silent, held].map((url) => ({ host: '127.0.0.1:1', url }));
    const transfer = { budgetMs: 300, mirrors };
    const { error } = await engine.apply([through({ reference: '127.0.0.1:1/team/tools:none', transfer })]);
    assert.equal(error?.code, 'NK_SOURCE_UNAVAILABLE');
    const said = error.message.replaceAll(/, after (?:one|\d+) attempts? within \d+ ms/g, '');
    assert.equal(
      said,
      `127.0.0.1:1/team/tools:none was had from none of 3 addresses: ${[
        `${silent}/v2: unavailable (no response from 127.0.0.1:2: the connection was refused: nothing listens there)`,
        `${held}/v2: it has none (the registry answered 404 (MANIFEST_UNKNOWN))`,
        'https://127.0.0.1:1/v2: unavailable (no response from 127.0.0.1:1: the connection was refused: nothing listens there)',
      ].join('; ')}`,
    );
  });

  it('says what is wrong, and leaves what is there', async () => {
    await engine.applied([through()]);
    for (const [about, code] of [
      [{ reference: '127.0.0.1:1/team/tools:none' }, 'NK_SOURCE_UNAVAILABLE'],
      [{ member: '/usr/bin/gone' }, 'NK_ARTIFACT_MEMBER'],
      [{ member: '/usr/bin' }, 'NK_ARTIFACT_MEMBER'],
      [{ digest: `sha256:${'0'.repeat(64)}` }, 'NK_ARTIFACT_DIGEST'],
    ] as const) {
      const refused = await engine.apply([through(about)]);
      assert.equal(refused.error?.code, code);
      assert.deepEqual(at(), { content: tool(1), mode: 0o750 });
    }
  });
});

describe('the plan of a file out of an image', () => {
  const there = (digest: string, mode = 0o750) => ({ type: 'file', digest, mode, uid: 0, gid: 0 }) as const;
  const from = placedFrom({ reference: '127.0.0.1:1/team/tools:v1', member: '/usr/bin/tool' });

  for (const [what, observed, desired, details] of [
    ['is there', { entry: there('sha256:a'), placed: { digest: 'sha256:a', from } }, placed(), []],
    [
      'was placed and then changed',
      { entry: there('sha256:b'), placed: { digest: 'sha256:a', from } },
      placed(),
      ['was changed since it was placed'],
    ],
    [
      'is foreign',
      { entry: there('sha256:a') },
      placed(),
      ['is not known to be /usr/bin/tool of 127.0.0.1:1/team/tools:v1'],
    ],
    [
      'came out of another image',
      { entry: there('sha256:a'), placed: { digest: 'sha256:a', from } },
      placed({ reference: '127.0.0.1:1/team/tools:v2' }),
      ['is not known to be /usr/bin/tool of 127.0.0.1:1/team/tools:v2'],
    ],
    ['is foreign, but of the digest asked for', { entry: there('sha256:a') }, placed({ digest: 'sha256:a' }), []],
    [
      'is not of the digest asked for',
      { entry: there('sha256:a'), placed: { digest: 'sha256:a', from } },
      placed({ digest: 'sha256:b' }),
      ['has other content'],
    ],
    [
      'has another mode',
      { entry: there('sha256:a', 0o600), placed: { digest: 'sha256:a', from } },
      placed(),
      ['mode 0600, wanted 0750'],
    ],
    [
      'is a folder',
      { entry: { type: 'directory', mode: 0o755, uid: 0, gid: 0 } },
      placed(),
      ['is a directory, wanted a file'],
    ],
  ] as const) {
    it(`has ${details.length === 0 ? 'no step' : 'one step'} where it ${what}`, () => {
      const plan = planned({ desired: [desired], observed: { [desired.id]: { kind: 'file', ...observed } } });
      assert.deepEqual(
        plan.changes.flatMap((change) => change.details),
        details,
      );
      assert.deepEqual(
        plan.steps.map(({ id }) => id),
        details.length === 0 ? [] : ['place file:/opt/bin/tool'],
      );
    });
  }

  it('restarts what reads it for another file, not for another way to the same', () => {
    const reader = unit('tool.service', { inputs: ['file:/opt/bin/tool'] });
    const fingerprints = [
      placed(),
      placed({ transfer: { budgetMs: 1 } }),
      placed({ reference: '127.0.0.1:1/team/tools:v2' }),
    ].map((desired) => {
      const { steps } = planned({ desired: [desired, reader], touched: [touchedEntry(desired, { done: false })] });
      const start = steps.find(({ id }) => id === 'start unit:tool.service');
      assert.ok(
        start?.action.do === 'start' && start.needs.includes('place file:/opt/bin/tool'),
        'it waits for the file',
      );
      return start.action.startedWith;
    });
    assert.equal(fingerprints[0], fingerprints[1]);
    assert.notEqual(fingerprints[0], fingerprints[2]);
  });
});
