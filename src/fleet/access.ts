/**
 * What agents may do in a cluster, as objects of `rbac.authorization.k8s.io/v1`: what all of them may, and what the agent of one
 * node may beside that, by the names of its own objects; and the Leases of Secrets, which are there before anybody takes them.
 * Nothing is given by a wildcard. Pure.
 */
import { agentGroup, agentUser } from '../model/agent-identity.ts';

/** An object as it is applied. */
export interface AccessObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly apiGroup: string; readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly apiGroup: string; readonly kind: string; readonly name: string }[];
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface NodeAccess {
  /** Of the Node. */
  readonly nodeName: string;
  /** `kube-system/pool-a`: Secrets that it may read; the Lease of a serial one has its name. */
  readonly secrets: readonly string[];
  /** Names of its heartbeat's Lease in kube-system. */
  readonly heartbeats?: readonly string[];
}

const apiGroup = 'rbac.authorization.k8s.io';
const apiVersion = `${apiGroup}/v1`;
const labels = { 'app.kubernetes.io/managed-by': 'nodekiln' };
const heartbeatNamespace = 'kube-system';
/** Where Events about objects without a namespace are. */
const eventNamespace = 'default';

/** For the group of all agents, once in a cluster: requests for certificates, and Events; with `podRoutes` to see all Nodes. */
export function groupAccess({ podRoutes = false }: { readonly podRoutes?: boolean } = {}): AccessObject[] {
  const subject = { apiGroup, kind: 'Group', name: agentGroup };
  return [
    ...bound('nodekiln:node-agents', undefined, subject, [
      { apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests'], verbs: ['create', 'get'] },
      ...(podRoutes ? [{ apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] }] : []),
    ]),
    ...bound('nodekiln:node-agents', eventNamespace, subject, [
      { apiGroups: [''], resources: ['events'], verbs: ['create'] },
    ]),
  ];
}

/** For the agent of one node: its own Node, its Leases, the Secrets that are named. */
export function nodeAccess({
  nodeName,
  secrets,
  heartbeats = [`nodekiln-agent-${nodeName}`],
}: NodeAccess): AccessObject[] {
  const subject = { apiGroup, kind: 'User', name: agentUser(nodeName) };
  const name = `nodekiln:node-agent:${nodeName}`;
  const byNamespace = new Map<string, string[]>([[heartbeatNamespace, []]]);
  for (const secret of secrets) {
    const [namespace = '', one = ''] = secret.split('/');
    byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), one]);
  }
  const own = bound(name, undefined, subject, [
    { apiGroups: [''], resources: ['nodes'], resourceNames: [nodeName], verbs: ['get', 'list', 'watch', 'patch'] },
    { apiGroups: [''], resources: ['nodes/status'], resourceNames: [nodeName], verbs: ['patch'] },
  ]);
  // Made here, since an agent may make its heartbeat's alone.
  const serial = secrets.map((secret): AccessObject => {
    const [namespace = '', one = ''] = secret.split('/');
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: one, namespace, labels } };
  });
  const inNamespaces = [...byNamespace].flatMap(([namespace, names]) => {
    const resourceNames = [...new Set([...(namespace === heartbeatNamespace ? heartbeats : []), ...names])].sort();
    return bound(name, namespace, subject, [
      ...(names.length === 0
        ? []
        : [
            {
              apiGroups: [''],
              resources: ['secrets'],
              resourceNames: [...new Set(names)].sort(),
              verbs: ['get', 'list', 'watch'],
            },
          ]),
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames,
        verbs: ['get', 'list', 'watch', 'update'],
      },
      // What is made has no name yet when it is asked whether it may be: the admission policy looks at the name.
      ...(namespace === heartbeatNamespace
        ? [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] }]
        : []),
    ]);
  });
  return [...own, ...inNamespaces, ...serial];
}

/** A role and its binding: of the cluster without a namespace. */
function bound(
  name: string,
  namespace: string | undefined,
  subject: { readonly apiGroup: string; readonly kind: string; readonly name: string },
  rules: readonly Rule[],
): AccessObject[] {
  const prefix = namespace === undefined ? 'Cluster' : '';
  const metadata = { name, ...(namespace !== undefined && { namespace }), labels };
  return [
    { apiVersion, kind: `${prefix}Role`, metadata, rules },
    {
      apiVersion,
      kind: `${prefix}RoleBinding`,
      metadata,
      roleRef: { apiGroup, kind: `${prefix}Role`, name },
      subjects: [subject],
    },
  ];
}
