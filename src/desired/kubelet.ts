/**
 * kubelet: its configuration file, its flags, its unit, its static pods and what it needs to join a cluster. Pure.
 */
import { atLeast, parseVersion } from '../model/version.ts';
import type { ClusterItem, NodeConfig, NodeSpec } from '../config/complete.ts';
import { caPath, healthzUrl, kubeletConfigPath, staticPodFolder } from '../config/defaults.ts';
import type { Facts } from '../model/facts.ts';
import { proxyVariables, serviceDropIn } from './proxy.ts';
import { folder, textFile } from './render-items.ts';
import type { FileResource, SensitiveText, UnitResource } from '../model/resources.ts';
import { stableJson } from './stable.ts';
import { execStart, unitText } from './systemd-text.ts';

const bootstrapKubeconfigPath = '/etc/kubernetes/bootstrap-kubeconfig';
/** kubelet writes it itself when it has its certificate. */
const kubeconfigPath = '/var/lib/kubelet/kubeconfig';

/** kubelet 1.31 knows failCgroupV1; from 1.35 on its default is true. */
const failCgroupV1Since = parseVersion('1.31.0');

export function kubeletFiles(config: NodeConfig, facts: Facts): FileResource[] {
  const { spec } = config;
  return [
    folder('/var/lib/kubelet', { mode: '0750' }),
    folder(staticPodPath(spec), { mode: '0700' }),
    textFile(kubeletConfigPath, stableJson(kubeletConfiguration(spec, facts)), { mode: '0600' }),
    ...spec.kubelet.staticPods.map((pod) =>
      textFile(`${staticPodPath(spec)}/${pod.name}.yaml`, stableJson(pod.manifest), { mode: '0600' }),
    ),
    ...(spec.cluster ? clusterFiles(spec.cluster) : []),
  ];
}

function staticPodPath(spec: NodeSpec): string {
  const path = spec.kubelet.configuration['staticPodPath'];
  return typeof path === 'string' ? path : staticPodFolder;
}

function kubeletConfiguration(spec: NodeSpec, facts: Facts): Record<string, unknown> {
  const { kubelet, cluster, kubernetes } = spec;
  return {
    ...(facts.cgroupVersion !== 2 &&
      atLeast(parseVersion(kubernetes.version), failCgroupV1Since) && { failCgroupV1: false }),
    ...(cluster && { clusterDomain: cluster.domain }),
    ...(cluster && cluster.dns.length > 0 && { clusterDNS: cluster.dns }),
    ...(kubelet.taints.length > 0 && { registerWithTaints: kubelet.taints }),
    ...kubelet.configuration,
    ...(cluster && { authentication: withClientCa(kubelet.configuration['authentication']) }),
  };
}

/** Clients of kubelet's API are known by the cluster's authority, unless the document names another. */
function withClientCa(authentication: unknown): unknown {
  const given = typeof authentication === 'object' && authentication !== null ? authentication : {};
  return { x509: { clientCAFile: caPath }, ...given };
}

function clusterFiles(cluster: ClusterItem): FileResource[] {
  const files = [textFile(caPath, ensureNewline(cluster.caBundle))];
  if (cluster.bootstrapToken) {
    files.push(
      textFile(bootstrapKubeconfigPath, bootstrapKubeconfig(cluster, cluster.bootstrapToken), { mode: '0600' }),
    );
  }
  return files;
}

function ensureNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

function bootstrapKubeconfig(cluster: ClusterItem, token: SensitiveText): SensitiveText {
  return {
    sensitive: stableJson({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'cluster', cluster: { server: cluster.server, 'certificate-authority': caPath } }],
      users: [{ name: 'kubelet-bootstrap', user: { token: token.sensitive } }],
      contexts: [{ name: 'default', context: { cluster: 'cluster', user: 'kubelet-bootstrap' } }],
      'current-context': 'default',
    }),
  };
}

/** kubelet's flags by name; those of the document win. */
function kubeletFlags(spec: NodeSpec): Record<string, string | number | boolean> {
  const { kubelet, cluster } = spec;
  const labels = Object.entries(kubelet.labels).map(([key, value]) => `${key}=${value}`);
  return {
    config: kubeletConfigPath,
    ...(cluster && { kubeconfig: kubeconfigPath }),
    ...(cluster?.bootstrapToken && { 'bootstrap-kubeconfig': bootstrapKubeconfigPath }),
    ...(labels.length > 0 && { 'node-labels': labels.sort().join(',') }),
    ...(kubelet.nodeIp !== undefined && { 'node-ip': kubelet.nodeIp }),
    ...kubelet.flags,
  };
}

export function kubeletUnit(config: NodeConfig): UnitResource {
  const { spec } = config;
  const proxy = proxyVariables(spec);
  const program = spec.binaries.tools['kubelet']?.target ?? '/opt/bin/kubelet';
  const argv = [
    program,
    ...Object.entries(kubeletFlags(spec))
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
    scope: 'node',
    deferrable: false,
    importance: 'required',
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
    onChange: 'restart',
    readiness: { type: 'http', url: healthz(spec) },
    deadlineMs: 120_000,
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
