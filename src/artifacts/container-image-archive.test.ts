import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { sha256 } from '../host/digest.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { readContainerImageArchive } from './container-image-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-archive-'));
const host = createLinuxHost();
after(() => rmSync(folder, { recursive: true }));

let count = 0;

function archive(files: Readonly<Record<string, string>>, compress = false): string {
  count += 1;
  const root = join(folder, `files-${count}`);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const path = join(folder, `${count}.tar`);
  execFileSync('tar', ['--create', ...(compress ? ['--gzip'] : []), '--file', path, '--directory', root, '.']);
  return path;
}

interface Blobs {
  readonly files: Record<string, string>;
  add(document: unknown): string;
}

function blobs(): Blobs {
  const files: Record<string, string> = {};
  return {
    files,
    add(document) {
      const text = JSON.stringify(document);
      const digest = sha256(text);
      files[`blobs/${digest.replace(':', '/')}`] = text;
      return digest;
    },
  };
}

/** An OCI layout with one index over images for these architectures, an attestation beside them, and a layer that is no JSON. */
function layout(architectures: readonly string[], compress = false): string {
  const store = blobs();
  store.files[`blobs/sha256/${'f'.repeat(64)}`] = '\u001f\u008blayer';
  const manifest = (config: unknown): { digest: string; size: number } => {
    const digest = store.add({ config: { digest: store.add(config), size: 1 }, layers: [] });
    return { digest, size: 1 };
  };
  const manifests = [
    ...architectures.map((architecture) => manifest({ os: 'linux', architecture })),
    manifest({ os: 'unknown', architecture: 'unknown' }),
  ];
  const index = store.add({ manifests });
  store.files['index.json'] = JSON.stringify({ manifests: [{ digest: index, size: 1 }] });
  return archive(store.files, compress);
}

function docker(architecture: string): string {
  return archive({
    'manifest.json': JSON.stringify([{ Config: 'abc.json', RepoTags: ['a/b:1'], Layers: [] }]),
    'abc.json': JSON.stringify({ os: 'linux', architecture, variant: 'v8' }),
  });
}

describe('an archive of images', () => {
  it('says for which systems its images are', async () => {
    assert.deepEqual((await readContainerImageArchive(host, layout(['amd64', 'arm64']))).platforms, [
      'linux/amd64',
      'linux/arm64',
    ]);
    assert.deepEqual((await readContainerImageArchive(host, layout(['arm64'], true))).platforms, ['linux/arm64']);
    assert.deepEqual((await readContainerImageArchive(host, docker('arm64'))).platforms, ['linux/arm64/v8']);
  });

  it('is refused when none of them is for the host', async () => {
    const wrong = { code: 'NK_ARTIFACT_ARCHITECTURE' };
    await assert.rejects(readContainerImageArchive(host, layout(['arm64']), { architecture: 'amd64' }), wrong);
    await assert.rejects(readContainerImageArchive(host, docker('arm64'), { architecture: 'amd64' }), wrong);
    await assert.rejects(readContainerImageArchive(host, layout([]), { architecture: 'amd64' }), wrong);
    await readContainerImageArchive(host, layout(['arm64', 'amd64']), { architecture: 'x86_64' });
    await readContainerImageArchive(host, docker('arm64'), { architecture: 'aarch64' });
  });

  it('is refused with another digest, damaged, or when it holds no images', async () => {
    const path = layout(['amd64']);
    const { digest, size } = await readContainerImageArchive(host, path);
    assert.equal(digest, `sha256:${execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64)}`);
    assert.ok(size > 0);
    await readContainerImageArchive(host, path, { digest });
    await assert.rejects(readContainerImageArchive(host, path, { digest: `sha256:${'0'.repeat(64)}` }), {
      code: 'NK_ARTIFACT_DIGEST',
    });
    await assert.rejects(readContainerImageArchive(host, archive({ readme: 'x' })), { code: 'NK_ARTIFACT_UNREADABLE' });
    await assert.rejects(readContainerImageArchive(host, join(folder, 'absent.tar')), { code: 'NK_ARTIFACT_MISSING' });
    writeFileSync(path, 'no tar');
    await assert.rejects(readContainerImageArchive(host, path), { code: 'NK_ARTIFACT_UNREADABLE' });
  });

  it('does not follow indexes that lead in circles', async () => {
    const store = blobs();
    const self = `sha256:${'a'.repeat(64)}`;
    store.files[`blobs/sha256/${'a'.repeat(64)}`] = JSON.stringify({ manifests: [{ digest: self }] });
    store.files['index.json'] = JSON.stringify({ manifests: [{ digest: self }] });
    await assert.rejects(readContainerImageArchive(host, archive(store.files)), { code: 'NK_ARTIFACT_UNREADABLE' });
  });
});
