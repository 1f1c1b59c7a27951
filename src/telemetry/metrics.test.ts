import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMetrics } from './metrics.ts';

describe('metrics', () => {
  it('count, by labels', () => {
    const metrics = createMetrics();
    const runs = metrics.counter({ name: 'nodekiln_runs_total', help: 'Runs.' });
    runs.add(1, { controller: 'a', outcome: 'converged' });
    runs.add(2, { controller: 'b', outcome: 'failed' });
    runs.add(1, { controller: 'a', outcome: 'converged' });
    assert.equal(
      metrics.exposition(),
      [
        '# HELP nodekiln_runs_total Runs.',
        '# TYPE nodekiln_runs_total counter',
        'nodekiln_runs_total{controller="a",outcome="converged"} 2',
        'nodekiln_runs_total{controller="b",outcome="failed"} 2',
        '',
      ].join('\n'),
    );
  });

  it('keep the last value of a gauge', () => {
    const metrics = createMetrics();
    const failures = metrics.gauge({ name: 'nodekiln_failures', help: 'Failures in a row.' });
    failures.set(3);
    failures.set(0);
    assert.match(metrics.exposition(), /^nodekiln_failures 0$/m);
  });

  it('sort values into cumulative buckets whose last holds all', () => {
    const metrics = createMetrics();
    const durations = metrics.histogram({ name: 'nodekiln_seconds', help: 'Time.', buckets: [0.5, 1, 2] });
    for (const value of [0.25, 0.5, 0.75, 8]) durations.observe(value, { controller: 'a' });
    assert.deepEqual(metrics.exposition().split('\n').slice(2), [
      'nodekiln_seconds_bucket{controller="a",le="0.5"} 2',
      'nodekiln_seconds_bucket{controller="a",le="1"} 3',
      'nodekiln_seconds_bucket{controller="a",le="2"} 3',
      'nodekiln_seconds_bucket{controller="a",le="+Inf"} 4',
      'nodekiln_seconds_sum{controller="a"} 9.5',
      'nodekiln_seconds_count{controller="a"} 4',
      '',
    ]);
  });

  it('escape what would end a line or a label', () => {
    const metrics = createMetrics();
    metrics.counter({ name: 'a_total', help: 'one\ntwo \\ "three"' }).add(1, { path: 'C:\\ "x"\ny' });
    assert.equal(
      metrics.exposition(),
      '# HELP a_total one\\ntwo \\\\ "three"\n# TYPE a_total counter\na_total{path="C:\\\\ \\"x\\"\\ny"} 1\n',
    );
  });

  it('refuse a second metric of one name, and names that Prometheus does not read', () => {
    const metrics = createMetrics();
    metrics.gauge({ name: 'a', help: '' });
    assert.throws(() => metrics.counter({ name: 'a', help: '' }), { code: 'NK_INTERNAL' });
    assert.throws(() => metrics.counter({ name: 'with space', help: '' }), { code: 'NK_INTERNAL' });
  });
});
