/**
 * The controller that keeps the machine as a source of documents says. While a document is bad, a unit unhealthy or the
 * source not there, the last good state stays, and is kept against drift; a source that is there and has no documents asks for nothing, and what it
 * brought is removed.
 *
 * One change of the documents is one reconciliation: what is told of a change that an earlier reconciliation has read
 * already, or of files that are no documents, ends where the documents are found to say what they said.
 */
import type { Journal } from '../../apply/journal.ts';
import { runWith, type Ended, type HostState } from '../../apply/run.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { sha256 } from '../../host/digest.ts';
import type { DesiredState } from '../../model/resources.ts';
import { keepReport, type AgentReport } from '../../telemetry/agent-report.ts';
import type { AgentContext, ControllerBody, ReconcileContext, Reconciled } from '../controller.ts';
import { awaitDrain, noteInPlace } from '../desired-state/drain.ts';
import { readAll, readOrMake, type Read } from '../desired-state/reading.ts';
import { createRendering, type Rendering } from '../desired-state/rendering.ts';
import { resourcesState } from '../desired-state/resources-state.ts';
import type { Run, Waiting } from '../desired-state/run.ts';
import { awaitPods, podsToAwait } from '../desired-state/static-pods.ts';
import { takeOver } from '../desired-state/take-over.ts';
import { awaitTurn, enterLine, judgeDrift, leaveFormerLine, leaveLine } from '../desired-state/turns.ts';
import { createSkewCheck, type RefuseNewerKubelet } from '../kubelet-skew.ts';
import { createSerial } from '../serial.ts';
import { forgetPods, noteStaticPods, type AwaitedPod } from '../static-pods/awaited.ts';
import { setTurnNote, turnNote } from '../turn.ts';

/** Beyond the budgets of all that one reconciliation may wait for: transfers, packages, units. */
const deadlineMs = 30 * 60_000;

/** Units may read tokens. A server that is away does not hold up what needs none. */
const tokensPatienceMs = 10_000;

export function desiredState(context: AgentContext): ControllerBody {
  const { source, host, cluster, config, tokensTried } = context;
  const serial = cluster && createSerial(cluster, host.clock);
  const tools = { rendering: createRendering(host), refuseNewerKubelet: createSkewCheck(cluster?.api) };
  let last: Read | undefined;
  let lastDrift: string | undefined;
  /** When everything was looked at and found or put in place; undefined when the last run says otherwise. */
  let wholeAtMs: number | undefined;

  const reconcile = async (turn: ReconcileContext): Promise<Reconciled> => {
    const isChange = turn.reasons.every((reason) => reason === 'change');
    // What is as it was asked for a moment ago is looked at when the time for drift has come.
    const onlyChanges = isChange && wholeAtMs !== undefined && host.clock.monotonic() - wholeAtMs < config.resync;
    if (last && isChange) {
      const now = await readAll(context, turn.signal);
      if (now.key === last.key) return { outcome: 'unchanged' };
      if (!now.error) tools.rendering.begin(now, onlyChanges);
    }
    if (!last && cluster && config.tokens.length > 0) await tokensTried.passed(tokensPatienceMs, turn.signal);
    const run: Run = {
      ...context,
      turn,
      startedMs: host.clock.monotonic(),
      read: undefined,
      kept: undefined,
      postponed: undefined,
      drift: undefined,
      node: undefined,
      inPlace: undefined,
      due: [],
      serial,
      onlyChanges,
      prepared: undefined,
      result: undefined,
      unrun: [],
    };
    context.applied.isWorking = true;
    const { report, error } = await apply(run, tools).finally(() => {
      context.applied.isWorking = false;
    });
    last = run.read;
    if (report.outcome !== 'converged' || run.postponed) wholeAtMs = undefined;
    else if (!run.onlyChanges) wholeAtMs = run.startedMs;
    if (run.read && !run.read.error && !run.kept) context.applied.setReady();
    if (run.drift !== undefined && run.drift !== lastDrift) tellDrift(run, run.drift);
    lastDrift = run.drift;
    tellResources(run);
    if (run.postponed) return postponed(run, run.postponed);
    // Who stops the agent is told nothing about what it did not finish.
    if (isStopped(turn.signal)) return { outcome: 'done' };
    context.onReport?.(report);
    tellApplied(run, report);
    tellCluster(run, report);
    return error ? { outcome: 'failed', error } : { outcome: 'done' };
  };

  return {
    inputs: [
      { name: `documents ${source.address}`, watch: (signal) => source.watch(signal) },
      // How long changes wait is said there.
      ...(cluster ? [{ name: 'node', watch: (signal: AbortSignal) => cluster.watchNode(signal) }] : []),
    ],
    outputs: ['claims:agent'],
    // Drift is looked for at least this often.
    resyncMs: config.resync,
    deadlineMs,
    reportsItself: true,
    reconcile,
  };
}

/** Said when it is another drift than the last time. */
function tellDrift({ cluster, config, onNotice }: Run, drift: string): void {
  const event =
    config.drift === 'repair'
      ? ({ type: 'Normal', reason: 'DriftRepaired', message: `put back as documents ask: ${drift}` } as const)
      : ({ type: 'Warning', reason: 'Drifted', message: `not as documents ask, and left so: ${drift}` } as const);
  cluster?.event(event);
  onNotice?.(event);
}

/** For people who look at the Node. What a document asks to be kept secret is in no error. */
function tellCluster({ cluster, source, drift }: Run, { outcome, changes, generation, error }: AgentReport): void {
  if (error instanceof NodekilnError)
    cluster?.event({
      type: 'Warning',
      reason: 'DesiredStateFailed',
      message: `${source.address}: ${error.code}: ${error.message}`,
    });
  else if (changes > 0 && outcome === 'converged' && drift === undefined)
    cluster?.event({
      type: 'Normal',
      reason: 'DesiredStateApplied',
      message: `${source.address} is applied: ${changes} resources changed (generation ${generation ?? '?'})`,
    });
}

/** Of a run that ended before it knew what there is to do, nothing is known. */
function tellResources({ applied, prepared, result, unrun, postponed: waits, drift }: Run): void {
  if (!prepared || !(result ?? waits)) return;
  applied.setResources(
    resourcesState({ prepared, result, unrun, isDrift: waits !== undefined && drift !== undefined }),
  );
}

/** Others report it: only what is in place whole is told. */
function tellApplied({ applied, read, node, kept }: Run, { outcome }: AgentReport): void {
  // Until the next document nothing else is known to be in force: that of before is, and was told.
  if (kept || !read || read.error || outcome === 'failed') return;
  const { digest, delivery } = read;
  const { checksum } = delivery ?? {};
  applied.set({
    ...(outcome === 'converged' && { digest, ...(checksum !== undefined && { checksum }) }),
    ...(node && { node }),
  });
}

interface Applied {
  readonly report: AgentReport;
  readonly error: NodekilnError | undefined;
}

/** What outlives one run. */
interface Tools {
  readonly rendering: Rendering;
  readonly refuseNewerKubelet: RefuseNewerKubelet;
}

async function apply(run: Run, tools: Tools): Promise<Applied> {
  const { turn } = run;
  try {
    const ran = await turn.withState((state) => carryOut(run, tools, state));
    if (ran.pods.length === 0) return ran;
    // The lock is others' meanwhile.
    const error = await awaitPods(run, ran.pods);
    if (error === 'superseded') {
      run.postponed = { untilMs: undefined, waitMs: 0, why: 'the documents have changed', isNew: false };
      return ran;
    }
    return await turn.withState(({ journal }) => {
      if (!error) forgetPods(journal);
      return conclude(run, journal, error ? failedFor(ran, error) : ran);
    });
  } catch (thrown) {
    // The lock or the journal could not be had, or the report not be kept: then only who listens now is told.
    return appliedOf(run, { type: 'stopped', error: asNodekilnError(thrown) });
  }
}

interface Ran extends Applied {
  /** Everything is in place; these are waited for before it is said. */
  readonly pods: readonly AwaitedPod[];
}

function failedFor({ report }: Applied, error: NodekilnError): Applied {
  return { report: { ...report, outcome: 'failed', error }, error };
}

async function carryOut(run: Run, { rendering, refuseNewerKubelet }: Tools, state: HostState): Promise<Ran> {
  const { turn } = run;
  return runWith(state, {
    source: 'agent',
    artifactBase: '/',
    signal: turn.signal,
    // The last good state is kept against drift.
    onlyChanges: () => run.onlyChanges && !run.kept,
    ...(run.onStep && { onEvent: run.onStep }),
    ask: async () => {
      run.read = await readOrMake(run, state, turn.signal);
      try {
        if (run.read.error) throw run.read.error;
        const { desired, node, predecessor, inPlace } = await rendering.render(run.read);
        await refuseNewerKubelet({ desired, inPlace }, turn.signal);
        run.node = node;
        run.inPlace = inPlace;
        if (predecessor) await takeOver(run, state.journal, predecessor);
        return { desired };
      } catch (thrown) {
        const desired = lastGoodState(state.journal);
        if (!desired || isStopped(turn.signal)) throw thrown;
        run.kept = asNodekilnError(thrown);
        return { desired };
      }
    },
    onPrepared: async (prepared) => {
      run.prepared = prepared;
      const resources = [...prepared.effective.values()].map(({ resource }) => resource);
      run.applied.setUnits(resources.filter((resource) => resource.kind === 'unit'));
      judgeDrift(run, state.journal, prepared);
      await awaitDrain(run, state.journal);
      await awaitTurn(run, state.journal, prepared);
      await enterLine(run, state.journal, prepared);
      const on = { host: run.host, nodeName: run.cluster?.nodeName, signal: turn.signal };
      await noteStaticPods(on, state.journal, prepared);
    },
    publish: async (ended) => {
      const applied = appliedOf(run, ended);
      if (ended.type === 'applied') run.result = ended.result;
      if (isStopped(turn.signal) || run.postponed) return { ...applied, pods: [] };
      const pods = applied.report.outcome === 'converged' ? podsToAwait(run, state.journal) : [];
      return pods.length > 0 ? { ...applied, pods } : { ...(await conclude(run, state.journal, applied)), pods };
    },
  });
}

/** What is said of a run, and what follows from it. */
async function conclude(run: Run, journal: Journal, applied: Applied): Promise<Applied> {
  keepReport(journal, applied.report);
  const { read, result } = run;
  // What failed or degraded has been begun: going on with it waits for nothing.
  if (result && !run.kept && read && !read.error) {
    const { inLine, line } = turnNote(journal);
    setTurnNote(journal, {
      applied: read.digest,
      ...(inLine !== undefined && { inLine }),
      ...(line !== undefined && { line }),
    });
  }
  noteInPlace(run, journal, applied.report);
  const left = (await leaveFormerLine(run, journal)) ?? (await leaveLine(run, journal, applied.report.outcome));
  journal.flush();
  return left && !applied.error ? { ...applied, error: left } : applied;
}

/** What this source asked for last, as the journal has it; undefined before it asked for anything. */
function lastGoodState(journal: Journal): DesiredState | undefined {
  const claims = journal.claims().agent ?? [];
  if (claims.length === 0) return undefined;
  return { resources: new Map(claims.map((resource) => [resource.id, resource])), goal: undefined, warnings: [] };
}

function appliedOf(run: Run, ended: Ended): Applied {
  const { host, source, turn, startedMs, read } = run;
  const error = run.kept ?? (ended.type === 'stopped' ? ended.error : ended.result.error);
  const report: AgentReport = {
    source: source.address,
    reasons: turn.reasons,
    ...(read && !read.error && { digest: read.digest }),
    documents: read && !read.error ? read.texts.map(({ file, text }) => ({ file, digest: sha256(text) })) : [],
    ...(ended.type === 'applied'
      ? {
          outcome: run.kept ? 'failed' : ended.result.outcome,
          generation: ended.result.generation,
          changes: ended.result.changes,
          impact: ended.prepared.plan.impact,
        }
      : { outcome: 'failed', generation: undefined, changes: 0, impact: [] }),
    durationMs: host.clock.monotonic() - startedMs,
    finishedAt: new Date(host.clock.now()).toISOString(),
    ...(error && { error }),
  };
  return { report, error };
}

function postponed({ onPostponed }: Run, { isNew, untilMs, waitMs, why }: Waiting): Reconciled {
  if (isNew) onPostponed?.({ untilMs, why });
  return { outcome: 'postponed', waitMs };
}

/** The signal fires for the deadline, too. */
function isStopped(signal: AbortSignal): boolean {
  return signal.aborted && asNodekilnError(signal.reason).code !== 'NK_TIMEOUT';
}
