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
import { version } from '../../model/program.ts';
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
import { createSelfUpdate, type OwnRun, type SelfUpdate } from '../self-update/self-update.ts';
import { createSkewCheck, type RefuseNewerKubelet } from '../kubelet-skew.ts';
import type { RunEnd } from '../applied.ts';
import type { SayEvent } from '../events.ts';
import { createSerial } from '../serial.ts';
import { forgetPods, noteStaticPods, type AwaitedPod } from '../static-pods/awaited.ts';
import { setTurnNote, turnNote } from '../turn.ts';

/** Beyond the budgets of all that one reconciliation may wait for: transfers, packages, units. */
const deadlineMs = 30 * 60_000;

/** The errand has its turn until it is looked again. */
const errandMs = 2_000;
/** An API server that is away does not keep an agent from being another one. */
const tellingMs = 10_000;
const lookAgainMs = 50;

/** Units may read tokens. A server that is away does not hold up what needs none. */
const tokensPatienceMs = 10_000;

export function desiredState(context: AgentContext): ControllerBody {
  const { source, host, cluster, config, tokensTried } = context;
  const serial = cluster && createSerial(cluster, host.clock);
  const say: SayEvent = (event) => {
    cluster?.event(event);
    context.onNotice?.(event);
  };
  const tools = {
    rendering: createRendering(host),
    refuseNewerKubelet: createSkewCheck(cluster?.api),
    selfUpdate: createSelfUpdate({
      host,
      configFile: context.configFile,
      leavesDrift: config.drift === 'report',
      say,
    }),
    stateRemarks: createStateRemarks(say),
  };
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
      own: undefined,
      ownIs: 'none',
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
    context.applied.setEnded(runEnd(source.address, report));
    if (run.ownIs === 'placed') await giveWay(run, tools.selfUpdate);
    if (run.ownIs === 'waits') return { outcome: 'postponed', waitMs: errandMs };
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

/** Others are told first what is in force; whoever cannot be told in time is told by the agent that comes. */
async function giveWay({ applied, cluster, host, turn }: Run, selfUpdate: SelfUpdate): Promise<void> {
  const untilMs = host.clock.monotonic() + tellingMs;
  while (cluster?.node() && !cluster.contest && !applied.isTold && host.clock.monotonic() < untilMs)
    await host.clock.sleep(lookAgainMs, turn.signal);
  await selfUpdate.release();
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

function runEnd(source: string, { outcome, error }: AgentReport): RunEnd {
  if (!(error instanceof NodekilnError)) return { outcome, source };
  return { outcome, source, error: { code: error.code, message: error.message } };
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
function tellResources({ applied, prepared, result, unrun, postponed: waits, drift, own }: Run): void {
  if (!prepared || !(result ?? waits)) return;
  const isDrift = waits !== undefined && drift !== undefined;
  applied.setResources(resourcesState({ prepared, result, unrun, isDrift, refusal: own?.refusal }));
}

/** Others report it: only what is in place whole is told. */
function tellApplied({ applied, read, node, kept, own, ownIs }: Run, { outcome }: AgentReport): void {
  // Until the next document nothing else is known to be in force: that of before is, and was told.
  if (kept || !read || read.error || ownIs === 'waits') return;
  // It was told of what has been taken back.
  if (own?.refusal) return applied.set({ ...(node && { node }) });
  if (outcome === 'failed') return;
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
  readonly selfUpdate: SelfUpdate;
  readonly stateRemarks: (journal: Journal) => void;
}

/**
 * Says once that a newer nodekiln has been here (schemas are only added to, so what this one knows holds), and that what was
 * damaged was rebuilt.
 */
function createStateRemarks(say: SayEvent): Tools['stateRemarks'] {
  let isSaid = false;
  let damageSaid = '';
  return ({ isNewer, damage }) => {
    const message = damage.join('; ');
    if (message !== damageSaid && message !== '')
      say({ type: 'Warning', reason: 'StateRebuilt', message: `the journal was rebuilt: ${message}` });
    damageSaid = message;
    if (isNewer && !isSaid)
      say({
        type: 'Warning',
        reason: 'StateNewer',
        message: `NK_STATE_NEWER: a newer nodekiln has written the journal; nodekiln ${version} reads what it knows of it`,
      });
    isSaid ||= isNewer;
  };
}

async function apply(run: Run, tools: Tools): Promise<Applied> {
  const { turn } = run;
  try {
    const applied = await applyAll(run, tools);
    const { own } = run;
    if (!own || run.postponed || isStopped(turn.signal)) return applied;
    await tools.selfUpdate.takeOver(own, run.read !== undefined && !run.read.error);
    if (run.ownIs !== 'due') return applied;
    return await turn.withState((state) => becomeAnother(run, { own, state, applied, selfUpdate: tools.selfUpdate }));
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

/** Everything but the agent itself, until kubelet runs its pods. */
async function applyAll(run: Run, tools: Tools): Promise<Applied> {
  const { turn } = run;
  const ran = await turn.withState((state) => carryOut(run, tools, state));
  if (ran.pods.length === 0) return ran;
  // The lock is others' meanwhile.
  const error = await awaitPods(run, ran.pods);
  if (error === 'superseded') {
    run.postponed = { untilMs: undefined, waitMs: 0, why: 'the documents have changed', isNew: false };
    return ran;
  }
  return turn.withState(({ journal }) => {
    if (!error) forgetPods(journal);
    return conclude(run, journal, error ? failedFor(ran, error) : ran);
  });
}

async function carryOut(run: Run, tools: Tools, state: HostState): Promise<Ran> {
  const { turn } = run;
  return runWith(state, {
    source: 'agent',
    artifactBase: '/',
    signal: turn.signal,
    // The last good state is kept against drift.
    onlyChanges: () => run.onlyChanges && !run.kept,
    concerns: (id) => run.own?.part.ids.has(id) !== true,
    ...(run.onStep && { onEvent: run.onStep }),
    ask: async () => {
      tools.stateRemarks(state.journal);
      const desired = await asked(run, state, tools);
      run.own = await tools.selfUpdate.begin(desired, state, digestIn(run));
      run.ownIs = run.own?.is ?? 'none';
      return { desired: run.own?.desired ?? desired };
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
  // The next node has its turn when the agent is another one.
  const isLast = run.ownIs === 'none';
  const left =
    (await leaveFormerLine(run, journal)) ??
    (isLast ? await leaveLine(run, journal, applied.report.outcome) : undefined);
  journal.flush();
  return left && !applied.error ? { ...applied, error: left } : applied;
}

/** Of the documents that are followed now. */
function digestIn({ kept, read }: Run): string | undefined {
  return kept || !read || read.error ? undefined : read.digest;
}

/** What the documents ask for; the last good state where they cannot be read, or ask for what cannot be. */
async function asked(
  run: Run,
  state: HostState,
  { rendering, refuseNewerKubelet }: Pick<Tools, 'rendering' | 'refuseNewerKubelet'>,
): Promise<DesiredState> {
  const { turn } = run;
  run.read = await readOrMake(run, state, turn.signal);
  try {
    if (run.read.error) throw run.read.error;
    const { desired, node, predecessor, inPlace } = await rendering.render(run.read);
    await refuseNewerKubelet({ desired, inPlace }, turn.signal);
    run.node = node;
    run.inPlace = inPlace;
    if (predecessor) await takeOver(run, state.journal, predecessor);
    return desired;
  } catch (thrown) {
    const desired = lastGoodState(state.journal);
    if (!desired || isStopped(turn.signal)) throw thrown;
    run.kept = asNodekilnError(thrown);
    return desired;
  }
}

interface Becoming {
  readonly own: OwnRun;
  readonly state: HostState;
  readonly applied: Applied;
  readonly selfUpdate: SelfUpdate;
}

/** A unit of the documents that fails may wait for what only the agent that comes does: the own part follows all the same. */
async function becomeAnother(run: Run, { own, state, applied, selfUpdate }: Becoming): Promise<Applied> {
  const { turn, onStep } = run;
  try {
    const ended = await selfUpdate.place(own, state, { signal: turn.signal, onStep });
    run.ownIs = 'placed';
    if (ended.type !== 'applied' || ended.result.changes === 0) return applied;
    const { generation, changes } = ended.result;
    const report = { ...applied.report, generation, changes: applied.report.changes + changes };
    keepReport(state.journal, report);
    return { ...applied, report };
  } catch (thrown) {
    run.ownIs = 'none';
    if (isStopped(turn.signal)) return applied;
    const error = applied.error ?? asNodekilnError(thrown);
    const report = { ...applied.report, outcome: 'failed' as const, error };
    keepReport(state.journal, report);
    await leaveLine(run, state.journal, 'failed');
    return { report, error };
  } finally {
    state.journal.flush();
  }
}

/** What this source asked for last, as the journal has it; undefined before it asked for anything. */
function lastGoodState(journal: Journal): DesiredState | undefined {
  const claims = journal.claims().agent ?? [];
  if (claims.length === 0) return undefined;
  return { resources: new Map(claims.map((resource) => [resource.id, resource])), goal: undefined, warnings: [] };
}

function appliedOf(run: Run, ended: Ended): Applied {
  const { host, source, turn, startedMs, read } = run;
  const refusal = run.own?.refusal;
  const error = run.kept ?? (ended.type === 'stopped' ? ended.error : ended.result.error) ?? refusal;
  const report: AgentReport = {
    source: source.address,
    reasons: turn.reasons,
    ...(read && !read.error && { digest: read.digest }),
    documents: read && !read.error ? read.texts.map(({ file, text }) => ({ file, digest: sha256(text) })) : [],
    ...(ended.type === 'applied'
      ? {
          outcome: run.kept || refusal ? 'failed' : ended.result.outcome,
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
