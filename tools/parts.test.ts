import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { nodeBinary } from './build.ts';
import { packParts } from './parts.ts';

const run = promisify(execFile);
let folder: string;
before(async () => void (folder = await mkdtemp(join(tmpdir(), 'nodekiln-parts-'))));
after(() => rm(folder, { recursive: true, force: true }));

/** The program that these modules make; `main.js` begins. */
async function packed(modules: Readonly<Record<string, string>>, atOnce: readonly string[] = []): Promise<string> {
  const { build } = await import('esbuild');
  const place = await mkdtemp(join(folder, 'modules-'));
  for (const [name, text] of Object.entries(modules)) await writeFile(join(place, name), text);
  const result = await build({
    entryPoints: ['main.js'],
    absWorkingDir: place,
    outdir: join(place, 'out'),
    write: false,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    metafile: true,
  });
  return packParts(result, { entry: 'main.js', atOnce });
}

async function said(modules: Readonly<Record<string, string>>): Promise<string> {
  const path = join(await mkdtemp(join(folder, 'program-')), 'program.cjs');
  await writeFile(path, await packed(modules));
  return (await run(nodeBinary, [path])).stdout;
}

const asks = `import('./later.js').then(({ value }) => console.log(value));`;
/** What a program of parts says that one of modules would say, too. */
const programs: Readonly<
  Record<string, { readonly modules: Readonly<Record<string, string>>; readonly says: string }>
> = {
  'a part that is asked for': { modules: { 'main.js': asks, 'later.js': `export const value = 1;` }, says: '1' },
  'one that holds the end of a comment': {
    modules: { 'main.js': asks, 'later.js': `export const value = /a*/.exec('aa')[0] + '*' + '/';` },
    says: 'aa*/',
  },
  'letters beyond ASCII in text and patterns': {
    modules: { 'main.js': asks, 'later.js': 'export const value = `µ…` + /^[µμ]\u{1f642}$/u.test("µ\u{1f642}");' },
    says: 'µ…true',
  },
  'what two parts share, once': {
    modules: {
      'main.js': `import { list } from './shared.js'; list.push('main'); ${asks}`,
      'later.js': `import { list } from './shared.js'; list.push('later'); export const value = list.join();`,
      'shared.js': `export const list = [];`,
    },
    says: 'main,later',
  },
  'a value that changes after it was taken': {
    modules: {
      'main.js': `import('./later.js').then((later) => { later.count(); console.log(later.value()); });`,
      'later.js': `import { number, add } from './shared.js'; export const count = add; export const value = () => number; import('./other.js');`,
      'other.js': `import { number } from './shared.js'; export const other = number;`,
      'shared.js': `export let number = 0; export function add() { number += 1; }`,
    },
    says: '1',
  },
  'a module of CommonJS': {
    modules: {
      'main.js': `import('./common.cjs').then((common) => console.log(common.default.value));`,
      'common.cjs': `exports.value = require('node:path').join('a', 'b');`,
    },
    says: 'a/b',
  },
  'names of a module of CommonJS': {
    modules: {
      'main.js': `import('./common.cjs').then(({ value }) => console.log(value));`,
      'common.cjs': `module.exports = { value: 'named' };`,
    },
    says: 'named',
  },
  'a module of Node, when it is needed': {
    modules: { 'main.js': `import('node:zlib').then(({ crc32 }) => console.log(crc32('a')));` },
    says: '3904355907',
  },
  'parts that ask for one another': {
    modules: {
      'main.js': asks,
      'later.js': `export const value = 'later'; import('./again.js');`,
      'again.js': `export const again = () => import('./later.js');`,
    },
    says: 'later',
  },
};

describe('a program of parts', () => {
  for (const [what, { modules, says }] of Object.entries(programs))
    it(`runs ${what}`, async () => assert.equal(await said(modules), `${says}\n`));

  it('has as code what is needed at once alone', async () => {
    const modules = {
      'main.js': `import('./boot.js'); import('./bake.js');`,
      'boot.js': `import './below.js'; console.log('of boot');`,
      'below.js': `console.log('below boot');`,
      'bake.js': `console.log('of bake');`,
    };
    const text = await packed(modules, ['boot.js']);
    const kept = /\/\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '';
    const places = ['of boot', 'below boot', 'of bake'].map((words) => [kept.includes(words), text.includes(words)]);
    assert.deepEqual(places, [
      [false, true],
      [false, true],
      [true, true],
    ]);
  });

  it('has its own parts also when another version lies in its place', async () => {
    const version = (value: string): Promise<string> =>
      packed({ 'main.js': `setTimeout(() => { ${asks} }, 1000);`, 'later.js': `export const value = '${value}';` });
    const path = join(folder, 'replaced.cjs');
    await writeFile(path, await version('mine'));
    const child = run(nodeBinary, [path]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await writeFile(`${path}.new`, await version('of another length'));
    await rename(`${path}.new`, path);
    assert.equal((await child).stdout, 'mine\n');
  });

  it('is not made where a part that is needed at once is none', async () => {
    const making = packed({ 'main.js': `import './boot.js';`, 'boot.js': `console.log(1);` }, ['boot.js']);
    await assert.rejects(making, /^Error: boot\.js is no part of its own/);
  });
});
