/**
 * The table of kinds, effect half: each kind observes its resources and carries out its steps. Exhaustive by its type,
 * no magic.
 */
import {
  kindOf,
  nameOf,
  type Resource,
  type ResourceId,
  type ResourceKind,
  type Resources,
} from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { Files, Host } from '../host/port.ts';
import type { ActionName, ActionOf, Actions, Observation, Observations, Plan, Step, Touched } from '../model/steps.ts';
import { observeAction, performAction } from './action/apply.ts';
import { observeBinary, performActivate, performCache, performForget } from './binary/apply.ts';
import { observeExtension, performFetchExtension } from './extension/apply.ts';
import { isReadBySystemd, observeEntry, originalsKept, performRemove, performWrites } from './file/apply.ts';
import { observeImage, performImport } from './image/apply.ts';
import { observeKernel, performModule, performSysctl } from './kernel/apply.ts';
import { isOfImage, observePlaced, performPlace } from './file/image.ts';
import { performReach } from './file/reach.ts';
import type { ObserveContext, PerformContext } from './performer.ts';
import { checkSelfWait } from './unit/self-wait.ts';
import { observeUnit, performJob, performReady, performReload } from './unit/apply.ts';

interface Subject<K extends ResourceKind> {
  readonly name: string;
  readonly desired: Resources[K] | undefined;
  /** What is desired, else what it was last. */
  readonly definition: Resources[K] | undefined;
  readonly touched: Touched | undefined;
}

type Performer<D extends ActionName> = (context: PerformContext, action: ActionOf<D>) => Promise<void>;

interface KindEffects<K extends ResourceKind> {
  /** Reads what planning needs to know. Undefined when nothing says what to look for. */
  observe(context: ObserveContext, subject: Subject<K>): Promise<Observations[K] | undefined>;
  /** Whether the plan can be carried out where we run; `selfUnit` is the unit that runs us, if any. */
  check?(host: Host, plan: Plan, selfUnit: string | undefined): Promise<void>;
  readonly perform: { readonly [D in Actions[K]['do']]: Performer<D> };
}

const effects: { readonly [K in ResourceKind]: KindEffects<K> } = {
  file: {
    observe: async (context, { name, definition }) => ({
      ...(definition && isOfImage(definition)
        ? await observePlaced(context, name)
        : { kind: 'file', entry: await observeEntry(context.host.files, name) }),
      ...(isReadBySystemd(context.host, name) && { readBySystemd: true }),
    }),
    perform: {
      place: (context, action) => performPlace(context, resourceOf(context, action.file, 'file'), action),
      write: ({ host }, action) => performWrites(host, [action]),
      reach: performReach,
      remove: performRemove,
    },
  },
  unit: {
    observe: (context, { name, desired, touched }) => observeUnit(context, name, { resource: desired, touched }),
    perform: {
      'daemon-reload': performReload,
      enablement: async ({ host }, { change, unit }) => void (await host.units.setEnablement(change, [unit])),
      start: performJob,
      restart: performJob,
      reload: performJob,
      stop: performJob,
      ready: performReady,
    },
    check: checkSelfWait,
  },
  binary: {
    observe: async (context, { definition }) => definition && observeBinary(context, definition),
    perform: {
      cache: (context, { binary }) => performCache(context, resourceOf(context, binary, 'binary')),
      activate: (context, { binary }) => performActivate(context, resourceOf(context, binary, 'binary')),
      'forget-cached': performForget,
    },
  },
  extension: {
    observe: (context, { name }) => observeExtension(context, name),
    perform: {
      'fetch-extension': (context, { extension }) =>
        performFetchExtension(context, resourceOf(context, extension, 'extension')),
      'merge-extensions': async (context, action) => {
        // Loaded only where there are extensions.
        const { performMerge } = await import('./extension/merge.ts');
        return performMerge(context, action);
      },
    },
  },
  image: {
    observe: async (_context, { definition, touched }) => definition && observeImage(definition, touched),
    perform: { import: (context, { image }) => performImport(context, resourceOf(context, image, 'image')) },
  },
  kernel: {
    observe: async ({ host }, { definition }) => definition && observeKernel(host, definition),
    perform: { module: (context, { name }) => performModule(context, name), sysctl: performSysctl },
  },
  action: {
    // What is only remembered is never run again: no need to ask its guard.
    observe: async ({ host }, { desired }) => (desired ? observeAction(host, desired) : { kind: 'action', done: true }),
    perform: { run: (context, { action }) => performAction(context, resourceOf(context, action, 'action')) },
  },
};

const performers: { readonly [D in ActionName]: Performer<D> } = {
  ...effects.file.perform,
  ...effects.unit.perform,
  ...effects.binary.perform,
  ...effects.extension.perform,
  ...effects.image.perform,
  ...effects.kernel.perform,
  ...effects.action.perform,
  release: () => Promise.resolve(),
};

/** Observes one id, desired or only touched. NK_STATE_UNUSABLE when nothing says what to look for. */
export async function observe(
  context: ObserveContext,
  id: ResourceId,
  desired: Resource | undefined,
): Promise<Observation> {
  return observeOf(kindOf(id), { context, id, desired });
}

async function observeOf<K extends ResourceKind>(
  kind: K,
  { context, id, desired }: { context: ObserveContext; id: ResourceId; desired: Resource | undefined },
): Promise<Observations[K]> {
  const touched = context.touched(id);
  const only = (resource: Resource | undefined): Resources[K] | undefined =>
    resource && isOf(kind, resource) ? resource : undefined;
  const subject: Subject<K> = {
    name: nameOf(id),
    desired: only(desired),
    definition: only(desired ?? touched?.definitions.at(-1)),
    touched,
  };
  const observed = await effects[kind].observe(context, subject);
  if (observed) return observed;
  throw new NodekilnError('NK_STATE_UNUSABLE', `nodekiln’s journal knows nothing of ${id}`, { resource: id });
}

/** Which resources stand where something of somebody else was, which is kept and comes back after them. */
export async function withOriginals(files: Files): Promise<(id: ResourceId) => boolean> {
  const isKept = await originalsKept(files);
  return (id) => kindOf(id) === 'file' && isKept(nameOf(id));
}

/** Throws what stands against carrying the plan out from where we run: NK_PLAN_SELF_WAIT. */
export async function checkPlan(host: Host, plan: Plan, selfUnit: string | undefined): Promise<void> {
  for (const effect of Object.values(effects)) await effect.check?.(host, plan, selfUnit);
}

/** Carries out one step. */
export async function performStep({ action }: Step, context: PerformContext): Promise<void> {
  return perform(action.do, action, context);
}

function perform<D extends ActionName>(name: D, action: ActionOf<D>, context: PerformContext): Promise<void> {
  return performers[name](context, action);
}

/** Carries out several `write` steps as one durable batch. */
export async function performWriteBatch(steps: readonly Step[], context: PerformContext): Promise<void> {
  await performWrites(
    context.host,
    steps.flatMap(({ action }) => (action.do === 'write' ? [action] : [])),
  );
}

function resourceOf<K extends ResourceKind>(context: PerformContext, id: ResourceId, kind: K): Resources[K] {
  const resource = context.resource(id);
  if (isOf(kind, resource)) return resource;
  throw new NodekilnError('NK_INTERNAL', `${id} is not a ${kind}`);
}

function isOf<K extends ResourceKind>(kind: K, resource: Resource): resource is Resources[K] {
  return resource.kind === kind;
}
