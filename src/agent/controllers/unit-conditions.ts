/**
 * The condition `SystemdUnitsReady` of the Node: whether the units that documents ask for are as they are asked for. Written
 * when it changes, and otherwise every five minutes, so that whoever looks sees that somebody does; not once a minute for
 * nothing, which every watcher of Nodes would be told.
 */
import type { UnitStatus } from '../../host/port.ts';
import { anotherNode } from '../another-node.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';
import { judgeUnit, unitsCondition, type UnitVerdict } from '../health/units.ts';

const resyncMs = 30_000;
const deadlineMs = 60_000;
const keepAliveMs = 5 * 60_000;
/** A run that is under way has stopped units, and not yet loaded others: what it leaves is what counts. */
const underWayMs = 1000;

/** Undefined without a cluster. */
export function unitConditions(context: AgentContext): ControllerBody | undefined {
  const { cluster, applied, host, config } = context;
  if (!cluster) return undefined;
  const changingSince = new Map<string, number>();
  let workingFromMs: number | undefined;
  let written: { readonly text: string; readonly atMs: number } | undefined;
  return {
    inputs: [
      { name: 'applied', watch: (signal) => applied.watch(signal) },
      { name: 'another node', watch: (signal) => anotherNode(cluster, signal) },
    ],
    outputs: ['node:condition/SystemdUnitsReady'],
    resyncMs,
    deadlineMs,
    reconcile: async ({ signal }) => {
      // Before the first run nothing is known to be asked for.
      if (!cluster.node() || cluster.contest || applied.units().length === 0) return { outcome: 'done' };
      const verdicts = await judgeAll(context, changingSince);
      const condition = unitsCondition(verdicts);
      // A Node that was made again says nothing of it yet.
      const text = `${cluster.node()?.metadata.uid ?? ''} ${condition.status} ${condition.reason} ${condition.message}`;
      const nowMs = host.clock.monotonic();
      workingFromMs = applied.isWorking ? (workingFromMs ?? nowMs) : undefined;
      if (
        condition.status === 'False' &&
        workingFromMs !== undefined &&
        nowMs - workingFromMs < config.health.stuckAfter
      )
        return { outcome: 'postponed', waitMs: underWayMs };
      if (written?.text === text && nowMs - written.atMs < keepAliveMs) return { outcome: 'done' };
      if (condition.status === 'False' && written?.text !== text)
        cluster.event({ type: 'Warning', reason: condition.reason, message: condition.message });
      await cluster.setCondition(condition, signal);
      written = { text, atMs: nowMs };
      return { outcome: 'done' };
    },
  };

  async function judgeAll(
    { host: { units, clock } }: AgentContext,
    since: Map<string, number>,
  ): Promise<UnitVerdict[]> {
    const triggers = await units.list(['*.socket', '*.timer', '*.path']);
    const nowMs = clock.monotonic();
    return Promise.all(
      applied.units().map(async (wanted) => {
        const status = await units.get(wanted.name);
        const isChanging = ['activating', 'deactivating'].includes(status.activeState);
        if (!isChanging) since.delete(wanted.name);
        else if (!since.has(wanted.name)) since.set(wanted.name, nowMs);
        const from = since.get(wanted.name);
        return judgeUnit(
          {
            wanted,
            status,
            changingMs: from === undefined ? undefined : nowMs - from,
            isTriggered: triggers.some((trigger) => isTriggerOf(trigger, wanted.name)),
          },
          config.health.stuckAfter,
        );
      }),
    );
  }
}

/** By their names, as systemd pairs them unless told otherwise. */
function isTriggerOf({ name, activeState }: UnitStatus, service: string): boolean {
  return activeState === 'active' && name.replace(/\.(?:socket|timer|path)$/, '.service') === service;
}
