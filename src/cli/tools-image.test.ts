/** The two verbs as real processes: what a restart remembers, what `--check` says, what is written. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { runCli, type RunOptions } from '../../test/run-cli.ts';

const digest = (n: number): string => `sha256:${String(n).repeat(64)}`;
const metadata = { tools: { kubectl: ['1.30.5', '1.31.1'] }, latest: '1.31', revisionHash: 'Juaa5J' };
const list = (...entries: readonly string[]): string =>
  `apiVersion: nodekiln.dev/v1alpha1\nkind: ToolsImages\nspec:\n  images:\n${entries.map((entry, index) => `    - kubectl: ${entry}\n      digest: ${digest(index)}\n`).join('')}`;

async function cli(files: Readonly<Record<string, string>>, args: readonly string[], options?: RunOptions) {
  const { stdout, ...result } = await runCli(files, ['tools-image', ...args, '--json'], options);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 1, `one JSON object on stdout, not ${stdout}${result.stderr}`);
  return { ...result, ...JSON.parse(stdout) };
}

describe('tools-image resolve', () => {
  const scratch = mkdtempSync('/var/tmp/nodekiln-tools-image-cli-');
  let server: Server;
  let url = '';
  let asked = 0;
  let answer: (response: ServerResponse) => void;
  before(async () => {
    server = createServer((_request, response) => {
      asked++;
      answer(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/versions.json`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(scratch, { recursive: true });
  });
  const good = (revisionHash: string) => (response: ServerResponse) =>
    void response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ ...metadata, revisionHash }));
  const resolve = (...more: readonly string[]) =>
    cli(
      {
        'c.yaml':
          'apiVersion: nodekiln.dev/v1alpha1\nkind: ToolsImageConfig\nspec: {cacheFor: 0s, retry: 1h, retryMax: 1h}\n',
      },
      [
        'resolve',
        '--repository',
        'team/tools',
        '--metadata',
        url,
        '--cluster-version',
        '1.31',
        '--cache',
        `${scratch}/cache`,
        '--config',
        'c.yaml',
        ...more,
      ],
    );

  it('a restarted process serves what the one before fetched, and refreshes it', async () => {
    answer = good('one');
    const first = await resolve();
    assert.deepEqual([first.status, first.data.image, first.data.reason], [0, 'team/tools:1.31-one', 'revision']);
    answer = good('two');
    const second = await resolve();
    assert.deepEqual([second.data.image, second.data.metadata.state], ['team/tools:1.31-one', 'stale']);
    const third = await resolve();
    assert.deepEqual([third.data.image, asked], ['team/tools:1.31-two', 3], 'the second refreshed it before it ended');
  });

  it('and remembers that the server failed', async () => {
    answer = (response) => void response.writeHead(404, { 'content-type': 'text/html' }).end('<html>');
    assert.equal((await resolve()).data.metadata.state, 'stale');
    const before = asked;
    const failed = await resolve();
    assert.deepEqual([failed.data.image, failed.data.metadata.state, asked], ['team/tools:1.31-two', 'stale', before]);
    assert.match(failed.data.metadata.why, /status 404/);
  });

  it('does not wait longer than the deadline for a server that is silent', { timeout: 30_000 }, async () => {
    answer = () => undefined;
    const late = await resolve('--cache', `${scratch}/silent`);
    assert.deepEqual(
      [late.data.image, late.data.reason, late.data.metadata.state],
      ['team/tools:1.31', 'known-tag', 'unavailable'],
    );
    assert.match(late.data.metadata.why, /no whole answer from .* within 2000 ms/);
  });

  it('metadata in a file, also for users without rights', async () => {
    const { status, data } = await cli(
      { 'versions.json': JSON.stringify(metadata) },
      ['resolve', '--repository', 'team/tools', '--metadata', 'versions.json', '--cluster-version', 'v1.30.1+k3s1'],
      { asNobody: true },
    );
    assert.deepEqual([status, data.image, data.metadata.state], [0, 'team/tools:1.30-Juaa5J', 'fresh']);
  });

  it('a tag alone decides; a fallback can be forbidden; one version is enough', async () => {
    const exact = await cli({}, ['resolve', '--repository', 'r.example/t', '--tag', '7', '--kubeconfig', 'nowhere']);
    assert.deepEqual([exact.status, exact.data.image], [0, 'r.example/t:7']);
    const none = await cli({}, ['resolve', '--repository', 't', '--cluster-version', '1.99', '--policy', 'error']);
    assert.deepEqual([none.status, none.error.code], [15, 'NK_TOOLS_IMAGE_NONE']);
    const both = await cli({}, ['resolve', '--repository', 't', '--cluster-version', '1', '--kubeconfig', 'x']);
    assert.deepEqual([both.status, both.error.code], [64, 'NK_USAGE']);
    const missing = await cli({}, ['resolve', '--repository', 't', '--kubeconfig', 'x']);
    assert.deepEqual([missing.status, missing.error.code], [65, 'NK_DOCUMENT_MISSING']);
    assert.equal(
      (await cli({}, ['resolve', '--config', 'none.yaml', '--repository', 't'])).error.code,
      'NK_DOCUMENT_MISSING',
    );
  });
});

describe('tools-image publish', () => {
  it('writes, says what would change, and keeps what was', async () => {
    const first = await cli({ 'a.yaml': list('1.30.5', '1.31.1') }, ['publish', 'a.yaml', '--output', 'out.json']);
    assert.deepEqual([first.status, first.data.changed, first.data.tags.length], [0, true, 2]);
    const text = first.files['out.json'];
    assert.deepEqual(JSON.parse(text), first.data.document);

    const same = await cli({ 'a.yaml': list('1.30.5', '1.31.1'), 'out.json': text }, [
      'publish',
      'a.yaml',
      '--output',
      'out.json',
      '--check',
    ]);
    assert.deepEqual([same.status, same.data.changed], [0, false]);

    const next = { 'a.yaml': list('1.31.1'), 'out.json': text };
    const would = await cli(next, ['publish', 'a.yaml', '--output', 'out.json', '--check']);
    assert.deepEqual([would.status, would.error.code, would.files['out.json']], [12, 'NK_CHECK_DIFFERENCES', text]);
    const written = await cli(next, ['publish', 'a.yaml', '--output', 'out.json']);
    assert.deepEqual(JSON.parse(written.files['out.json']).deprecations, {
      '1.30': { latestTag: `1.30-${first.data.revision}@${digest(0)}` },
    });
  });

  it('never takes a previous document that cannot be read for none', async () => {
    const damaged = await cli({ 'a.yaml': list('1.31.1'), 'out.json': '{"tools"' }, [
      'publish',
      'a.yaml',
      '--output',
      'out.json',
    ]);
    assert.deepEqual(
      [damaged.status, damaged.error.code, damaged.files['out.json']],
      [65, 'NK_DOCUMENT_SYNTAX', '{"tools"'],
    );
    const missing = await cli({ 'a.yaml': list('1.31.1') }, ['publish', 'a.yaml', '--previous', 'none.json']);
    assert.equal(missing.error.code, 'NK_DOCUMENT_MISSING');
    assert.equal((await cli({ 'a.yaml': list('1.31.1') }, ['publish', 'a.yaml', '--check'])).error.code, 'NK_USAGE');
  });

  it('prints the document where there is no output', async () => {
    const { stdout, status } = await runCli({ 'a.yaml': list('1.31.1') }, ['tools-image', 'publish', 'a.yaml']);
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(stdout).tools, { kubectl: ['1.31.1'] });
  });
});
