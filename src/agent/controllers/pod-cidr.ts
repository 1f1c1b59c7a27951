/**
 * The network of pods that have the Node's own podCIDRs (`desired/pod-network.ts`). containerd makes it once, when kubelet tells it
 * the podCIDRs; a Node that was deleted and made again has others, and the ones it had may be another Node's by then.
 */
import { bytesOf, textOf } from '../../model/bytes.ts';
import { filledPath, filledTemplate, podNetworkTemplatePath } from '../../desired/pod-network.ts';
import { podCidrsOf, type NodeCluster } from '../cluster.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';

const resyncMs = 60_000;
const deadlineMs = 10_000;

/** Undefined without a cluster. */
export function podCidr({ cluster, host: { files }, onNotice }: AgentContext): ControllerBody | undefined {
  if (!cluster) return undefined;
  return {
    inputs: [{ name: 'podCIDRs', watch: (signal) => otherPodCidrs(cluster, signal) }],
    outputs: ['file:/run/nodekiln-cni'],
    resyncMs,
    deadlineMs,
    reconcile: async () => {
      const podCidrs = podCidrsOf(cluster.node());
      if (podCidrs.length === 0 || cluster.contest) return { outcome: 'done' };
      const template = textOf(await files.read(podNetworkTemplatePath));
      if (template === undefined) return { outcome: 'done' };
      const path = filledPath(template);
      const before = textOf(await files.read(path));
      const wanted = filledTemplate(template, podCidrs);
      if (before === wanted) return { outcome: 'done' };
      await files.write([{ type: 'file', path, content: bytesOf(wanted), mode: 0o644, uid: 0, gid: 0 }]);
      const had = subnetsIn(before ?? '');
      const has = podCidrs.join(', ');
      if (had === '' || had === has) return { outcome: 'done' };
      const message = `pods get addresses of ${has} now; those of ${had} may be another node’s: make pods anew that have them`;
      for (const say of [cluster.event, onNotice]) say?.({ type: 'Warning', reason: 'PodCidrChanged', message });
      return { outcome: 'done' };
    },
  };
}

/** Yields when the Node has other podCIDRs. */
async function* otherPodCidrs(cluster: NodeCluster, signal: AbortSignal): AsyncGenerator<void> {
  let known: string | undefined;
  for await (const _change of cluster.watchNode(signal)) {
    const now = podCidrsOf(cluster.node()).join();
    if (now === known) continue;
    known = now;
    yield;
  }
}

function subnetsIn(network: string): string {
  return [...network.matchAll(/"subnet": "([^"]*)"/g)].map(([, subnet]) => subnet).join(', ');
}
