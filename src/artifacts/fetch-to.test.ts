import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createLinuxHost } from '../host/linux/host.ts';
import { fetchTo } from './fetch-to.ts';
import { createHttpClient } from './sources/http-client.ts';
import type { SourceSpec } from './sources/source.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';

describe('fetching to a path', () => {
  const folder = temporaryFolder();
  const content = programBytes(100_000, 1);
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  const server = createServer((request, response) => {
    if (request.url === '/kubelet') response.end(content);
    else response.writeHead(404).end();
  });
  const host = createLinuxHost();
  const client = createHttpClient(host);
  let address = '';

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const at = server.address();
    address = `http://127.0.0.1:${typeof at === 'object' && at ? at.port : 0}`;
    writeFileSync(join(folder, 'beside'), content);
    chmodSync(join(folder, 'beside'), 0o750);
  });
  after(async () => {
    await host.close();
    server.close();
    removeFolder(folder);
  });

  const fetch = (spec: SourceSpec, to: string) => fetchTo(spec, to, { ...host, base: folder, client, budgetMs: 2_000 });

  it('puts it there, from a server and from a folder, and leaves nothing else', async () => {
    for (const [name, spec] of [
      ['http', { type: 'http', url: `${address}/kubelet` }],
      ['file', { type: 'file', path: 'beside' }],
    ] as const) {
      const into = join(folder, name);
      const to = join(into, 'deep/kubelet');
      const fetched = await fetch({ ...spec, digest }, to);
      assert.deepEqual([fetched.path, fetched.digest, fetched.size], [to, digest, content.length]);
      assert.deepEqual(readFileSync(to), content);
      assert.deepEqual(readdirSync(join(into, 'deep')), ['kubelet']);
      // A download is for all to read; a copy is like its original.
      assert.equal(statSync(to).mode & 0o7777, name === 'http' ? 0o644 : 0o750);
    }
    assert.deepEqual(readFileSync(join(folder, 'beside')), content, 'the source stays');
  });

  it('keeps what was there when the artifact cannot be had or is another', async () => {
    const into = join(folder, 'old');
    mkdirSync(into);
    const to = join(into, 'kubelet');
    writeFileSync(to, 'old');
    await assert.rejects(fetch({ type: 'http', url: `${address}/none` }, to), { code: 'NK_ARTIFACT_MISSING' });
    const other = `sha256:${'0'.repeat(64)}`;
    await assert.rejects(fetch({ type: 'http', url: `${address}/kubelet`, digest: other }, to), {
      code: 'NK_ARTIFACT_DIGEST',
    });
    await assert.rejects(fetch({ type: 'file', path: 'none' }, to), { code: 'NK_ARTIFACT_MISSING' });
    assert.deepEqual([readFileSync(to, 'utf8'), readdirSync(into)], ['old', ['kubelet']]);
  });

  it('says what stands in the way of writing', async () => {
    const to = join(folder, 'beside/kubelet');
    await assert.rejects(fetch({ type: 'file', path: 'beside' }, to), { code: 'NK_FILE_WRITE' });
  });
});
