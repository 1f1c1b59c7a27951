/** What agents may do: by names, without a wildcard. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { groupAccess, nodeAccess, type AccessObject } from './access.ts';

const ruleTexts = (objects: readonly AccessObject[]): string[] =>
  objects.flatMap(({ kind, metadata, rules = [] }) =>
    rules.map(({ apiGroups, resources, resourceNames = ['*'], verbs }) =>
      [
        `${kind} ${metadata.namespace ?? ''}:`,
        `${apiGroups.join()}/${resources.join()}`,
        resourceNames.join(),
        verbs.join(),
      ].join(' '),
    ),
  );

describe('the rights of agents', () => {
  it('are those of all, by creation alone', () => {
    assert.deepEqual(ruleTexts(groupAccess()), [
      'ClusterRole : certificates.k8s.io/certificatesigningrequests * create,get',
      'Role default: /events * create',
    ]);
  });

  it('of all are to see Nodes beside that only where they keep routes', () => {
    assert.deepEqual(ruleTexts(groupAccess({ podRoutes: true })), [
      'ClusterRole : certificates.k8s.io/certificatesigningrequests * create,get',
      'ClusterRole : /nodes * list,watch',
      'Role default: /events * create',
    ]);
  });

  it('are those of a node, by the names of what is its own', () => {
    const objects = nodeAccess({ nodeName: 'n', secrets: ['kube-system/a', 'other/b', 'kube-system/t'] });
    assert.deepEqual(ruleTexts(objects), [
      'ClusterRole : /nodes n get,list,watch,patch',
      'ClusterRole : /nodes/status n patch',
      'Role kube-system: /secrets a,t get,list,watch',
      'Role kube-system: coordination.k8s.io/leases a,nodekiln-agent-n,t get,list,watch,update',
      'Role kube-system: coordination.k8s.io/leases * create',
      'Role other: /secrets b get,list,watch',
      'Role other: coordination.k8s.io/leases b get,list,watch,update',
    ]);
    const made = objects
      .filter(({ kind }) => kind === 'Lease')
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    assert.deepEqual(made, ['kube-system/a', 'other/b', 'kube-system/t']);
    for (const { subjects = [] } of objects)
      for (const { kind, name } of subjects) assert.deepEqual([kind, name], ['User', 'nodekiln:node-agent:n']);
    assert.doesNotMatch(JSON.stringify(objects), /"\*"/);
  });

  it('of an agent without Secrets are its Node and its Lease', () => {
    assert.deepEqual(
      ruleTexts(nodeAccess({ nodeName: 'n', secrets: [], heartbeats: ['gardener-node-agent-n'] })).slice(2),
      [
        'Role kube-system: coordination.k8s.io/leases gardener-node-agent-n get,list,watch,update',
        'Role kube-system: coordination.k8s.io/leases * create',
      ],
    );
  });
});
