import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { StepRecord } from '../model/report.ts';
import { createMetrics } from './metrics.ts';
import { measureSteps } from './step-metrics.ts';

it('steps are counted by kind and end, and what was passed over took no time', () => {
  const metrics = createMetrics();
  const tell = measureSteps(metrics);
  const end = (about: Partial<StepRecord>): void =>
    tell({
      type: 'end',
      record: {
        id: 'write file:/etc/a',
        resource: 'file:/etc/a',
        phase: 'goal',
        status: 'done',
        startMs: 1000,
        endMs: 1005,
        needs: [],
        details: [],
        ...about,
      },
    });
  tell({ type: 'start', step: 'write file:/etc/a' });
  end({});
  end({ status: 'failed' });
  end({ resource: 'unit:a.service', status: 'skipped' });
  const lines = metrics.exposition().split('\n');
  for (const line of [
    'nodekiln_steps_total{kind="file",status="done"} 1',
    'nodekiln_steps_total{kind="file",status="failed"} 1',
    'nodekiln_steps_total{kind="unit",status="skipped"} 1',
    'nodekiln_step_seconds_count{kind="file"} 2',
    'nodekiln_step_seconds_bucket{kind="file",le="0.01"} 2',
  ])
    assert.ok(lines.includes(line), line);
  assert.ok(!lines.some((line) => line.includes('nodekiln_step_seconds_count{kind="unit"}')));
});
