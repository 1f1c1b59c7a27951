/** Agents of nodes that have joined a lab's cluster: their rights, who approves their certificates, and the agents themselves. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { agentUnit as agentUnitText } from '../../src/desired/own-units.ts';
import type { Cluster } from '../lab/cluster.ts';
import type { LabHost } from '../lab/lab.ts';

export const nodekiln = '/opt/nodekiln/bin/nodekiln';
export const agentUnit = 'nodekiln-agent.service';

const packaging = new URL('../../packaging/kubernetes/', import.meta.url);
const policy = fileURLToPath(new URL('admission-policy.yaml', packaging));
const approver = fileURLToPath(new URL('approver.yaml', packaging));

/**
 * What agents may do, as `nodekiln cluster rbac` of the host prints it, held by the admission policy. `secrets`: by node,
 * `kube-system/a`. Further flags are for each node's; `flagsOfAll` for what all have together.
 */
export async function grantAgents(
  cluster: Cluster,
  host: LabHost,
  secrets: Readonly<Record<string, readonly string[]>>,
  flags: readonly string[] = [],
  flagsOfAll: readonly string[] = [],
): Promise<void> {
  const access = [await host.check([nodekiln, 'cluster', 'rbac', ...flagsOfAll])];
  for (const [node, names] of Object.entries(secrets))
    access.push(await host.check([nodekiln, 'cluster', 'rbac', node, '--secrets', names.join(','), ...flags]));
  access.push(await readFile(policy, 'utf8'));
  await cluster.kubectl(['apply', '-f', '-'], { input: access.join('\n---\n') });
}

/** `nodekiln cluster approve` on the host, as the service account of the manifests and nobody else; it stays. */
export async function startApprover(cluster: Cluster, host: LabHost, flags: readonly string[] = []): Promise<void> {
  const path = '/root/approver.conf';
  await cluster.kubectl(['apply', '-f', '-'], { input: await readFile(approver, 'utf8') });
  const token = await cluster.kubectl(['-n', 'kube-system', 'create', 'token', 'nodekiln-approver']);
  const { server, caBundle } = cluster;
  const kubeconfig = {
    'current-context': 'approver',
    contexts: [{ name: 'approver', context: { cluster: 'lab', user: 'approver' } }],
    clusters: [
      { name: 'lab', cluster: { server, 'certificate-authority-data': Buffer.from(caBundle).toString('base64') } },
    ],
    users: [{ name: 'approver', user: { token: token.trim() } }],
  };
  await host.writeFile(path, stringify(kubeconfig), { mode: 0o600 });
  const argv = [nodekiln, 'cluster', 'approve', '--kubeconfig', path, ...flags];
  await host.check(['systemd-run', '--unit=approver', ...argv]);
}

/** An agent with such an AgentConfig, beside the cluster, which is added; systemd starts it again when it ends. */
export async function startAgent(
  cluster: Cluster,
  host: LabHost,
  spec: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { server, caBundle } = cluster;
  const config = {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'AgentConfig',
    spec: { cluster: { server, caBundle }, ...spec },
  };
  await host.writeFile('/etc/nodekiln/agent.yaml', stringify(config), { mode: 0o600 });
  // The unit of an image, as it is.
  await host.writeFile(`/etc/systemd/system/${agentUnit}`, agentUnitText(undefined));
  await host.check(['systemctl', 'daemon-reload']);
  await host.check(['systemctl', 'start', agentUnit]);
}

/** Puts documents into a Secret of kube-system, by key. */
export async function putSecret(
  cluster: Cluster,
  name: string,
  documents: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>> = {},
): Promise<void> {
  const data = Object.entries(documents).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  const object = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'kube-system', annotations },
    data: Object.fromEntries(data) as Record<string, string>,
  };
  await cluster.kubectl(['apply', '--server-side', '-f', '-'], { input: JSON.stringify(object) });
}
