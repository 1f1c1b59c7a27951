/** Which routes Nodes get, whatever they say of themselves. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostRoutes, Route } from '../../host/routes.ts';
import { subnetOf, type Subnet } from '../../model/subnet.ts';
import { wantedRoutes, type PeerNode } from './wanted.ts';

const subnet = (text: string): Subnet => subnetOf(text) ?? assert.fail(text);
const route = (text: string, about: Partial<Route> = {}): Route => ({
  subnet: subnet(text),
  link: 'eth0',
  gateway: undefined,
  isOwn: false,
  ...about,
});

/** 10.77.0.2 on eth0, a VPN's 10.0.0.0/8 by way of a router, its own pods on cni0. */
const host: HostRoutes = {
  routes: [
    route('10.77.0.0/24'),
    route('fd00:77::/64'),
    route('10.0.0.0/8', { gateway: '10.77.0.1' }),
    route('10.90.1.0/24', { link: 'cni0' }),
    route('10.98.0.0/16', { link: undefined }),
  ],
  addresses: ['127.0.0.1', '10.77.0.2', '10.90.1.1', 'fd00:77::2'].map(subnet),
};
const own: PeerNode = { name: 'own', podCidrs: ['10.90.1.0/24'], internalIps: ['10.77.0.2'], createdAt: '2030-01-01' };
const guarded = [
  { address: '203.0.113.7', what: 'the API server' },
  { address: '10.96.0.10', what: 'the DNS of the cluster' },
];

const peer = (name: string, about: Partial<PeerNode> = {}): PeerNode => ({
  name,
  podCidrs: ['10.90.2.0/24'],
  internalIps: ['10.77.0.3'],
  createdAt: '2030-01-02',
  ...about,
});

function judged(...peers: PeerNode[]): { routes: string[]; routeless: string[] } {
  const { routes, routeless } = wantedRoutes({ ownName: 'own', nodes: [...peers, own], host, guarded });
  return {
    routes: routes.map((one) => `${one.subnet.text} via ${one.gateway} dev ${one.link}`),
    routeless: routeless.map(({ node, kind, why }) => `${kind} ${node}: ${why}`),
  };
}

describe('a Node on a link of this host', () => {
  it('has a route of each family by its address of that family', () => {
    const both = peer('b', { podCidrs: ['10.90.2.0/24', 'fd00:2::/64'], internalIps: ['10.77.0.3', 'fd00:77::3'] });
    assert.deepEqual(judged(both), {
      routes: ['10.90.2.0/24 via 10.77.0.3 dev eth0', 'fd00:2:0:0:0:0:0:0/64 via fd00:77:0:0:0:0:0:3 dev eth0'],
      routeless: [],
    });
  });

  it('is waited for while it has no podCIDR or no address of that family, and nothing is said', () => {
    const nothing = { routes: [], routeless: [] };
    assert.deepEqual(judged(peer('b', { podCidrs: [] })), nothing);
    assert.deepEqual(judged(peer('b', { internalIps: [] })), nothing);
    assert.deepEqual(judged(peer('b', { internalIps: ['fd00:77::3'] })), nothing);
  });

  it('is reached past a route of its own, which says nothing of who is on a link', () => {
    const table = { ...host, routes: [...host.routes, route('10.77.0.0/28', { gateway: '10.77.0.9', isOwn: true })] };
    assert.equal(wantedRoutes({ ownName: 'own', nodes: [own, peer('b')], host: table, guarded }).routes.length, 1);
  });
});

describe('a Node that is not', () => {
  for (const [what, address] of [
    ['behind a router', '10.3.0.3'],
    ['behind the default route', '192.0.2.3'],
    ['where no route leads', '10.98.0.3'],
    ['in a network of the other family', 'fd00:99::3'],
  ] as const)
    it(`${what} has none, and that is said`, () => {
      const podCidrs = address.includes(':') ? ['fd00:2::/64'] : ['10.90.2.0/24'];
      const { routes, routeless } = judged(peer('b', { podCidrs, internalIps: [address] }));
      assert.deepEqual(routes, []);
      assert.match(routeless.join(), /^indirect b: its address \S+ is on no link of this host$/);
    });
});

describe('a podCIDR is refused', () => {
  for (const [cidr, why] of [
    ['0.0.0.0/0', /is wider than a node’s can be/],
    ['::/0', /is wider than a node’s can be/],
    ['128.0.0.0/1', /is wider than a node’s can be/],
    ['fd00::/40', /is wider than a node’s can be/],
    ['127.0.0.0/24', /has loopback addresses/],
    ['::1/128', /has loopback and mapped addresses/],
    ['169.254.169.0/24', /has link-local addresses/],
    ['fe80::/64', /has link-local addresses/],
    ['224.0.0.0/24', /has multicast and reserved addresses/],
    ['ff02::/64', /has multicast addresses/],
    ['10.77.0.0/16', /has the address of this host/],
    ['10.77.0.2/32', /has the address of this host/],
    ['10.77.0.128/25', /is in 10\.77\.0\.0\/24, a network of this host/],
    ['10.77.0.128/32', /is in 10\.77\.0\.0\/24, a network of this host/],
    ['10.90.1.128/25', /is in 10\.90\.1\.0\/24, a network of this host/],
    ['10.98.0.0/16', /has 10\.98\.0\.0\/16, to which this host has a route already/],
    ['203.0.113.0/24', /has the address of the API server/],
    ['203.0.113.7/32', /has the address of the API server/],
    ['10.96.0.0/16', /has the address of the DNS of the cluster/],
    ['nonsense', /is no subnet/],
    ['10.90.2.0/24\nroute add default', /is no subnet/],
  ] as const)
    it(JSON.stringify(cidr), () => {
      const { routes, routeless } = judged(peer('b', { podCidrs: [cidr], internalIps: ['10.77.0.3', 'fd00:77::3'] }));
      assert.deepEqual(routes, []);
      assert.match(routeless.join(), why);
      assert.match(routeless.join(), /^refused b: its podCIDR /);
    });

  it('that is another’s, too: the older Node has it, in whatever order they are told', () => {
    const [older, newer] = [
      peer('z', { createdAt: '2030-01-02' }),
      peer('b', { podCidrs: ['10.90.2.128/25'], internalIps: ['10.77.0.4'], createdAt: '2030-01-03' }),
    ];
    for (const nodes of [
      [older, newer],
      [newer, older],
    ]) {
      const { routes, routeless } = judged(...nodes);
      assert.deepEqual(routes, ['10.90.2.0/24 via 10.77.0.3 dev eth0']);
      assert.deepEqual(routeless, ['refused b: its podCIDR 10.90.2.128/25 is the node z’s, too']);
    }
  });

  it('that is this node’s, though the other be older', () => {
    const { routes, routeless } = judged(peer('b', { podCidrs: ['10.90.0.0/23'], createdAt: '2000-01-01' }));
    assert.deepEqual(routes, []);
    assert.equal(routeless.length, 1);
  });

  it('that has the address of a node that was there before', () => {
    const far = peer('far', { podCidrs: [], internalIps: ['10.3.0.3'] });
    const { routes, routeless } = judged(far, peer('b', { podCidrs: ['10.3.0.0/24'], createdAt: '2030-01-03' }));
    assert.deepEqual(routes, []);
    assert.deepEqual(routeless, ['refused b: its podCIDR 10.3.0.0/24 has the address of the node far']);
  });
});

describe('an address is refused', () => {
  for (const [address, why] of [
    ['10.77.0.2', /is one of this host’s/],
    ['127.0.0.1', /is one of this host’s/],
    ['127.0.0.9', /is among loopback addresses/],
    ['169.254.0.9', /is among link-local addresses/],
    ['10.90.1.7', /is among those of pods of the node own/],
    ['10.90.2.7', /is among those of pods of the node b/],
  ] as const)
    it(address, () => {
      const { routes, routeless } = judged(peer('b', { internalIps: [address] }));
      assert.deepEqual(routes, []);
      assert.match(routeless.join(), why);
    });

  it('in the podCIDR of a node that was there before, which keeps its route', () => {
    const evil = peer('evil', { podCidrs: [], internalIps: ['10.90.2.7'], createdAt: '2030-01-03' });
    assert.deepEqual(judged(peer('b'), evil).routes, ['10.90.2.0/24 via 10.77.0.3 dev eth0']);
  });
});
