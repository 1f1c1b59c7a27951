/**
 * Watches over containerd and kubelet by what they themselves answer, and restarts one that has not answered well for a minute.
 * Entirely local: it goes on while the API server is away. Nothing is ever restarted for what the API says of the node: an
 * overloaded API server would have every node restarted.
 */
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { probeReadiness } from '../../kinds/unit/readiness.ts';
import type { UnitResource } from '../../model/resources.ts';
import type { AgentContext, ControllerBody, Reconciled, ReconcileContext } from '../controller.ts';
import { healthyComponent, judgeComponent, type ComponentState } from '../health/component.ts';

const watched = ['containerd.service', 'kubelet.service'];

const resyncMs = 10_000;
const deadlineMs = 3 * 60_000;
const probeMs = 5000;
const restartMs = 90_000;

export function runtimeHealth(context: AgentContext): ControllerBody {
  const states = new Map<string, ComponentState>();
  return {
    inputs: [],
    outputs: watched.map((unit) => `restart:${unit}`),
    resyncMs,
    deadlineMs,
    reconcile: async (turn) => {
      const units = context.applied.units().filter(({ name, state }) => watched.includes(name) && state === 'started');
      const failures = await Promise.all(units.map((unit) => look(context, turn, { unit, states })));
      const [error] = failures.filter((one) => one !== undefined);
      return error ? ({ outcome: 'failed', error } satisfies Reconciled) : { outcome: 'done' };
    },
  };
}

interface Looking {
  readonly unit: UnitResource;
  readonly states: Map<string, ComponentState>;
}

/** Gives what must be told as the controller's own failure: a component that cannot be brought back. */
async function look(
  context: AgentContext,
  turn: ReconcileContext,
  { unit, states }: Looking,
): Promise<NodekilnError | undefined> {
  const { host, applied, config, cluster } = context;
  const { name } = unit;
  const failure = await probeReadiness(host.net, unit.readiness, { timeoutMs: probeMs, signal: turn.signal });
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
