import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { envelopeLine, formatError } from './output.ts';
import { errorFrom } from './error-from.ts';
import { formatDuration, shorten } from '../inspect/format.ts';

const full = new NodekilnError('NK_DOCUMENT_INVALID', 'node.yaml is not a valid NodeConfig: 2 problems', {
  hint: 'Correct them.',
  lines: ['a line of a log'],
  problems: [
    {
      message: 'unknown key "a"',
      place: { file: 'node.yaml', line: 3, column: 5, path: 'spec.a' },
      hint: 'did you mean "b"?',
    },
    { message: 'needs more' },
  ],
});

describe('an error as text', () => {
  it('has code, places, log lines and hint', () => {
    assert.equal(
      formatError(full),
      [
        'error NK_DOCUMENT_INVALID: node.yaml is not a valid NodeConfig: 2 problems',
        '  node.yaml:3:5: spec.a: unknown key "a" (did you mean "b"?)',
        '  needs more',
        '    a line of a log',
        'hint: Correct them.',
      ].join('\n'),
    );
  });
  it('says nothing twice: neither the message nor the hint of all', () => {
    const conflict = (...ids: readonly string[]): NodekilnError =>
      new NodekilnError(
        'NK_PLAN_CONFLICT',
        ids.length === 1 ? `${ids[0]} is claimed twice` : `${ids.length} conflicts`,
        {
          hint: 'Remove one.',
          problems: ids.map((id) => ({ message: `${id} is claimed twice`, hint: 'Remove one.' })),
        },
      );
    assert.equal(
      formatError(conflict('file:/a')),
      'error NK_PLAN_CONFLICT: file:/a is claimed twice\nhint: Remove one.',
    );
    const all = Array.from({ length: 40 }, (_, index) => `file:/${index}`);
    assert.deepEqual(formatError(conflict(...all)).split('\n'), [
      'error NK_PLAN_CONFLICT: 40 conflicts',
      ...all.map((id) => `  ${id} is claimed twice`),
      'hint: Remove one.',
    ]);
  });
  it('names its own place when it has no list of problems', () => {
    const error = new NodekilnError('NK_DOCUMENT_SYNTAX', 'not well-formed', {
      place: { file: 'a.yaml', line: 1, column: 2 },
    });
    assert.match(formatError(error), /^ {2}a\.yaml:1:2$/m);
  });
});

describe('the envelope', () => {
  it('has all five keys, in order, on one line', () => {
    const line = envelopeLine('Thing', { big: 10n, map: new Map([['a', 1]]) }, full);
    assert.ok(!line.includes('\n'));
    const value: unknown = JSON.parse(line);
    assert.deepEqual(value, {
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'Thing',
      ok: false,
      data: { big: '10', map: { a: 1 } },
      error: full.toJSON(),
    });
    assert.deepEqual(JSON.parse(envelopeLine('Thing', undefined)), {
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'Thing',
      ok: true,
      data: null,
      error: null,
    });
  });
  it('keeps an error through JSON and back', () => {
    const back = errorFrom(JSON.parse(JSON.stringify(full)));
    assert.deepEqual(back?.toJSON(), full.toJSON());
    assert.equal(errorFrom({ code: 'NK_NOT_A_CODE'.toLowerCase(), message: 'x' }), undefined);
    assert.equal(errorFrom(undefined), undefined);
  });
});

describe('numbers and names', () => {
  for (const [ms, text] of [
    [0, '0 ms'],
    [0.42, '0.4 ms'],
    [9.96, '10 ms'],
    [999.4, '999 ms'],
    [999.6, '1.00 s'],
    [9_994, '9.99 s'],
    [9_996, '10.0 s'],
    [119_940, '119.9 s'],
    [119_951, '2 min 0 s'],
    [185_000, '3 min 5 s'],
  ] as const) {
    it(`${ms} ms is ${text}`, () => assert.equal(formatDuration(ms), text));
  }
  it('are cut in the middle', () => {
    assert.equal(shorten('abcdefgh', 5), 'ab…gh');
    assert.equal(shorten('abc', 3), 'abc');
  });
});
