/**
 * The engine, end to end: claims → observe → diff → plan → schedule → intents → apply → report. Bake, boot and tend all
 * come through here; they differ in document, host and source only.
 */
import {
  claimSourceOrder,
  nodeGoal,
  type DesiredState,
  type Resource,
  type ResourceId,
  type ClaimSource,
} from '../model/resources.ts';
import { canonicalJson } from '../model/canonical.ts';
import { contradictions } from '../desired/places.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { checkPlan, observe } from '../kinds/performers.ts';
import { readsOf } from '../kinds/planners.ts';
import { effectiveClaims, takingOverEqual, type Claims } from '../plan/claims.ts';
import { decide, type Decision } from '../plan/decide.ts';
import type { Claim } from '../plan/diff.ts';
import { unknownNeeds } from '../plan/plan.ts';
import { roleOf, type Observation, type Step, type Touched } from '../model/steps.ts';
import type { StepEvent } from '../telemetry/events.ts';
import { execute } from './executor.ts';
import type { Report, StepRecord } from '../model/report.ts';
import { reloadNote, type GenerationStatus, type Journal } from './journal.ts';

export interface PrepareInput {
  readonly host: Host;
  /** Undefined where nothing was ever applied and nothing will be (a plan on a fresh machine). */
  readonly journal: Journal | undefined;
  readonly source: ClaimSource;
  readonly desired: DesiredState;
  /** Leave out resources of scope `node`: a half-booted machine to be captured. */
  readonly sharedOnly?: boolean;
  /** The systemd unit that runs us, if any: nothing we start may be ordered after it. */
  readonly selfUnit?: string;
  /**
   * Look at nothing that a run has put in place and that is asked for as it was: for who follows changes, and looks at
   * everything now and then besides. What changes, what reads it, and what is unfinished is looked at all the same.
   */
  readonly onlyChanges?: boolean;
  /** Resources that are looked at at all; the others are asked for, and neither looked at nor touched. All unless told. */
  readonly concerns?: (id: ResourceId) => boolean;
  /** It is to be carried out: the journal drafts the generation meanwhile. */
  readonly draft?: boolean;
}

export interface Prepared extends Decision {
  readonly input: PrepareInput;
  readonly claims: Claims;
  readonly effective: ReadonlyMap<ResourceId, Claim>;
  /** Ids that were observed. */
  readonly inView: ReadonlySet<ResourceId>;
}

/** Everything up to the schedule; changes nothing of the host. */
export async function prepare(input: PrepareInput): Promise<Prepared> {
  const before = input.journal?.claims() ?? {};
  const asked = [...input.desired.resources.values()]
    .filter((resource) => input.sharedOnly !== true || resource.scope === 'shared')
    .map((resource) => withoutOrigin(resource));
  const resources = takingOverEqual(asked, { source: input.source, claims: before });
  const claims: Claims = Object.fromEntries(
    claimSourceOrder.flatMap((source) => {
      const asked = source === input.source ? resources : before[source];
      return asked ? [[source, asked]] : [];
    }),
  );
  const effective = effectiveClaims(claims);
  checkPlaces(effective, input.source);
  checkNeeds([...effective.values()].map((claim) => claim.resource));
  const touched = input.journal?.touched() ?? new Map<ResourceId, Touched>();
  const own = input.onlyChanges === true ? resources.filter((resource) => !isInPlace(resource, touched)) : resources;
  const ids = inView({ source: input.source, own, all: resources, effective, touched });
  if (input.concerns) for (const id of ids) if (!input.concerns(id)) ids.delete(id);
  if (input.draft === true) await input.journal?.draft({ source: input.source, claims, nowMs: input.host.clock.now() });
  const observed = await observeAll({ host: input.host, journal: input.journal, effective, touched, ids });
  const decision = decide({
    source: input.source,
    asked: resources.map(({ id }) => id),
    desired: effective,
    observed,
    touched,
    goal: input.desired.goal ?? goalOf(effective),
  });
  await checkPlan(input.host, decision.plan, input.selfUnit);
  return { input, claims, effective, ...decision, inView: ids };
}

/** Where a resource stands in a document is for messages; moving it about there changes nothing. */
function withoutOrigin(resource: Resource): Resource {
  const { origin: _origin, ...rest } = resource;
  return rest;
}

export interface CarryOutOptions {
  readonly artifactBase: string;
  /** Digests of artifacts that a lock file holds. */
  readonly lockedDigests?: ReadonlyMap<ResourceId, string>;
  /** Packages unpacked and images imported at a time, and transfers; see `ExecuteInput`. */
  readonly jobs?: number;
  readonly transfers?: number;
  readonly onEvent?: (event: StepEvent) => void;
  readonly signal?: AbortSignal;
}

export interface Result extends Report {
  readonly generation: number;
  readonly changes: number;
}

/** Records the intents durably, then applies. */
export async function carryOut(prepared: Prepared, options: CarryOutOptions): Promise<Result> {
  const { host, journal, source } = prepared.input;
  if (!journal) throw new NodekilnError('NK_INTERNAL', 'nothing can be applied without a journal');
  const { plan, schedule } = prepared;
  const owed = isReloadOwed(journal);
  const starting = new Set(plan.steps.filter(changesState).map(({ resource }) => resource));
  const generation = await journal.begin({
    source,
    claims: prepared.claims,
    changes: plan.changes,
    starting: [...starting],
    nowMs: host.clock.now(),
    ...(plan.steps.some(isReload) && { notes: { [reloadNote]: true } }),
  });
  settleUnchanged(journal, prepared);
  // What a run that was killed had put among systemd's units is as it should be now, and systemd has not read it.
  if (owed && host.units.mode === 'live') await host.units.daemonReload();
  if (owed && !plan.steps.some(isReload)) journal.setNote(reloadNote, false);

  const open = new Map<string, Set<string>>();
  for (const step of plan.steps) open.set(step.resource, (open.get(step.resource) ?? new Set()).add(step.id));
  const removed = new Set(plan.changes.filter((change) => change.type === 'remove').map((change) => change.id));
  const reloads = new Set(plan.steps.filter(isReload).map(({ id }) => id));
  const onDone = (record: StepRecord): void => {
    if (record.status === 'done' && reloads.delete(record.id) && reloads.size === 0) journal.setNote(reloadNote, false);
    const steps = open.get(record.resource);
    if (record.status === 'done') steps?.delete(record.id);
    else if (record.status === 'failed' && steps?.has(record.id) === false)
      journal.markUndone(record.resource as ResourceId);
    if (steps?.size === 0 && record.status === 'done') {
      const id = record.resource as ResourceId;
      if (removed.has(id)) journal.markRemoved(id);
      else journal.markDone(id);
    }
  };

  let outcome: GenerationStatus = 'failed';
  try {
    const report = await execute({
      schedule,
      host,
      context: {
        notes: journal,
        artifactBase: options.artifactBase,
        resource: (id) => resourceIn(prepared, id),
        lockedDigests: options.lockedDigests ?? new Map(),
      },
      onDone,
      ...(options.jobs !== undefined && { jobs: options.jobs }),
      ...(options.transfers !== undefined && { transfers: options.transfers }),
      ...(options.onEvent && { onEvent: options.onEvent }),
      ...(options.signal && { signal: options.signal }),
    });
    outcome = report.outcome === 'converged' ? 'applied' : report.outcome;
    return { ...report, generation, changes: plan.changes.length };
  } finally {
    journal.markGeneration(generation, outcome);
    journal.flush();
    await journal.prune();
  }
}

/**
 * What was looked at and needs no change is in place as it is asked for now, also where an interrupted run had left it
 * open or another source had brought it.
 */
function settleUnchanged(journal: Journal, prepared: Prepared): void {
  const changing = new Set(prepared.plan.changes.map((change) => change.id));
  for (const touched of journal.touched().values()) {
    const claim = prepared.effective.get(touched.id);
    if (!claim || changing.has(touched.id) || !prepared.inView.has(touched.id)) continue;
    const last = touched.definitions.at(-1);
    const same = last !== undefined && canonicalJson(last) === canonicalJson(claim.resource);
    if (touched.done && same && touched.source === claim.source) continue;
    journal.markAdopted(touched.id, claim.source, claim.resource);
  }
}

function resourceIn(prepared: Prepared, id: ResourceId): Resource {
  const claim = prepared.effective.get(id);
  if (!claim) throw new NodekilnError('NK_INTERNAL', `${id} is not desired`);
  return claim.resource;
}

/** A later document of another source keeps the goal of the one before. */
function goalOf(effective: ReadonlyMap<ResourceId, Claim>): ResourceId | undefined {
  return effective.has(nodeGoal) ? nodeGoal : undefined;
}

/** From before the first file of a run that makes systemd read its units again, until it has. */
function isReloadOwed(journal: Journal): boolean {
  // What is no longer known counts as owed.
  return (journal.note(reloadNote) ?? false) !== false;
}

function isReload({ action }: Step): boolean {
  return action.do === 'daemon-reload';
}

function changesState(step: Step): boolean {
  return ['job', 'stop'].includes(roleOf(step));
}

/** As far as the journal knows. */
function isInPlace(resource: Resource, touched: ReadonlyMap<ResourceId, Touched>): boolean {
  const entry = touched.get(resource.id);
  const last = entry?.definitions.at(-1);
  return entry?.done === true && last !== undefined && canonicalJson(last) === canonicalJson(resource);
}

/**
 * What this run looks at: what its source asks for or brought, what nobody asks for any more, what an earlier run left
 * unfinished, and the units that read any of it. What other sources brought and finished is theirs to check.
 */
function inView(about: {
  source: ClaimSource;
  /** To look at, of all that the source asks for. */
  own: readonly Resource[];
  all: readonly Resource[];
  effective: ReadonlyMap<ResourceId, Claim>;
  touched: ReadonlyMap<ResourceId, Touched>;
}): Set<ResourceId> {
  const ids = new Set(about.own.map((resource) => resource.id));
  const passedOver = new Set(about.all.map((resource) => resource.id).filter((id) => !ids.has(id)));
  for (const entry of about.touched.values()) {
    const isOwn = entry.source === about.source && !passedOver.has(entry.id);
    const isUnfinished = !entry.done && entry.unsure !== true;
    if (isOwn || isUnfinished || !about.effective.has(entry.id)) ids.add(entry.id);
  }
  for (const { resource } of about.effective.values()) {
    if (readsOf(resource).some((id) => ids.has(id))) ids.add(resource.id);
  }
  return ids;
}

interface ObserveInput {
  readonly ids: ReadonlySet<ResourceId>;
  readonly host: Host;
  readonly journal: Journal | undefined;
  readonly effective: ReadonlyMap<ResourceId, Claim>;
  readonly touched: ReadonlyMap<ResourceId, Touched>;
}

async function observeAll({
  host,
  journal,
  effective,
  touched,
  ids,
}: ObserveInput): Promise<Map<ResourceId, Observation>> {
  const context = { host, notes: journal, touched: (id: ResourceId) => touched.get(id) };
  return new Map(
    await Promise.all(
      [...ids].map(async (id) => {
        try {
          return [id, await observe(context, id, effective.get(id)?.resource)] as const;
        } catch (error) {
          const known = asNodekilnError(error);
          if (known.resource !== undefined || known.code === 'NK_NO_SYSTEMD' || known.code === 'NK_NOT_ROOT')
            throw error;
          throw new NodekilnError(known.code, `${id} cannot be observed: ${known.message}`, {
            cause: error,
            resource: id,
            hint: known.hint,
            lines: known.lines,
          });
        }
      }),
    ),
  );
}

/**
 * Nothing may have changed where another source's resource stands, so no step tells. The later source is at fault, and its run
 * fails: an earlier one goes on. What one source asks for is judged with its documents.
 */
function checkPlaces(effective: ReadonlyMap<ResourceId, Claim>, source: ClaimSource): void {
  const sourceOf = (id: ResourceId): ClaimSource | undefined => effective.get(id)?.source;
  const sources = new Set([...effective.values()].map((claim) => claim.source));
  if (sources.size < 2) return;
  const all = contradictions([...effective.values()].map(({ resource }) => resource));
  const problems = all.flatMap(({ ids, message }) => {
    const other = ids.map(sourceOf).find((each) => each !== source);
    if (!other || !ids.some((id) => sourceOf(id) === source)) return [];
    if (claimSourceOrder.indexOf(other) > claimSourceOrder.indexOf(source)) return [];
    return [{ message: `${message}, and one of them belongs to source ${other}` }];
  });
  const [first] = problems;
  if (!first) return;
  throw new NodekilnError(
    'NK_PLAN_CONFLICT',
    problems.length === 1 ? first.message : `${problems.length} places are claimed by two sources`,
    {
      problems,
      hint: `Ask for it elsewhere in the documents of source ${source}, or take it out of those of the other.`,
    },
  );
}

function checkNeeds(resources: readonly Resource[]): void {
  const unknown = unknownNeeds(resources);
  const [first] = unknown;
  if (!first) return;
  throw new NodekilnError(
    'NK_DOCUMENT_INVALID',
    `${first.resource.id} needs ${first.missing}, which no document brings`,
    {
      resource: first.resource.id,
      hint: 'Correct the name, or add the resource to the document.',
      problems: unknown.map(({ resource, missing }) => ({
        message: `${resource.id} needs ${missing}, which no document brings`,
      })),
    },
  );
}
