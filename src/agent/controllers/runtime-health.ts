/**
 * Watches over containerd and kubelet by what they themselves answer, and restarts one that has not answered well for a minute.
 * It goes on while the API server is away. Nothing is restarted for what others make of the node, as whether it is Ready: an
 * overloaded API server would have every node restarted. The one thing of the Node that counts is that it has lost the addresses
 * that kubelet alone writes; a Node that flaps is said.
 */
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { probeReadiness } from '../../kinds/unit/readiness.ts';
import type { UnitResource } from '../../model/resources.ts';
import type { AgentContext, ControllerBody, Reconciled, ReconcileContext } from '../controller.ts';
import { judgeNode, unseenNode } from '../health/node.ts';
import { healthyComponent, judgeComponent, type ComponentState } from '../health/component.ts';

const watched = ['containerd.service', 'kubelet.service'];

const resyncMs = 10_000;
const deadlineMs = 3 * 60_000;
const probeMs = 5000;
const restartMs = 90_000;

export function runtimeHealth(context: AgentContext): ControllerBody {
  const { cluster } = context;
  const states = new Map<string, ComponentState>();
  let nodeHealth = unseenNode;
  const judgeOwnNode = (): string | undefined => {
    const node = cluster?.node();
    if (!node) return undefined;
    const judged = judgeNode(nodeHealth, {
      nowMs: context.host.clock.monotonic(),
      isReady: node.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True',
      hasAddress: (node.status?.addresses ?? []).some(({ type }) => type === 'InternalIP' || type === 'ExternalIP'),
    });
    nodeHealth = judged.state;
    if (judged.news === 'flapping') {
      const message = 'the Node became Ready five times within ten minutes';
      for (const say of [cluster?.event, context.onNotice]) say?.({ type: 'Warning', reason: 'NodeFlapping', message });
    }
    return judged.failure;
  };
  return {
    inputs: cluster ? [{ name: 'node', watch: (signal) => cluster.watchNode(signal) }] : [],
    outputs: watched.map((unit) => `restart:${unit}`),
    resyncMs,
    deadlineMs,
    reconcile: async (turn) => {
      const units = context.applied.units().filter(({ name, state }) => watched.includes(name) && state === 'started');
      const lost = judgeOwnNode();
      const failures = await Promise.all(
        units.map((unit) =>
          look(context, turn, { unit, states, lost: unit.name === 'kubelet.service' ? lost : undefined }),
        ),
      );
      const [error] = failures.filter((one) => one !== undefined);
      return error ? ({ outcome: 'failed', error } satisfies Reconciled) : { outcome: 'done' };
    },
  };
}

interface Looking {
  readonly unit: UnitResource;
  readonly states: Map<string, ComponentState>;
  /** What the Node lacks of it. */
  readonly lost: string | undefined;
}

/** Gives what must be told as the controller's own failure: a component that cannot be brought back. */
async function look(
  context: AgentContext,
  turn: ReconcileContext,
  { unit, states, lost }: Looking,
): Promise<NodekilnError | undefined> {
  const { host, applied, config, cluster } = context;
  const { name } = unit;
  const failure = (await probeReadiness(host.net, unit.readiness, { timeoutMs: probeMs, signal: turn.signal })) ?? lost;
  const { activeState } = await host.units.get(name);
  const stopped = activeState === 'inactive' || activeState === 'failed' ? `it is ${activeState}` : undefined;
  const judged = judgeComponent(
    states.get(name) ?? healthyComponent,
    {
      nowMs: host.clock.monotonic(),
      failure: failure ?? stopped,
      inTransition: applied.isWorking || activeState === 'activating' || activeState === 'deactivating',
    },
    { restartAfterMs: config.health.restartAfter, maxRestarts: config.health.maxRestarts },
  );
  states.set(name, judged.state);
  const why = failure ?? stopped ?? '';
  const say = (type: 'Normal' | 'Warning', reason: string, message: string): void => {
    cluster?.event({ type, reason, message });
    context.onNotice?.({ type, reason, message });
  };
  switch (judged.news) {
    case 'failing':
      say('Warning', 'ComponentUnhealthy', `${name} is not healthy: ${why}`);
      return undefined;
    case 'recovered':
      say('Normal', 'ComponentHealthy', `${name} is healthy again`);
      return undefined;
    case 'gave-up':
      say(
        'Warning',
        'ComponentGivenUp',
        `${name} is not healthy (${why}) and was restarted often enough within the hour`,
      );
      return new NodekilnError('NK_UNIT_UNHEALTHY', `${name} is not healthy: ${why}`, { resource: `unit:${name}` });
    case 'restart':
      say('Warning', 'ComponentRestart', `${name} is restarted: ${why}`);
      return restart(context, turn, name);
    case undefined:
      return undefined;
  }
}

/** Under the host's lock: no run starts or stops it meanwhile. */
async function restart(
  { host }: AgentContext,
  turn: ReconcileContext,
  name: string,
): Promise<NodekilnError | undefined> {
  try {
    return await turn.withState(async () => {
      await host.units.resetFailed(name).catch(() => undefined);
      const job = await host.units.restart(name);
      const ended = await Promise.race([job.result, host.clock.sleep(restartMs, turn.signal)]);
      if (ended === 'done') return undefined;
      return new NodekilnError(
        'NK_UNIT_UNHEALTHY',
        `${name} could not be restarted: ${ended ?? 'its job still runs'}`,
        {
          resource: `unit:${name}`,
        },
      );
    });
  } catch (thrown) {
    return asNodekilnError(thrown);
  }
}
