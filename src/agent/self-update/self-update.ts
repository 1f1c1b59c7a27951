/**
 * An agent that is told to become another one: what is its own is put in place after everything else of a document, what it
 * reports is written, and then systemd restarts it, by a unit that outlives it (`errand.ts`) and takes everything back when
 * the new agent does not come up. Each step is on the disk before the next: killed anywhere, whichever agent starts goes on.
 *
 * Only for the agent that `nodekiln-agent.service` runs; any other leaves that unit as it leaves every unit.
 */
import { prepare } from '../../apply/reconcile.ts';
import { runWith, type Ended, type HostState } from '../../apply/run.ts';
import { NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import { canonicalJson } from '../../model/canonical.ts';
import type { DesiredState, Resource } from '../../model/resources.ts';
import type { Change } from '../../model/steps.ts';
import { version } from '../../model/program.ts';
import type { StepEvent } from '../../telemetry/events.ts';
import { readMarker } from '../bootstrap-marker.ts';
import type { SayEvent } from '../events.ts';
import { agentUnit } from '../../model/agent-identity.ts';
import { beforeFolder, bringBack, ownPlaces, saveBefore } from './before.ts';
import { runErrand } from './errand-unit.ts';
import { offerFolder } from './offer.ts';
import { ownPartOf, ownUnitId, programPaths, withoutOwn, type OwnPart } from './own-part.ts';
import { readRefused, readTrial, removeRefused, removeTrial, writeTrial, type Trial } from './trial.ts';

export interface SelfUpdateOptions {
  readonly host: Host;
  /** Path of the AgentConfig. */
  readonly configFile: string;
  /** Drift is only reported. */
  readonly leavesDrift: boolean;
  readonly say: SayEvent;
}

/** What one run of the documents has to do with it. */
export interface OwnRun {
  readonly part: OwnPart;
  /** What everything else is applied with: an own part that is not in place yet is not asked for yet. */
  readonly desired: DesiredState;
  /** Of the own part, what was asked for when it was in place last. */
  readonly before: readonly Resource[];
  /** Digest of the documents; undefined of the last good state. */
  readonly document: string | undefined;
  /** This was tried, and taken back. NK_AGENT_UPDATE_FAILED. */
  readonly refusal: NodekilnError | undefined;
  /** `due`: the own part is not as it is asked for, or was not released; `waits`: it is the errand's turn. */
  readonly is: 'none' | 'due' | 'waits';
}

export interface PlaceOptions {
  readonly signal: AbortSignal;
  readonly onStep?: ((event: StepEvent) => void) | undefined;
}

export interface SelfUpdate {
  /** With the lock. Undefined where the agent's own unit is none of ours. NK_STATE_NEWER. */
  begin(desired: DesiredState, state: HostState, document: string | undefined): Promise<OwnRun | undefined>;
  /** With the lock, after all else: puts it in place. What it throws left what was there before. */
  place(run: OwnRun, state: HostState, options: PlaceOptions): Promise<Ended>;
  /** Lets the errand restart us. */
  release(): Promise<void>;
  /** The agent runs and has looked at its documents: what was there before is given up. */
  takeOver(run: OwnRun, hasRead: boolean): Promise<void>;
}

export function createSelfUpdate({ host, configFile, leavesDrift, say }: SelfUpdateOptions): SelfUpdate {
  const { files, units } = host;
  let isUnit: boolean | undefined;

  const runsAsUnit = async (): Promise<boolean> => {
    if (units.mode !== 'live') return false;
    const { mainPid } = await units.get(agentUnit);
    if (mainPid !== host.program.pid) return false;
    return (await Promise.all(programPaths.map((path) => files.stat(path)))).every(Boolean);
  };

  /** Of the documents' it is told with each report. */
  const tellRefusedOffer = async (): Promise<void> => {
    const { refused } = (await readMarker(files)) ?? {};
    if (refused)
      say({ type: 'Warning', reason: 'AgentUpdateFailed', message: `NK_AGENT_UPDATE_FAILED: ${refused.message}` });
  };

  /** Of an agent that is about to be restarted: whoever confirms itself is the one that came. */
  const isOutgoing = async ({ state, instead }: Trial): Promise<boolean> =>
    state !== 'trying' || instead === (await units.get(agentUnit)).invocationId;

  const look = async (part: OwnPart, { journal }: HostState, trial: Trial | undefined): Promise<OwnRun['is']> => {
    if (trial?.state === 'begun') return 'due';
    if (trial && trial.state !== 'undone' && (await isOutgoing(trial))) {
      await runErrand(host, 'start');
      return 'waits';
    }
    // Nobody is to remove the unit that runs us.
    if (!part.resources.some(({ id }) => id === ownUnitId)) journal.markRemoved(ownUnitId);
    const { plan } = await prepare({
      host,
      journal,
      source: 'agent',
      desired: part.desired,
      concerns: (id) => part.ids.has(id),
    });
    return plan.changes.length === 0 || (leavesDrift && plan.changes.every(isDrift)) ? 'none' : 'due';
  };

  return {
    begin: async (desired, state, document) => {
      if (isUnit === undefined) {
        isUnit = await runsAsUnit();
        if (isUnit) await tellRefusedOffer();
      }
      if (!isUnit) return undefined;
      const [trial, refused] = [await readTrial(files), await readRefused(files)];
      // What was asked for last may never have been in place.
      const untried = trial && trial.offer === undefined && trial.state !== 'trying' ? trial.before : undefined;
      const before = refused?.before ?? untried ?? state.journal.claims().agent ?? [];
      const part = ownPartOf(desired, before, configFile);
      // Whatever else of the documents has changed may be what it needs.
      const isSame = refused?.part === part.fingerprint && (document ?? refused.document) === refused.document;
      const refusal = refused && isSame ? failed(refused) : undefined;
      const is = refusal && trial?.state !== 'returning' ? 'none' : await look(part, state, trial);
      const isInPlace = is === 'none' && !refusal;
      return {
        part,
        desired: isInPlace ? part.desired : withoutOwn(part, before),
        before: before.filter(({ id }) => part.ids.has(id)),
        document,
        refusal,
        is,
      };
    },

    place: (run, state, options) => place(host, { run, state, options }),

    release: async () => {
      const trial = await readTrial(files);
      if (trial?.state !== 'begun') return;
      say({
        type: 'Normal',
        reason: 'AgentGivesWay',
        message: `nodekiln ${version} is restarted as the documents ask`,
      });
      await writeTrial(files, { ...trial, state: 'released' });
    },

    takeOver: async ({ refusal, is }, hasRead) => {
      const trial = await readTrial(files);
      if (!refusal && is === 'none') {
        await removeRefused(files);
        if (trial?.state === 'undone') await removeTrial(files);
      }
      if (!trial || (await isOutgoing(trial)) || (trial.configures && !hasRead)) return;
      await removeTrial(files);
      for (const folder of [beforeFolder, offerFolder]) await files.removeTree(folder);
      say({ type: 'Normal', reason: 'AgentUpdated', message: `the agent is nodekiln ${version} now` });
    },
  };
}

interface Placing {
  readonly run: OwnRun;
  readonly state: HostState;
  readonly options: PlaceOptions;
}

async function place(host: Host, { run, state, options: { signal, onStep } }: Placing): Promise<Ended> {
  const { files } = host;
  const { part, before, document } = run;
  const last = await readTrial(files);
  try {
    const places = ownPlaces(part, state.journal.touched());
    const trial: Trial = {
      part: part.fingerprint,
      ...(document !== undefined && { document }),
      state: 'begun',
      configures: part.resources.some(({ kind, id }) => kind === 'file' && !isProgram(id)),
      before,
      saved: await saveBefore(files, places, last?.state === 'begun' ? last.saved : []),
    };
    await writeTrial(files, trial);
    await runErrand(host, 'restart');
    const ended = await runWith<Ended>(state, {
      source: 'agent',
      artifactBase: '/',
      signal,
      concerns: (id) => part.ids.has(id),
      ...(onStep && { onEvent: onStep }),
      ask: () => Promise.resolve({ desired: part.desired }),
      publish: (how) => Promise.resolve(how),
    });
    const error = ended.type === 'stopped' ? ended.error : ended.result.error;
    if (error) throw error;
    return ended;
  } catch (thrown) {
    // Whoever stops it finds it begun, and goes on.
    if (!signal.aborted) await undo(host);
    throw thrown;
  }
}

function failed({ message, lines }: { readonly message: string; readonly lines: readonly string[] }): NodekilnError {
  return new NodekilnError('NK_AGENT_UPDATE_FAILED', message, { resource: `unit:${agentUnit}`, lines });
}

function isProgram(id: string): boolean {
  return programPaths.some((path) => id === `file:${path}`);
}

/** It was in place as it is asked for. */
function isDrift({ touched, desired }: Change): boolean {
  const last = touched?.definitions.at(-1);
  return touched?.done === true && canonicalJson(last) === canonicalJson(desired);
}

async function undo({ files, units }: Host): Promise<void> {
  const trial = await readTrial(files);
  if (!trial) return;
  await bringBack(files, trial.saved);
  await units.daemonReload();
  await writeTrial(files, { ...trial, state: 'undone' });
  await files.removeTree(beforeFolder);
}
