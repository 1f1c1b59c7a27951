import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { formatProblem } from './invalid.ts';
import { parseAs } from './parse-as.ts';
import { doc, fields, secretText, text } from './schema-builders.ts';

const schema = fields({ name: doc('A name.', text()), secret: doc('Not shown.', text()) });

async function refused(written: string): Promise<NodekilnError> {
  try {
    await parseAs({ file: 'a.yaml', text: written }, schema, 'list of names');
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError);
    return thrown;
  }
  return assert.fail('it was taken');
}

test('reads YAML and JSON against the schema', async () => {
  const value = { name: 'a', secret: 'b' };
  assert.deepEqual(await parseAs({ file: 'a', text: 'name: a\nsecret: b\n' }, schema, 'x'), value);
  assert.deepEqual(await parseAs({ file: 'a', text: JSON.stringify(value) }, schema, 'x'), value);
});

test('every problem is told with its place, and what to do', async () => {
  const error = await refused('name: a\nsecrt: b\n');
  assert.equal(error.code, 'NK_DOCUMENT_INVALID');
  assert.equal(error.message, 'a.yaml is not a valid list of names: 2 problems');
  assert.equal(error.hint, 'Correct the places named.');
  assert.deepEqual(error.place, { file: 'a.yaml', line: 1, column: 1, path: 'secret' });
  assert.deepEqual(error.problems.map(formatProblem), [
    'a.yaml:1:1: secret: secret is missing: it must be a string',
    'a.yaml:2:1: secrt: unknown key "secrt"; did you mean "secret"?',
  ]);
});

test('a secret that is missing is told so, one that is none is not shown', async () => {
  const secret = fields({ token: doc('A token.', secretText()) });
  const said = async (written: string): Promise<string[]> => {
    const error = await parseAs({ file: 'a', text: written }, secret, 'x').catch((thrown: unknown) => thrown);
    assert.ok(error instanceof NodekilnError);
    return error.problems.map(({ message }) => message);
  };
  assert.deepEqual(await said('{}'), ['token is missing: it must be a string (a secret: not shown)']);
  assert.deepEqual(await said('{token: [hunter2]}'), ['token must be a string (a secret: not shown)']);
  assert.deepEqual(await said('{token: ""}'), ['token must be a string that is not empty']);
});

test('text that is not well-formed is refused without a quotation', async () => {
  const error = await refused('name: "hunter2\n');
  assert.equal(error.code, 'NK_DOCUMENT_SYNTAX');
  assert.ok(!JSON.stringify(error).includes('hunter2'));
});

test('a key that would reach the prototype is refused with its path', async () => {
  const error = await refused('name: {__proto__: {a: 1}}\n');
  assert.equal(error.code, 'NK_DOCUMENT_INVALID');
  assert.deepEqual(error.place, { file: 'a.yaml', path: 'name.__proto__' });
});
