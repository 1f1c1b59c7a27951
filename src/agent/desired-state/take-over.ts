/** What another agent had put in place on this host becomes ours. */
import { count } from '../../model/count.ts';
import type { Journal } from '../../apply/journal.ts';
import type { NodeAsk } from '../../documents/kinds/kind.ts';
import { sealInPlace } from '../../kinds/file/image.ts';
import type { AgentContext } from '../controller.ts';

const predecessorNote = 'predecessor';

/**
 * What another agent put in place is ours before the first document is applied: what that still asks for is left alone and
 * restarts nothing, and what it no longer asks for goes.
 */
export async function takeOver(
  context: AgentContext,
  journal: Journal,
  predecessor: NonNullable<NodeAsk['predecessor']>,
): Promise<void> {
  const { host, cluster, onNotice } = context;
  if (journal.note(predecessorNote) !== undefined || (journal.claims().agent ?? []).length > 0) return;
  const found = await predecessor(host.files);
  if (!found) return;
  const { resources, remarks } = found;
  for (const resource of resources) if (resource.kind === 'file') await sealInPlace({ host, notes: journal }, resource);
  journal.takeOver('agent', resources, { [predecessorNote]: { resources: resources.length } });
  const message = [
    `what gardener-node-agent put in place is taken over: ${count(resources.length, 'resource')}`,
    ...remarks,
  ].join('; ');
  const type = remarks.length > 0 ? 'Warning' : 'Normal';
  for (const say of [cluster?.event, onNotice]) say?.({ type, reason: 'NodeTakenOver', message });
}
