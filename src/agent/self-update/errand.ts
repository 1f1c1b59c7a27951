/**
 * What `nodekiln-agent-update.service` does, by the program of before: it restarts the agent once that is released (with the
 * program that a bootstrap brought, which it puts in place), watches
 * the one that comes, and when it does not come up brings back what was there before and starts that. Run again after a crash
 * it goes on. The agent is stopped before anything comes back, so that two never run.
 */
import { count } from '../../model/count.ts';
import { withHostLock } from '../../apply/run.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { orAborted, withDeadline } from '../../host/deadline.ts';
import { howItEnded } from '../../host/how-it-ended.ts';
import type { Files, Host, JobResult, UnitJob, UnitStatus } from '../../host/port.ts';
import { agentUnit } from '../../model/agent-identity.ts';
import { bringBack } from './before.ts';
import { placeOffer, refuseOffer } from './offer.ts';
import { readTrial, removeTrial, writeRefused, writeTrial, type Failure, type Trial } from './trial.ts';

export interface AgentUpdateReport {
  /** `none`: there was nothing to do. `updated`: another agent took over. `returned`: what was there before is back. */
  readonly outcome: 'none' | 'updated' | 'returned';
  /** Why what was there before is back. */
  readonly reason?: string;
}

export interface FinishOptions {
  readonly signal?: AbortSignal;
}

const lookMs = 500;
/** So long an agent may take to look at its documents: units of theirs that do not start take their time, too. */
const tryMs = 5 * 60_000;
/** So long one may put things in place, transfers included. */
const placeMs = 35 * 60_000;
/** One end may be a race with what it needs; an agent that ends twice does so for ever. */
const restartsTolerated = 1;
/** An agent that is killed while it puts things in place goes on when it is started again. */
const restartsWhilePlacing = 3;
const jobMs = 2 * 60_000;
const lockWaitMs = 60_000;
const logLines = 10;

/** NK_STATE_NEWER; NK_STATE_LOCKED; what bringing back throws: systemd starts it again. */
export async function finishAgentUpdate(host: Host, { signal }: FinishOptions = {}): Promise<AgentUpdateReport> {
  const { files, clock, units } = host;
  let outcome: AgentUpdateReport['outcome'] = 'none';
  let beganMs = clock.monotonic();
  let lastExit = 0;
  let restartsBefore = (await units.get(agentUnit)).restarts ?? 0;
  for (;;) {
    const trial = await readTrial(files);
    if (!trial || trial.state === 'undone') return { outcome };
    outcome = 'updated';
    if (trial.state === 'returning') return returned(host, trial, signal);
    const status = await units.get(agentUnit);
    if (trial.state === 'released' || (trial.state === 'trying' && trial.instead === status.invocationId)) {
      const unplaced = trial.offer === undefined ? undefined : await problemOf(placeOffer(files));
      if (unplaced !== undefined)
        return returned(
          host,
          { ...trial, failure: failureIn(trial, `it cannot be put in place: ${unplaced}`) },
          signal,
        );
      // Whoever goes on after a crash knows by it whether the restart came about.
      await writeTrial(files, { ...trial, state: 'trying', instead: status.invocationId });
      await units.resetFailed(agentUnit);
      await joined(host, () => units.restart(agentUnit), signal);
      beganMs = clock.monotonic();
      restartsBefore = 0;
      lastExit = 0;
      continue;
    }
    const ageMs = clock.monotonic() - beganMs;
    const restarts = (status.restarts ?? 0) - restartsBefore;
    lastExit = status.execMainStatus || lastExit;
    const vain =
      trial.state === 'trying' ? triedInVain(status, restarts, ageMs) : placedInVain(status, restarts, ageMs);
    if (vain) {
      const lines = await units.log(agentUnit, logLines).catch(() => []);
      const problem = problemIn(vain, status, lines, lastExit);
      return returned(host, { ...trial, failure: failureIn(trial, problem, lines) }, signal);
    }
    await clock.sleep(lookMs, signal);
  }
}

/** Why an agent is given up; `ended` when its process did. */
interface Vain {
  readonly problem: string;
  readonly ended: boolean;
}

function triedInVain(status: UnitStatus, restarts: number, ageMs: number): Vain | undefined {
  if (status.loadState !== 'loaded') return { problem: `its unit is ${status.loadState}`, ended: false };
  if (restarts > restartsTolerated) return { problem: `it ended ${count(restarts, 'time')}`, ended: true };
  if (status.activeState === 'failed' || status.activeState === 'inactive') return { problem: 'it ended', ended: true };
  if (ageMs <= tryMs) return undefined;
  return { problem: `it did not take up its documents within ${tryMs / 60_000} minutes`, ended: false };
}

/** Whoever stops the agent meanwhile is not gainsaid. */
function placedInVain(status: UnitStatus, restarts: number, ageMs: number): Vain | undefined {
  if (status.activeState === 'inactive') return undefined;
  if (restarts >= restartsWhilePlacing || status.activeState === 'failed')
    return { problem: `it ended ${count(restarts, 'time')} while it was put in place`, ended: true };
  return ageMs > placeMs
    ? { problem: `it was not in place after ${placeMs / 60_000} minutes`, ended: false }
    : undefined;
}

/** A process that runs by now has not ended: its unit's state says nothing of the one that did. */
function problemIn(
  { problem, ended }: Vain,
  { result }: UnitStatus,
  lines: readonly string[],
  lastExit: number,
): string {
  const notes = ended ? howItEnded(lines, lastExit) : [];
  if (ended && result !== undefined && result !== 'success') notes.push(result);
  return notes.length === 0 ? problem : `${problem} (${notes.join(', ')})`;
}

function failureIn({ offer }: Trial, problem: string, lines: readonly string[] = []): Failure {
  const [who, until] =
    offer === undefined ? ['the documents ask for', 'they change'] : ['a bootstrap brought', 'it brings another'];
  return {
    message: `the agent that ${who} did not come up: ${problem}; the one before runs on until ${until}`,
    lines,
  };
}

async function problemOf(work: Promise<void>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (thrown) {
    return asNodekilnError(thrown).message;
  }
}

async function returned(host: Host, trial: Trial, signal: AbortSignal | undefined): Promise<AgentUpdateReport> {
  const { files, units } = host;
  await joined(host, () => units.stop(agentUnit), signal);
  const failure = await withHostLock(host, { waitMs: lockWaitMs, ...(signal && { signal }) }, async () => {
    // Whoever has taken over before it was stopped stays.
    if (!(await readTrial(files)) || !trial.failure) return undefined;
    await writeTrial(files, { ...trial, state: 'returning' });
    await bringBack(files, trial.saved);
    await units.daemonReload();
    await refuse(files, trial, trial.failure);
    return trial.failure;
  });
  await units.resetFailed(agentUnit);
  await joined(host, () => units.start(agentUnit), signal);
  if (!failure) return { outcome: 'updated' };
  await removeTrial(files);
  return { outcome: 'returned', reason: failure.message };
}

async function refuse(files: Files, trial: Trial, failure: Failure): Promise<void> {
  if (trial.offer !== undefined) return refuseOffer(files, trial.offer, failure);
  const { part, document, before } = trial;
  await writeRefused(files, { part, before, ...(document !== undefined && { document }), ...failure });
}

/** How its job ended is seen of the unit. */
async function joined(
  { clock }: Host,
  queue: () => Promise<UnitJob>,
  signal: AbortSignal | undefined,
): Promise<JobResult | undefined> {
  try {
    return await withDeadline({ clock, ms: jobMs, about: `a job of ${agentUnit}`, signal }, async (until) =>
      orAborted(until, (await queue()).result),
    );
  } catch (thrown) {
    if (thrown instanceof NodekilnError && ['NK_UNIT_MISSING', 'NK_UNIT_FAILED', 'NK_TIMEOUT'].includes(thrown.code))
      return undefined;
    throw thrown;
  }
}
