import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from './invalid.ts';
import { scanJson } from './positions-json.ts';
import { positionsOf } from './positions.ts';
import { placeOf, problemsOf, type Issue, type ParsedDocument } from './problems.ts';

function parsed(text: string): ParsedDocument {
  return { file: 'x', value: JSON.parse(text), positions: positionsOf(text, scanJson(text).root) };
}

const document = parsed(`{
  "files": [{"mode": 7, "path": "/a"}, [1, 2]],
  "kind": "Nodde", "8": true
}`);

function said(...issues: readonly Issue[]): string[] {
  return problemsOf(issues, document).map(formatProblem);
}

const mode: Issue = { message: 'must be a', path: ['files', 0, 'mode'] };
const path: Issue = { message: 'must be b', path: ['files', 0, 'path'] };
const kind: Issue = { message: 'must be c', path: ['kind'] };

test('problems are told in the order of the text', () => {
  const inOrder = [
    'x:2:22: files[0].mode: mode must be a',
    'x:2:33: files[0].path: path must be b',
    'x:3:11: kind: kind must be c',
  ];
  assert.deepEqual(said(mode, path, kind), inOrder);
  assert.deepEqual(said(kind, path, mode), inOrder);
});

test('what a problem is about: the document, a field, an item with its list', () => {
  assert.deepEqual(said({ message: 'must be a', path: [] }), ['x:1:1: the document must be a']);
  assert.deepEqual(said({ message: 'must be a', path: ['files', 0] }), ['x:2:13: files[0]: files[0] must be a']);
  assert.deepEqual(said({ message: 'must be a', path: ['files', 1, 0] }), ['x:2:41: files[1][0]: [1][0] must be a']);
  assert.deepEqual(said({ message: 'must be a', path: ['8'] }), ['x:3:25: ["8"]: ["8"] must be a']);
});

test('what is missing is told where the map that lacks it begins', () => {
  assert.deepEqual(said({ message: 'is missing', path: ['files', 0, 'owner'] }), [
    'x:2:13: files[0].owner: owner is missing',
  ]);
});

test('a problem without words of ours tells what stands there', () => {
  assert.deepEqual(said({ message: 'Invalid input', path: ['files', 0, 'mode'] }), [
    'x:2:22: files[0].mode: mode is not allowed here: the number 7',
  ]);
});

test('unknown keys, each at its place, with what was meant or what is known', () => {
  assert.deepEqual(said({ code: 'unrecognized_keys', message: 'files kinds', path: [], keys: ['kind', '8'] }), [
    'x:3:3: kind: unknown key "kind"; did you mean "kinds"?',
    'x:3:20: ["8"]: unknown key "8"; known here: files, kinds',
  ]);
  assert.deepEqual(said({ code: 'unrecognized_keys', message: '', path: [] }), []);
});

test('a key that is not allowed is told at the key, in the words of what is wrong with it', () => {
  const inner = { message: 'must be a name, is the string\n"kind"', path: [] };
  assert.deepEqual(said({ code: 'invalid_key', message: 'x', path: ['kind'], issues: [inner] }), [
    'x:3:3: kind: the key "kind" must be a name',
  ]);
  for (const issues of [undefined, []]) {
    assert.deepEqual(said({ code: 'invalid_key', message: 'x', path: ['kind'], ...(issues && { issues }) }), [
      'x:3:3: kind: the key "kind" is not allowed',
    ]);
  }
});

test('the choice that was meant', () => {
  const choice = { message: 'must be d', path: ['kind'] };
  const meant = ['x:3:11: kind: kind must be d; did you mean "Node"?'];
  assert.deepEqual(said({ ...choice, values: [1, 'Other', 'Node'] }), meant);
  assert.deepEqual(said({ ...choice, options: ['Node'] }), meant);
  assert.deepEqual(said({ ...choice, values: ['Other'] }), ['x:3:11: kind: kind must be d']);
  assert.deepEqual(said({ ...mode, values: ['7'] }), ['x:2:22: files[0].mode: mode must be a']);
});

// ── unions ───────────────────────────────────────────────────────────────────────────────────────────────────────

const union = (at: Issue['path'], ...errors: readonly (readonly Issue[])[]): Issue => ({
  code: 'invalid_union',
  message: 'must be one of them',
  path: at,
  errors,
});
const otherType: Issue = { message: 'must be a string', path: [] };
const inside: Issue = { message: 'must be a number', path: ['path'] };
const unknown: Issue = { code: 'unrecognized_keys', message: 'mode', path: [], keys: ['path'] };

test('of the forms of a union, the one that has the value’s shape tells what is wrong', () => {
  const told = ['x:2:33: files[0].path: path must be a number'];
  assert.deepEqual(said(union(['files', 0], [otherType], [inside])), told);
  assert.deepEqual(said(union(['files', 0], [], [inside])), told);
  assert.deepEqual(said(union(['files', 0], [inside, otherType], [inside])), told);
  assert.deepEqual(said(union(['files', 0], [unknown])), [
    'x:2:25: files[0].path: unknown key "path"; known here: mode',
  ]);
  assert.deepEqual(said(union(['files', 1], [{ message: 'must be b', path: [1] }])), [
    'x:2:44: files[1][1]: [1][1] must be b',
  ]);
});

test('when none has it, or the value is no map and no list, the union itself does', () => {
  assert.deepEqual(said(union(['files', 0], [otherType])), ['x:2:13: files[0]: files[0] must be one of them']);
  assert.deepEqual(said(union(['kind'], [inside])), ['x:3:11: kind: kind must be one of them']);
  assert.deepEqual(said({ message: 'must be a', path: ['files', 0], errors: [[inside]] }), [
    'x:2:13: files[0]: files[0] must be a',
  ]);
});

test('the place of a path names file and path', () => {
  assert.deepEqual(placeOf(document, ['kind'], 'value'), { file: 'x', line: 3, column: 11, path: 'kind' });
  assert.deepEqual(placeOf(document, ['kind'], 'key'), { file: 'x', line: 3, column: 3, path: 'kind' });
});
