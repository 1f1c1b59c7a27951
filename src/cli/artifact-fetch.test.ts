/** What the real program fetches, is kept from fetching, and goes on with. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exitStatus } from '../errors.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';
import { runCli } from '../../test/run-cli.ts';

const body = programBytes(400_000, 3);
const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
const half = 200_000;

describe('artifact fetch', () => {
  let folder = '';
  let server: Server;
  let address = '';
  let ranges: (string | undefined)[] = [];
  /** Called when half of the file was sent; until then nothing more is. */
  let atHalf: (() => void) | undefined;

  before(async () => {
    folder = temporaryFolder();
    server = createServer((request, response) => {
      ranges.push(request.headers.range);
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, {
        etag: '"one"',
        'content-length': body.length - from,
        ...(from > 0 && { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` }),
      });
      if (atHalf === undefined) response.end(body.subarray(from));
      // What was sent is to be written before whoever takes it ends.
      else response.write(body.subarray(0, half), () => setTimeout(() => atHalf?.(), 700));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    removeFolder(folder);
  });

  for (const signal of ['SIGKILL', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    it(`goes on where it was after ${signal}, with nothing but its cache in between`, async () => {
      const to = join(folder, signal, 'file');
      mkdirSync(join(folder, signal));
      const env = { XDG_CACHE_HOME: join(folder, `cache-${signal}`) };
      const args = ['artifact', 'fetch', address, '--to', to];
      ranges = [];
      const first = await runCli({}, args, {
        env,
        onStart: (child) => (atHalf = () => child.kill(signal)),
      });
      assert.equal(first.status, null, 'ended by the signal');
      atHalf = undefined;
      if (signal !== 'SIGKILL') assert.deepEqual(readdirSync(join(folder, signal)), []);
      const second = await runCli({}, args, { env });
      assert.equal(second.status, 0, second.stderr);
      assert.deepEqual(ranges, [undefined, `bytes=${half}-`]);
      assert.deepEqual([readFileSync(to).equals(body), readdirSync(join(folder, signal))], [true, ['file']]);
      assert.deepEqual(readdirSync(join(env.XDG_CACHE_HOME, 'nodekiln/parts')), []);
    });

  it('leaves alone what is there with the digest that is asked for', async () => {
    const to = join(folder, 'there');
    const args = ['artifact', 'fetch', address, '--digest', digest, '--to', to];
    assert.equal((await runCli({}, args)).status, 0);
    ranges = [];
    const again = await runCli({}, [...args, '--json']);
    assert.equal(again.status, 0, again.stderr);
    const { data } = JSON.parse(again.stdout) as { data: { digest: string; size: number; outcome: string } };
    assert.deepEqual([data.digest, data.size, data.outcome, ranges], [digest, body.length, 'unchanged', []]);
  });

  const refused: readonly [string, RegExp][] = [
    ['ftp://127.0.0.1/file', /nothing is fetched by "ftp:"/],
    ['oci://registry.example/kubelet:1', /nothing is fetched by "oci:"/],
    ['docker://busybox', /nothing is fetched by "docker:"/],
    ['nginx:1.27', /it names no registry/],
    ['library/nginx:1.27', /it names no registry/],
    ['registry.example/kubelet@sha256:12', /is no digest/],
    ['registry.example/Kubelet:1', /is no URL and no OCI reference/],
  ];
  for (const [text, why] of refused)
    it(`says at once that it cannot be fetched: ${text}`, async () => {
      const result = await runCli({}, ['artifact', 'fetch', text, '--to', join(folder, 'refused')]);
      assert.equal(result.status, exitStatus.usage, result.stderr);
      assert.match(result.stderr, why);
    });

  for (const bad of ['sha256:12', 'md5:d41d8cd98f00b204e9800998ecf8427e', digest.toUpperCase(), digest.slice(7), ''])
    it(`says at once that it is no digest: ${bad}`, async () => {
      ranges = [];
      const args = ['artifact', 'fetch', address, `--digest=${bad}`, '--to', join(folder, 'refused')];
      const result = await runCli({}, args);
      assert.equal(result.status, exitStatus.usage, result.stderr);
      assert.match(result.stderr, bad === '' ? /option --digest is empty/ : /is no digest/);
      assert.deepEqual(ranges, []);
    });
});
