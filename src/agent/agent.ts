/** The agent on the machine we run on: the controllers that keep it as its sources say. */
import { openSource } from '../documents/sources/table.ts';
import type { NodekilnError } from '../errors.ts';
import { withFaults } from '../host/faults.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host } from '../host/port.ts';
import type { AgentReport } from '../telemetry/agent-report.ts';
import type { StepEvent } from '../telemetry/events.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { measureSteps } from '../telemetry/step-metrics.ts';
import type { AgentContext } from './controller.ts';
import { controllerNames, makeController } from './controllers/table.ts';
import { runControllers, runOnce } from './runtime.ts';

export interface AgentOptions {
  /** `dir:/etc/nodekiln/desired` */
  readonly source: string;
  /** Reconcile once and return, instead of following the source. */
  readonly once?: boolean;
  readonly onEvent?: (event: AgentEvent) => void;
  readonly signal?: AbortSignal;
}

export type AgentEvent =
  | { readonly type: 'watching'; readonly source: string }
  | { readonly type: 'reconciled'; readonly report: AgentReport }
  | { readonly type: 'step'; readonly event: StepEvent }
  /** What the agent goes on from, but cannot put right itself. */
  | { readonly type: 'trouble'; readonly controller: string; readonly error: NodekilnError };

/** Runs until the signal aborts; with `once`, until the source is reconciled (throws when that failed). */
export async function runAgent(options: AgentOptions): Promise<void> {
  const host = withFaults(createLinuxHost());
  try {
    await runAgentOn(host, options);
  } finally {
    await host.close();
  }
}

/** The same on a given host. NK_USAGE when the source is none. */
export async function runAgentOn(host: Host, options: AgentOptions): Promise<void> {
  const { onEvent, signal = new AbortController().signal } = options;
  const metrics = createMetrics();
  const measureStep = measureSteps(metrics);
  const context: AgentContext = {
    host,
    source: openSource(options.source, host),
    onStep: (event) => {
      measureStep(event);
      onEvent?.({ type: 'step', event });
    },
    ...(onEvent && { onReport: (report) => onEvent({ type: 'reconciled', report }) }),
  };
  const runtime = {
    host,
    signal,
    metrics,
    ...(onEvent && {
      onTrouble: (controller: string, error: NodekilnError) => onEvent({ type: 'trouble', controller, error }),
    }),
  };
  if (options.once === true) return runOnce(runtime, makeController('desired-state', context));
  onEvent?.({ type: 'watching', source: options.source });
  return runControllers({ ...runtime, controllers: controllerNames.map((name) => makeController(name, context)) });
}
