/**
 * The NodeConfig that rendering takes: merged, with the defaults of every item, with secrets wrapped so that nothing
 * prints them by accident, and with everything there that must be. Pure.
 */
import type { SensitiveText } from '../model/resources.ts';
import {
  completeAction,
  completeExtension,
  completeFile,
  completeModule,
  completeRegistry,
  completeSysctl,
  completeTool,
  completeUnit,
  isPlainTool,
  sensitive,
  sourcesCompletion,
  transferCompletion,
} from './complete-items.ts';
import type {
  ActionItem,
  BinarySourcesItem,
  ExtensionItem,
  FileItem,
  Item,
  ModuleItem,
  RegistryItem,
  Section,
  SysctlItem,
  ToolItem,
  TransferItem,
  UnitItem,
  With,
} from './complete-items.ts';
import {
  completed,
  each,
  given,
  kept,
  lack,
  or,
  required,
  section,
  sectionOrDefaults,
  within,
  type Completion,
  type Lack,
  type Scope,
} from './completion.ts';
import { addressBytes } from '../model/ip-address.ts';
import { credentialProviderFolder } from './defaults.ts';
import { podCidr } from './cluster-checks.ts';
import { refuseOwnFlags } from './kubelet-flags.ts';
import { isNeverDeferrable } from './never-deferrable.ts';
import { isRestrictedLabel } from './node-labels.ts';
import { valueAt } from './paths.ts';
import { inWords } from './words.ts';
import type { NodeConfigDocument, NodeSpecDocument } from './schema-node.ts';

type ExecDocument = NonNullable<Section<'cluster'>['exec']>;
type ExecItem = With<ExecDocument, 'args' | 'env' | 'apiVersion'>;
export type ClusterItem = Omit<
  With<Section<'cluster'>, 'server' | 'servers' | 'caBundle' | 'domain' | 'dns' | 'servingCertificate'>,
  'bootstrapToken' | 'exec'
> & {
  readonly bootstrapToken?: SensitiveText;
  readonly exec?: ExecItem;
};
export interface ProxyItem {
  readonly http?: SensitiveText;
  readonly https?: SensitiveText;
  readonly noProxy: readonly string[];
}
type CniDocument = NonNullable<Section<'network'>['cni']>;
export type CniItem = With<CniDocument, 'type'>;
type CredentialProvidersDocument = NonNullable<Section<'kubelet'>['credentialProviders']>;
type CredentialProvidersItem = With<CredentialProvidersDocument, 'binDir'>;
type StaticPodDocument = Item<Section<'kubelet'>['staticPods']>;
type ClientCertificateDocument = NonNullable<Section<'cluster'>['clientCertificate']>;
type InPlaceDocument = Section<'inPlaceUpdates'>;
type InPlaceItem = With<InPlaceDocument, 'drain'>;
type OperatingSystemDocument = NonNullable<InPlaceDocument['operatingSystem']>;
type StaticPodItem = With<StaticPodDocument, 'manifest'>;

/**
 * What a node should be, with every default: docs/reference/schema-node-config.md describes the fields. Secrets are wrapped
 * (`SensitiveText`).
 */
export interface NodeSpec {
  readonly kubernetes: { readonly version: string };
  readonly cluster?: ClusterItem;
  readonly kubelet: Omit<
    With<Section<'kubelet'>, 'configuration' | 'flags' | 'labels' | 'annotations' | 'taints'>,
    'staticPods' | 'credentialProviders'
  > & {
    readonly staticPods: readonly StaticPodItem[];
    readonly credentialProviders?: CredentialProvidersItem;
  };
  readonly containerd: Omit<With<Section<'containerd'>, 'restrictOomScoreAdj' | 'configuration'>, 'registries'> & {
    readonly registries: readonly RegistryItem[];
  };
  readonly network: { readonly proxy?: ProxyItem; readonly cni: CniItem };
  readonly kernel: { readonly modules: readonly ModuleItem[]; readonly sysctls: readonly SysctlItem[] };
  readonly binaries: {
    readonly policy: NonNullable<Section<'binaries'>['policy']>;
    readonly sources?: BinarySourcesItem;
    readonly transfer?: TransferItem;
    readonly cache?: Section<'binaries'>['cache'];
    readonly tools: Readonly<Record<string, ToolItem>>;
  };
  readonly extensions: readonly ExtensionItem[];
  readonly usrLocal: 'host' | 'writable';
  readonly trust: { readonly anchors: readonly AnchorItem[] };
  readonly files: readonly FileItem[];
  readonly units: readonly UnitItem[];
  readonly actions: readonly ActionItem[];
  readonly boot: With<Section<'boot'>, 'deadline' | 'goal' | 'joinDeadline' | 'unjoined' | 'deferrable'>;
  readonly inPlaceUpdates?: InPlaceItem;
  readonly takeover: boolean;
}

type AnchorDocument = Item<Section<'trust'>['anchors']>;
type AnchorItem = With<AnchorDocument, 'certificates'>;

/** A NodeConfig as rendering takes it. */
export interface NodeConfig {
  readonly apiVersion: string;
  readonly kind: 'NodeConfig';
  readonly metadata?: { readonly name?: string | undefined };
  readonly spec: NodeSpec;
}

/** The whole, and what it lacks; the whole is usable only when nothing does. */
export function completeNodeConfig(document: NodeConfigDocument): { config: NodeConfig; lacks: readonly Lack[] } {
  const lacks: Lack[] = [];
  const kubernetesVersion = document.spec.kubernetes?.version ?? '';
  const config = completed(nodeConfigCompletion, document, { path: [], lacks, kubernetesVersion });
  return { config: withoutToolsOfExtensions(config, document.spec), lacks };
}

/** A program that an extension brings is no longer taken from `binaries`, unless something is said about it there. */
function withoutToolsOfExtensions(config: NodeConfig, document: NodeSpecDocument): NodeConfig {
  const { binaries, extensions } = config.spec;
  const brought = new Set(extensions.flatMap(({ tools }) => tools));
  const tools = Object.entries(binaries.tools).filter(
    ([name]) => !(brought.has(name) && isPlainTool(document.binaries?.tools?.[name] ?? {})),
  );
  return { ...config, spec: { ...config.spec, binaries: { ...binaries, tools: Object.fromEntries(tools) } } };
}

// ── parts of the spec ────────────────────────────────────────────────────────────────────────────────────────────

const kubernetes: Completion<Section<'kubernetes'>, NodeSpec['kubernetes']> = {
  version: required('kubernetes.version is missing: no source says which Kubernetes'),
};

const clientCertificate: Completion<ClientCertificateDocument, ClientCertificateDocument> = {
  certificateFile: kept,
  keyFile: kept,
};

const exec: Completion<ExecDocument, ExecItem> = {
  command: kept,
  args: or([]),
  env: or({}),
  apiVersion: or('client.authentication.k8s.io/v1'),
};

const cluster: Completion<Section<'cluster'>, ClusterItem> = {
  server: (server, { servers, kubeconfig }, scope) => {
    if (server !== undefined && servers) lack(scope, 'server and servers are both given: which one is it?');
    const first = server ?? servers?.[0];
    if (first === undefined && kubeconfig === undefined) lack(scope, 'server is missing: the URL of the API server');
    return first ?? '';
  },
  servers: (servers, { server }) => servers ?? (server === undefined ? [] : [server]),
  caBundle: (bundle, { kubeconfig }, scope) => {
    if (bundle === undefined && kubeconfig === undefined)
      lack(scope, 'caBundle is missing: who vouches for the API server');
    return bundle ?? '';
  },
  bootstrapToken: sensitive,
  bootstrapTokenFile: kept,
  clientCertificate: section(clientCertificate),
  exec: section(exec),
  kubeconfig: (kubeconfig, whole, scope) => {
    refuseSeveralCredentials(whole, scope);
    return kubeconfig;
  },
  servingCertificate: given,
  dns: or([]),
  domain: given,
};

/** Who kubelet says it is: one way, or none for a machine that has its certificate already. */
function refuseSeveralCredentials(whole: Section<'cluster'>, scope: Scope): void {
  const ways = ['bootstrapToken', 'bootstrapTokenFile', 'clientCertificate', 'exec', 'kubeconfig'] as const;
  const chosen = ways.filter((way) => whole[way] !== undefined);
  if (chosen.length > 1)
    lack(scope, `${chosen.join(' and ')} are given: kubelet shows one of them`, 'Remove all but one.');
  const doubled = (['server', 'servers'] as const).filter((field) => whole[field] !== undefined);
  if (whole.kubeconfig !== undefined && doubled.length > 0)
    lack(scope, `kubeconfig and ${doubled.join(' and ')} are given: the kubeconfig says which server`, 'Remove one.');
}

const staticPod: Completion<StaticPodDocument, StaticPodItem> = {
  name: kept,
  manifest: required(({ name }) => `manifest is missing for the static pod ${name}`),
};

const credentialProviders: Completion<CredentialProvidersDocument, CredentialProvidersItem> = {
  configuration: kept,
  binDir: or(credentialProviderFolder),
};

function refuseRestrictedLabels(keys: readonly string[], scope: Scope): void {
  for (const key of keys.filter(isRestrictedLabel))
    lack(
      scope,
      `kubelet refuses to give its own node the label ${key}`,
      'Use a name below node.kubernetes.io or of your own domain; other labels of Kubernetes are given in the cluster.',
    );
}

/** nodekiln knows by it that kubelet is well: where it is asked must be where it answers. */
function refuseHealthzAway(configuration: unknown, scope: Scope): void {
  const [port, address] = [valueAt(configuration, ['healthzPort']), valueAt(configuration, ['healthzBindAddress'])];
  const hint = 'Give a port, or leave it out.';
  if (port === 0)
    lack(
      within(scope, 'healthzPort'),
      'healthzPort 0 switches kubelet’s healthz off, by which nodekiln knows that kubelet is well',
      hint,
    );
  else if (!isAbsent(port) && !(Number.isInteger(port) && Number(port) > 0 && Number(port) <= 65_535))
    lack(within(scope, 'healthzPort'), `healthzPort must be a port, is ${inWords(port)}`, hint);
  if (!isAbsent(address) && (typeof address !== 'string' || !addressBytes(address)))
    lack(
      within(scope, 'healthzBindAddress'),
      `healthzBindAddress must be an IP address, is ${inWords(address)}`,
      'Give an address of the host, or leave it out.',
    );
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

const kubelet: Completion<Section<'kubelet'>, NodeSpec['kubelet']> = {
  configuration: (configuration, _whole, scope) => {
    refuseHealthzAway(configuration, scope);
    return given(configuration);
  },
  flags: (flags, whole, scope) => {
    refuseOwnFlags(given(flags), whole, scope);
    const labels = String(given(flags)['node-labels'] ?? '').split(',');
    refuseRestrictedLabels(
      labels.map((label) => label.split('=')[0] ?? ''),
      within(scope, 'node-labels'),
    );
    return given(flags);
  },
  labels: (labels, _whole, scope) => {
    for (const key of Object.keys(given(labels))) refuseRestrictedLabels([key], within(scope, key));
    return given(labels);
  },
  annotations: given,
  taints: given,
  nodeName: kept,
  providerId: kept,
  credentialProviders: section(credentialProviders),
  nodeIp: kept,
  staticPods: each((pod: StaticPodDocument, scope) => completed(staticPod, pod, scope)),
};

const containerd: Completion<Section<'containerd'>, NodeSpec['containerd']> = {
  sandboxImage: kept,
  restrictOomScoreAdj: given,
  configuration: given,
  registries: each(completeRegistry),
};

const proxy: Completion<NonNullable<Section<'network'>['proxy']>, ProxyItem> = {
  http: sensitive,
  https: sensitive,
  noProxy: or([]),
};

const cni: Completion<CniDocument, CniItem> = {
  type: given,
  subnet: (subnet, { type }, scope) => {
    if (type === 'bridge' && !subnet) lack(scope, 'subnet is missing: a bridge needs one, unless a cluster gives it');
    return subnet;
  },
  bridge: kept,
  masquerade: kept,
  mtu: kept,
  binDir: kept,
};

const network: Completion<Section<'network'>, NodeSpec['network']> = {
  proxy: section(proxy),
  cni: sectionOrDefaults(cni, {}),
};

const kernel: Completion<Section<'kernel'>, NodeSpec['kernel']> = {
  modules: each(completeModule),
  sysctls: each(completeSysctl),
};

const binaries: Completion<Section<'binaries'>, NodeSpec['binaries']> = {
  policy: given,
  sources: section(sourcesCompletion),
  transfer: section(transferCompletion),
  cache: kept,
  tools: (tools, _binaries, scope) =>
    Object.fromEntries(
      Object.entries(tools ?? {}).map(([name, tool]) => [name, completeTool(name, tool, within(scope, name))]),
    ),
};

const anchor: Completion<AnchorDocument, AnchorItem> = {
  name: kept,
  certificates: required(({ name }) => `certificates are missing for the authority ${name}`),
};

const trust: Completion<Section<'trust'>, NodeSpec['trust']> = {
  anchors: each((item: AnchorDocument, scope) => completed(anchor, item, scope)),
};

const boot: Completion<Section<'boot'>, NodeSpec['boot']> = {
  deadline: or('10m'),
  goal: given,
  joinDeadline: given,
  unjoined: given,
  deferrable: (deferrable = {}, _boot, scope) => {
    refuseNeverDeferrable(deferrable, scope);
    return deferrable;
  },
};

const operatingSystem: Completion<OperatingSystemDocument, OperatingSystemDocument> = {
  version: kept,
  command: kept,
};

const inPlaceUpdates: Completion<InPlaceDocument, InPlaceItem> = {
  drain: or(true),
  operatingSystem: section(operatingSystem),
  certificateAuthorities: kept,
  serviceAccountKey: kept,
};

const spec: Completion<NodeSpecDocument, NodeSpec> = {
  kubernetes: sectionOrDefaults(kubernetes, {}),
  cluster: section(cluster),
  kubelet: sectionOrDefaults(kubelet, {}),
  containerd: sectionOrDefaults(containerd, {}),
  network: (document = {}, whole, scope) => {
    if (document.cni?.subnet === podCidr && !whole.cluster)
      lack(within(scope, 'cni', 'subnet'), `subnet is ${podCidr}, and there is no cluster that gives the Node one`);
    return completed(network, document, scope);
  },
  kernel: sectionOrDefaults(kernel, {}),
  binaries: sectionOrDefaults(binaries, {}),
  extensions: each(completeExtension),
  usrLocal: or('host'),
  trust: sectionOrDefaults(trust, {}),
  files: each(completeFile),
  units: each(completeUnit),
  actions: each(completeAction),
  boot: sectionOrDefaults(boot, {}),
  inPlaceUpdates: section(inPlaceUpdates),
  takeover: given,
};

const metadata: Completion<NonNullable<NodeConfigDocument['metadata']>, NonNullable<NodeConfig['metadata']>> = {
  name: kept,
};

const nodeConfigCompletion: Completion<NodeConfigDocument, NodeConfig> = {
  apiVersion: kept,
  kind: kept,
  metadata: section(metadata),
  spec: (document, _whole, scope) => completed(spec, document, scope),
};

// ── deferral ─────────────────────────────────────────────────────────────────────────────────────────────────────

function refuseNeverDeferrable(deferrable: Readonly<Record<string, boolean>>, scope: Scope): void {
  for (const [id, wanted] of Object.entries(deferrable)) {
    if (!wanted || !isNeverDeferrable(id)) continue;
    lack(
      within(scope, id),
      `${id} cannot be deferred: kernel settings, mounts, identity, trust and runtime configuration must be in place before kubelet starts`,
    );
  }
}
