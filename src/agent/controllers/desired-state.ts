/**
 * The controller that keeps the machine as a source of documents says. While a document is bad, a unit unhealthy or the
 * source not there, the last good state stays, and is kept against drift; a source that is there and has no documents asks for nothing, and what it
 * brought is removed.
 *
 * One change of the documents is one reconciliation: what is told of a change that an earlier reconciliation has read
 * already, or of files that are no documents, ends where the documents are found to say what they said.
 */
import type { Journal } from '../../apply/journal.ts';
import type { Prepared } from '../../apply/reconcile.ts';
import { runWith, type Ended, type HostState } from '../../apply/run.ts';
import { loadNodeDocuments, overImage } from '../../documents/documents.ts';
import type { NodeAsk, NodePart } from '../../documents/kinds/kind.ts';
import { digestOf, settledReading, type Delivery, type SourcedText } from '../../documents/sources/source.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { sealInPlace } from '../../kinds/file/image.ts';
import { sha256 } from '../../host/digest.ts';
import { observeFacts, readHostName } from '../../host/facts.ts';
import { parseOsRelease } from '../../host/os-release.ts';
import type { Host } from '../../host/port.ts';
import type { InPlaceUpdates } from '../../desired/in-place.ts';
import { textOf } from '../../model/bytes.ts';
import type { DesiredState } from '../../model/resources.ts';
import { keepReport, type AgentReport } from '../../telemetry/agent-report.ts';
import type { AgentContext, ControllerBody, Postponed, ReconcileContext, Reconciled } from '../controller.ts';
import { createSerial, serialTarget, type Serial, type SerialTarget } from '../serial.ts';
import {
  dueUpdates,
  inPlaceNote,
  clearInPlaceNote,
  noteOf,
  setInPlaceNote,
  systemVersionIn,
  type DueUpdate,
} from '../in-place/due.ts';
import { drainedBy } from '../in-place/drained.ts';
import { createSkewCheck, type RefuseNewerKubelet } from '../kubelet-skew.ts';
import { annotatedDelay, disruptionOf, ownDelay, setTurnNote, turnAt, turnNote } from '../turn.ts';

/** What an empty source asks for. */
const nothing: DesiredState = { resources: new Map(), goal: undefined, warnings: [] };

/** Beyond the budgets of all that one reconciliation may wait for: transfers, packages, units. */
const deadlineMs = 30 * 60_000;

/** Units may read tokens. A server that is away does not hold up what needs none. */
const tokensPatienceMs = 10_000;

export function desiredState(context: AgentContext): ControllerBody {
  const { source, host, cluster, config, tokensTried } = context;
  const serial = cluster && createSerial(cluster, host.clock);
  const refuseNewerKubelet = createSkewCheck(cluster?.api);
  let last: Read | undefined;
  let lastDrift: string | undefined;

  const reconcile = async (turn: ReconcileContext): Promise<Reconciled> => {
    if (last && turn.reasons.every((reason) => reason === 'change')) {
      const now = await readAll(context, turn.signal);
      if (now.key === last.key) return { outcome: 'unchanged' };
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
      refuseNewerKubelet,
    };
    context.applied.isWorking = true;
    const { report, error } = await apply(run).finally(() => {
      context.applied.isWorking = false;
    });
    last = run.read;
    if (run.read && !run.read.error && !run.kept) context.applied.setReady();
    if (run.drift !== undefined && run.drift !== lastDrift) tellDrift(run, run.drift);
    lastDrift = run.drift;
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

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the source was found to say. Equal keys: nothing about it has changed. */
type Read =
  | {
      readonly key: string;
      readonly texts: readonly SourcedText[];
      readonly digest: string;
      readonly delivery: Delivery | undefined;
      readonly error?: never;
    }
  | { readonly key: string; readonly error: NodekilnError };

async function readAll({ host, source, cluster }: AgentContext, signal: AbortSignal): Promise<Read> {
  try {
    const { texts: own, delivery } = await settledReading(source, host.clock, signal);
    const texts = await overImage(host.files, own);
    const digest = digestOf(texts);
    // Whether others can read a document decides about it, too.
    const key = [
      digest,
      ...texts.map(({ mode }) => mode),
      annotatedDelay(cluster?.node()),
      drainedBy(cluster?.node()),
    ].join(' ');
    return { key, texts, digest, delivery };
  } catch (thrown) {
    const error = asNodekilnError(thrown);
    return { key: `${error.code} ${error.message}`, error };
  }
}

/** A place that is missing where nothing was ever asked for is made. Elsewhere it may only be away. */
async function readOrMake(run: Run, { journal }: HostState): Promise<Read> {
  const read = await readAll(run, run.turn.signal);
  const owned = (journal.claims().agent ?? []).length > 0;
  if (!read.error || owned || !(await run.source.make?.())) return read;
  return readAll(run, run.turn.signal);
}

// ── applying ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface Run extends AgentContext {
  readonly turn: ReconcileContext;
  readonly startedMs: number;
  /** With the lock held. */
  read: Read | undefined;
  /** Why the last good state was kept instead of what the source says now, which is not known or makes no sense. */
  kept: NodekilnError | undefined;
  postponed: Waiting | undefined;
  /** What is no longer as it was put in place. */
  drift: string | undefined;
  node: NodePart | undefined;
  inPlace: InPlaceUpdates | undefined;
  /** Updates in place that are to be made. */
  due: readonly DueUpdate[];
  readonly serial: Serial | undefined;
  readonly refuseNewerKubelet: RefuseNewerKubelet;
}

interface Waiting extends Postponed {
  readonly waitMs: number;
  /** Nobody was told yet. */
  readonly isNew: boolean;
}

interface Applied {
  readonly report: AgentReport;
  readonly error: NodekilnError | undefined;
}

async function apply(run: Run): Promise<Applied> {
  const { turn } = run;
  try {
    return await turn.withState((state) =>
      runWith(state, {
        source: 'agent',
        artifactBase: '/',
        signal: turn.signal,
        ...(run.onStep && { onEvent: run.onStep }),
        ask: async () => {
          run.read = await readOrMake(run, state);
          try {
            if (run.read.error) throw run.read.error;
            const { desired, node, predecessor, inPlace } = await render(run.host, run.read.texts);
            await run.refuseNewerKubelet({ desired, inPlace }, turn.signal);
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
          const resources = [...prepared.effective.values()].map(({ resource }) => resource);
          run.applied.setUnits(resources.filter((resource) => resource.kind === 'unit'));
          judgeDrift(run, state.journal, prepared);
          await awaitDrain(run, state.journal);
          await awaitTurn(run, state.journal, prepared);
          await enterLine(run, state.journal, prepared);
        },
        publish: async (ended) => {
          const applied = appliedOf(run, ended);
          if (isStopped(turn.signal) || run.postponed) return applied;
          keepReport(state.journal, applied.report);
          const { read } = run;
          // What failed or degraded has been begun: going on with it waits for nothing.
          if (ended.type === 'applied' && !run.kept && read && !read.error) {
            const { inLine } = turnNote(state.journal);
            setTurnNote(state.journal, { applied: read.digest, ...(inLine !== undefined && { inLine }) });
          }
          noteInPlace(run, state.journal, applied.report);
          const left = await leaveLine(run, state.journal, applied.report.outcome);
          state.journal.flush();
          return left && !applied.error ? { ...applied, error: left } : applied;
        },
      }),
    );
  } catch (thrown) {
    // The lock or the journal could not be had, or the report not be kept: then only who listens now is told.
    return appliedOf(run, { type: 'stopped', error: asNodekilnError(thrown) });
  }
}

/** What this source asked for last, as the journal has it; undefined before it asked for anything. */
function lastGoodState(journal: Journal): DesiredState | undefined {
  const claims = journal.claims().agent ?? [];
  if (claims.length === 0) return undefined;
  return { resources: new Map(claims.map((resource) => [resource.id, resource])), goal: undefined, warnings: [] };
}

const predecessorNote = 'predecessor';

/**
 * What another agent put in place is ours before the first document is applied: what that still asks for is left alone and
 * restarts nothing, and what it no longer asks for goes.
 */
async function takeOver(run: Run, journal: Journal, predecessor: NonNullable<NodeAsk['predecessor']>): Promise<void> {
  const { host, cluster, onNotice } = run;
  if (journal.note(predecessorNote) !== undefined || (journal.claims().agent ?? []).length > 0) return;
  const found = await predecessor(host.files);
  if (!found) return;
  const { resources, remarks } = found;
  for (const resource of resources) if (resource.kind === 'file') await sealInPlace({ host, notes: journal }, resource);
  journal.takeOver('agent', resources, { [predecessorNote]: { resources: resources.length } });
  const message = [
    `what gardener-node-agent put in place is taken over: ${resources.length} resources`,
    ...remarks,
  ].join('; ');
  const type = remarks.length > 0 ? 'Warning' : 'Normal';
  for (const say of [cluster?.event, onNotice]) say?.({ type, reason: 'NodeTakenOver', message });
}

const defaultLongestDelayMs = 5 * 60_000;

/**
 * What was in place and is no longer, with nothing new asked for, is drift. Ends the run where it is to be reported alone; what
 * is unfinished is carried out together with it.
 */
function judgeDrift(run: Run, journal: Journal, { plan }: Prepared): void {
  const { read, kept, config } = run;
  const isAsked = !kept && (!read || read.error || turnNote(journal).applied !== read.digest);
  if (isAsked || plan.changes.length === 0 || !plan.changes.every(({ touched }) => touched?.done === true)) return;
  run.drift = plan.changes.map(({ id, facets }) => `${id} (${facets.join(', ')})`).join(', ');
  if (config.drift === 'repair') return;
  putOff(run, { untilMs: undefined, waitMs: config.resync, why: `it is only reported: ${run.drift}`, isNew: false });
}

/**
 * Ends the run, with nothing touched, while pods are on the Node that a change would disturb. What was begun goes on. A Node
 * that is not there has no pods.
 */
async function awaitDrain(run: Run, journal: Journal): Promise<void> {
  const { inPlace, kept, host, cluster, read, config, applied } = run;
  if (!inPlace || kept || !read || read.error) return;
  const running = inPlace.operatingSystem && (await runningSystem(host));
  run.due = dueUpdates(inPlaceNote(journal), inPlace, running);
  const [first] = run.due;
  const node = cluster?.node();
  const isFree = !inPlace.drain || !cluster || (cluster.isNodeKnown && !node) || drainedBy(node) !== undefined;
  if (!first || isFree || turnNote(journal).applied === read.digest) {
    await forgetCpuManager(run, journal);
    return;
  }
  const before = applied.inPlace();
  applied.setInPlace({ asked: inPlace, due: run.due, state: 'waiting' });
  const why = `${run.due.map(({ what }) => what).join(', ')}: until the Node is drained`;
  putOff(run, { untilMs: undefined, waitMs: config.resync, why, isNew: before?.state !== 'waiting' });
}

const cpuManagerStatePath = '/var/lib/kubelet/cpu_manager_state';

/** kubelet does not start with what it noted under another policy. */
async function forgetCpuManager({ inPlace, host }: Run, journal: Journal): Promise<void> {
  const before = inPlaceNote(journal)?.kubelet.cpuManagerPolicy;
  if (!inPlace || before === undefined || before === inPlace.kubelet.cpuManagerPolicy) return;
  await host.files.remove([cpuManagerStatePath]);
}

/** Of the system that runs, not of one that was made ready to boot. */
async function runningSystem({ files }: Host): Promise<string | undefined> {
  const content = await files.read('/etc/os-release');
  return systemVersionIn(parseOsRelease(textOf(content) ?? '')['PRETTY_NAME'] ?? '');
}

/** A machine begins with what its first documents say; what is due later is noted by whoever makes it. */
function noteInPlace(run: Run, journal: Journal, { outcome, error }: AgentReport): void {
  const { inPlace, due, kept, applied, read } = run;
  if (kept || !read || read.error) return;
  if (!inPlace) {
    if (inPlaceNote(journal)) clearInPlaceNote(journal);
    applied.setInPlace(undefined);
    return;
  }
  if (outcome === 'failed') {
    const reason =
      error instanceof NodekilnError ? `${error.code}: ${error.message}` : 'the documents could not be applied';
    applied.setInPlace({ asked: inPlace, due, state: 'failed', reason });
    return;
  }
  if (!inPlaceNote(journal)) setInPlaceNote(journal, noteOf(inPlace));
  applied.setInPlace({ asked: inPlace, due, state: 'applied' });
}

/** Ends the run when the change has to wait for its turn. What is applied for the first time, or was begun, does not wait. */
async function awaitTurn(run: Run, journal: Journal, { plan }: Prepared): Promise<void> {
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
  const nowMs = host.clock.now();
  const untilMs = turnAt({ note, nowMs, delayMs });
  if (untilMs <= nowMs) return;
  const why = `it restarts ${units.join(' and ')}, which nodes do at different times`;
  setTurnNote(journal, { ...note, waitingSince: untilMs - delayMs });
  journal.flush();
  putOff(run, { untilMs, waitMs: untilMs - nowMs, why, isNew: note.waitingSince === undefined });
}

/** Ends the run, with nothing touched, when another node is at the same change or has failed with it. */
async function enterLine(run: Run, journal: Journal, { plan }: Prepared): Promise<void> {
  const { kept, serial, turn } = run;
  const target = lineOf(run);
  if (!serial || !target || kept || plan.changes.length === 0) return;
  // What this node alone has lost asks nobody: the API server may be away, and no change of the source goes round.
  if (run.drift !== undefined && turnNote(journal).inLine !== true) return;
  const note = turnNote(journal);
  // On the disk before it is held: whoever dies with it gives it back in the next run.
  setTurnNote(journal, { ...note, inLine: true });
  journal.flush();
  const wait = await serial.enter(target, turn.signal);
  if (!wait) return;
  setTurnNote(journal, { ...note, inLine: false, waitsFor: wait.why });
  putOff(run, { untilMs: undefined, waitMs: wait.waitMs, why: wait.why, isNew: note.waitsFor !== wait.why });
}

/** Also of a run that found nothing to do: one before it may have died. An API server that is away is tried again. */
async function leaveLine(
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

function putOff(run: Run, waiting: Waiting): never {
  run.postponed = waiting;
  throw new NodekilnError('NK_INTERRUPTED', `waits for its turn: ${waiting.why}`);
}

function postponed({ onPostponed }: Run, { isNew, untilMs, waitMs, why }: Waiting): Reconciled {
  if (isNew) onPostponed?.({ untilMs, why });
  return { outcome: 'postponed', waitMs };
}

async function render(host: Host, texts: readonly SourcedText[]): Promise<Omit<NodeAsk, 'budgetMs'>> {
  if (texts.length === 0) return { desired: nothing };
  const ask = await loadNodeDocuments(texts);
  return ask(await observeFacts(host));
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

/** The signal fires for the deadline, too. */
function isStopped(signal: AbortSignal): boolean {
  return signal.aborted && asNodekilnError(signal.reason).code !== 'NK_TIMEOUT';
}
