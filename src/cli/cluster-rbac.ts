/** `nodekiln cluster rbac NODE…`: what agents may do, as manifests. */
import { NodekilnError } from '../errors.ts';
import { flagOption, textOption, type Verb } from './verb.ts';

export const clusterRbacVerb: Verb = {
  spec: {
    name: 'cluster rbac',
    summary: 'print the roles and bindings that agents of nodes need, as YAML to apply',
    description:
      'Each agent gets its own Node, its Leases and the Secrets that are named, by name and nothing else; the group of all agents may ask for certificates and say Events.',
    arguments: [
      { name: 'NODE', about: 'names of nodes; none: what all agents have together', required: false, many: true },
    ],
    options: [
      { flag: '--secrets', value: 'NS/NAME,…', about: 'Secrets with documents or tokens that these agents may read' },
      {
        flag: '--lease',
        value: 'NAME',
        about: 'name of the heartbeat’s Lease, {node} in it',
        default: 'nodekiln-agent-{node}',
      },
      {
        flag: '--pod-routes',
        about: 'without NODE: agents may also list and watch all Nodes, as `podRoutes` of the AgentConfig needs',
      },
    ],
    examples: [
      'nodekiln cluster rbac | kubectl apply -f -',
      'nodekiln cluster rbac --pod-routes | kubectl apply -f -',
      'nodekiln cluster rbac node-1 node-2 --secrets kube-system/pool-a | kubectl apply -f -',
    ],
    kind: 'ClusterAccess',
    root: 'never',
  },
  async run({ arguments: nodes, options }) {
    const [{ groupAccess, nodeAccess }, { isNodeName }, { stringify }] = await Promise.all([
      import('../fleet/access.ts'),
      import('../config/cluster-checks.ts'),
      import('yaml'),
    ]);
    const secrets = (textOption(options, 'secrets') ?? '').split(',').filter((one) => one !== '');
    const lease = textOption(options, 'lease') ?? '';
    for (const node of nodes)
      if (!isNodeName(node)) throw new NodekilnError('NK_USAGE', `${node} is not the name of a Node`);
    for (const secret of secrets)
      if (!/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\/[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/.test(secret))
        throw new NodekilnError('NK_USAGE', `${secret} is not a Secret by its namespace and name`, {
          hint: 'Write it as kube-system/pool-a.',
        });
    const podRoutes = flagOption(options, 'pod-routes');
    if (podRoutes && nodes.length > 0)
      throw new NodekilnError('NK_USAGE', '--pod-routes is about all agents together: give no NODE with it');
    const objects =
      nodes.length === 0
        ? groupAccess({ podRoutes })
        : nodes.flatMap((nodeName) =>
            nodeAccess({ nodeName, secrets, heartbeats: [lease.replaceAll('{node}', nodeName)] }),
          );
    return {
      data: objects,
      text: objects
        .map((object) => stringify(object))
        .join('---\n')
        .trimEnd(),
    };
  },
};
