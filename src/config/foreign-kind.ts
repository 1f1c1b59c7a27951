/** What a document that is none of ours looks like, and what to do with it here, for who mistook it. Pure. */
import { isMap } from './paths.ts';

/** What it looks like, and a sentence of its own where there is more to say than how ours are called. */
type Look = readonly [what: string, advice?: string];

const useOurs = 'Use apiVersion nodekiln.dev/v1alpha1 and one of the kinds that `nodekiln schema` lists.';
const embeds = 'Its settings go into a NodeConfig; `nodekiln schema NodeConfig` says which there are.';

const groups: readonly (readonly [group: RegExp, look: Look])[] = [
  [/^nodekiln\.dev(\/|$)/, ['a document of another version of nodekiln']],
  [
    /^kubeadm\.k8s\.io\//,
    [
      'a document of kubeadm',
      'How a node joins is said in `spec.cluster` of a NodeConfig, how its kubelet runs in `spec.kubelet`.',
    ],
  ],
  [/^node\.eks\.aws\//, ['a document of nodeadm', embeds]],
  [
    /^(kubelet|credentialprovider)\.config\.k8s\.io\//,
    ['a configuration of kubelet', 'Its fields go into `spec.kubelet.configuration` of a NodeConfig.'],
  ],
  [/^kubeproxy\.config\.k8s\.io\//, ['a configuration of kube-proxy', 'Put it into `spec.files` of a NodeConfig.']],
  [
    /^(extensions|nodeagent\.config)\.gardener\.cloud\//,
    [
      'a document of Gardener',
      'Of its kinds an OperatingSystemConfig (extensions.gardener.cloud/v1alpha1) is read, where nodes are described.',
    ],
  ],
  [/\.cluster\.x-k8s\.io\//, ['a document of Cluster API', embeds]],
  [/^kops\.k8s\.io\//, ['a document of kOps', embeds]],
  // Talos names its kinds without a group.
  [/^v1alpha1$/, ['a document of Talos', embeds]],
  [
    /^([a-z]+\/)?v\d+((alpha|beta)\d+)?$/,
    [
      'an object of Kubernetes',
      'Give the document that it holds; the agent reads a Secret with `--source secret:NAMESPACE/NAME`.',
    ],
  ],
];

const cloudConfigKeys = [
  'apt',
  'bootcmd',
  'cloud_final_modules',
  'disk_setup',
  'fqdn',
  'groups',
  'hostname',
  'ntp',
  'package_update',
  'packages',
  'power_state',
  'runcmd',
  'ssh_authorized_keys',
  'ssh_pwauth',
  'swap',
  'users',
  'write_files',
  'yum_repos',
];
const agentbakerKeys = ['Packages', 'ContainerImages', 'GPUContainerImages', 'OCIArtifacts'];

/** `a document of kubeadm. What of it stands where.`; undefined for what looks like nobody's. */
export function foreignDocument(value: Readonly<Record<string, unknown>>): string | undefined {
  const look = lookOf(value);
  return look && `${look[0]}. ${look[1] ?? useOurs}`;
}

/** Of several documents in one file: whose they look like, each once, and what to do; undefined for what looks like nobody's. */
export function foreignDocuments(values: readonly unknown[]): string | undefined {
  const looks = values
    .filter(isMap)
    .map(lookOf)
    .filter((look) => look !== undefined);
  if (looks.length === 0) return undefined;
  const whose = [...new Set(looks.map(([what]) => what))].join(', ');
  return [`${whose}.`, ...new Set(looks.map(([, advice = useOurs]) => advice))].join(' ');
}

function lookOf(value: Readonly<Record<string, unknown>>): Look | undefined {
  const has = (key: string): boolean => Object.hasOwn(value, key);
  const group = value['apiVersion'];
  if (typeof group === 'string') return groups.find(([pattern]) => pattern.test(group))?.[1];
  if (isMap(value['ignition'])) return ['a configuration of Ignition', embeds];
  if (has('variant') && has('version')) return ['a configuration of Butane', embeds];
  if (isMap(value['machine'])) return ['a configuration of Talos', embeds];
  if (agentbakerKeys.some(has))
    return ['AgentBaker’s inventory', '`nodekiln manifest import agentbaker FILE` makes an Inventory of it.'];
  return cloudConfigKeys.some(has) ? ['a cloud-config of cloud-init', embeds] : undefined;
}
