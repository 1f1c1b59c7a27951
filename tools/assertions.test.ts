import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { testsWithoutAssertion } from './assertions.ts';

const helpers = `
  import assert from 'node:assert/strict';
  export async function gone(path) { assert.ok(!(await exists(path))); }
  export async function made(path) { await make(path); }
`;

function linesFound(source: string): number[] {
  const files: Readonly<Record<string, string>> = { 'src/a.test.ts': source, 'test/support/helpers.ts': helpers };
  return testsWithoutAssertion('src/a.test.ts', (path) => files[path]).map(({ line }) => line);
}

describe('tests without an assertion', () => {
  for (const [what, source] of [
    ['nothing is asserted', `test('a', async () => { await run(); });`],
    ['the assertion stands outside', `assert.ok(1); test('a', () => run());`],
    ['a helper that asserts nothing', `import { made } from '../test/support/helpers.ts'; it('a', () => made('/a'));`],
    ['a helper that calls itself', `const f = () => f(); test('a', { timeout: 1 }, () => f());`],
    ['only a test inside asserts', `test('a', async (t) => { await t.test('b', () => { assert.ok(1); }); });`],
    ['a variable of that name', `const seen = assert.ok(1); test('a', () => { const seen = run(); });`],
  ] as const)
    test(`found: ${what}`, () => assert.deepEqual(linesFound(`\n${source}`), [2]));

  for (const [what, source] of [
    ['an assertion', `test('a', () => { for (const x of xs) assert.equal(x, 1); });`],
    ['assert itself', `it('a', () => assert(run()));`],
    ['a property', `test('a', () => { fc.assert(fc.property(fc.nat(), (n) => n >= 0)); });`],
    ['a function of the file', `const holds = (x) => { assert.ok(x); }; test('a', () => list.forEach(holds));`],
    ['a function behind another', `function f() { g(); } function g() { assert.ok(1); } test('a', () => f());`],
    ['a helper that asserts', `import { gone } from '../test/support/helpers.ts'; test('a', () => gone('/a'));`],
    ['no test: an expression', `if (/^a/.test(text)) run();`],
  ] as const)
    test(`not found: ${what}`, () => assert.deepEqual(linesFound(source), []));
});
