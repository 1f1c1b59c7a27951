/** Artifacts and files of images, from a real registry and from a layout folder: one list of expectations for both. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  artifact,
  digestOf,
  image,
  indexOf,
  manifestDescriptor,
  ociManifest,
  startRegistry,
  writeLayout,
  type Pushed,
  type TestRegistry,
} from '../../../../test/servers/registry.ts';
import { createLinuxHost } from '../../../host/linux/host.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../../../test/support/artifacts.ts';
import { createHttpClient } from '../http-client.ts';
import { fetchArtifact } from '../table.ts';
import type { Fetched, SourceSpec } from '../source.ts';

const kubelet = { amd64: programBytes(300_000, 1), arm64: programBytes(300_000, 2) };
const kubectl = programBytes(100_000, 3);

/** A layer, as tar writes it: path → content, link or whiteout. */
function layer(
  folder: string,
  files: Readonly<Record<string, string | Buffer | { link?: string; hard?: string }>>,
): Buffer {
  const root = join(folder, `layer-${readdirSync(folder).length}`);
  mkdirSync(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    if (typeof content === 'string' || Buffer.isBuffer(content)) writeFileSync(join(root, path), content);
    else if (content.link !== undefined) symlinkSync(content.link, join(root, path));
    else execFileSync('ln', [join(root, content.hard ?? ''), join(root, path)]);
  }
  return execFileSync('tar', ['-C', root, '--sort=name', '-cf', '-', '.'], { maxBuffer: 64 * 1024 * 1024 });
}

describe('OCI artifacts', () => {
  const folder = temporaryFolder();
  const host = createLinuxHost();
  const client = createHttpClient(host);
  let registry: TestRegistry;
  const layout = join(folder, 'layout');

  before(async () => {
    registry = await startRegistry();
    const layers = [
      layer(folder, {
        'usr/bin/kubelet': kubelet.amd64,
        'usr/bin/old': 'below',
        'usr/bin/replaced': 'below',
        'usr/lib/a/inner': 'inner',
        'opt/hidden/file': 'below',
        'srv/covered/inner': 'below',
        bin: { link: 'usr/bin' },
        'etc/absolute': { link: '/usr/bin/kubelet' },
        'etc/escaping': { link: '../../../../usr/bin/kubelet' },
        'etc/loop': { link: 'loop' },
        'etc/dangling': { link: '/nowhere' },
        'usr/lib/moved': { link: 'a' },
      }),
      gzipSync(
        layer(folder, {
          'usr/bin/.wh.old': '',
          'usr/bin/replaced': 'above',
          'opt/hidden/.wh..wh..opq': '',
          'opt/hidden/new': 'new',
          'srv/covered': 'a file now',
          'usr/bin/first': kubectl,
          'usr/bin/second': { hard: 'usr/bin/first' },
        }),
      ),
      zstdCompressSync(layer(folder, { 'usr/lib/.wh.a': '', 'usr/share/top': 'top' })),
    ];
    const perArch = Object.entries(kubelet).map(([architecture, content]) => ({
      architecture,
      pushed: artifact({ kubelet: content }),
    }));
    const index = indexOf(perArch.map(({ architecture, pushed }) => manifestDescriptor(pushed, architecture)));
    const contents: Omit<Pushed, 'repository'>[] = [
      ...perArch.map(({ pushed }) => pushed),
      { ...index, tag: 'multi' },
      { ...artifact({ kubelet: kubelet.amd64 }), tag: 'one' },
      { ...artifact({ kubelet: kubelet.amd64, kubectl }), tag: 'two' },
      { ...artifact({}), tag: 'none' },
      { ...image(layers), tag: 'image' },
      { ...image(layers.slice(0, 1), 'arm64'), tag: 'image-arm64' },
    ];
    for (const content of contents) await registry.push({ repository: 'team/kubelet', ...content });
    await writeLayout(layout, contents);
  });
  after(async () => {
    await host.close();
    await registry?.close();
    removeFolder(folder);
  });

  async function fetch(spec: SourceSpec): Promise<Fetched & { content: Buffer }> {
    const into = join(folder, `into-${readdirSync(folder).length}`);
    mkdirSync(into);
    try {
      const fetched = await fetchArtifact(spec, {
        ...host,
        base: folder,
        folder: into,
        client,
        budgetMs: 5_000,
        credentials: async () => undefined,
      });
      return { ...fetched, content: readFileSync(fetched.path) };
    } catch (thrown) {
      assert.deepEqual(
        readdirSync(into).filter((name) => !name.endsWith('.blob')),
        [],
        'nothing half is left',
      );
      throw thrown;
    }
  }

  const places = {
    'a registry': {
      artifact: (tag: string, more: object = {}): SourceSpec => ({
        type: 'oci',
        reference: `${registry.host}/team/kubelet:${tag}`,
        plainHttp: true,
        ...more,
      }),
      file: (member: string, more: { tag?: string; architecture?: string } = {}): SourceSpec => ({
        type: 'image-file',
        reference: `${registry.host}/team/kubelet:${more.tag ?? 'image'}`,
        plainHttp: true,
        member,
        ...(more.architecture !== undefined && { architecture: more.architecture }),
      }),
    },
    'a layout': {
      artifact: (tag: string, more: object = {}): SourceSpec => ({ type: 'oci-layout', path: layout, tag, ...more }),
      file: (
        member: string,
        { tag = 'image', architecture }: { tag?: string; architecture?: string } = {},
      ): SourceSpec => ({
        type: 'image-file',
        layout,
        tag,
        member,
        ...(architecture !== undefined && { architecture }),
      }),
    },
  } as const;

  for (const [name, { artifact: of, file }] of Object.entries(places)) {
    describe(`in ${name}`, () => {
      it('gives the only file of an artifact, and says what was taken by digest', async () => {
        const fetched = await fetch(of('one'));
        assert.deepEqual(fetched.content, kubelet.amd64);
        assert.deepEqual([fetched.digest, fetched.size], [digestOf(kubelet.amd64), kubelet.amd64.length]);
        assert.match(fetched.location, /:one@sha256:[0-9a-f]{64}$/);
      });

      it('gives the file of the platform asked for, and none for another', async () => {
        for (const architecture of ['amd64', 'arm64'] as const)
          assert.deepEqual((await fetch(of('multi', { architecture }))).content, kubelet[architecture]);
        await assert.rejects(fetch(of('multi', { architecture: 's390x' })), (error: Error & { lines: string[] }) => {
          assert.match(error.message, /nothing for linux\/s390x/);
          assert.deepEqual(error.lines, ['it has linux/amd64', 'it has linux/arm64']);
          return true;
        });
        await assert.rejects(fetch(of('multi')), { code: 'NK_ARTIFACT_ARCHITECTURE' });
      });

      it('gives the file that is named among several', async () => {
        assert.deepEqual((await fetch(of('two', { file: 'kubectl' }))).content, kubectl);
        for (const more of [{}, { file: 'crictl' }]) {
          await assert.rejects(fetch(of('two', more)), (error: Error & { code: string; lines: string[] }) => {
            assert.equal(error.code, 'NK_ARTIFACT_MEMBER');
            assert.deepEqual(error.lines, ['it holds kubelet', 'it holds kubectl']);
            return true;
          });
        }
        await assert.rejects(fetch(of('none')), { code: 'NK_ARTIFACT_MEMBER' });
      });

      it('refuses another digest or size than the one asked for, and tags that are not there', async () => {
        await assert.rejects(fetch(of('one', { digest: digestOf(kubectl) })), { code: 'NK_ARTIFACT_DIGEST' });
        await assert.rejects(fetch(of('one', { size: 7 })), { code: 'NK_ARTIFACT_DIGEST' });
        await assert.rejects(fetch(of('absent')), { code: 'NK_ARTIFACT_MISSING' });
        await assert.rejects(fetch(of('image', { file: 'kubelet' })), { code: 'NK_ARTIFACT_MEMBER' });
      });

      for (const [member, content] of [
        ['usr/bin/kubelet', kubelet.amd64],
        ['/usr/bin/kubelet', kubelet.amd64],
        ['bin/kubelet', kubelet.amd64],
        ['etc/absolute', kubelet.amd64], // X22: an absolute link stays inside the image
        ['etc/escaping', kubelet.amd64],
        ['usr/bin/replaced', Buffer.from('above')],
        ['opt/hidden/new', Buffer.from('new')],
        ['usr/bin/second', kubectl],
        ['bin/second', kubectl],
        ['usr/share/top', Buffer.from('top')],
      ] as const) {
        it(`finds ${member} of an image`, async () => {
          const fetched = await fetch(file(member));
          assert.deepEqual(fetched.content, content);
          assert.equal(fetched.digest, digestOf(content));
        });
      }

      for (const [member, ...expected] of [
        ['sbin/kubelet', 'usr/bin/kubelet'],
        ['sbin/replaced', 'usr/bin/replaced'],
        ['sbin/first', 'usr/bin/first'],
        ['usr/bin', 'usr/bin/kubelet', 'usr/bin/replaced', 'usr/bin/first'],
        ['sbin/old'],
        ['opt/other/file'],
        ['srv/inner'],
      ] as const) {
        it(`says what could be taken instead of ${member} of an image, and nothing that is not there`, async () => {
          await assert.rejects(fetch(file(member)), (error: Error & { code: string; lines: string[] }) => {
            assert.equal(error.code, 'NK_ARTIFACT_MEMBER');
            const lines = error.lines.filter((line) => line.startsWith('could be taken: '));
            for (const each of expected) assert.ok(lines.includes(`could be taken: ${each}`), lines.join('\n'));
            assert.equal(new Set(lines).size, lines.length);
            for (const gone of ['usr/bin/old', 'opt/hidden/file', 'usr/lib/a/inner', 'srv/covered/inner', '.wh.'])
              assert.ok(!lines.some((line) => line.includes(gone)), gone);
            return true;
          });
        });
      }

      for (const [member, why] of [
        ['usr/bin/old', /is not in the image/],
        ['opt/hidden/file', /is not in the image/],
        ['usr/lib/a/inner', /is not in the image/],
        ['srv/covered/inner', /is not in the image/],
        ['usr/lib/moved/inner', /is not in the image/],
        ['etc/loop', /more links/],
        ['etc/dangling', /is not in the image/],
        ['usr/bin', /no regular file but a directory/],
        ['usr/bin/kubelet/x', /is not in the image/],
        ['', /no regular file|is not in the image/],
      ] as const) {
        it(`refuses ${member || 'the root'} of an image`, async () => {
          await assert.rejects(fetch(file(member)), (error: Error & { code: string }) => {
            assert.equal(error.code, 'NK_ARTIFACT_MEMBER');
            assert.match(error.message, why);
            return true;
          });
        });
      }

      it('refuses an image for another architecture', async () => {
        await assert.rejects(fetch(file('usr/bin/kubelet', { tag: 'image-arm64', architecture: 'amd64' })), {
          code: 'NK_ARTIFACT_ARCHITECTURE',
        });
        const arm = await fetch(file('usr/bin/kubelet', { tag: 'image-arm64', architecture: 'arm64' }));
        assert.deepEqual(arm.content, kubelet.amd64);
      });
    });
  }

  it('refuses damaged layouts', async () => {
    const damaged = join(folder, 'damaged');
    await writeLayout(damaged, [{ ...artifact({ kubelet: kubelet.amd64 }), tag: 'one' }]);
    const blob = join(damaged, 'blobs/sha256', digestOf(kubelet.amd64).slice('sha256:'.length));
    const spec: SourceSpec = { type: 'oci-layout', path: damaged };
    assert.deepEqual((await fetch(spec)).content, kubelet.amd64, 'the only tag needs no naming');
    writeFileSync(blob, programBytes(300_000, 9));
    await assert.rejects(fetch(spec), { code: 'NK_ARTIFACT_DIGEST' });
    truncateSync(blob, 1000);
    await assert.rejects(fetch(spec), { code: 'NK_ARTIFACT_DIGEST' });
    writeFileSync(join(damaged, 'index.json'), '{"manifests": 7}');
    await assert.rejects(fetch(spec), { code: 'NK_ARTIFACT_UNREADABLE' });
    await assert.rejects(fetch({ type: 'oci-layout', path: folder }), { code: 'NK_ARTIFACT_MISSING' });
  });

  it('refuses manifests that say nothing that could be verified', async () => {
    const bad = join(folder, 'bad');
    await writeLayout(bad, [
      {
        mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
        manifest: { schemaVersion: 1 },
        tag: 'schema1',
      },
      { mediaType: ociManifest, manifest: { schemaVersion: 2, layers: 'none' }, tag: 'no-layers' },
    ]);
    for (const tag of ['schema1', 'no-layers'])
      await assert.rejects(fetch({ type: 'oci-layout', path: bad, tag }), { code: 'NK_ARTIFACT_UNREADABLE' });
  });
});
