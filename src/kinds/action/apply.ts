/** Effects of `action` resources: the command, then its guard again: a command that leaves its guard unmet has failed. */
import type { ActionResource } from '../../model/resources.ts';
import { NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import type { ActionObservation } from '../../model/steps.ts';
import type { PerformContext } from '../performer.ts';

const guardTimeoutMs = 10_000;

export async function observeAction(
  host: Host,
  resource: ActionResource,
  signal?: AbortSignal,
): Promise<ActionObservation> {
  const { guard } = resource;
  if (guard.type === 'path') return { kind: 'action', done: (await host.files.stat(guard.path)) !== undefined };
  const result = await host.exec.run(guard.argv, { timeoutMs: guardTimeoutMs, ...(signal && { signal }) });
  return { kind: 'action', done: result.status === 0 };
}

export async function performAction(context: PerformContext, resource: ActionResource): Promise<void> {
  const result = await context.host.exec.run(resource.argv, {
    timeoutMs: resource.timeoutMs,
    ...(resource.env && { env: resource.env }),
    ...(context.signal && { signal: context.signal }),
  });
  const lines = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-20);
  if (result.status !== 0) {
    throw new NodekilnError('NK_ACTION_FAILED', `${resource.argv[0]} ended with exit status ${result.status}`, {
      resource: resource.id,
      lines,
    });
  }
  if ((await observeAction(context.host, resource, context.signal)).done) return;
  throw new NodekilnError(
    'NK_ACTION_FAILED',
    `${resource.argv[0]} succeeded, but its guard still says that it is not done`,
    { resource: resource.id, lines },
  );
}
