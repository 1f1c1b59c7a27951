import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleOf, samples } from './sample.ts';

const points = Array.from({ length: 100 }, (_none, index) => index);

test('cases say how many points a sample of them has', async () => {
  assert.ok(((await samples()).get('crash')?.points ?? 0) > 1);
});

test('the whole is the whole', () => {
  assert.deepEqual(sampleOf(points, { count: 10, seed: 1, whole: true }), points);
  assert.deepEqual(sampleOf(points.slice(0, 5), { count: 10, seed: 1, whole: false }), points.slice(0, 5));
});

test('a sample has about the count asked for, in order, both ends, and all points over the seeds', () => {
  const seen = new Set<number>();
  for (let seed = 0; seed < 10; seed += 1) {
    const sample = sampleOf(points, { count: 10, seed, whole: false });
    assert.ok(sample.length >= 10 && sample.length <= 12, String(sample.length));
    assert.deepEqual([sample[0], sample.at(-1)], [0, 99]);
    assert.deepEqual(
      [...sample].sort((a, b) => a - b),
      sample,
    );
    for (const point of sample) seen.add(point);
  }
  assert.equal(seen.size, points.length);
});
