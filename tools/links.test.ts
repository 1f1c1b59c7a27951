import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { commonOptions } from '../src/cli/verb.ts';
import { verbs } from '../src/cli/verbs.ts';
import { verbs as devVerbs } from './dev.ts';

const root = join(import.meta.dirname, '..');

async function pages(): Promise<string[]> {
  const files: string[] = [];
  for await (const file of glob(['*.md', 'docs/**/*.md', 'test/**/*.md'], { cwd: root })) files.push(file);
  return files.sort();
}

/** A path of the checkout, of src/, or of a host as the code spells it (`<n>` standing for anything). */
function existsIn(path: string): boolean {
  const [first = ''] = path.split(/[<]/);
  return (
    path.startsWith('/') ||
    ['', 'src', 'src/artifacts'].some((base) => existsSync(join(root, base, first))) ||
    path.startsWith('generations/')
  );
}

describe('the documentation', () => {
  test('has the pages it should have', async () => {
    const found = await pages();
    for (const page of [
      'README.md',
      'CONTRIBUTING.md',
      'CHANGELOG.md',
      'docs/architecture.md',
      'docs/guides/boot.md',
    ]) {
      assert.ok(found.includes(page), `${page} is missing`);
    }
  });

  test('links to files that exist', async () => {
    const broken: string[] = [];
    for (const page of await pages()) {
      const text = await readFile(join(root, page), 'utf8');
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        const path = target.split('#')[0] ?? '';
        if (/^[a-z]+:/.test(target) || path === '') continue;
        if (!existsSync(join(root, dirname(page), path))) broken.push(`${page}: ${target}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  test('has a glossary of names that the code has', async () => {
    const code: string[] = [];
    for await (const file of glob('src/**/*.ts', { cwd: root })) code.push(await readFile(join(root, file), 'utf8'));
    const all = code.join('\n');
    const lines = (await readFile(join(root, 'docs/reference/glossary.md'), 'utf8')).split('\n');
    const rows = lines.filter((line) => line.startsWith('| ') && !line.startsWith('| word |'));
    assert.ok(rows.length > 50);
    const unknown = rows.flatMap((row) => {
      const [, word = '', , names = ''] = row.split('|').map((cell) => cell.trim());
      const found = [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
      return found
        .filter((name) => (name.includes('/') ? !existsIn(name) : !all.includes(name.replace(/^nodekiln /, ''))))
        .map((name) => `${word}: ${name}`);
    });
    assert.deepEqual(unknown, []);
  });

  test('names verbs that exist', async () => {
    const known = new Set([...Object.keys(verbs).map((verb) => verb.split(' ')[0] ?? ''), 'help', 'VERB', '…']);
    const unknown: string[] = [];
    for (const page of await pages()) {
      const text = await readFile(join(root, page), 'utf8');
      for (const [, verb = ''] of text.matchAll(/(?:^ {4}|`|\$ )nodekiln ([a-z][a-z-]*)/gm)) {
        if (!known.has(verb)) unknown.push(`${page}: nodekiln ${verb}`);
      }
      for (const [, verb = ''] of text.matchAll(/\.\/dev ([a-z0-9]+)/g)) {
        if (verb !== 'help' && !Object.hasOwn(devVerbs, verb)) {
          unknown.push(`${page}: ./dev ${verb}`);
        }
      }
    }
    assert.deepEqual(unknown, []);
  });

  test('and everything that we say ourselves names options that the verb has', async () => {
    const specs = new Map(
      await Promise.all(Object.entries(verbs).map(async ([name, load]) => [name, (await load()).spec] as const)),
    );
    const files = (await pages()).filter((page) => page !== 'CHANGELOG.md');
    for await (const file of glob(['src/**/*.ts', 'examples/**/*', 'packaging/**/*.{service,sh,md}'], { cwd: root }))
      if (!file.endsWith('.test.ts') && statSync(join(root, file)).isFile()) files.push(file);
    const [wrong, seen] = [new Set<string>(), new Set<string>()];
    for (const file of files) {
      const text = await readFile(join(root, file), 'utf8');
      for (const [, line = ''] of text.matchAll(/nodekiln ([a-z][a-z-]*(?: [^\n`'"|;]*)?)/g)) {
        const [first = '', second = ''] = line.split(' ');
        const spec = specs.get(`${first} ${second}`) ?? specs.get(first);
        if (!spec) continue;
        const known = new Set<string>([...spec.options, ...commonOptions].map(({ flag }) => flag));
        for (const [, flag = ''] of line.matchAll(/ (--[a-z][a-z-]*)/g)) {
          seen.add(flag);
          if (!known.has(flag) && flag !== '--help') wrong.add(`${file}: nodekiln ${spec.name} ${flag}`);
        }
      }
    }
    assert.ok(seen.size > 25, `${seen.size} options are shown`);
    assert.deepEqual([...wrong], []);
  });
});
