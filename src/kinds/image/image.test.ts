/** Imports of container images through the whole engine, on a machine in memory. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { tar } from '../../../test/support/tar.ts';
import { openJournal, type Journal } from '../../apply/journal.ts';
import { carryOut, prepare, type Result } from '../../apply/reconcile.ts';
import { sha256 } from '../../host/digest.ts';
import { createMemoryMachine, type MemoryMachine } from '../../host/memory/machine.ts';
import type { Host } from '../../host/port.ts';
import type { ContainerImageResource } from '../../model/resources.ts';

const path = '/srv/pause.tar';
const reference = 'registry.k8s.io/pause:3.10';
const archive = tar([
  { name: 'manifest.json', content: JSON.stringify([{ Config: 'config.json', RepoTags: [reference], Layers: [] }]) },
  { name: 'config.json', content: JSON.stringify({ os: 'linux', architecture: 'amd64' }) },
]);

function image(more: Partial<ContainerImageResource> = {}): ContainerImageResource {
  return {
    kind: 'image',
    id: 'image:pause',
    scope: 'shared',
    deferrable: false,
    importance: 'required',
    needs: [],
    reference,
    archive: 'pause.tar',
    architecture: 'amd64',
    ...more,
  };
}

describe('container images', () => {
  let machine: MemoryMachine;
  let host: Host;
  let journal: Journal;

  beforeEach(async () => {
    machine = createMemoryMachine();
    await machine.files.write([{ type: 'file', path, content: archive, mode: 0o644, uid: 0, gid: 0 }]);
    machine.archive(path, [reference]);
    host = machine.open();
    journal = await openJournal(host);
  });

  async function apply(resource: ContainerImageResource): Promise<Result> {
    const desired = { resources: new Map([[resource.id, resource]]), goal: undefined, warnings: [] };
    return carryOut(await prepare({ host, journal, source: 'image', desired }), { artifactBase: '/srv' });
  }

  const imports = (): readonly string[] => machine.effects.filter((effect) => effect.startsWith('import '));

  async function refused(resource: ContainerImageResource, code: string): Promise<void> {
    const { outcome, error } = await apply(resource);
    assert.deepEqual([outcome, error?.code], ['failed', code], error?.message);
    assert.deepEqual(imports(), [], 'containerd is not asked');
  }

  it('are imported once, pinned, with the archive’s digest on record', async () => {
    const result = await apply(image({ digest: sha256(archive) }));
    assert.deepEqual([result.outcome, result.error?.message], ['converged', undefined]);
    assert.deepEqual(await host.containers.list(), [{ reference, digest: sha256(reference), pinned: true }]);
    assert.equal((await apply(image({ digest: sha256(archive) }))).outcome, 'converged');
    assert.deepEqual(imports(), [`import ${path}`]);
    assert.deepEqual(journal.artifact('image:pause'), {
      location: 'pause.tar',
      digest: sha256(archive),
      size: archive.length,
    });
  });

  it('are refused with another digest, for another architecture, or when the archive is missing or none', async () => {
    await refused(image({ digest: sha256('other') }), 'NK_ARTIFACT_DIGEST');
    await refused(image({ architecture: 'arm64' }), 'NK_ARTIFACT_ARCHITECTURE');
    await refused(image({ archive: 'absent.tar' }), 'NK_ARTIFACT_MISSING');
    await machine.files.write([{ type: 'file', path, content: tar([]), mode: 0o644, uid: 0, gid: 0 }]);
    await refused(image(), 'NK_ARTIFACT_UNREADABLE');
  });

  /** A registry of one image. */
  function serveImage(architecture = 'amd64'): { readonly digest: string; readonly asked: string[] } {
    const config = JSON.stringify({ os: 'linux', architecture });
    const layer = 'layer';
    const describe = (content: string, mediaType: string) => ({
      mediaType,
      digest: sha256(content),
      size: content.length,
    });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: describe(config, 'application/vnd.oci.image.config.v1+json'),
      layers: [describe(layer, 'application/vnd.oci.image.layer.v1.tar')],
    });
    const contents = new Map([manifest, config, layer].map((content) => [sha256(content), content]));
    const asked: string[] = [];
    machine.serve('https://registry.k8s.io', ({ url }) => {
      const name = new URL(url).pathname.split('/').at(-1) ?? '';
      asked.push(name);
      const body = name === '3.10' ? manifest : contents.get(name);
      return body === undefined
        ? { status: 404 }
        : { body, headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' } };
    });
    return { digest: sha256(manifest), asked };
  }
  /** Without the archive. */
  function pulled(more: Partial<ContainerImageResource> = {}): ContainerImageResource {
    const { archive: _, ...rest } = image(more);
    return rest;
  }

  it('without an archive are pulled from their registry, once, and locked by digest', async () => {
    const { digest, asked } = serveImage();
    const result = await apply(pulled());
    assert.deepEqual([result.outcome, result.error?.message], ['converged', undefined]);
    assert.deepEqual(
      (await host.containers.list()).map(({ reference: name, pinned }) => [name, pinned]),
      [[reference, true]],
    );
    const noted = journal.artifact('image:pause');
    assert.deepEqual([noted?.location, noted?.digest], [`${reference}@${digest}`, digest]);
    asked.length = 0;
    assert.equal((await apply(pulled())).outcome, 'converged');
    assert.deepEqual([asked, imports().length], [[], 1]);
  });

  it('without an archive are refused with another digest, for another system, or when there is none', async () => {
    const { digest } = serveImage('arm64');
    await refused(pulled({ digest: sha256('other') }), 'NK_ARTIFACT_MISSING');
    await refused(pulled({ digest }), 'NK_ARTIFACT_ARCHITECTURE');
    await refused(pulled({ reference: 'registry.k8s.io/pause:none' }), 'NK_ARTIFACT_MISSING');
    assert.deepEqual(await host.containers.list(), []);
  });

  it('fail when the archive holds another', async () => {
    const { outcome, error } = await apply(image({ reference: 'registry.k8s.io/pause:3.9' }));
    assert.deepEqual([outcome, error?.code], ['failed', 'NK_IMAGE_IMPORT']);
    assert.match(error?.message ?? '', /pause\.tar holds registry\.k8s\.io\/pause:3\.10, not/);
  });
});
