/**
 * What an agent may do in a real cluster with what `nodekiln cluster rbac` prints and the admission policy, and what it may
 * not: every resource and verb that the API server has is asked for, and what looks dangerous is really tried.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { groupAccess, nodeAccess } from '../../../src/fleet/access.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { ApiClient, KubeObject } from '../../lab/control-plane/api.ts';
import { openLab, type Lab } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { issueCertificate } from '../../servers/certificates.ts';

const packaging = fileURLToPath(new URL('../../../packaging/kubernetes/', import.meta.url));
const me = 'nodekiln:node-agent:own';
const groups = ['nodekiln:node-agents', 'system:authenticated'];

interface Discovery {
  readonly resources: readonly {
    readonly name: string;
    readonly namespaced: boolean;
    readonly verbs: readonly string[];
  }[];
}

interface Review {
  readonly status: { readonly allowed: boolean };
}

const nodePath = (name: string): string => `/api/v1/nodes/${name}`;
const leasesPath = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
const merge = 'application/merge-patch+json';

const order = (a: string, b: string): number => (a < b ? -1 : 1);

/** Of what an agent may do something with by its name. */
const named = new Set(['nodes', 'nodes/status', 'secrets', 'leases', 'events', 'certificatesigningrequests']);
const names = ['', 'own', 'other', 'pool-own', 'pool-other', 'nodekiln-agent-own', 'nodekiln-agent-other'];

describe('the rights of an agent', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  let agent: ApiClient;

  before(async () => {
    await installPrerequisites(console.error);
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    const objects = [
      ...groupAccess(),
      ...nodeAccess({ nodeName: 'own', secrets: ['kube-system/pool-own', 'kube-system/token-own'] }),
    ];
    await cluster.kubectl(['apply', '-f', '-'], { input: objects.map((object) => stringify(object)).join('---\n') });
    for (const file of ['admission-policy.yaml', 'approver.yaml'])
      await cluster.kubectl(['apply', '-f', '-'], { input: await readFile(join(packaging, file), 'utf8') });
    for (const name of ['own', 'other'])
      await cluster.admin.create('/api/v1/nodes', {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name, labels: { 'node-restriction.kubernetes.io/kept': 'a' } },
      });
    for (const name of ['pool-own', 'token-own', 'pool-other'])
      await cluster.admin.create('/api/v1/namespaces/kube-system/secrets', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace: 'kube-system' },
      });
    const folder = join(cluster.folder, 'agent');
    const issued = await issueCertificate(folder, 'own', cluster.authority, {
      subject: `/O=nodekiln:node-agents/CN=${me}`,
    });
    agent = cluster.as({ cert: await readFile(issued.certificate, 'utf8'), key: await readFile(issued.key, 'utf8') });
    // A policy is in force a moment after it is there.
    for (let waited = 0; waited < 20_000; waited += 200) {
      const { status } = await agent.request('POST', leasesPath, leaseOf(`probe-${waited}`));
      if (status === 422 || status === 403) break;
      await sleep(200);
    }
  });
  after(() => lab?.close());

  /** Of all that could be asked for: what the agent may. */
  const allowedVerbs = async (context: { diagnostic(message: string): void }): Promise<string[]> => {
    const may = new Set<string>();
    let asked = 0;
    const versions = await cluster.admin.get<{
      readonly groups: readonly { readonly preferredVersion: { readonly groupVersion: string } }[];
    }>('/apis');
    const paths = [
      '/api/v1',
      ...versions.groups.map(({ preferredVersion }) => `/apis/${preferredVersion.groupVersion}`),
    ];
    for (const path of paths) {
      const { resources } = await cluster.admin.get<Discovery>(path);
      const group = path === '/api/v1' ? '' : (path.split('/')[2] ?? '');
      for (const { name, namespaced } of resources) {
        const [resource = '', subresource] = name.split('/');
        for (const verb of ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']) {
          for (const object of named.has(name) ? names : ['']) {
            for (const namespace of namespaced ? ['kube-system', 'default'] : ['']) {
              asked += 1;
              const review = await cluster.admin.request<Review>(
                'POST',
                '/apis/authorization.k8s.io/v1/subjectaccessreviews',
                {
                  apiVersion: 'authorization.k8s.io/v1',
                  kind: 'SubjectAccessReview',
                  spec: {
                    user: me,
                    groups,
                    resourceAttributes: { group, resource, subresource, verb, name: object, namespace },
                  },
                },
              );
              if (review.body.status.allowed)
                may.add(
                  `${verb} ${namespace === '' ? '' : `${namespace}/`}${name}${object === '' ? '' : ` ${object}`}`,
                );
            }
          }
        }
      }
    }
    context.diagnostic(`${asked} questions`);
    // What everybody may ask about himself is not the agent's.
    return [...may].filter((one) => !/selfsubject/.test(one)).toSorted(order);
  };
  const ofAnyName = (verb: string, what: string): string[] => names.map((name) => `${verb} ${what} ${name}`.trim());
  const expected = [
    ...['get', 'list', 'watch', 'patch'].map((verb) => `${verb} nodes own`),
    'patch nodes/status own',
    ...['get', 'list', 'watch'].map((verb) => `${verb} kube-system/secrets pool-own`),
    ...['get', 'list', 'watch', 'update'].flatMap((verb) => [
      `${verb} kube-system/leases pool-own`,
      `${verb} kube-system/leases nodekiln-agent-own`,
    ]),
    ...ofAnyName('create', 'kube-system/leases'),
    ...ofAnyName('create', 'default/events'),
    ...ofAnyName('create', 'certificatesigningrequests'),
    ...ofAnyName('get', 'certificatesigningrequests'),
  ];

  test('of all resources and verbs are these, and no other', { timeout: 120_000 }, async (context) => {
    assert.deepEqual(await allowedVerbs(context), expected.toSorted(order));
  });

  test('with routes to pods are to see all Nodes beside these, and no other', { timeout: 120_000 }, async (context) => {
    const give = (podRoutes: boolean): Promise<string> => {
      const objects = groupAccess({ podRoutes }).map((object) => stringify(object));
      return cluster.kubectl(['apply', '-f', '-'], { input: objects.join('---\n') });
    };
    await give(true);
    try {
      const more = new Set([...expected, ...ofAnyName('list', 'nodes'), ...ofAnyName('watch', 'nodes')]);
      assert.deepEqual(await allowedVerbs(context), [...more].toSorted(order));
    } finally {
      await give(false);
    }
  });

  const tries: Readonly<Record<string, () => Promise<{ readonly status: number }>>> = {
    'read the Secret of another pool': () => agent.request('GET', '/api/v1/namespaces/kube-system/secrets/pool-other'),
    'list all Secrets': () => agent.request('GET', '/api/v1/namespaces/kube-system/secrets'),
    'write its own Secret': () =>
      agent.request('PATCH', '/api/v1/namespaces/kube-system/secrets/pool-own', { data: { a: '' } }, merge),
    'list all Nodes': () => agent.request('GET', '/api/v1/nodes'),
    'read another Node': () => agent.request('GET', nodePath('other')),
    'label another Node': () => agent.request('PATCH', nodePath('other'), { metadata: { labels: { a: 'b' } } }, merge),
    'make a Node': () =>
      agent.request('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'new' } }),
    'remove its Node': () => agent.request('DELETE', nodePath('own')),
    'take a label of the administrator’s': () =>
      agent.request(
        'PATCH',
        nodePath('own'),
        { metadata: { labels: { 'node-restriction.kubernetes.io/x': 'y' } } },
        merge,
      ),
    'drop a label of the administrator’s': () =>
      agent.request(
        'PATCH',
        nodePath('own'),
        { metadata: { labels: { 'node-restriction.kubernetes.io/kept': null } } },
        merge,
      ),
    'cordon its Node': () => agent.request('PATCH', nodePath('own'), { spec: { unschedulable: true } }, merge),
    'give its Node addresses of pods': () =>
      agent.request('PATCH', nodePath('own'), { spec: { podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'] } }, merge),
    'say that its Node is Ready': () =>
      agent.request(
        'PATCH',
        `${nodePath('own')}/status`,
        { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
        merge,
      ),
    'make its Node larger': () =>
      agent.request('PATCH', `${nodePath('own')}/status`, { status: { capacity: { cpu: '99' } } }, merge),
    'make the heartbeat of another': () => agent.request('POST', leasesPath, leaseOf('nodekiln-agent-other')),
    'make a Lease of the control plane’s': () => agent.request('POST', leasesPath, leaseOf('kube-scheduler-2')),
    'tell an Event of another Node': () => agent.request('POST', '/api/v1/namespaces/default/events', eventOf('other')),
    'make a token of a service account': () =>
      agent.request('POST', '/api/v1/namespaces/kube-system/serviceaccounts/default/token', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {},
      }),
    'approve a request': () =>
      agent.request('PUT', '/apis/certificates.k8s.io/v1/certificatesigningrequests/a/approval', {}),
    'give itself rights': () =>
      agent.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'a' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: me }],
      }),
  };
  for (const [what, attempt] of Object.entries(tries)) {
    test(`do not let it ${what}`, async () => {
      const { status } = await attempt();
      assert.ok([403, 422].includes(status), `the API server answered ${status}`);
    });
  }

  const allowed: Readonly<Record<string, () => Promise<{ readonly status: number; readonly body: unknown }>>> = {
    'read its Secret': () => agent.request('GET', '/api/v1/namespaces/kube-system/secrets/pool-own'),
    'watch its Secret': () =>
      agent.request('GET', '/api/v1/namespaces/kube-system/secrets?fieldSelector=metadata.name%3Dpool-own'),
    'label and taint its Node': () =>
      agent.request(
        'PATCH',
        nodePath('own'),
        { metadata: { labels: { 'example.org/a': 'b' } }, spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } },
        merge,
      ),
    'say how its units are': () =>
      agent.request(
        'PATCH',
        `${nodePath('own')}/status`,
        { status: { conditions: [{ type: 'SystemdUnitsReady', status: 'True' }] } },
        merge,
      ),
    'make its heartbeat': () => agent.request('POST', leasesPath, leaseOf('nodekiln-agent-own')),
    'take the Lease of its Secret': async () => {
      const { metadata } = await agent.get<KubeObject>(`${leasesPath}/pool-own`);
      return agent.request('PUT', `${leasesPath}/pool-own`, { ...leaseOf('pool-own'), metadata });
    },
    'tell an Event of its Node': () => agent.request('POST', '/api/v1/namespaces/default/events', eventOf('own')),
  };
  for (const [what, attempt] of Object.entries(allowed)) {
    test(`let it ${what}`, async () => {
      const { status, body } = await attempt();
      assert.ok([200, 201].includes(status), `the API server answered ${status}: ${JSON.stringify(body)}`);
    });
  }

  test('of the approver are enough to approve, and no more', async () => {
    const may = async (attributes: object): Promise<boolean> => {
      const { body } = await cluster.admin.request<Review>(
        'POST',
        '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: { user: 'system:serviceaccount:kube-system:nodekiln-approver', resourceAttributes: attributes },
        },
      );
      return body.status.allowed;
    };
    const group = 'certificates.k8s.io';
    const resource = 'certificatesigningrequests';
    assert.ok(await may({ group, resource, subresource: 'approval', verb: 'update' }));
    assert.ok(await may({ group, resource: 'signers', name: 'kubernetes.io/kube-apiserver-client', verb: 'approve' }));
    assert.ok(await may({ resource: 'nodes', name: 'own', verb: 'get' }));
    assert.ok(await may({ group, resource: 'signers', name: 'kubernetes.io/kubelet-serving', verb: 'approve' }));
    for (const name of [
      'kubernetes.io/kube-apiserver-client-kubelet',
      'kubernetes.io/legacy-unknown',
      'example.com/own',
    ])
      assert.equal(await may({ group, resource: 'signers', name, verb: 'approve' }), false, name);
    assert.equal(await may({ resource: 'secrets', namespace: 'kube-system', verb: 'get' }), false);
    assert.equal(await may({ resource: 'nodes', verb: 'list' }), false);
  });
});

function leaseOf(name: string): KubeObject {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace: 'kube-system' },
    spec: { holderIdentity: 'own' },
  } as KubeObject;
}

function eventOf(name: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.1`, namespace: 'default' },
    involvedObject: { apiVersion: 'v1', kind: 'Node', name },
    reason: 'Test',
    message: 'a test',
    type: 'Normal',
  } as KubeObject;
}
