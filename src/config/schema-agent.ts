/** The schema of AgentConfig: what the agent of a node follows, and how it goes about it. */
import { literal } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import {
  absolutePath,
  doc,
  duration,
  fields,
  flag,
  keyedList,
  list,
  matching,
  matchingAddress,
  mode,
  numberFrom,
  oneOf,
  opt,
  targetPath,
  text,
  timespan,
} from './schema-builders.ts';
import { apiServerUrl, bootstrapToken, caBundle, nodeName } from './schema-cluster.ts';
import { apiVersion, metadata } from './schema-node.ts';

/** A Secret: its namespace and its name, each as Kubernetes names such objects. */
const secretPattern =
  /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const secretName = matching(secretPattern, 'a Secret like "kube-system/pool-a"');

const source = matching(
  new RegExp(`^(?:dir:/.*|secret:${secretPattern.source.slice(1, -1)})$`),
  'a source like "secret:kube-system/pool-a" or "dir:/etc/nodekiln/desired"',
);

const cluster = fields({
  server: opt('URL of the API server.', apiServerUrl),
  servers: opt('Instead of `server`: several addresses of it, asked in order.', list(apiServerUrl)),
  caBundle: opt('Certificates in PEM form that vouch for the API server.', caBundle),
  caFile: opt(
    'Instead of `caBundle`: a file on the host that holds them, read again whenever it changes.',
    absolutePath,
  ),
  bootstrapToken: opt('Secret: what the agent asks for its first certificate with.', bootstrapToken),
  bootstrapTokenFile: opt(
    'Instead of `bootstrapToken`: a file on the host that holds it, also a credential of systemd’s. It is removed when the certificate is there.',
    absolutePath,
  ),
  kubeconfig: opt(
    'Instead of all these: a kubeconfig on the host. Its credentials are somebody else’s to renew; a credential program that it names (exec) is run.',
    absolutePath,
  ),
  context: opt('Of `kubeconfig`: the context to use. Default: its current one.', text()),
});

const token = fields({
  secret: doc('The Secret, `kube-system/collector-token`.', secretName),
  key: opt('Key of its data. Default: token.', matching(/^[-._a-zA-Z0-9]+$/, 'a key of a Secret’s data')),
  path: doc('The file that the value goes to, and nothing else.', targetPath),
  mode: opt('Mode of the file. Default: 0600.', mode),
});

const heartbeat = fields({
  enabled: opt('Whether the agent renews a Lease. Default: true in a cluster.', flag()),
  lease: opt(
    'Name of the Lease in kube-system, `{node}` stands for the node. Default: nodekiln-agent-{node}.',
    matching(/^[-a-z0-9.]*\{node\}[-a-z0-9.]*$/, 'a name with "{node}" in it, like "nodekiln-agent-{node}"'),
  ),
  duration: opt('After so long without a renewal others may take the agent for dead. Default: 40s.', timespan),
  period: opt('Time between two renewals. Default: 20s.', duration),
});

const restarts = fields({
  maxDelay: opt(
    'Changes that restart kubelet or containerd are applied after a pause between nothing and this, the same for a node each time, unless an annotation of its Node says how long. Default: 5m; 0s where the source is a folder.',
    duration,
  ),
});

const health = fields({
  stuckAfter: opt('A unit that starts or stops for so long is unhealthy. Default: 5m.', timespan),
  restartAfter: opt('kubelet or containerd that fails for so long is restarted. Default: 1m.', timespan),
  maxRestarts: opt('So many restarts of one of them within an hour at most. Default: 5.', numberFrom(0, 60)),
});

export const agentConfig = fields({
  apiVersion: doc('Version of the format.', literal(apiVersion)),
  kind: doc('Kind of document.', literal('AgentConfig')),
  metadata: opt('About the document.', metadata),
  spec: doc(
    'What the agent follows, and how.',
    fields({
      source: opt('Where its documents come from. The flag --source wins.', source),
      nodeName: opt('Name of its Node. Default: the host’s name in lower case.', nodeName),
      cluster: opt('The cluster whose API it follows and reports to.', cluster),
      tokens: opt('Values of Secrets that files of the host are kept equal to.', keyedList('path', token)),
      tokensPeriod: opt('Time between two looks at these Secrets. Default: 1h.', duration),
      heartbeat: opt('The Lease that says that the agent is alive.', heartbeat),
      podRoutes: opt(
        'Whether it keeps routes to the pods of other Nodes that are on a link of this host. It needs to see all Nodes: `nodekiln cluster rbac --pod-routes`. Default: false.',
        flag(),
      ),
      restarts: opt('How nodes that get one change do not restart kubelet together.', restarts),
      health: opt('What is done about units that fail.', health),
      drift: opt(
        'What becomes of resources that somebody changed on the host: `repair`, or `report` alone. Default: repair.',
        oneOf('repair', 'report'),
      ),
      resync: opt('Time between two looks for drift. Default: 1m.', duration),
      endpoint: opt(
        'Where /healthz, /readyz and /metrics are served: a Unix socket, a loopback address with a port, or `none`. Default: unix:/run/nodekiln/agent.sock.',
        matchingAddress(
          /^(?:none|unix:\/[^\0\n]+|(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]|localhost):\d{1,5})$/,
          'none, a socket like "unix:/run/nodekiln/agent.sock" or a loopback address like "127.0.0.1:2752"',
        ),
      ),
    }),
  ),
});

export type AgentConfigDocument = Infer<typeof agentConfig>;
