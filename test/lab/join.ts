/** The document of a host that joins a lab's cluster, for demo, tests and benchmarks. */
import { stringify } from 'yaml';
import type { Cluster } from './cluster.ts';

export interface JoinOptions {
  /** Of `cluster.newToken()`. Absent: the host has no way to ask for a certificate. */
  readonly token?: string;
  /** Addresses of this host's pods; no other host may have them. Default: those that the cluster gives its Node. */
  readonly podSubnet?: string;
  /** Default: the cluster's. */
  readonly server?: string;
  /** Default: the cluster's. */
  readonly caBundle?: string;
  /** kubelet's. Default: 1.34.3. */
  readonly version?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default: the host's name. */
  readonly nodeName?: string;
  /** Fields of KubeletConfiguration. */
  readonly kubeletConfiguration?: Readonly<Record<string, unknown>>;
  /** Further sections of `spec`. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** A full disk of the machine is not the host's: kubelet's own thresholds (15 % of it) would take its pods away. */
const evictAt = {
  'memory.available': '100Mi',
  'nodefs.available': '200Mi',
  'imagefs.available': '200Mi',
  'nodefs.inodesFree': '1%',
};

/** A NodeConfig of the lab's images; what a test changes of it is in the options. */
export function joinDocument(cluster: Pick<Cluster, 'server' | 'caBundle'>, options: JoinOptions): string {
  const { token, podSubnet, version = '1.34.3', labels, nodeName, kubeletConfiguration, spec } = options;
  return stringify({
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    metadata: { name: 'joining' },
    spec: {
      kubernetes: { version },
      cluster: {
        server: options.server ?? cluster.server,
        caBundle: options.caBundle ?? cluster.caBundle,
        ...(token !== undefined && { bootstrapToken: token }),
      },
      kubelet: {
        ...(labels && { labels }),
        ...(nodeName !== undefined && { nodeName }),
        configuration: { evictionHard: evictAt, ...kubeletConfiguration },
      },
      // A lab host has no CAP_SYS_RESOURCE.
      containerd: { restrictOomScoreAdj: true },
      network: { cni: { type: 'bridge', ...(podSubnet !== undefined && { subnet: podSubnet }), masquerade: false } },
      binaries: { tools: { kubectl: { version: '1.32.3' } } },
      ...spec,
    },
  });
}
