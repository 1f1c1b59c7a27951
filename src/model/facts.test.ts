import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { factsFromJson } from './facts.ts';

const sample: unknown = JSON.parse(
  readFileSync(new URL('../desired/testdata/stand-alone/facts.json', import.meta.url), 'utf8'),
);

test('facts of another machine are taken as printed, later additions passed over', () => {
  const facts = factsFromJson({ ...Object(sample), later: 1 }, 'facts.json');
  assert.deepEqual(facts, sample);
});

test('what is wrong is named by its key', () => {
  assert.throws(
    () => factsFromJson({ ...Object(sample), cpus: 'two', os: { id: 1, release: '13' } }, 'facts.json'),
    (error: unknown) =>
      error instanceof NodekilnError &&
      error.code === 'NK_DOCUMENT_INVALID' &&
      error.problems.map(({ place }) => place?.path).join() === 'os.id,cpus',
  );
  assert.throws(() => factsFromJson(null, 'facts.json'), { code: 'NK_DOCUMENT_INVALID' });
});
