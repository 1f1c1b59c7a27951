/** The agent on the machine we run on: the controllers that keep it as its sources say. */
import { openSource } from '../documents/sources/table.ts';
import { makeStateOurs } from '../apply/own-state.ts';
import type { AgentSpec } from '../config/agent-config.ts';
import { documentPaths } from '../config/defaults.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import { readHostName } from '../host/facts.ts';
import { withFaults } from '../host/faults.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { HeldLock, Host } from '../host/port.ts';
import { agentFolder } from '../model/state-paths.ts';
import type { AgentReport } from '../telemetry/agent-report.ts';
import type { StepEvent } from '../telemetry/events.ts';
import { measureBoot } from '../telemetry/boot-metrics.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import { measureSteps } from '../telemetry/step-metrics.ts';
import type { AgentContext, Postponed } from './controller.ts';
import { createAppliedBoard } from './applied.ts';
import { openBulletin, type Bulletin } from './bulletin.ts';
import { readAgentConfig, type ConfigFiles } from './config.ts';
import { openNodeCluster, type NodeCluster } from './cluster.ts';
import { createErrand } from './errand.ts';
import { createRepeats, type NodeEvent } from './events.ts';
import { openEndpoint } from './endpoint.ts';
import { createGate } from './gate.ts';
import { makeController, makeControllers } from './controllers/table.ts';
import { sourceInForce } from './renamed-secret.ts';
import { runControllers, runOnce } from './runtime.ts';

export interface AgentOptions extends ConfigFiles {
  /** `dir:/etc/nodekiln/desired` (the default), `secret:kube-system/pool-a`; instead of what the AgentConfig says. */
  readonly source?: string;
  /** Reconcile once and return, instead of following the source. */
  readonly once?: boolean;
  readonly onEvent?: (event: AgentEvent) => void;
  readonly signal?: AbortSignal;
}

export type AgentEvent =
  | { readonly type: 'watching'; readonly source: string }
  | { readonly type: 'reconciled'; readonly report: AgentReport }
  | { readonly type: 'notice'; readonly notice: NodeEvent }
  | { readonly type: 'postponed'; readonly postponed: Postponed }
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

/** The same on a given host. NK_USAGE when the source is none; what an AgentConfig or a kubeconfig throws that is wrong. */
export async function runAgentOn(host: Host, options: AgentOptions): Promise<void> {
  const { onEvent } = options;
  const config = await readAgentConfig(host.files, options);
  const ended = new AbortController();
  const end = (): void => ended.abort(options.signal?.reason);
  if (options.signal?.aborted === true) end();
  options.signal?.addEventListener('abort', end, { once: true });
  const { signal } = ended;
  let onlyAgent: HeldLock | undefined;
  let bulletin: Bulletin | undefined;
  const onNotice = (notice: NodeEvent): void => {
    bulletin?.notice(notice);
    onEvent?.({ type: 'notice', notice });
  };
  try {
    const metrics = createMetrics();
    await measureBoot(host.files, metrics);
    const onTrouble =
      onEvent &&
      ((controller: string, thrown: unknown): void => {
        onEvent({ type: 'trouble', controller, error: asNodekilnError(thrown) });
      });
    const isRepeated = createRepeats(host.clock);
    const cluster =
      config.cluster &&
      (await openNodeCluster({
        host,
        cluster: config.cluster,
        nodeName: config.nodeName ?? (await readHostName(host)).toLowerCase(),
        signal,
        // Each watch finds out for itself, at each try.
        onTrouble: (thrown) => {
          const { code, message } = asNodekilnError(thrown);
          if (!isRepeated(`${code} ${message}`)) onTrouble?.('cluster', thrown);
        },
        onNotice,
      }));
    let why: NodekilnError | undefined;
    const endAgent = (error: NodekilnError): void => {
      why ??= error;
      ended.abort(error);
    };
    const configured = options.source ?? config.source ?? `dir:${documentPaths.desired}`;
    const source = await sourceInForce(host.files, configured);
    const context = contextOf({ host, options, config, cluster, metrics, onNotice, end: endAgent, configured, source });
    const runtime = { host, signal, metrics, ...(onTrouble && { onTrouble }) };
    if (options.once === true) return await runOnce(runtime, makeController('desired-state', context));
    onlyAgent = await beOnlyAgent(host, signal, (thrown) => onTrouble?.('agent', thrown));
    bulletin = openBulletin(host, (thrown) => onTrouble?.('agent', thrown));
    onEvent?.({ type: 'watching', source: context.source.address });
    const closeEndpoint = await openEndpoint({
      net: host.net,
      address: config.endpoint,
      metrics,
      unready: () => context.applied.unready(),
    }).catch((thrown: unknown) => {
      // What it tends does not depend on who looks.
      onTrouble?.('endpoint', thrown);
      return () => Promise.resolve();
    });
    try {
      await runControllers({
        ...runtime,
        onTrouble: (controller, error) => {
          bulletin?.trouble(controller, error);
          onTrouble?.(controller, error);
        },
        onWell: (controller) => bulletin?.trouble(controller, undefined),
        controllers: makeControllers(context),
      });
    } finally {
      await bulletin.close();
      await closeEndpoint();
    }
    if (why) throw why;
  } finally {
    onlyAgent?.release();
    options.signal?.removeEventListener('abort', end);
    end();
  }
}

/** So long the one before may take to end. */
const lockWaitMs = 5_000;

/**
 * Held for as long as the agent runs. NK_AGENT_RUNNING when another one does; where there can be no lock, each reconciliation
 * says so itself.
 */
async function beOnlyAgent(
  host: Host,
  signal: AbortSignal,
  onTrouble: (thrown: unknown) => void,
): Promise<HeldLock | undefined> {
  try {
    await makeStateOurs(host);
    return await host.locks.take(agentFolder, { waitMs: lockWaitMs, signal });
  } catch (cause) {
    const { code } = asNodekilnError(cause);
    if (code === 'NK_INTERRUPTED') throw cause;
    if (code !== 'NK_STATE_LOCKED') {
      onTrouble(cause);
      return undefined;
    }
    throw new NodekilnError(
      'NK_AGENT_RUNNING',
      `an agent runs on this host already: ${asNodekilnError(cause).message}`,
      { cause },
    );
  }
}

interface Making {
  readonly host: Host;
  readonly options: AgentOptions;
  readonly config: AgentSpec;
  readonly cluster: NodeCluster | undefined;
  readonly metrics: Metrics;
  readonly onNotice: (notice: NodeEvent) => void;
  readonly end: AgentContext['end'];
  readonly configured: string;
  readonly source: string;
}

function contextOf(making: Making): AgentContext {
  const { host, options, config, cluster, metrics, onNotice, end, configured, source } = making;
  const { onEvent } = options;
  const measureStep = measureSteps(metrics);
  return {
    host,
    config,
    configFile: options.config ?? documentPaths.agent,
    configured,
    source: openSource(source, {
      host,
      ...(cluster && {
        cluster: {
          api: cluster.api,
          available: (until) => cluster.identity.available(until),
          doubt: cluster.doubt,
          onPutBack: () => cluster.onPutBack(),
        },
      }),
    }),
    ...(cluster && { cluster }),
    applied: createAppliedBoard(),
    tokensTried: createGate(host.clock),
    certificateErrand: createErrand(),
    tokensErrand: createErrand(),
    end,
    onNotice,
    onStep: (event) => {
      measureStep(event);
      onEvent?.({ type: 'step', event });
    },
    ...(onEvent && {
      onReport: (report) => onEvent({ type: 'reconciled', report }),
      onPostponed: (postponed) => onEvent({ type: 'postponed', postponed }),
    }),
  };
}
