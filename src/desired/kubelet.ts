/**
 * kubelet: its configuration file, its flags, its unit, its static pods and what it needs to join a cluster. Pure.
 */
import { atLeast, parseVersion } from '../model/version.ts';
import type { ClusterItem, NodeSpec } from '../config/complete.ts';
import { nothingLeft } from '../config/completion.ts';
import { caPath, healthzUrl, kubeletConfigPath, ownUnitDefaults, staticPodFolder } from '../config/defaults.ts';
import { parseDuration } from '../config/duration.ts';
import type { Facts } from '../model/facts.ts';
import { proxyVariables, serviceDropIn } from './proxy.ts';
import { base, folder, textFile } from './render-items.ts';
import type { FileResource, SensitiveText, UnitResource } from '../model/resources.ts';
import { stableJson } from './stable.ts';
import { execStart, unitText } from './systemd-text.ts';

const bootstrapKubeconfigPath = '/etc/kubernetes/bootstrap-kubeconfig';
/** kubelet writes it itself when it has its certificate. */
const kubeconfigPath = '/var/lib/kubelet/kubeconfig';

/** kubelet 1.31 knows failCgroupV1; from 1.35 on its default is true. */
const failCgroupV1Since = parseVersion('1.31.0');

/** kubelet's files, and what its configuration file says. */
export function kubeletFiles(
  spec: NodeSpec,
  facts: Facts,
): { readonly files: readonly FileResource[]; readonly configuration: Readonly<Record<string, unknown>> } {
  const { flags: _inUnit, labels: _asFlag, nodeIp: _alsoAsFlag, staticPods, ...ofConfiguration } = spec.kubelet;
  const podFolder = staticPodPath(spec);
  const configuration = kubeletConfiguration(ofConfiguration, spec, facts);
  const files = [
    folder('/var/lib/kubelet', { mode: '0750' }),
    folder(podFolder, { mode: '0700' }),
    textFile(kubeletConfigPath, stableJson(configuration), { mode: '0600' }),
    ...staticPods.map(({ name, manifest, ...rest }) => {
      nothingLeft(rest);
      return textFile(`${podFolder}/${name}.yaml`, stableJson(manifest), { mode: '0600' });
    }),
    ...(spec.cluster ? clusterFiles(spec.cluster) : []),
  ];
  return { files, configuration };
}

function staticPodPath(spec: NodeSpec): string {
  const path = spec.kubelet.configuration['staticPodPath'];
  return typeof path === 'string' ? path : staticPodFolder;
}

function kubeletConfiguration(
  { configuration, taints, ...rest }: Omit<NodeSpec['kubelet'], 'flags' | 'labels' | 'nodeIp' | 'staticPods'>,
  { cluster, kubernetes }: NodeSpec,
  facts: Facts,
): Record<string, unknown> {
  nothingLeft(rest);
  return {
    ...(facts.cgroupVersion !== 2 &&
      atLeast(parseVersion(kubernetes.version), failCgroupV1Since) && { failCgroupV1: false }),
    ...(cluster && { clusterDomain: cluster.domain }),
    ...(cluster && cluster.dns.length > 0 && { clusterDNS: cluster.dns }),
    ...(taints.length > 0 && { registerWithTaints: taints }),
    ...configuration,
    ...(cluster && { authentication: withClientCa(configuration['authentication']) }),
  };
}

/** Clients of kubelet's API are known by the cluster's authority, unless the document names another. */
function withClientCa(authentication: unknown): unknown {
  const given = typeof authentication === 'object' && authentication !== null ? authentication : {};
  return { x509: { clientCAFile: caPath }, ...given };
}

function clusterFiles(cluster: ClusterItem): FileResource[] {
  const { caBundle, bootstrapToken, server, dns: _inConfiguration, domain: _alsoInConfiguration, ...rest } = cluster;
  nothingLeft(rest);
  const files = [textFile(caPath, ensureNewline(caBundle))];
  if (bootstrapToken)
    files.push(textFile(bootstrapKubeconfigPath, bootstrapKubeconfig(server, bootstrapToken), { mode: '0600' }));
  return files;
}

function ensureNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

function bootstrapKubeconfig(server: string, token: SensitiveText): SensitiveText {
  return {
    sensitive: stableJson({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'cluster', cluster: { server, 'certificate-authority': caPath } }],
      users: [{ name: 'kubelet-bootstrap', user: { token: token.sensitive } }],
      contexts: [{ name: 'default', context: { cluster: 'cluster', user: 'kubelet-bootstrap' } }],
      'current-context': 'default',
    }),
  };
}

type OfFlags = Omit<NodeSpec['kubelet'], 'configuration' | 'staticPods' | 'taints'>;

/** kubelet's flags by name. The document's own are none of ours (`config/kubelet-flags.ts`). */
function kubeletFlags(
  { flags, labels, nodeIp, ...rest }: OfFlags,
  cluster: ClusterItem | undefined,
): Record<string, string | number | boolean> {
  nothingLeft(rest);
  const nodeLabels = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return {
    config: kubeletConfigPath,
    ...(cluster && { kubeconfig: kubeconfigPath }),
    ...(cluster?.bootstrapToken && { 'bootstrap-kubeconfig': bootstrapKubeconfigPath }),
    ...(nodeLabels.length > 0 && { 'node-labels': nodeLabels.sort().join(',') }),
    ...(nodeIp !== undefined && { 'node-ip': nodeIp }),
    ...flags,
  };
}

export function kubeletUnit(spec: NodeSpec): UnitResource {
  const { configuration: _inFile, staticPods: _asFiles, taints: _alsoInFile, ...ofFlags } = spec.kubelet;
  const proxy = proxyVariables(spec);
  const program = spec.binaries.tools['kubelet']?.target ?? '/opt/bin/kubelet';
  const argv = [
    program,
    ...Object.entries(kubeletFlags(ofFlags, spec.cluster))
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
      Service: [execStart(argv), 'Restart=always', 'RestartSec=2'],
      Install: ['WantedBy=multi-user.target'],
    }),
    dropIns: proxy.length > 0 ? [{ name: '50-nodekiln.conf', content: serviceDropIn(proxy) }] : [],
    enablement: 'enabled',
    state: 'started',
    // containerd is no input: kubelet finds it again by itself when it restarts.
    inputs: [`file:${kubeletConfigPath}`, extension ? `extension:${extension.name}` : 'binary:kubelet'],
    onChange: ownUnitDefaults['kubelet.service'].onChange,
    readiness: { type: 'http', url: healthz(spec) },
    deadlineMs: parseDuration(ownUnitDefaults['kubelet.service'].deadline),
  };
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** Where kubelet says that it is well, following the document's own address and port. */
function healthz(spec: NodeSpec): string {
  const { healthzBindAddress: address, healthzPort: port } = spec.kubelet.configuration;
  if (typeof port !== 'number') return healthzUrl;
  const host = typeof address === 'string' && address !== '0.0.0.0' && address !== '::' ? address : '127.0.0.1';
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}/healthz`;
}
