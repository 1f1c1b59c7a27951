/** The artifact that unbaked machines install nodekiln from. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fetchArtifact } from '../src/artifacts/sources/table.ts';
import { createHttpClient } from '../src/artifacts/sources/http-client.ts';
import { createLinuxHost } from '../src/host/linux/host.ts';
import { removeFolder, temporaryFolder } from '../test/support/artifacts.ts';
import { writeProgramArtifact } from './program-artifact.ts';

const folder = temporaryFolder();
const host = createLinuxHost();
after(async () => {
  await host.close();
  removeFolder(folder);
});

it('holds program and runtime by name, and has one digest for one input', async () => {
  const parts = { node: join(folder, 'a'), nodekiln: join(folder, 'b') };
  writeFileSync(parts.node, 'runtime');
  writeFileSync(parts.nodekiln, 'program');
  const first = await writeProgramArtifact(join(folder, 'first'), parts);
  const context = { ...host, base: folder, folder, client: createHttpClient(host), budgetMs: 1000 };
  for (const [file, content] of [
    ['node', 'runtime'],
    ['nodekiln', 'program'],
  ] as const) {
    const { path } = await fetchArtifact({ type: 'oci-layout', path: first.folder, file }, context);
    assert.equal(readFileSync(path, 'utf8'), content);
  }
  assert.equal((await writeProgramArtifact(join(folder, 'second'), parts)).digest, first.digest);
  writeFileSync(parts.nodekiln, 'another');
  assert.notEqual((await writeProgramArtifact(join(folder, 'second'), parts)).digest, first.digest);
});
