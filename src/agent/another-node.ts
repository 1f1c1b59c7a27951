import type { NodeCluster } from './cluster.ts';

/** Yields when the Node is one that was made anew. */
export async function* anotherNode(cluster: NodeCluster, signal: AbortSignal): AsyncGenerator<void> {
  let known: string | undefined;
  for await (const _change of cluster.watchNode(signal)) {
    const uid = cluster.node()?.metadata.uid;
    if (uid === known) continue;
    known = uid;
    if (uid !== undefined) yield;
  }
}
