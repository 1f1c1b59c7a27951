/**
 * Progress of the real program on a real terminal (script(1)): several transfers at once on terminals wide, narrow, low and resized,
 * without a cursor, without colours; and where there is none.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { programBytes, removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';
import { startProgram } from '../../test/support/program.ts';
import { screen } from '../../test/support/screen.ts';
import { openWeb, type Web } from '../../test/support/web.ts';

const tools = ['kubectl', 'crictl', 'kubelet'];
const body = programBytes(2_000_000, 9);
const pieces = 20;
const pieceMs = 100;
const escape = String.fromCharCode(27);

let folder = '';
let web: Web;

before(async () => {
  folder = temporaryFolder();
  web = await openWeb((_request, response) => {
    response.writeHead(200, { 'content-length': body.length });
    void (async () => {
      const size = body.length / pieces;
      for (let at = 0; at < body.length; at += size) {
        response.write(body.subarray(at, at + size));
        await sleep(pieceMs);
      }
      response.end();
    })();
  });
});
after(() => {
  web.close();
  removeFolder(folder);
});

/** A bake of three programs, slowly; with columns on a terminal. */
async function bake(setting: { columns?: number; rows?: number; also?: string; env?: Record<string, string> }) {
  const at = mkdtempSync(join(folder, 'case-'));
  mkdirSync(join(at, 'root/etc'), { recursive: true });
  writeFileSync(join(at, 'root/etc/os-release'), 'ID=debian\nVERSION_ID="13"\n');
  const components = tools.map((name) => {
    const source = `{ type: file, url: "${web.url}/${name}" }`;
    return `    - { name: ${name}, action: cache, builds: [{ version: 1.34.3, source: ${source} }] }\n`;
  });
  writeFileSync(
    join(at, 'image.yaml'),
    `apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec:\n  nodekiln: { boot: false, path: false }\n  components:\n${components.join('')}`,
  );
  const { columns, rows = 24, also, env } = setting;
  const frames: string[] = [];
  const { ended } = await startProgram(['bake', 'image.yaml', '--root', 'root'], {
    cwd: at,
    env: { HOME: at, SHELL: '/bin/sh', TERM: 'xterm-256color', ...env },
    ...(columns !== undefined && { terminal: { columns, rows, ...(also !== undefined && { also }) } }),
    onText: (written) => frames.push(written),
  });
  const { end, text } = await ended;
  assert.equal(end, 0, text);
  return { text, frames };
}

/** What is only there while it runs. */
const isLive = (line: string): boolean =>
  /^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] /u.test(line) || (/ (?:cache binary:|cache b|c…|ca)/.test(line) && /%|MB/.test(line));

describe('progress on a real terminal', { concurrency: 2 }, () => {
  for (const [columns, rows, shown] of [
    [80, 24, /^█*░* \d\.\d of 2\.0 MB, \d+\.\d MB\/s, \d+ s left {2}cache binary:k/],
    [200, 24, /^█*░* \d\.\d of 2\.0 MB, \d+\.\d MB\/s, \d+ s left {2}cache binary:kubectl-1\.34\.3$/],
    [60, 24, /^█*░* \d\.\d of 2\.0 MB, /],
    [40, 24, /^\d+ % {2}cache binary:kubectl-1\.34\.3$/],
    [20, 24, /^\d+ % {2}cache binary:/],
  ] as const)
    it(`of ${columns} columns shows each of several transfers on a line of its own`, { timeout: 60_000 }, async () => {
      const { text, frames } = await bake({ columns, rows });
      const screens = frames.map((written) => screen(written, columns));
      const most = Math.max(
        ...screens.map(({ lines }) => lines.filter((line) => shown.test(line) || isLive(line)).length),
      );
      assert.ok(
        screens.some(({ lines }) => lines.some((line) => shown.test(line))),
        screens.at(-4)?.lines.join('\n'),
      );
      assert.equal(most, 1 + tools.length, 'the summary, and one for each');
      const end = screens.at(-1)?.lines ?? [];
      assert.ok(!end.some((line) => isLive(line)), end.join('\n'));
      for (const name of tools)
        assert.ok(
          end.some((line) => line.startsWith(`done    cache binary:${name}`.slice(0, columns))),
          end.join('\n'),
        );
      assert.ok(!text.includes(`${escape}[?25l`), 'the cursor stays');
    });

  it('that is low shows as many as there is room for', { timeout: 60_000 }, async () => {
    const { frames } = await bake({ columns: 80, rows: 4 });
    const most = frames.map((written) => screen(written, 80).lines.filter((line) => isLive(line)).length);
    assert.equal(Math.max(...most), 3);
  });

  it('that becomes narrower goes on in its width', { timeout: 60_000 }, async () => {
    const { frames } = await bake({ columns: 100, also: '(sleep 1.2; stty cols 40 </dev/tty) &' });
    const last = screen(frames.at(-1) ?? '', 100).lines;
    assert.ok(frames.some((written) => /\d+ % {2}cache binary:kubelet/.test(written)));
    assert.ok(frames.some((written) => /of 2\.0 MB.*cache binary:kubelet/.test(written)));
    for (const name of tools)
      assert.equal(last.filter((line) => line.startsWith(`done    cache binary:${name}`)).length, 1, last.join('\n'));
  });

  for (const [what, setting] of [
    ['a terminal without a cursor', { columns: 80, env: { TERM: 'dumb' } }],
    ['a terminal that nobody names', { columns: 80, env: { TERM: '' } }],
    ['no terminal', {}],
  ] as const)
    it(`on ${what} is one plain line for each`, { timeout: 60_000 }, async () => {
      const { text } = await bake(setting);
      assert.ok(!text.includes(escape), JSON.stringify(text));
      const lines = text.split(/\r?\n/);
      for (const name of tools)
        assert.equal(lines.filter((line) => line.startsWith(`done    cache binary:${name}`)).length, 1, text);
      assert.ok(!/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏█░]/u.test(text));
    });

  it('has no colours for who wants none', { timeout: 60_000 }, async () => {
    const coloured = new RegExp(`${escape}\\[[0-9;]*m`);
    assert.match((await bake({ columns: 80 })).text, coloured, 'it has them else');
    assert.doesNotMatch((await bake({ columns: 80, env: { NO_COLOR: '1' } })).text, coloured);
  });
});
