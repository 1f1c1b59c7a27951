/**
 * How kubelet reaches its cluster: the kubeconfig it uses, the one it gets its first certificate with, who vouches for the
 * API server, and what it says of the node when it registers. Pure.
 *
 * kubelet 1.24 and later ask for a certificate with `--bootstrap-kubeconfig` when that of `--kubeconfig` is missing or has
 * expired, and then write `--kubeconfig` themselves, with the server and the authority of the bootstrap kubeconfig
 * (pkg/kubelet/certificate/bootstrap). Here it is written beforehand with the same bytes, so that a later change of server
 * or authority is a change of a file that kubelet reads.
 */
import type { ClusterItem, NodeSpec } from '../config/complete.ts';
import { caPath } from '../config/defaults.ts';
import type { Facts } from '../model/facts.ts';
import type { FileResource, ResourceId, SensitiveText } from '../model/resources.ts';
import { atLeast, parseVersion } from '../model/version.ts';
import { textFile } from './render-items.ts';
import { kubeconfigPathOf, nodeNameOf } from './join.ts';
import { stableJson, yamlScalar } from './stable.ts';
import { environmentFile } from './systemd-text.ts';

const bootstrapKubeconfigPath = '/etc/kubernetes/bootstrap-kubeconfig';
/** What kubelet says of the node when it registers; a change of it later is the agent's to bring to the Node. */
export const registrationPath = '/etc/kubernetes/registration.env';
const certificateFolder = '/var/lib/kubelet/pki';

/** From Kubernetes 1.34 on an empty `preferences` is left out. */
const noPreferencesSince = parseVersion('1.34.0');

export interface ClusterAccess {
  readonly files: readonly FileResource[];
  readonly flags: Readonly<Record<string, string>>;
  /** What kubelet reads of these files while it runs. */
  readonly inputs: readonly ResourceId[];
  /** What it reads only at a start. */
  readonly startInputs: readonly ResourceId[];
}

export function clusterAccess(spec: NodeSpec, cluster: ClusterItem, facts: Facts): ClusterAccess {
  const authority = cluster.caBundle === '' ? [] : [textFile(caPath, ensureNewline(cluster.caBundle))];
  const registration = textFile(registrationPath, registrationText(spec));
  const own = ownKubeconfig(spec, cluster);
  const asksForCertificate = own !== undefined && !cluster.clientCertificate && !cluster.exec;
  const bootstrap = asksForCertificate ? bootstrapFile(spec, cluster, facts) : undefined;
  return {
    files: [...authority, registration, ...(own ? [own] : []), ...(bootstrap ? [bootstrap] : [])],
    flags: {
      kubeconfig: kubeconfigPathOf(cluster),
      // Also when there is nothing to bootstrap with (any more): the flag does no harm, and its coming and going would
      // restart kubelet.
      ...(asksForCertificate && { 'bootstrap-kubeconfig': bootstrapKubeconfigPath }),
    },
    inputs: [...authority, ...(own ? [own] : [])].map(({ id }) => id),
    startInputs: bootstrap ? [bootstrap.id] : [],
  };
}

function ensureNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** systemd splits it at blanks; neither labels nor taints have any. */
export const registrationVariable = 'KUBELET_REGISTRATION';

function registrationText({ kubelet: { labels, taints } }: NodeSpec): string {
  const nodeLabels = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const nodeTaints = taints.map(({ key, value = '', effect }) => `${key}=${value}:${effect}`);
  const flags = [
    ...(nodeLabels.length > 0 ? [`--node-labels=${nodeLabels.sort().join(',')}`] : []),
    ...(nodeTaints.length > 0 ? [`--register-with-taints=${nodeTaints.join(',')}`] : []),
  ];
  return environmentFile({ [registrationVariable]: flags.join(' ') });
}

/** Undefined when the document names a kubeconfig of its own. */
function ownKubeconfig(spec: NodeSpec, cluster: ClusterItem): FileResource | undefined {
  if (cluster.kubeconfig !== undefined) return undefined;
  const certDir = spec.kubelet.flags['cert-dir'] ?? certificateFolder;
  const pem = `${String(certDir)}/kubelet-client-current.pem`;
  const { exec, clientCertificate = { certificateFile: pem, keyFile: pem } } = cluster;
  const text = exec
    ? stableJson(kubeconfig(cluster, { exec: execPlugin(exec) }))
    : kubeconfigAsKubeletWrites(cluster.server, clientCertificate, spec.kubernetes.version);
  return textFile(kubeconfigPathOf(cluster), text, { mode: '0600' });
}

function kubeconfigAsKubeletWrites(
  server: string,
  { certificateFile, keyFile }: { readonly certificateFile: string; readonly keyFile: string },
  version: string,
): string {
  return [
    'apiVersion: v1',
    'clusters:',
    '- cluster:',
    `    certificate-authority: ${yamlScalar(caPath)}`,
    `    server: ${yamlScalar(server)}`,
    '  name: default-cluster',
    'contexts:',
    '- context:',
    '    cluster: default-cluster',
    '    namespace: default',
    '    user: default-auth',
    '  name: default-context',
    'current-context: default-context',
    'kind: Config',
    ...(atLeast(parseVersion(version), noPreferencesSince) ? [] : ['preferences: {}']),
    'users:',
    '- name: default-auth',
    '  user:',
    `    client-certificate: ${yamlScalar(certificateFile)}`,
    `    client-key: ${yamlScalar(keyFile)}`,
    '',
  ].join('\n');
}

function execPlugin({ command, args, env, apiVersion }: NonNullable<ClusterItem['exec']>): Record<string, unknown> {
  return {
    apiVersion,
    command,
    args,
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    interactiveMode: 'Never',
    provideClusterInfo: true,
  };
}

/** Not once the node has its certificate: a token is good for more than this node. */
function bootstrapFile(spec: NodeSpec, cluster: ClusterItem, facts: Facts): FileResource | undefined {
  const { bootstrapToken, bootstrapTokenFile } = cluster;
  if (facts.nodeCertificate !== undefined && facts.nodeCertificate === nodeNameOf(spec, facts)) return undefined;
  if (bootstrapToken) {
    const text = { sensitive: stableJson(kubeconfig(cluster, { token: bootstrapToken.sensitive })) };
    return textFile(bootstrapKubeconfigPath, text satisfies SensitiveText, { mode: '0600' });
  }
  if (bootstrapTokenFile === undefined) return undefined;
  const text = stableJson(kubeconfig(cluster, { tokenFile: bootstrapTokenFile }));
  return textFile(bootstrapKubeconfigPath, text, { mode: '0600' });
}

function kubeconfig({ server }: ClusterItem, user: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: { server, 'certificate-authority': caPath } }],
    users: [{ name: 'kubelet', user }],
    contexts: [{ name: 'default', context: { cluster: 'cluster', user: 'kubelet' } }],
    'current-context': 'default',
  };
}
