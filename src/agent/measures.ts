/** What the agent counts. */
import type { Metrics } from '../telemetry/metrics.ts';
import type { Reconciled } from './controller.ts';

export interface Measures {
  reconciled(controller: string, about: { outcome: Reconciled['outcome']; durationMs: number }): void;
  /** In a row; 0 after a success. */
  failures(controller: string, inARow: number): void;
  changed(controller: string, input: string): void;
  lockWaited(controller: string, ms: number): void;
}

const seconds = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

export function createMeasures(metrics: Metrics): Measures {
  const reconciliations = metrics.counter({
    name: 'nodekiln_reconciliations_total',
    help: 'Reconciliations by controller and outcome.',
  });
  const durations = metrics.histogram({
    name: 'nodekiln_reconciliation_seconds',
    help: 'Time of reconciliations that found something changed, or looked for drift.',
    buckets: seconds,
  });
  const failures = metrics.gauge({
    name: 'nodekiln_reconciliation_failures',
    help: 'Failures in a row, 0 after a success.',
  });
  const changes = metrics.counter({
    name: 'nodekiln_input_changes_total',
    help: 'Changes that the inputs of controllers told.',
  });
  const lockWaits = metrics.histogram({
    name: 'nodekiln_lock_wait_seconds',
    help: 'Time that was waited for the host lock.',
    buckets: seconds,
  });
  return {
    reconciled(controller, { outcome, durationMs }) {
      reconciliations.add(1, { controller, outcome });
      if (outcome !== 'unchanged') durations.observe(durationMs / 1000, { controller });
    },
    failures: (controller, inARow) => failures.set(inARow, { controller }),
    changed: (controller, input) => changes.add(1, { controller, input }),
    lockWaited: (controller, ms) => lockWaits.observe(ms / 1000, { controller }),
  };
}
