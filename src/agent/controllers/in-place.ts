/**
 * The controller of updates in place: says that one waits until the Node is drained, makes what a run of the documents does
 * not make (credentials anew, the system's own update, which may reboot), and says how it went, with a label that whoever
 * drains looks for and the condition `NodekilnUpdate` of the Node. A run that applies documents waits for the same word.
 *
 * What was made is noted before the next begins. A system that is found of its old version after another boot has been rolled
 * back: that is said, and not tried again until somebody asks.
 */
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { readBootId } from '../../host/boot-id.ts';
import { withDeadline } from '../../host/deadline.ts';
import type { RotatedCredentials } from '../../desired/in-place.ts';
import { isPassing } from '../../kube/error.ts';
import { probeReadiness } from '../../kinds/unit/readiness.ts';
import { visibleLine } from '../../model/printable.ts';
import type { InPlaceState } from '../applied.ts';
import { nodes, type NodeCluster, type NodeObject } from '../cluster.ts';
import type { AgentContext, ControllerBody, ReconcileContext, Reconciled } from '../controller.ts';
import {
  drainedBy,
  isAskedAgain,
  sayUpdate,
  updateLabel,
  type DrainedBy,
  type UpdateWord,
} from '../in-place/drained.ts';
import { inPlaceNote, setInPlaceNote, type InPlaceNote, type UpdateKind } from '../in-place/due.ts';
import { renewKubeletCertificate } from '../in-place/kubelet-certificate.ts';
import { updateSystem } from '../in-place/system.ts';

const resyncMs = 5 * 60_000;
/** Somebody may have to approve certificates, and commands that update a system take their time. */
const deadlineMs = 60 * 60_000;

export const updateCondition = 'NodekilnUpdate';

/** Undefined without a cluster. */
export function inPlace(context: AgentContext): ControllerBody | undefined {
  const { cluster, applied } = context;
  if (!cluster) return undefined;
  return {
    inputs: [
      { name: 'applied', watch: (signal) => applied.watch(signal) },
      { name: 'node', watch: (signal) => cluster.watchNode(signal) },
    ],
    outputs: [`node:condition/${updateCondition}`, `node:label/${updateLabel}`],
    resyncMs,
    deadlineMs,
    reconcile: async (turn) => {
      const state = applied.inPlace();
      const node = cluster.node();
      if (!state || !node || cluster.contest) return { outcome: 'done' };
      return reconcile({ ...context, cluster, turn, state, node, by: drainedBy(node) });
    },
  };
}

interface Run extends AgentContext {
  readonly cluster: NodeCluster;
  readonly turn: ReconcileContext;
  readonly state: InPlaceState;
  readonly node: NodeObject;
  readonly by: DrainedBy | undefined;
}

async function reconcile(run: Run): Promise<Reconciled> {
  const { state, node, by, turn } = run;
  const what = state.due.map((update) => update.what).join(', ');
  // Once somebody has drained it, the run that waits goes on, and says how it went.
  if (state.state === 'waiting') return by === undefined ? waitForDrain(run, what) : { outcome: 'done' };
  if (state.due.length === 0) {
    // Somebody drained a Node that had nothing to wait for, or it was all made by the run before.
    if (by !== undefined && state.state === 'applied') await succeed(run, 'nothing is left to update');
    return { outcome: 'done' };
  }
  if (state.state === 'failed') return fail(run, state.reason ?? 'the documents could not be applied');
  const note = await noteNow(run);
  if (note?.failure?.what === what) {
    const { failure, system } = note;
    if (!failure.isSaid) return stop(run, failure.reason);
    if (!isAskedAgain(node, by, system !== undefined)) return { outcome: 'done' };
  }
  if (note?.failure) await noted(run, ({ failure: _failure, system: _system, ...rest }) => rest);
  // What has begun goes on after a reboot, whatever the Node says.
  const begun = note?.failure ? undefined : note?.system;
  const isBegun = begun !== undefined && begun.version === state.asked.operatingSystem?.version;
  // What documents change has been changed with them.
  const isLeft = state.due.some(({ kind }) => kind !== 'kubelet');
  if (state.asked.drain && by === undefined && !isBegun && isLeft) return waitForDrain(run, what);
  // Else what is told when it waits for the machine's next start would be told in turns with this.
  if (!(isBegun && begun.ended)) await tell(run, { status: 'True', reason: 'Updating', message: what });
  try {
    const isMade = await makeAll(run);
    if (!isMade) return { outcome: 'done' };
  } catch (thrown) {
    const error = asNodekilnError(thrown);
    if (turn.signal.aborted || isPassing(error)) return { outcome: 'failed', error };
    return stop(run, `${error.code}: ${error.message}`);
  }
  await succeed(run, what);
  return { outcome: 'done' };
}

/** In the order in which they may be made; the system's last, since it may take the machine down. False: not finished yet. */
async function makeAll(run: Run): Promise<boolean> {
  const { due } = run.state;
  for (const kind of ['kubelet', 'certificateAuthorities', 'serviceAccountKey', 'operatingSystem'] as const) {
    if (!due.some((update) => update.kind === kind)) continue;
    if (!(await makers[kind](run))) return false;
  }
  return true;
}

const makers: Readonly<Record<UpdateKind, (run: Run) => Promise<boolean>>> = {
  // Applied with the documents, and kubelet was healthy with it.
  kubelet: (run) => noted(run, (note) => ({ ...note, kubelet: run.state.asked.kubelet })),
  certificateAuthorities: (run) => rotated(run, 'certificateAuthorities', () => renewCertificates(run)),
  serviceAccountKey: (run) =>
    rotated(run, 'serviceAccountKey', async () => {
      if (run.config.tokens.length > 0) await run.tokensErrand.run(run.turn.signal);
    }),
  operatingSystem: updateOperatingSystem,
};

/** Once for each rotation, also when what follows it in the same document takes its time or starts the machine anew. */
async function rotated(run: Run, key: keyof RotatedCredentials, work: () => Promise<void>): Promise<true> {
  const { [key]: begun } = run.state.asked.credentials;
  if (begun === undefined || (await noteNow(run))?.credentials[key] === begun) return true;
  await work();
  return noted(run, (note) => ({ ...note, credentials: { ...note.credentials, [key]: begun } }));
}

async function renewCertificates(run: Run): Promise<void> {
  const { cluster, certificateErrand, turn, host } = run;
  if (cluster.identity.isOwn) await certificateErrand.run(turn.signal);
  if (await renewKubeletCertificate(host, cluster.nodeName, turn.signal)) await restartKubelet(run);
}

const restartMs = 5 * 60_000;
const lookMs = 5000;

/** Until it is healthy. NK_UPDATE_FAILED when it is not within five minutes. */
async function restartKubelet({ host, applied, turn }: Run): Promise<void> {
  const unit = applied.units().find(({ name }) => name === 'kubelet.service');
  const failed = (why: string): NodekilnError =>
    new NodekilnError('NK_UPDATE_FAILED', `kubelet is not healthy with its new certificate: ${why}`);
  await turn.withState(async () => {
    let why = 'its restart has not ended';
    try {
      await withDeadline(
        { clock: host.clock, ms: restartMs, about: 'kubelet', signal: turn.signal },
        async (signal) => {
          const job = await host.units.restart('kubelet.service');
          const result = await job.result;
          if (result !== 'done') throw failed(`its job ended as ${result}`);
          for (;;) {
            const found = unit && (await probeReadiness(host.net, unit.readiness, { timeoutMs: lookMs, signal }));
            if (found === undefined) return;
            why = found;
            await host.clock.sleep(lookMs, signal);
          }
        },
      );
    } catch (thrown) {
      if (!turn.signal.aborted && asNodekilnError(thrown).code === 'NK_TIMEOUT') throw failed(why);
      throw thrown;
    }
  });
}

// ── the operating system ─────────────────────────────────────────────────────────────────────────────────────────

async function updateOperatingSystem(run: Run): Promise<boolean> {
  const { host, state, turn } = run;
  const system = state.asked.operatingSystem;
  if (!system) return true;
  const { version, command } = system;
  const bootId = await readBootId(host.files);
  const before = (await noteNow(run))?.system;
  if (before?.version === version) {
    if (before.bootId !== bootId)
      throw new NodekilnError(
        'NK_UPDATE_FAILED',
        `${version} is wanted, and after another boot it still is (${dueOf(state, 'operatingSystem')}): the system may have been rolled back`,
      );
    if (before.ended) return untilReboot(run, version);
  }
  await noted(run, (note) => ({ ...note, system: { version, bootId, ended: false } }));
  await say(run, { type: 'system', version });
  await updateSystem({ exec: host.exec, clock: host.clock, signal: turn.signal }, command);
  await noted(run, (note) => ({ ...note, system: { version, bootId, ended: true } }));
  return untilReboot(run, version);
}

async function untilReboot(run: Run, version: string): Promise<false> {
  await tell(run, { status: 'True', reason: 'Updating', message: `the machine has to start anew for ${version}` });
  return false;
}

function dueOf({ due }: InPlaceState, kind: UpdateKind): string {
  return due.find((update) => update.kind === kind)?.what ?? '';
}

// ── what is kept, and what is said ───────────────────────────────────────────────────────────────────────────────

function noteNow({ turn }: Run): Promise<InPlaceNote | undefined> {
  return turn.withState(({ journal }) => Promise.resolve(inPlaceNote(journal)));
}

/** Durable when it resolves. */
async function noted({ turn }: Run, change: (note: InPlaceNote) => InPlaceNote): Promise<true> {
  await turn.withState(({ journal }) => {
    const note = inPlaceNote(journal);
    if (note) setInPlaceNote(journal, change(note));
    journal.flush();
    return Promise.resolve();
  });
  return true;
}

async function succeed(run: Run, message: string): Promise<void> {
  const { applied, state } = run;
  await noted(run, ({ system: _system, failure: _failure, ...note }) => note);
  await say(run, { type: 'successful' });
  await tell(run, { status: 'False', reason: 'UpdateSuccessful', message });
  applied.setInPlace({ ...state, due: [] });
}

async function waitForDrain(run: Run, what: string): Promise<Reconciled> {
  await tell(run, { status: 'True', reason: 'WaitsForDrain', message: `until the Node is drained: ${what}` });
  await say(run, { type: 'wanted' });
  return { outcome: 'done' };
}

/** Kept before it is said, so that who is killed between the two says it, and does not try again. */
async function stop(run: Run, reason: string): Promise<Reconciled> {
  const what = run.state.due.map((update) => update.what).join(', ');
  await noted(run, (note) => ({ ...note, failure: { what, reason, isSaid: false } }));
  const failed = await fail(run, reason);
  await noted(run, (note) => ({ ...note, failure: { what, reason, isSaid: true } }));
  return failed;
}

/** It may quote what a program wrote: who looks at Nodes has it on a terminal. */
async function fail(run: Run, quoted: string): Promise<Reconciled> {
  const reason = visibleLine(quoted);
  run.cluster.event({ type: 'Warning', reason: 'UpdateFailed', message: reason });
  await tell(run, { status: 'True', reason: 'UpdateFailed', message: reason });
  await say(run, { type: 'failed', reason: visibleLine(reason.slice(0, 1000)) });
  return { outcome: 'done' };
}

async function say({ cluster, by, turn }: Run, word: UpdateWord): Promise<void> {
  const node = cluster.node();
  const metadata = node && sayUpdate(node, by, word);
  if (!node || !metadata) return;
  // Who drained it meanwhile is not overheard.
  const version = word.type === 'wanted' ? { resourceVersion: node.metadata.resourceVersion } : {};
  await cluster.api.patch(
    nodes,
    cluster.nodeName,
    { type: 'merge', content: { metadata: { ...metadata, ...version } } },
    { signal: turn.signal },
  );
}

interface Told {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Once: every watcher of Nodes is told of each write. */
async function tell({ cluster, turn }: Run, condition: Told): Promise<void> {
  const before = cluster.node()?.status?.conditions?.find(({ type }) => type === updateCondition);
  if (before?.reason === condition.reason && before.message === condition.message) return;
  await cluster.setCondition({ type: updateCondition, ...condition }, turn.signal);
}
