/**
 * The boot: documents and facts → resources → a running kubelet, as early as possible. Called by `nodekiln-boot.service`
 * at every start of the machine; the second time there is nothing to do.
 *
 * The result is published once, atomically, at the end, whatever happened. A failed boot is taken up where it stopped.
 */
import type { Prepared } from '../apply/reconcile.ts';
import { prepare, type Result } from '../apply/reconcile.ts';
import { lookAtJournal } from '../apply/journal.ts';
import { runWith, withHostLock, withJournal, type HostState, type RunRequest } from '../apply/run.ts';
import { registrationPath } from '../desired/cluster-access.ts';
import type { Join } from '../desired/join.ts';
import { bootTexts, loadNodeDocuments, namedTexts } from '../documents/documents.ts';
import type { NodeAsk } from '../documents/kinds/kind.ts';
import type { SourcedText } from '../documents/sources/source.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import { withDeadline } from '../host/deadline.ts';
import { observeFacts } from '../host/facts.ts';
import { withFaults } from '../host/faults.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host } from '../host/port.ts';
import type { Outcome, StepRecord } from '../model/report.ts';
import type { Schedule } from '../model/steps.ts';
import { prerequisites } from '../plan/order.ts';
import type { StepEvent } from '../telemetry/events.ts';
import { publishResult } from '../telemetry/publication.ts';
import { startRecording, type Recording, type ResultPart } from '../telemetry/recording.ts';
import { resultStep, type BootResult, type JoinResult, type ResultStep } from '../telemetry/result.ts';
import { followJoin, unfollowed, type Joined } from './join/join.ts';

export interface BootOptions {
  /** Leave out resources of scope `node`: the machine is captured afterwards. */
  readonly sharedOnly?: boolean;
  readonly onEvent?: (event: StepEvent) => void;
  readonly signal?: AbortSignal;
}

/** What kubelet's and the runtime's first start reads from disk: worth having in the page cache before they ask. */
const warmPaths = [
  '/opt/bin/kubelet',
  '/usr/bin/containerd',
  '/usr/bin/containerd-shim-runc-v2',
  '/usr/bin/runc',
  '/usr/sbin/runc',
];

/** Runs us at every start of the machine. */
const bootUnitName = 'nodekiln-boot.service';
const lockWaitMs = 10_000;
/** A step that hears no signal does not keep the machine from what systemd wants of it; the next boot takes it up. */
const leaveAfterMs = 500;

/** Boots the machine we run on. Throws what stands in the way before anything is applied; failures of steps are in the result. */
export async function boot(options: BootOptions = {}): Promise<BootResult> {
  const host = withFaults(createLinuxHost());
  try {
    return await bootHost(host, options);
  } finally {
    await host.close();
  }
}

/** The same on a given host. */
export async function bootHost(host: Host, options: BootOptions = {}): Promise<BootResult> {
  const recording = startRecording(host.clock, host.program.startedMs);
  const warming = host.files.warm(warmPaths);
  const run: BootRun = {
    host,
    recording,
    options,
    beganMs: host.clock.monotonic(),
    ended: [],
    underWay: new Map(),
    leaveJoining: new AbortController(),
    published: false,
  };
  try {
    const booted = await withLock(run, () =>
      orPublishFailure(run, () => withJournal(host, (state) => applyDocuments(state, run))),
    );
    if (!('joining' in booted)) return booted;
    // Without the lock: others may work on the host while the node joins.
    const joined = await booted.joining;
    const spent = await dropSpentCredential(run, joined);
    return await orPublishFailure(run, () => publishEnd(run, { applied: booted.applied, joined, spent }));
  } finally {
    await warming;
  }
}

interface BootRun {
  readonly host: Host;
  readonly recording: Recording;
  readonly options: BootOptions;
  readonly beganMs: number;
  asked?: NodeAsk;
  /** What was to be done, once that is known. */
  schedule?: Schedule;
  /** What ended so far. */
  readonly ended: StepRecord[];
  /** When the steps began that are under way, by their ids. */
  readonly underWay: Map<string, number>;
  /** What of the journal was damaged, and what was made of it. */
  damage?: readonly string[];
  /** Begins with kubelet's start; does not reject. */
  joining?: Promise<Joined>;
  /** Ends it when the boot has failed already. */
  readonly leaveJoining: AbortController;
  /** Set before it is tried: a result is published once. */
  published: boolean;
}

function withLock<T>({ host, options }: BootRun, work: () => Promise<T>): Promise<T> {
  return withHostLock(host, { waitMs: lockWaitMs, ...signalOf(options) }, work);
}

/** Where not even the journal can be opened, the result says so. */
async function orPublishFailure<T>(run: BootRun, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = withWaits(run, asNodekilnError(thrown));
    if (!run.published) await publishFailure(run, error);
    throw error;
  }
}

/** What was waited for when time was up, or somebody stopped it, is what a person asks first. */
function withWaits(run: BootRun, error: NodekilnError): NodekilnError {
  const waits = interruptedSteps(run).map(({ id }) => id);
  if (waits.length === 0 || (error.code !== 'NK_TIMEOUT' && error.code !== 'NK_INTERRUPTED')) return error;
  const { code, message, hint, lines } = error;
  return new NodekilnError(code, `${message}; it waited for ${waits.join(', ')}`, { hint, lines, cause: error });
}

/** Up to the published result, or to a node that joins. */
async function applyDocuments(state: HostState, run: BootRun): Promise<BootResult | JoiningBoot> {
  const { host, recording, options } = run;
  run.damage = state.journal.damage;
  return runAsBoot(state, run, {
    onEvent: (event) => {
      options.onEvent?.(event);
      if (event.type === 'start') run.underWay.set(event.step, host.clock.monotonic());
      if (event.type !== 'end') return;
      run.underWay.delete(event.record.id);
      run.ended.push(event.record);
      if (startedKubelet(event.record)) beginJoining(run, event.record.endMs);
    },
    ask: async () => (run.asked = await askDocuments(host, recording, () => bootTexts(host.files))),
    span: (name, work) => recording.span(name, work),
    onPrepared: ({ schedule }) => {
      run.schedule = schedule;
      recording.milestone('planned');
    },
    publish: async (applied) => {
      if (applied.outcome === 'failed') {
        run.leaveJoining.abort(new NodekilnError('NK_TIMEOUT', 'the boot has failed'));
        return publishEnd(run, { applied, ...(run.joining && { joined: await run.joining }) });
      }
      // It runs since the machine started, or since an earlier boot.
      beginJoining(run, run.beganMs);
      return run.joining ? { applied, joining: run.joining } : publishEnd(run, { applied });
    },
  });
}

/** Everything is applied; the result follows when it is known how the node joined. */
interface JoiningBoot {
  readonly applied: Result;
  readonly joining: Promise<Joined>;
}

/** It has written what kubelet says of the node when it registers. */
function tellsRegistration({ resource, status }: StepRecord): boolean {
  return status === 'done' && resource === `file:${registrationPath}`;
}

function startedKubelet({ id, status }: StepRecord): boolean {
  return status === 'done' && /^(?:start|restart) unit:kubelet\.service$/.test(id);
}

interface BootRequest<T> extends Pick<RunRequest<T>, 'ask' | 'onEvent' | 'span' | 'onPrepared'> {
  readonly publish: (applied: Result) => Promise<T>;
}

function runAsBoot<T>(state: HostState, { host, options }: BootRun, request: BootRequest<T>): Promise<T> {
  const selfUnit = host.program.environment['NODEKILN_UNIT'];
  return runWith(state, {
    source: 'boot',
    artifactBase: '/',
    leaveAfterMs,
    ...signalOf(options),
    ...(options.sharedOnly === true && { sharedOnly: true }),
    ...(selfUnit && { selfUnit }),
    ...request,
    publish: async (ended) => {
      if (ended.type === 'stopped') throw ended.error;
      return request.publish(ended.result);
    },
  });
}

// ── joining ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Idempotent. A machine that is to be captured joins nothing. */
function beginJoining(run: BootRun, startedMs: number): void {
  const { host, options, asked } = run;
  const join = asked?.join;
  if (!asked || !join || run.joining || options.sharedOnly === true) return;
  const onObstacle = (obstacle: NodekilnError): void =>
    options.onEvent?.({ type: 'progress', step: 'join the cluster', message: `${obstacle.code} ${obstacle.message}` });
  const stop = AbortSignal.any([run.leaveJoining.signal, ...(options.signal ? [options.signal] : [])]);
  const left = Math.max(0, asked.budgetMs - (host.clock.monotonic() - run.beganMs));
  run.joining = withDeadline({ clock: host.clock, ms: left, about: 'the boot', signal: stop }, (signal) =>
    followJoin(host, join, {
      startedMs,
      signal,
      onObstacle,
      isRegistrationNew: () => run.ended.some(tellsRegistration),
    }),
  ).catch(unfollowed);
}

/** The token leaves the node as soon as it has its certificate; what remains when that fails goes with the next run. */
async function dropSpentCredential(run: BootRun, { reached }: Joined): Promise<Result | undefined> {
  const { host, asked } = run;
  const join = asked?.join;
  if (!join?.token || join.hasCertificate || reached === undefined) return undefined;
  const ask = (): Promise<NodeAsk> =>
    askDocuments(host, startRecording(host.clock, run.beganMs), () => bootTexts(host.files));
  return withLock(run, () =>
    withJournal(host, (state) => runAsBoot(state, run, { ask, publish: (applied) => Promise.resolve(applied) })),
  ).catch(() => undefined);
}

// ── documents and result ─────────────────────────────────────────────────────────────────────────────────────────

/** Documents and facts → what this source asks for. */
async function askDocuments(
  host: Host,
  recording: Recording,
  read: () => Promise<readonly SourcedText[]>,
): Promise<NodeAsk> {
  const [ask, facts] = await Promise.all([
    recording.span('read documents', async () => loadNodeDocuments(await read())),
    recording.span('observe facts', () => observeFacts(host)),
  ]);
  recording.milestone('config');
  return ask(facts);
}

interface BootEnd {
  readonly applied: Result;
  readonly joined?: Joined;
  /** What took the spent credential away. */
  readonly spent?: Result | undefined;
}

async function publishEnd(run: BootRun, { applied, joined, spent }: BootEnd): Promise<BootResult> {
  const { host, recording, asked } = run;
  await recording.addReport(host, applied);
  for (const { name, atMs } of joined?.milestones ?? []) recording.milestone(name, atMs);
  const obstacle = joined?.obstacle;
  const explains = obstacle && (applied.error ? endsKubelet.has(obstacle.code) : asked?.join?.unjoined === 'failed');
  const error = explains ? obstacle : applied.error;
  return publish(run, {
    outcome: obstacle ? worse(applied.outcome, asked?.join?.unjoined ?? 'degraded') : applied.outcome,
    unchanged: applied.changes === 0,
    generation: spent?.generation ?? applied.generation,
    steps: [...applied.steps, ...(spent?.steps ?? [])].map(resultStep),
    ...(joined && asked?.join && { join: joinResult(asked.join, joined) }),
    warnings: [...warningsOf(run), ...(joined?.warnings ?? [])],
    ...(error && { error: error.toJSON() }),
  });
}

/** kubelet itself ends where it has nothing to show: that its unit fails is what comes of it. */
const endsKubelet: ReadonlySet<string> = new Set(['NK_CLUSTER_CREDENTIAL_MISSING', 'NK_CLUSTER_TOKEN_MALFORMED']);

function worse(one: Outcome, other: Outcome): Outcome {
  const order = ['converged', 'degraded', 'failed'] as const;
  return order.indexOf(one) > order.indexOf(other) ? one : other;
}

function joinResult({ nodeName, goal }: Join, { reached, obstacle }: Joined): JoinResult {
  return { nodeName, goal, ...(reached && { reached }), ...(obstacle && { obstacle: obstacle.toJSON() }) };
}

/** Of a boot that was stopped before its plan was carried out, or while it was. */
async function publishFailure(run: BootRun, error: NodekilnError): Promise<void> {
  const { host, recording, ended } = run;
  const steps = [...ended.map(resultStep), ...interruptedSteps(run)];
  await recording.addReport(host, { steps: ended, goalMs: undefined }).catch(() => undefined);
  await publish(run, {
    outcome: 'failed',
    unchanged: false,
    generation: undefined,
    steps: steps.toSorted((a, b) => a.startMs - b.startMs),
    warnings: warningsOf(run),
    error: error.toJSON(),
  });
}

/** What was waited for when the boot was stopped, or its time was up. */
function interruptedSteps({ host, schedule, underWay }: BootRun): ResultStep[] {
  const endMs = host.clock.monotonic();
  return (schedule?.steps ?? []).flatMap(({ step, phase }) => {
    const startMs = underWay.get(step.id);
    if (startMs === undefined) return [];
    const { id, resource } = step;
    return [{ id, resource, phase, status: 'interrupted', startMs, endMs, needs: prerequisites(step), details: [] }];
  });
}

function warningsOf({ asked, damage = [] }: BootRun): string[] {
  return [...(asked?.desired.warnings ?? []), ...damage.map((what) => `the journal was rebuilt: ${what}`)];
}

async function publish(run: BootRun, part: ResultPart): Promise<BootResult> {
  run.published = true;
  const result = await run.recording.result(run.host, part);
  await publishResult(run.host, result);
  if (result.outcome !== 'failed' && result.unit === undefined) await forgetFailedStart(run.host);
  return result;
}

/** What was put right by hand leaves no failed unit, for which systemd would call the machine degraded until it restarts. */
async function forgetFailedStart({ units }: Host): Promise<void> {
  const failed = await units.get(bootUnitName).then(
    ({ activeState }) => activeState === 'failed',
    () => false,
  );
  if (failed) await units.resetFailed(bootUnitName).catch(() => undefined);
}

function signalOf({ signal }: BootOptions): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

export interface PlanOptions<Looked> {
  /** Documents instead of those on the host, later ones over earlier ones. */
  readonly documents?: readonly string[];
  /** Looks at more of the host than a boot does. */
  readonly look?: (host: Host, prepared: Prepared) => Promise<Looked>;
}

/** What a boot would do now; changes nothing. */
export async function planBoot<Looked = undefined>({ documents = [], look }: PlanOptions<Looked> = {}): Promise<{
  prepared: Prepared;
  warnings: readonly string[];
  notes: readonly string[];
  looked: Looked | undefined;
}> {
  const host = createLinuxHost();
  const journal = await lookAtJournal(host);
  try {
    const read = (): Promise<readonly SourcedText[]> =>
      documents.length > 0 ? namedTexts(host.files, documents) : bootTexts(host.files);
    const { desired } = await askDocuments(host, startRecording(host.clock, host.clock.monotonic()), read);
    const { warnings, notes = [] } = desired;
    const prepared = await prepare({ host, journal, source: 'boot', desired });
    return { prepared, warnings, notes, looked: await look?.(host, prepared) };
  } finally {
    journal?.close();
    await host.close();
  }
}
