/** Which requests for the certificates of agents are approved. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ReadRequest } from '../model/certificate-request.ts';
import { judgeAgentRequest, judgeServingRequest, type Judged, type JudgedRequest } from './approval.ts';

const request: ReadRequest = {
  commonName: 'nodekiln:node-agent:node-1',
  organizations: ['nodekiln:node-agents'],
  hasOtherNames: false,
  hasExtensions: false,
  publicKey: '',
  signed: new Uint8Array(),
  signature: new Uint8Array(),
};
const byToken: JudgedRequest = {
  signerName: 'kubernetes.io/kube-apiserver-client',
  usages: ['digital signature', 'client auth'],
  expirationSeconds: 30 * 24 * 3600,
  username: 'system:bootstrap:abcdef',
  groups: ['system:bootstrappers', 'system:authenticated'],
  request,
};
const byAgent: JudgedRequest = {
  ...byToken,
  username: 'nodekiln:node-agent:node-1',
  groups: ['nodekiln:node-agents', 'system:authenticated'],
};
const byKubelet: JudgedRequest = { ...byToken, username: 'system:node:node-1', groups: ['system:nodes'] };

const judge = (asked: JudgedRequest, nodes: readonly string[] = []): Judged =>
  judgeAgentRequest(asked, { hasNode: (name) => nodes.includes(name) });
const withRequest = (asked: JudgedRequest, change: Partial<ReadRequest>): JudgedRequest => ({
  ...asked,
  request: { ...request, ...change },
});

describe('a request for the certificate of an agent', () => {
  it('is approved by a bootstrap token while the node is new, and for the agent and the kubelet of the node itself', () => {
    assert.equal(judge(byToken).verdict, 'approved');
    assert.equal(judge(byToken, ['node-2']).verdict, 'approved');
    for (const asked of [byAgent, byKubelet]) assert.equal(judge(asked, ['node-1']).verdict, 'approved');
    assert.equal(judge({ ...byToken, usages: [...byToken.usages, 'key encipherment'] }).verdict, 'approved');
    const { expirationSeconds: _none, ...unbounded } = byToken;
    assert.equal(judge(unbounded).verdict, 'approved');
  });

  const wrong: Readonly<Record<string, readonly [JudgedRequest, RegExp, (readonly string[])?]>> = {
    'a token for a node that is there': [byToken, /has a Node of this name/, ['node-1']],
    'an agent for another node': [
      withRequest(byAgent, { commonName: 'nodekiln:node-agent:node-2' }),
      /may ask for itself only/,
    ],
    'an agent by its name without its group': [{ ...byAgent, groups: [] }, /may ask for itself only/],
    'an agent for somebody who is none': [
      withRequest(byAgent, { commonName: 'system:admin' }),
      /common name is not that of an agent/,
    ],
    'the kubelet of another node': [{ ...byKubelet, username: 'system:node:node-2' }, /who asks is neither/],
    'a kubelet without its group': [{ ...byKubelet, groups: [] }, /who asks is neither/],
    'a service account': [{ ...byToken, username: 'system:serviceaccount:a:b', groups: [] }, /who asks is neither/],
    'a bootstrap user without its group': [{ ...byToken, groups: [] }, /who asks is neither/],
    'the group of bootstrappers without a token': [{ ...byToken, username: 'somebody' }, /who asks is neither/],
    'another organization': [withRequest(byToken, { organizations: ['system:masters'] }), /organization/],
    'a second organization': [
      withRequest(byToken, { organizations: ['nodekiln:node-agents', 'system:masters'] }),
      /organization/,
    ],
    'no organization': [withRequest(byToken, { organizations: [] }), /organization/],
    'other names': [withRequest(byToken, { hasOtherNames: true }), /other names/],
    extensions: [withRequest(byToken, { hasExtensions: true }), /extensions/],
    'the usages of a server': [{ ...byToken, usages: ['digital signature', 'server auth'] }, /usages/],
    'more usages': [{ ...byToken, usages: [...byToken.usages, 'cert sign'] }, /usages/],
    'fewer usages': [{ ...byToken, usages: ['client auth'] }, /usages/],
    'more than a year': [{ ...byToken, expirationSeconds: 400 * 24 * 3600 }, /more than a year/],
    'no name of a node': [withRequest(byToken, { commonName: 'nodekiln:node-agent:' }), /common name/],
    'a name that no Node may have': [withRequest(byToken, { commonName: 'nodekiln:node-agent:A/b' }), /common name/],
    'the group of agents for somebody else': [withRequest(byToken, { commonName: 'x' }), /common name/],
  };
  for (const [name, [asked, why, nodes]] of Object.entries(wrong)) {
    it(`is denied: ${name}`, () => {
      const judged = judge(asked, nodes);
      assert.equal(judged.verdict, 'denied');
      assert.match(judged.why, why);
    });
  }

  it('that holds none, or is not signed by its key, is denied to an agent and left for others', () => {
    assert.equal(judge({ ...byAgent, request: undefined }).verdict, 'denied');
    assert.equal(judge({ ...byToken, request: undefined }).verdict, 'left');
  });

  it('of somebody else is left to somebody else', () => {
    assert.equal(judge({ ...byToken, signerName: 'kubernetes.io/kubelet-serving' }).verdict, 'left');
    const kubelets = { commonName: 'system:node:node-1', organizations: ['system:nodes'] };
    assert.equal(judge(withRequest(byToken, kubelets)).verdict, 'left');
  });
});

describe('a request of a kubelet for what it serves', () => {
  const bytes = (...list: number[]): Uint8Array => Uint8Array.from(list);
  const serverNames = { dns: ['node-1'], addresses: [bytes(10, 0, 0, 1)] };
  const good: JudgedRequest = {
    signerName: 'kubernetes.io/kubelet-serving',
    usages: ['digital signature', 'key encipherment', 'server auth'],
    username: 'system:node:node-1',
    groups: ['system:nodes', 'system:authenticated'],
    request: {
      ...request,
      commonName: 'system:node:node-1',
      organizations: ['system:nodes'],
      hasExtensions: true,
      serverNames,
    },
  };
  const addresses = [
    { type: 'Hostname', address: 'node-1' },
    { type: 'InternalIP', address: '10.0.0.1' },
    { type: 'InternalIP', address: '2001:DB8::1' },
  ];
  const asking = (change: Partial<ReadRequest>): JudgedRequest => ({
    ...good,
    request: { ...(good.request ?? request), ...change },
  });

  it('is approved for names and addresses of its Node', () => {
    assert.equal(judgeServingRequest(good, addresses).verdict, 'approved');
    const six = { dns: ['Node-1'], addresses: [bytes(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)] };
    assert.equal(judgeServingRequest(asking({ serverNames: six }), addresses).verdict, 'approved');
  });

  const wrong: Readonly<Record<string, readonly [JudgedRequest, RegExp]>> = {
    'for another node': [asking({ commonName: 'system:node:node-2' }), /itself only/],
    'for another group': [asking({ organizations: ['system:masters'] }), /system:nodes alone/],
    'for a second group': [asking({ organizations: ['system:nodes', 'system:masters'] }), /system:nodes alone/],
    'with other names in its subject': [asking({ hasOtherNames: true }), /other names/],
    'for a name of somebody else': [
      asking({ serverNames: { ...serverNames, dns: ['node-1', 'kubernetes.default'] } }),
      /its Node does not have/,
    ],
    'for an address of somebody else': [
      asking({ serverNames: { ...serverNames, addresses: [bytes(10, 0, 0, 2)] } }),
      /its Node does not have/,
    ],
    'as a client': [{ ...good, usages: [...good.usages, 'client auth'] }, /usages/],
    'without being a server': [{ ...good, usages: ['digital signature'] }, /usages/],
    'for more than a year': [{ ...good, expirationSeconds: 400 * 24 * 3600 }, /more than a year/],
    'that is signed by another key': [{ ...good, request: undefined }, /signature/],
  };
  for (const [name, [asked, why]] of Object.entries(wrong)) {
    it(`is denied ${name}`, () => {
      const judged = judgeServingRequest(asked, addresses);
      assert.equal(judged.verdict, 'denied');
      assert.match(judged.why, why);
    });
  }

  it('is denied for something other than names, and without a Node', () => {
    const { serverNames: _none, ...bare } = good.request ?? request;
    assert.match(judgeServingRequest({ ...good, request: bare }, addresses).why, /other than names/);
    assert.match(judgeServingRequest(good, undefined).why, /no Node/);
    assert.equal(judgeServingRequest(good, []).verdict, 'denied');
  });

  it('of somebody else is left to somebody else', () => {
    for (const other of [
      { ...good, signerName: 'kubernetes.io/kube-apiserver-client' },
      { ...good, username: 'somebody' },
      { ...good, groups: [] },
    ])
      assert.equal(judgeServingRequest(other, addresses).verdict, 'left');
  });
});
