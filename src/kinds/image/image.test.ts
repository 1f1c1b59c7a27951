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

  it('fail when the archive holds another', async () => {
    const { outcome, error } = await apply(image({ reference: 'registry.k8s.io/pause:3.9' }));
    assert.deepEqual([outcome, error?.code], ['failed', 'NK_IMAGE_IMPORT']);
    assert.match(error?.message ?? '', /pause\.tar holds registry\.k8s\.io\/pause:3\.10, not/);
  });
});
