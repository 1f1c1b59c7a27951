/**
 * Every default of a NodeConfig, in one place. They are the first of the merged sources, so a document overrides them
 * like any other; `config dump` marks them `default`. Defaults of single items (`mode` of a file) are at the end. Pure.
 */
import type { AddressFamily } from './address-families.ts';
import { podCidr } from './cluster-checks.ts';
import type { NodeSpecDocument } from './schema-node.ts';

export const kubeletConfigPath = '/etc/kubernetes/kubelet.yaml';
export const staticPodFolder = '/etc/kubernetes/manifests';
export const caPath = '/etc/kubernetes/pki/ca.crt';
export const credentialProviderFolder = '/usr/libexec/kubernetes/credential-providers';
export const containerdSocket = '/run/containerd/containerd.sock';
/** kubelet's own default, too. */
export const kubeletHealthzPort = 10248;
export const healthzUrl = `http://127.0.0.1:${kubeletHealthzPort}/healthz`;

/** Where sources are found on a host, in the order they merge. */
export const documentPaths = {
  /** Written by the bake from `spec.nodeConfig` of the ImageManifest. */
  image: '/etc/nodekiln/image.json',
  /** Files *.yaml, *.yml and *.json in lexical order. */
  folder: '/etc/nodekiln/conf.d',
  /** What the agent follows unless told otherwise. */
  desired: '/etc/nodekiln/desired',
  /** How the agent goes about it: an AgentConfig. */
  agent: '/etc/nodekiln/agent.yaml',
} as const;

/** With or without a cluster. */
const always: NodeSpecDocument = {
  kubelet: {
    configuration: {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      // The driver that agrees with systemd as PID 1; containerd is told the same.
      cgroupDriver: 'systemd',
      containerRuntimeEndpoint: `unix://${containerdSocket}`,
      // A machine with swap still boots; pods get none (NoSwap is kubelet's own default).
      failSwapOn: false,
      healthzBindAddress: '127.0.0.1',
      healthzPort: kubeletHealthzPort,
      // Unauthenticated.
      readOnlyPort: 0,
      staticPodPath: staticPodFolder,
      // kubelet's own default lies below /usr, which immutable systems mount read-only.
      volumePluginDir: '/var/lib/kubelet/volumeplugins',
    },
    flags: {},
    labels: {},
    annotations: {},
    taints: [],
    staticPods: [],
  },
  containerd: { restrictOomScoreAdj: false, configuration: {}, registries: [] },
  network: { cni: { type: 'none' } },
  kernel: {
    // Best effort, because kernels without modules have it built in.
    modules: [{ name: 'overlay', importance: 'bestEffort', scope: 'shared' }],
    sysctls: [],
  },
  binaries: {
    policy: 'cache-first',
    tools: {
      kubelet: { scope: 'shared' },
      // A person's tool: neither worth failing a boot nor waiting for.
      kubectl: { scope: 'shared', importance: 'bestEffort', deferrable: true },
    },
  },
  files: [],
  units: [],
  actions: [],
  boot: { deadline: '10m', goal: 'registered', joinDeadline: '8s', unjoined: 'degraded', deferrable: {} },
  takeover: false,
};

/** No API server can say who may ask kubelet what: nobody is authenticated, and only this host can connect. */
const standAlone: NodeSpecDocument = {
  kubelet: {
    configuration: {
      address: '127.0.0.1',
      authentication: { anonymous: { enabled: false }, webhook: { enabled: false } },
      authorization: { mode: 'AlwaysAllow' },
    },
  },
};

/** The API server decides who may ask kubelet what. */
const inCluster: NodeSpecDocument = {
  cluster: { domain: 'cluster.local', servingCertificate: 'self-signed' },
  kubelet: {
    configuration: {
      authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
      authorization: { mode: 'Webhook' },
      rotateCertificates: true,
    },
  },
};

/** A bridge needs forwarding, and its traffic to pass through the packet filter. */
const withBridge: NodeSpecDocument = {
  network: { cni: { bridge: 'cni0', masquerade: true } },
  kernel: {
    modules: [{ name: 'br_netfilter', importance: 'bestEffort', scope: 'shared' }],
    sysctls: [
      {
        key: 'net.bridge.bridge-nf-call-iptables',
        value: '1',
        importance: 'bestEffort',
        scope: 'shared',
        needs: ['kernel:module/br_netfilter'],
      },
      { key: 'net.ipv4.ip_forward', value: '1', scope: 'shared' },
    ],
  },
};

/**
 * The same for IPv6, where a document gives an address of it: forwarding takes a machine's own routes away that it has out of
 * router advertisements, unless it is told otherwise (desired/network.ts).
 */
const withBridgeOfSix: NodeSpecDocument = {
  kernel: {
    modules: [],
    sysctls: [
      {
        key: 'net.bridge.bridge-nf-call-ip6tables',
        value: '1',
        importance: 'bestEffort',
        scope: 'shared',
        needs: ['kernel:module/br_netfilter'],
      },
      { key: 'net.ipv6.conf.all.forwarding', value: '1', scope: 'shared' },
    ],
  },
};

/** A cluster gives each of its Nodes addresses for pods, and sees to it that no two have the same. */
const bridgeInCluster: NodeSpecDocument = { network: { cni: { subnet: podCidr } } };

interface DefaultsAsked {
  readonly cluster: boolean;
  readonly bridge: boolean;
  /** Of the addresses that documents give pods, node and the cluster's DNS. */
  readonly families: ReadonlySet<AddressFamily>;
}

/** The default sources for what the documents together ask for, in the order they merge. */
export function defaultsFor({ cluster, bridge, families }: DefaultsAsked): NodeSpecDocument[] {
  return [
    always,
    cluster ? inCluster : standAlone,
    ...(bridge ? [withBridge] : []),
    ...(bridge && families.has('IPv6') ? [withBridgeOfSix] : []),
    ...(bridge && cluster ? [bridgeInCluster] : []),
  ];
}

export const policyDefaults = { importance: 'required', scope: 'node', takeover: false, needs: [] } as const;

export const itemDefaults = {
  file: { mode: '0644', owner: 'root', group: 'root', sensitive: false, deferrable: false },
  secretFileMode: '0600',
  folderMode: '0755',
  unit: { onChange: 'restart', deadline: '90s', sensitive: false, deferrable: false },
  action: { timeout: '60s', deferrable: false },
  tool: { type: 'file', deferrable: false },
  mirror: { capabilities: ['pull', 'resolve'], overridePath: false, skipVerify: false },
} as const;

/** Of the units that are rendered from other parts of a document; what a document says about one of them wins. */
export const ownUnitDefaults = {
  'containerd.service': { ...policyDefaults, ...itemDefaults.unit, scope: 'shared', deadline: '60s' },
  'kubelet.service': { ...policyDefaults, ...itemDefaults.unit, deadline: '2m' },
  'systemd-sysext.service': {
    ...policyDefaults,
    ...itemDefaults.unit,
    scope: 'shared',
    onChange: 'none',
    deadline: '60s',
  },
} as const;

export function unitDefaults(name: string) {
  const own: Readonly<Record<string, (typeof ownUnitDefaults)[keyof typeof ownUnitDefaults]>> = ownUnitDefaults;
  return Object.hasOwn(own, name) ? (own[name] ?? plainUnit) : plainUnit;
}

const plainUnit = { ...policyDefaults, ...itemDefaults.unit } as const;
