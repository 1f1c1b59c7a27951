/**
 * kubelet: its configuration file, its flags, its unit, its static pods and what it needs to join a cluster. Pure.
 */
import { atLeast, parseVersion } from '../model/version.ts';
import type { NodeSpec } from '../config/complete.ts';
import { nothingLeft } from '../config/completion.ts';
import { caPath, kubeletConfigPath, kubeletHealthzPort, ownUnitDefaults, staticPodFolder } from '../config/defaults.ts';
import { parseDuration } from '../config/duration.ts';
import type { Facts } from '../model/facts.ts';
import { clusterAccess, registrationPath, registrationVariable, type ClusterAccess } from './cluster-access.ts';
import { nodeIpOf, podResolvConf } from './network.ts';
import { isOfNode, podNetworkTemplatePath } from './pod-network.ts';
import { proxyVariables, serviceDropIn } from './proxy.ts';
import { base, folder, textFile } from './render-items.ts';
import type { FileResource, ResourceId, UnitResource } from '../model/resources.ts';
import { stableJson } from './stable.ts';
import { execStart, unitText } from './systemd-text.ts';

const credentialProvidersPath = '/etc/kubernetes/credential-providers.json';

/** kubelet 1.31 knows failCgroupV1; from 1.35 on its default is true. */
const failCgroupV1Since = parseVersion('1.31.0');

/** kubelet's files, and what its configuration file says. */
export function kubeletFiles(
  spec: NodeSpec,
  facts: Facts,
): { readonly files: readonly FileResource[]; readonly configuration: Readonly<Record<string, unknown>> } {
  const { configuration, taints, staticPods, credentialProviders } = spec.kubelet;
  const podFolder = staticPodPath(spec);
  const whole = kubeletConfiguration({ configuration, taints }, spec, facts);
  const files = [
    folder('/var/lib/kubelet', { mode: '0750' }),
    folder(podFolder, { mode: '0700' }),
    textFile(kubeletConfigPath, stableJson(whole), { mode: '0600' }),
    ...staticPods.map(({ name, manifest, ...rest }) => {
      nothingLeft(rest);
      return textFile(`${podFolder}/${name}.yaml`, stableJson(manifest), { mode: '0600' });
    }),
    ...(credentialProviders
      ? [textFile(credentialProvidersPath, stableJson(credentialProviders.configuration), { mode: '0600' })]
      : []),
    ...(spec.cluster ? clusterAccess(spec, spec.cluster, facts).files : []),
  ];
  return { files, configuration: whole };
}

function staticPodPath(spec: NodeSpec): string {
  const path = spec.kubelet.configuration['staticPodPath'];
  return typeof path === 'string' ? path : staticPodFolder;
}

function kubeletConfiguration(
  { configuration, taints }: Pick<NodeSpec['kubelet'], 'configuration' | 'taints'>,
  { cluster, kubernetes }: NodeSpec,
  facts: Facts,
): Record<string, unknown> {
  return {
    ...(facts.cgroupVersion !== 2 &&
      atLeast(parseVersion(kubernetes.version), failCgroupV1Since) && { failCgroupV1: false }),
    ...(cluster && { clusterDomain: cluster.domain }),
    ...(cluster && cluster.dns.length > 0 && { clusterDNS: cluster.dns }),
    ...(cluster?.servingCertificate === 'cluster' && { serverTLSBootstrap: true }),
    // In a cluster they are told when the node registers (cluster-access.ts).
    ...(!cluster && taints.length > 0 && { registerWithTaints: taints }),
    ...(podResolvConf(facts) !== undefined && { resolvConf: podResolvConf(facts) }),
    ...configuration,
    ...(cluster && cluster.caBundle !== '' && { authentication: withClientCa(configuration['authentication']) }),
  };
}

/** Clients of kubelet's API are known by the cluster's authority, unless the document names another. */
function withClientCa(authentication: unknown): unknown {
  const given = typeof authentication === 'object' && authentication !== null ? authentication : {};
  return { x509: { clientCAFile: caPath }, ...given };
}

type OfFlags = Omit<NodeSpec['kubelet'], 'configuration' | 'staticPods' | 'taints' | 'annotations'>;

/** kubelet's flags by name. The document's own are none of ours (`config/kubelet-flags.ts`). */
function kubeletFlags(
  { flags, labels, nodeIp, nodeName, providerId, credentialProviders, ...rest }: OfFlags,
  access: ClusterAccess | undefined,
): Record<string, string | number | boolean> {
  nothingLeft(rest);
  const nodeLabels = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return {
    config: kubeletConfigPath,
    ...access?.flags,
    ...(!access && nodeLabels.length > 0 && { 'node-labels': nodeLabels.sort().join(',') }),
    ...(nodeIp !== undefined && { 'node-ip': nodeIp }),
    ...(nodeName !== undefined && { 'hostname-override': nodeName }),
    ...(providerId !== undefined && { 'provider-id': providerId }),
    ...(credentialProviders && {
      'image-credential-provider-config': credentialProvidersPath,
      'image-credential-provider-bin-dir': credentialProviders.binDir,
    }),
    ...flags,
  };
}

export function kubeletUnit(spec: NodeSpec, facts: Facts): UnitResource {
  const { configuration, staticPods: _asFiles, taints: _alsoAsFile, annotations: _byAgent, ...ofFlags } = spec.kubelet;
  const access = spec.cluster && clusterAccess(spec, spec.cluster, facts);
  const proxy = proxyVariables(spec);
  const program = spec.binaries.tools['kubelet']?.target ?? '/opt/bin/kubelet';
  const flags = kubeletFlags({ ...ofFlags, nodeIp: nodeIpOf(spec) }, access);
  const argv = [
    program,
    ...Object.entries(flags)
      .sort(byName)
      .map(([name, value]) => `--${name}=${value}`),
  ];
  const extension = spec.extensions.find(({ tools }) => tools.includes('kubelet'));
  // Stand-alone, kubelet needs no network; in a cluster it looks for the node's address when it starts.
  const after = ['containerd.service', ...(spec.cluster ? ['network-online.target'] : [])].join(' ');
  return {
    kind: 'unit',
    id: 'unit:kubelet.service',
    name: 'kubelet.service',
    ...base(ownUnitDefaults['kubelet.service']),
    // systemd orders the two starts; this keeps kubelet's start from pulling in a containerd that is not configured yet.
    needs: ['unit:containerd.service'],
    // No ExecStartPre: it would run at every restart. No conditions: a missing binary must fail, not be passed over.
    content: unitText({
      Unit: [
        'Description=kubelet, the Kubernetes node agent',
        'Documentation=https://kubernetes.io/docs/',
        `Wants=${after}`,
        `After=${after}`,
        'StartLimitIntervalSec=0',
      ],
      Service: [
        ...(access ? [`EnvironmentFile=${registrationPath}`] : []),
        execStart(argv, access ? [registrationVariable] : []),
        'Restart=always',
        'RestartSec=2',
      ],
      Install: ['WantedBy=multi-user.target'],
    }),
    dropIns: proxy.length > 0 ? [{ name: '50-nodekiln.conf', content: serviceDropIn(proxy) }] : [],
    enablement: 'enabled',
    state: 'started',
    // containerd is no input: kubelet finds it again by itself when it restarts.
    inputs: [
      `file:${kubeletConfigPath}`,
      extension ? `extension:${extension.name}` : 'binary:kubelet',
      ...(spec.kubelet.credentialProviders ? [`file:${credentialProvidersPath}` as const] : []),
      // containerd is told the Node's podCIDRs when kubelet starts, and not again.
      ...(isOfNode(spec.network.cni) ? [`file:${podNetworkTemplatePath}` as const] : []),
      ...(access?.inputs ?? []),
      ...documentFilesIn(spec, [configuration, flags]),
    ],
    ...(access && access.startInputs.length > 0 && { startInputs: access.startInputs }),
    onChange: ownUnitDefaults['kubelet.service'].onChange,
    readiness: { type: 'http', url: healthz(spec) },
    deadlineMs: parseDuration(ownUnitDefaults['kubelet.service'].deadline),
  };
}

/** Files of the document that kubelet's settings name. */
function documentFilesIn({ files }: NodeSpec, settings: unknown): ResourceId[] {
  const named = new Set(textsIn(settings));
  return files.filter(({ path }) => named.has(path)).map(({ path }) => `file:${path}` as const);
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** Where kubelet says that it is well, following the document's own address and port. */
function healthz(spec: NodeSpec): string {
  const { healthzBindAddress: address, healthzPort } = spec.kubelet.configuration;
  const port = typeof healthzPort === 'number' ? healthzPort : kubeletHealthzPort;
  const host = typeof address === 'string' && address !== '0.0.0.0' && address !== '::' ? address : '127.0.0.1';
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}/healthz`;
}
