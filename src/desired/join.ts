/** What a boot looks after beside kubelet's start: how the node comes to be one of its cluster. Pure. */
import type { ClusterItem, NodeSpec } from '../config/complete.ts';
import { isNodeName } from '../config/cluster-checks.ts';
import { parseDuration } from '../config/duration.ts';
import type { Facts } from '../model/facts.ts';
import type { SensitiveText } from '../model/resources.ts';
import { isOfNode } from './pod-network.ts';
import { proxyVariables, type Variable } from './proxy.ts';

/** How far a boot in a cluster goes: kubelet is healthy; the cluster has the Node; the Node is Ready. */
export type JoinGoal = 'healthz' | 'registered' | 'ready';

/** How a node joins its cluster. */
export interface Join {
  readonly nodeName: string;
  readonly goal: JoinGoal;
  /** How long after kubelet's start something known may stand in the way before the boot ends without its goal. */
  readonly deadlineMs: number;
  readonly unjoined: 'degraded' | 'failed';
  /** Addresses of the API server, in the order to ask; none when a kubeconfig of somebody else's says where it is. */
  readonly servers: readonly string[];
  /** Variables of the proxy that kubelet is given; absent where the document names none. */
  readonly proxy?: readonly Variable[];
  /** PEM; '' when the kubeconfig says who vouches for the server. */
  readonly ca: string;
  /** What kubelet uses. */
  readonly kubeconfig: string;
  /** What it gets its first certificate with. */
  readonly token?: { readonly value: SensitiveText } | { readonly file: string };
  /** kubelet had its certificate already when the facts were observed. */
  readonly hasCertificate: boolean;
  /** kubelet asks the cluster for the certificate of its own API, and somebody must approve it. */
  readonly servingByCluster: boolean;
  /** The Node is Ready only when the cluster has given it addresses for pods. */
  readonly needsPodCidr: boolean;
  /** What the agent keeps on the Node. */
  readonly node: Pick<NodeSpec['kubelet'], 'labels' | 'annotations' | 'taints'>;
}

const ownKubeconfigPath = '/var/lib/kubelet/kubeconfig';

/** The kubeconfig that kubelet uses: the document's, or the one that is written for it. */
export function kubeconfigPathOf({ kubeconfig }: ClusterItem): string {
  return kubeconfig ?? ownKubeconfigPath;
}

/** The name that kubelet gives the Node: the document's, or the host's in lower case. */
export function nodeNameOf({ kubelet }: Pick<NodeSpec, 'kubelet'>, facts: Facts): string {
  const flag = kubelet.flags['hostname-override'];
  return kubelet.nodeName ?? (flag === undefined ? facts.hostName.trim().toLowerCase() : String(flag));
}

/** Names that many machines have before they get one of their own. */
const commonNames = new Set(['', 'localhost', 'localhost.localdomain', '(none)']);

/** Why the name cannot be that of a Node; undefined when it can. */
export function nodeNameProblem(name: string): string | undefined {
  if (commonNames.has(name)) return `the host's name "${name}" is no name of its own`;
  return isNodeName(name) ? undefined : `the host's name "${name}" cannot be the name of a Node`;
}

export function joinOf(spec: NodeSpec, cluster: ClusterItem, facts: Facts): Join {
  const { goal, joinDeadline, unjoined } = spec.boot;
  // kubelet's own field wins over ours.
  const { serverTLSBootstrap } = spec.kubelet.configuration;
  const { bootstrapToken: value, bootstrapTokenFile: file } = cluster;
  const proxy = proxyVariables(spec);
  const token = value ? { value } : file === undefined ? undefined : { file };
  return {
    nodeName: nodeNameOf(spec, facts),
    goal,
    deadlineMs: parseDuration(joinDeadline),
    unjoined,
    servers: cluster.servers,
    ...(proxy.length > 0 && { proxy }),
    ca: cluster.caBundle,
    kubeconfig: kubeconfigPathOf(cluster),
    ...(token && { token }),
    hasCertificate: facts.nodeCertificate !== undefined && facts.nodeCertificate === nodeNameOf(spec, facts),
    servingByCluster: (serverTLSBootstrap ?? cluster.servingCertificate === 'cluster') === true,
    needsPodCidr: isOfNode(spec.network.cni),
    node: nodePartOf(spec),
  };
}

/** What a document says of the Node itself. */
export function nodePartOf({ kubelet: { labels, annotations, taints } }: Pick<NodeSpec, 'kubelet'>): Join['node'] {
  return { labels, annotations, taints };
}
