/** What unbaked machines install nodekiln from. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fetchArtifact } from '../src/artifacts/sources/table.ts';
import { createHttpClient } from '../src/artifacts/sources/http-client.ts';
import { fetchProgram } from '../src/agent/program-origin.ts';
import { createLinuxHost } from '../src/host/linux/host.ts';
import { createMemoryMachine } from '../src/host/memory/machine.ts';
import { textOf } from '../src/model/bytes.ts';
import { removeFolder, temporaryFolder } from '../test/support/artifacts.ts';
import { writeProgramArchive, writeProgramArtifact } from './program-artifact.ts';

const folder = temporaryFolder();
const host = createLinuxHost();
after(async () => {
  await host.close();
  removeFolder(folder);
});

it('the artifact holds program and runtime by name, and has one digest for one input', async () => {
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

it('the archive holds the same, as tar reads it, and has one digest for one input', async () => {
  const parts = { node: join(folder, 'c'), nodekiln: join(folder, 'd') };
  writeFileSync(parts.node, 'r'.repeat(1000));
  writeFileSync(parts.nodekiln, 'program');
  const first = await writeProgramArchive(join(folder, 'one'), parts);
  const listed = spawnSync('tar', ['-tvf', first.file], { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });
  assert.match(
    listed.stdout,
    /^-rwxr-xr-x 0\/0 +1000 1970-01-01 00:00 node\n-rwxr-xr-x 0\/0 +7 1970-01-01 00:00 nodekiln\n$/,
  );
  assert.equal(listed.stderr, '');
  const origin = { urls: ['https://files.example.org/a.tar'], digest: first.digest };
  const machine = createMemoryMachine();
  machine.serve('https://files.example.org', () => ({ body: readFileSync(first.file) }));
  const own = machine.open();
  const to = await own.files.temporaryFolder('/opt');
  const client = createHttpClient({ net: own.net, environment: {} });
  await fetchProgram(own, origin, { folder: to, client, budgetMs: 1000 });
  assert.equal(textOf(await own.files.read(`${to}/node`)), 'r'.repeat(1000));
  assert.equal(textOf(await own.files.read(`${to}/nodekiln`)), 'program');
  const again = await writeProgramArchive(join(folder, 'two'), parts);
  assert.equal(again.digest, first.digest);
  writeFileSync(parts.nodekiln, 'Program');
  assert.notEqual((await writeProgramArchive(join(folder, 'two'), parts)).digest, first.digest);
});
