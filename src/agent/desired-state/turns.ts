/** When a change has its turn: drift that is only reported, restarts that nodes spread, nodes one after the other. */
import type { Journal } from '../../apply/journal.ts';
import type { Prepared } from '../../apply/reconcile.ts';
import { asNodekilnError, type NodekilnError } from '../../errors.ts';
import { readHostName } from '../../host/facts.ts';
import { isPassing, KubeApiError } from '../../kube/error.ts';
import type { AgentReport } from '../../telemetry/agent-report.ts';
import { serialTarget, type SerialTarget } from '../serial.ts';
import { momentNow } from '../since.ts';
import { annotatedDelay, disruptionOf, ownDelay, setTurnNote, turnNote, waitLeft } from '../turn.ts';
import { putOff, type Run } from './run.ts';

const defaultLongestDelayMs = 5 * 60_000;

/**
 * What was in place and is no longer, with nothing new asked for, is drift. Ends the run where it is to be reported alone; what
 * is unfinished is carried out together with it.
 */
export function judgeDrift(run: Run, journal: Journal, { plan }: Prepared): void {
  const { read, kept, config } = run;
  const isAsked = !kept && (!read || read.error || turnNote(journal).applied !== read.digest);
  if (isAsked || plan.changes.length === 0 || !plan.changes.every(({ touched }) => touched?.done === true)) return;
  run.drift = plan.changes.map(({ id, facets }) => `${id} (${facets.join(', ')})`).join(', ');
  if (config.drift === 'repair') return;
  putOff(run, { untilMs: undefined, waitMs: config.resync, why: `it is only reported: ${run.drift}`, isNew: false });
}

/** Ends the run when the change has to wait for its turn. What is applied for the first time, or was begun, does not wait. */
export async function awaitTurn(run: Run, journal: Journal, { plan }: Prepared): Promise<void> {
  const { read, kept, host, cluster, config, source } = run;
  const note = turnNote(journal);
  const units = disruptionOf(plan.impact);
  if (!read || read.error || kept || units.length === 0) return;
  // Nodes that follow each other need not keep apart, and who drained the Node decided when.
  if (read.delivery?.serial === true || run.due.length > 0) return;
  if (note.applied === undefined || note.applied === read.digest) return;
  const shared = source.address.startsWith('secret:');
  const longestMs = config.restarts.maxDelay ?? (shared ? defaultLongestDelayMs : 0);
  const name = cluster?.nodeName ?? (await readHostName(host));
  const delayMs = annotatedDelay(cluster?.node()) ?? ownDelay(name, longestMs);
  const now = await momentNow(host);
  const { waitMs, kept: since } = waitLeft({ note, now, delayMs });
  if (waitMs <= 0) return;
  const why = `it restarts ${units.join(' and ')}, which nodes do at different times`;
  setTurnNote(journal, { ...note, ...since });
  journal.flush();
  putOff(run, { untilMs: now.atMs + waitMs, waitMs, why, isNew: note.waitingSince === undefined });
}

/** Ends the run, with nothing touched, when another node is at the same change or has failed with it. */
export async function enterLine(run: Run, journal: Journal, { plan }: Prepared): Promise<void> {
  const { kept, serial, turn, source } = run;
  const target = lineOf(run);
  if (!serial || !target || kept || (plan.changes.length === 0 && run.ownIs !== 'due')) return;
  const former = await leaveFormerLine(run, journal);
  if (former) throw former;
  // What this node alone has lost asks nobody: the API server may be away, and no change of the source goes round.
  if (run.drift !== undefined && turnNote(journal).inLine !== true) return;
  const note = turnNote(journal);
  // On the disk before it is held: whoever dies with it gives it back in the next run.
  setTurnNote(journal, { ...note, inLine: true, line: source.address });
  journal.flush();
  const wait = await serial.enter(target, turn.signal);
  if (!wait) return;
  setTurnNote(journal, { ...note, inLine: false, waitsFor: wait.why });
  putOff(run, { untilMs: undefined, waitMs: wait.waitMs, why: wait.why, isNew: note.waitsFor !== wait.why });
}

/**
 * What the agent followed before and no longer does is left as one that is through leaves it: a mark of this node would keep
 * others from it for ever. Where the agent has no right to that Lease any more, it runs out.
 */
export async function leaveFormerLine(run: Run, journal: Journal): Promise<NodekilnError | undefined> {
  const { inLine, line, ...note } = turnNote(journal);
  if (!run.serial || inLine !== true || line === undefined || line === run.source.address) return undefined;
  try {
    await run.serial.leave(serialTarget(line, ''), false, run.turn.signal);
  } catch (thrown) {
    const error = asNodekilnError(thrown);
    if (!(error instanceof KubeApiError) || isPassing(error)) return error;
  }
  setTurnNote(journal, note);
  return undefined;
}

/** Also of a run that found nothing to do: one before it may have died. An API server that is away is tried again. */
export async function leaveLine(
  run: Run,
  journal: Journal,
  outcome: AgentReport['outcome'],
): Promise<NodekilnError | undefined> {
  const target = lineOf(run);
  if (!run.serial || !target || run.kept || turnNote(journal).inLine !== true) return undefined;
  try {
    const failed = outcome !== 'converged';
    await run.serial.leave(target, failed, run.turn.signal);
    // What failed left a mark, which goes when it succeeds after all.
    setTurnNote(journal, { ...turnNote(journal), inLine: failed });
    return undefined;
  } catch (thrown) {
    return asNodekilnError(thrown);
  }
}

function lineOf({ read, source }: Run): SerialTarget | undefined {
  if (!read || read.error || read.delivery?.serial !== true) return undefined;
  return serialTarget(source.address, read.delivery.checksum ?? read.digest);
}
