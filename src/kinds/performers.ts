/** The table of kinds, effect half: observation by kind, performance by action. Exhaustive, no magic. */
import type { Resource, ResourceId } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { Observation, Step } from '../model/steps.ts';
import { observeAction, performAction } from './action/apply.ts';
import { observeBinary, performActivate, performCache, performForget } from './binary/apply.ts';
import { observeExtension, performFetchExtension } from './extension/apply.ts';
import { observeEntry, performRemove, performWrites } from './file/apply.ts';
import { observeImage, performImport } from './image/apply.ts';
import { observeKernel, performModule, performSysctl } from './kernel/apply.ts';
import type { ObserveContext, PerformContext } from './performer.ts';
import { kindOf } from './planners.ts';
import { observeUnit, performJob, performReady, performReload } from './unit/apply.ts';

/** Observes one id, desired or only touched. */
export async function observe(
  context: ObserveContext,
  id: ResourceId,
  desired: Resource | undefined,
): Promise<Observation> {
  const touched = context.touched(id);
  const definition = desired ?? touched?.definitions.at(-1);
  const kind = kindOf(id);
  switch (kind) {
    case 'file':
      return { kind, entry: await observeEntry(context.host.files, id.slice('file:'.length)) };
    case 'unit':
      return observeUnit(context, id.slice('unit:'.length), {
        resource: desired?.kind === 'unit' ? desired : undefined,
        touched,
      });
    case 'binary':
      if (definition?.kind === 'binary') return observeBinary(context, definition);
      break;
    case 'image':
      if (definition?.kind === 'image') return observeImage(definition, touched);
      break;
    case 'kernel':
      if (definition?.kind === 'kernel') return observeKernel(context.host, definition);
      break;
    case 'action':
      // What is only remembered is never run again: no need to ask its guard.
      if (desired?.kind === 'action') return observeAction(context.host, desired);
      return { kind, done: true };
    case 'extension':
      return observeExtension(context, id.slice('extension:'.length));
  }
  throw new NodekilnError('NK_STATE_UNUSABLE', `the journal knows nothing of ${id}`, { resource: id });
}

/** Carries out one step. */
export async function performStep(step: Step, context: PerformContext): Promise<void> {
  const { action } = step;
  switch (action.do) {
    case 'write':
      return performWrites(context.host, [action]);
    case 'remove':
      return performRemove(context.host, action);
    case 'daemon-reload':
      return performReload(context, action);
    case 'enablement':
      await context.host.units.setEnablement(action.change, [action.unit]);
      return;
    case 'start':
    case 'restart':
    case 'reload':
    case 'stop':
      return performJob(context, action);
    case 'ready':
      return performReady(context, action);
    case 'cache':
      return performCache(context, resourceOf(context, action.binary, 'binary'));
    case 'activate':
      return performActivate(context, resourceOf(context, action.binary, 'binary'));
    case 'forget-cached':
      return performForget(context, action);
    case 'fetch-extension':
      return performFetchExtension(context, resourceOf(context, action.extension, 'extension'));
    case 'merge-extensions': {
      // Loaded only where there are extensions.
      const { performMerge } = await import('./extension/merge.ts');
      return performMerge(context, action);
    }
    case 'import':
      return performImport(context, resourceOf(context, action.image, 'image'));
    case 'module':
      return performModule(context, action.name);
    case 'sysctl':
      return performSysctl(context, action);
    case 'run':
      return performAction(context, resourceOf(context, action.action, 'action'));
    case 'release':
      return;
  }
}

/** Carries out several `write` steps as one durable batch. */
export async function performWriteBatch(steps: readonly Step[], context: PerformContext): Promise<void> {
  await performWrites(
    context.host,
    steps.flatMap(({ action }) => (action.do === 'write' ? [action] : [])),
  );
}

function resourceOf<K extends Resource['kind']>(
  context: PerformContext,
  id: ResourceId,
  kind: K,
): Extract<Resource, { kind: K }> {
  const resource = context.resource(id);
  if (resource.kind === kind) return resource as Extract<Resource, { kind: K }>;
  throw new NodekilnError('NK_INTERNAL', `${id} is not a ${kind}`);
}
