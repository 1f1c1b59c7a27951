/**
 * Effects of `unit` resources: jobs are queued without blocking and joined by `ready`, which waits for the job, for
 * `active` and for the component's own readiness until the deadline. A unit that fails, exits or restarts in a loop is a
 * failure at once, with its last log lines; a started job is never taken for a running unit.
 */
import { count } from '../../model/count.ts';
import { isSensitive, type UnitResource } from '../../model/resources.ts';
import { shownText } from '../../model/shown-address.ts';
import { NodekilnError } from '../../errors.ts';
import { readBootId } from '../../host/boot-id.ts';
import { orAborted } from '../../host/deadline.ts';
import { howItEnded } from '../../host/how-it-ended.ts';
import type { Host, JobResult, UnitStatus } from '../../host/port.ts';
import type { EntryObservation, Touched, UnitObservation } from '../../model/steps.ts';
import { observeEntry } from '../file/apply.ts';
import type { ActionOf, ObserveContext, PerformContext } from '../performer.ts';
import { unitPaths } from './definition.ts';
import { probeReadiness } from './readiness.ts';

export async function observeUnit(
  context: ObserveContext,
  name: string,
  about: { resource: UnitResource | undefined; touched: Touched | undefined },
): Promise<UnitObservation> {
  const { host } = context;
  const entries: Record<string, EntryObservation> = {};
  for (const path of unitPaths(about.resource, about.touched)) entries[path] = await observeEntry(host.files, path);
  const enablement = await host.units.enablement(name);
  if (host.units.mode === 'offline') {
    return {
      kind: 'unit',
      entries,
      enablement,
      loadState: 'stub',
      activeState: 'inactive',
      invocationId: '',
      live: false,
      transient: false,
      succeeded: false,
      stale: false,
    };
  }
  const { status, hasEnded } = await steadyStatus(host, await host.units.get(name));
  return {
    kind: 'unit',
    entries,
    enablement,
    loadState: status.loadState,
    activeState: status.activeState,
    invocationId: status.invocationId,
    live: true,
    transient: isTransient(status),
    succeeded: status.result === 'success' && (status.invocationId !== '' || (await hasRun(context, status))),
    stale: status.needDaemonReload,
    ...((hasEnded || status.subState.startsWith('auto-restart')) && { restartWaits: true }),
  };
}

/** What systemd has started again by itself a moment ago may be between two of its failures: it is looked at once more. */
async function steadyStatus(
  { clock, units }: Host,
  status: UnitStatus,
): Promise<{ readonly status: UnitStatus; readonly hasEnded: boolean }> {
  const untilSteady = status.activeEnterUsec / 1000 + steadyMs - clock.monotonic();
  if (status.activeState !== 'active' || (status.restarts ?? 0) === 0 || untilSteady <= 0)
    return { status, hasEnded: false };
  await clock.sleep(Math.min(untilSteady, steadyMs));
  const later = await units.get(status.name);
  return { status: later, hasEnded: later.invocationId !== status.invocationId };
}

/**
 * A oneshot without RemainAfterExit: being inactive after success is its normal state. systemd says so of a unit that it
 * has loaded, which planning may come before.
 */
function isTransient({ serviceType, remainAfterExit }: UnitStatus): boolean {
  return serviceType === 'oneshot' && remainAfterExit !== true;
}

/** Since the machine started, as far as we know. */
async function hasRun({ host, notes }: ObserveContext, status: UnitStatus): Promise<boolean> {
  const ran = isTransient(status) ? notes?.lastRun(status.name) : undefined;
  return ran !== undefined && ran === (await readBootId(host.files));
}

export async function performJob(
  context: PerformContext,
  action: ActionOf<'start' | 'restart' | 'reload' | 'stop'>,
): Promise<void> {
  const { units } = context.host;
  switch (action.do) {
    case 'start':
    case 'restart':
      // A unit that failed before us may have used up its start limit; this start is ours and gets a full one.
      await units.resetFailed(action.unit);
      context.jobs.set(
        action.unit,
        await (action.do === 'start' ? units.start(action.unit) : units.restart(action.unit)),
      );
      return;
    case 'reload':
      context.jobs.set(action.unit, await units.reloadOrRestart(action.unit));
      return;
    case 'stop': {
      const job = await units.stop(action.unit);
      const result = await orAborted(context.signal, job.result);
      if (result !== 'done') throw await unitError(context, action.unit, `stopping ended with ${result}`);
      return;
    }
  }
}

/** A reload of all units costs a tenth of a second; asking whether one unit is read costs two or three milliseconds. */
export async function performReload(context: PerformContext, action: ActionOf<'daemon-reload'>): Promise<void> {
  const { units } = context.host;
  const entries = Object.entries(action.unlessRead ?? {});
  const read = await Promise.all(entries.map(async ([name, paths]) => isRead(await units.get(name), paths)));
  if (entries.length > 0 && read.every(Boolean)) {
    context.detail('not needed: systemd has read these files');
    return;
  }
  await units.daemonReload();
}

function isRead(status: UnitStatus, paths: readonly string[]): boolean {
  const known = [status.fragmentPath, ...status.dropInPaths];
  return status.loadState === 'loaded' && !status.needDaemonReload && paths.every((path) => known.includes(path));
}

const probeMinMs = 10;
const probeMaxMs = 50;
/** Restarts by systemd itself while we wait: one may be a start that raced its runtime, two are a loop. */
const restartsTolerated = 1;

export async function performReady(context: PerformContext, action: ActionOf<'ready'>): Promise<void> {
  const { host } = context;
  const deadline = host.clock.monotonic() + action.deadlineMs;
  const job = context.jobs.get(action.unit);
  let result: JobResult | undefined = job ? undefined : 'done';
  const settled = job?.result.then((outcome) => void (result = outcome));
  const first = await host.units.get(action.unit);
  let lastProblem = 'its job is still queued';
  let lastExit = 0;
  /** Since when it has ended and systemd lets it be until its next start, without a look at it in between. */
  let waitsSince: number | undefined;

  for (let pause = probeMinMs; ; pause = Math.min(pause * 1.5, probeMaxMs)) {
    context.signal?.throwIfAborted();
    // The state must be read after the job's end to mean anything about it.
    const ended = result;
    const status = await host.units.get(action.unit);
    // A run that systemd has just begun has not ended: how the one before did is what tells.
    lastExit = status.execMainStatus || lastExit;
    await failIfDead({ context, action, status, result: ended, restartsBefore: first.restarts ?? 0, lastExit });
    // Until its job is done, `active` may be the process that a restart is about to stop.
    const running = status.activeState === 'active' || (isTransient(status) && status.result === 'success');
    if (ended === 'done' && running) {
      const problem = await probeReadiness(context.host.net, action.readiness, {
        timeoutMs: 1000,
        ...(context.signal && { signal: context.signal }),
      });
      if (problem === undefined) {
        context.notes.markStarted(`unit:${action.unit}`, action.startedWith);
        if (isTransient(status)) context.notes.setLastRun(action.unit, await readBootId(host.files));
        if (job && saysNothing(status, action)) context.lookAgain(() => staysActive(context, action, status));
        return;
      }
      lastProblem = problem;
    } else {
      lastProblem = `it is ${status.activeState} (${status.subState})`;
      const waits = ended === 'done' && saysNothing(status, action) && status.subState.startsWith('auto-restart');
      waitsSince = waits ? (waitsSince ?? host.clock.monotonic()) : undefined;
      if (waitsSince !== undefined && host.clock.monotonic() - waitsSince >= steadyDeadlineMs)
        throw await unitError(context, action.unit, `it does not stay active: ${lastProblem}`);
    }
    if (host.clock.monotonic() + pause > deadline) {
      throw await unitError(
        context,
        action.unit,
        `not ready after ${action.deadlineMs} ms: ${lastProblem}`,
        'NK_UNIT_UNHEALTHY',
      );
    }
    const pausing = host.clock.sleep(pause, context.signal);
    await (settled && result === undefined ? Promise.race([pausing, settled]) : pausing);
  }
}

/** systemd takes its process for the service as soon as it has been started, and nobody asks it anything. */
function saysNothing({ serviceType = '' }: UnitStatus, { readiness }: ActionOf<'ready'>): boolean {
  return readiness.type === 'active' && ['simple', 'exec', 'idle', 'forking'].includes(serviceType);
}

/** So long a service must run before it counts as started: what cannot run at all says so within it. */
const steadyMs = 500;
/** One that systemd starts again later than this is told as what it is then: waiting for that. */
const steadyDeadlineMs = 5_000;

/** Throws when the unit does not run for a while without a break, which it has begun to. */
async function staysActive(context: PerformContext, action: ActionOf<'ready'>, first: UnitStatus): Promise<void> {
  const { host, signal } = context;
  const deadline = host.clock.monotonic() + Math.min(action.deadlineMs, steadyDeadlineMs);
  const restartsBefore = first.restarts ?? 0;
  let since = first;
  for (let lastExit = 0; ;) {
    const steadyAt = since.activeEnterUsec / 1000 + steadyMs;
    await host.clock.sleep(Math.max(steadyAt - host.clock.monotonic(), probeMinMs), signal);
    const status = await host.units.get(action.unit);
    lastExit = status.execMainStatus || lastExit;
    await failIfDead({ context, action, status, result: 'done', restartsBefore, lastExit });
    if (status.activeState === 'active' && host.clock.monotonic() >= status.activeEnterUsec / 1000 + steadyMs) return;
    if (host.clock.monotonic() >= deadline)
      throw await unitError(
        context,
        action.unit,
        `it does not stay active: it is ${status.activeState} (${status.subState})`,
      );
    since = status;
  }
}

interface Liveness {
  readonly context: PerformContext;
  readonly action: ActionOf<'ready'>;
  readonly status: UnitStatus;
  readonly result: JobResult | undefined;
  readonly restartsBefore: number;
  /** Of the last run that was seen to fail; 0 when none was. */
  readonly lastExit: number;
}

async function failIfDead({ context, action, status, result, restartsBefore, lastExit }: Liveness): Promise<void> {
  const fail = async (problem: string, about: string[] = []): Promise<never> => {
    const lines = await logOf(context.host, action.unit);
    const notes = [...about, ...howItEnded(lines, lastExit)];
    throw failedUnit(action.unit, problem, notes, shown(context, action.unit, lines));
  };
  if (status.loadState === 'not-found')
    throw new NodekilnError('NK_UNIT_MISSING', `${action.unit} does not exist`, { resource: `unit:${action.unit}` });
  if (result !== undefined && result !== 'done') await fail(`its start job ended with ${result}`);
  // While its job runs, `failed` may be how the process that a restart stops has ended.
  if (result !== undefined && status.activeState === 'failed')
    await fail('it failed', [status.result ?? 'unknown result']);
  if (result === 'done' && status.activeState === 'inactive' && !isTransient(status)) await fail('it ended by itself');
  const restarts = (status.restarts ?? 0) - restartsBefore;
  if (restarts > restartsTolerated) await fail('it restarts in a loop', [count(restarts, 'time')]);
}

const logLines = 20;

async function unitError(
  context: PerformContext,
  unit: string,
  problem: string,
  code: 'NK_UNIT_FAILED' | 'NK_UNIT_UNHEALTHY' = 'NK_UNIT_FAILED',
): Promise<NodekilnError> {
  const lines = shown(context, unit, await logOf(context.host, unit));
  return new NodekilnError(code, `${unit}: ${problem}`, { resource: `unit:${unit}`, lines });
}

function failedUnit(unit: string, problem: string, about: readonly string[], lines: readonly string[]): NodekilnError {
  const notes = about.length > 0 ? ` (${about.join(', ')})` : '';
  return new NodekilnError('NK_UNIT_FAILED', `${unit}: ${problem}${notes}`, { resource: `unit:${unit}`, lines });
}

function logOf(host: Host, unit: string): Promise<string[]> {
  return host.units.log(unit, logLines).catch(() => []);
}

/** What a unit says may hold what its own text does: of a secret one, and of one that is not known any more, nothing is told. */
function shown(context: PerformContext, unit: string, lines: readonly string[]): string[] {
  if (lines.length === 0 || !mayBeSecret(context, unit)) return lines.map(shownText);
  return [`what it said is not told, because it may be secret: journalctl -u ${unit}`];
}

/** A document marks a unit as a whole; a secret drop-in beside plain text is our own, such as a proxy’s. */
function mayBeSecret(context: PerformContext, unit: string): boolean {
  try {
    const found = context.resource(`unit:${unit}`);
    if (found.kind !== 'unit') return true;
    const texts = [found.content, ...found.dropIns.map(({ content }) => content)].filter((text) => text !== undefined);
    return texts.length > 0 && texts.every(isSensitive);
  } catch {
    return true;
  }
}
