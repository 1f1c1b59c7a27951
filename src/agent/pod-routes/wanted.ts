/**
 * Which routes to the pods of other nodes a host is to have. What Nodes say is not taken at its word: kubelets write the addresses
 * of theirs, and may write a podCIDR where the cluster gives none. A route is made only where it takes nothing from anybody: from
 * the host, its networks, another node, or what everybody must be able to reach. Pure.
 */
import type { HostRoutes, Route, WantedRoute } from '../../host/routes.ts';
import { createSubnetSet, holds, overlaps, subnetOf, type Subnet, type SubnetSet } from '../../model/subnet.ts';

/** What is known of a Node here. */
export interface PeerNode {
  readonly name: string;
  readonly podCidrs: readonly string[];
  readonly internalIps: readonly string[];
  /** As the API server writes times; of two that claim one subnet the older has it. */
  readonly createdAt: string;
}

export interface RouteQuestion {
  readonly ownName: string;
  readonly nodes: readonly PeerNode[];
  readonly host: HostRoutes;
  /** Addresses that must never be in a subnet of pods, and what they are. */
  readonly guarded: readonly { readonly address: string; readonly what: string }[];
}

/** A Node whose pods get no route, and why. */
export interface Routeless {
  readonly node: string;
  /** `refused`: what the Node says cannot be. `indirect`: its address is not on a link of this host. */
  readonly kind: 'refused' | 'indirect';
  /** `its podCIDR 0.0.0.0/0 is wider than a node's can be` */
  readonly why: string;
}

export interface RouteAnswer {
  readonly routes: readonly WantedRoute[];
  readonly routeless: readonly Routeless[];
}

/** A node has at most about a thousand pods. */
const widest = { 4: 12, 6: 48 } as const;

const special = [
  ['0.0.0.0/8', 'no addresses of hosts'],
  ['127.0.0.0/8', 'loopback addresses'],
  ['169.254.0.0/16', 'link-local addresses'],
  ['224.0.0.0/3', 'multicast and reserved addresses'],
  ['::/64', 'loopback and mapped addresses'],
  ['fe80::/10', 'link-local addresses'],
  ['ff00::/8', 'multicast addresses'],
].flatMap(([text = '', what = '']) => {
  const subnet = subnetOf(text);
  return subnet ? [{ subnet, what }] : [];
});

export function wantedRoutes({ ownName, nodes, host, guarded }: RouteQuestion): RouteAnswer {
  const foreign = host.routes.filter(({ isOwn }) => !isOwn);
  const inUse = createSubnetSet<string>();
  for (const { address, what } of guarded) addTo(inUse, address, what);
  for (const address of host.addresses) inUse.add(address, 'this host');
  /** Whose pods have them. */
  const pods = createSubnetSet<string>();
  const own = nodes.find(({ name }) => name === ownName);
  for (const text of own?.podCidrs ?? []) addTo(pods, text, ownName);
  const accepted: { readonly node: PeerNode; readonly subnet: Subnet }[] = [];
  const routeless: Routeless[] = [];
  for (const node of nodes.filter(({ name }) => name !== ownName).sort(olderFirst)) {
    for (const text of node.podCidrs) {
      const subnet = subnetOf(text);
      const why = subnet ? problemOf(subnet, { foreign, inUse, pods }) : 'is no subnet';
      if (!subnet || why !== undefined)
        routeless.push({ node: node.name, kind: 'refused', why: `its podCIDR ${text.slice(0, 50)} ${why}` });
      else if (pods.add(subnet, node.name)) accepted.push({ node, subnet });
    }
    // Nobody takes a podCIDR from a node that was there before by an address in it.
    for (const address of gatewaysOf(node))
      if (pods.overlapping(address) === undefined) inUse.add(address, `the node ${node.name}`);
  }
  const routes: WantedRoute[] = [];
  for (const { node, subnet } of accepted) {
    const gateway = gatewaysOf(node).find(({ family }) => family === subnet.family);
    // kubelet has not said it yet.
    if (!gateway) continue;
    const way = wayTo(gateway, { foreign, pods, addresses: host.addresses });
    if ('link' in way) routes.push({ subnet, gateway: textOfAddress(gateway), link: way.link });
    else routeless.push({ node: node.name, ...way });
  }
  return { routes, routeless };
}

function addTo(set: SubnetSet<string>, text: string, what: string): void {
  const subnet = subnetOf(text);
  if (subnet) set.add(subnet, what);
}

function olderFirst(a: PeerNode, b: PeerNode): number {
  return `${a.createdAt} ${a.name}` < `${b.createdAt} ${b.name}` ? -1 : 1;
}

interface Taken {
  readonly foreign: readonly Route[];
  readonly inUse: SubnetSet<string>;
  readonly pods: SubnetSet<string>;
}

/** Undefined when it can be a node's. */
function problemOf(subnet: Subnet, { foreign, inUse, pods }: Taken): string | undefined {
  if (subnet.prefix < widest[subnet.family]) return 'is wider than a node’s can be';
  const reserved = special.find((range) => overlaps(range.subnet, subnet));
  if (reserved) return `has ${reserved.what}`;
  const whose = inUse.overlapping(subnet);
  if (whose !== undefined) return `has the address of ${whose}`;
  const within = foreign.find((route) => holds(subnet, route.subnet));
  if (within) return `has ${within.subnet.text}, to which this host has a route already`;
  const around = foreign.find((route) => route.gateway === undefined && holds(route.subnet, subnet));
  if (around) return `is in ${around.subnet.text}, a network of this host`;
  const other = pods.overlapping(subnet);
  return other === undefined ? undefined : `is the node ${other}’s, too`;
}

/** The first of each family. */
function gatewaysOf({ internalIps }: PeerNode): readonly Subnet[] {
  const addresses = internalIps.flatMap((text) => subnetOf(text) ?? []);
  return ([4, 6] as const).flatMap((family) => addresses.find((address) => address.family === family) ?? []);
}

type Way = { readonly link: string } | Omit<Routeless, 'node'>;

/** An address is reached directly when the narrowest route to it has a link and no gateway. */
function wayTo(
  address: Subnet,
  {
    foreign,
    pods,
    addresses,
  }: { readonly foreign: readonly Route[]; readonly pods: SubnetSet<string>; readonly addresses: readonly Subnet[] },
): Way {
  const text = textOfAddress(address);
  const refused = (why: string): Way => ({ kind: 'refused', why: `its address ${text} ${why}` });
  if (addresses.some((own) => overlaps(own, address))) return refused('is one of this host’s');
  const reserved = special.find((range) => overlaps(range.subnet, address));
  if (reserved) return refused(`is among ${reserved.what}`);
  const whose = pods.overlapping(address);
  if (whose !== undefined) return refused(`is among those of pods of the node ${whose}`);
  const narrowest = foreign
    .filter(({ subnet }) => holds(subnet, address))
    .reduce<Route | undefined>(
      (best, route) => (best && best.subnet.prefix >= route.subnet.prefix ? best : route),
      undefined,
    );
  if (narrowest?.link !== undefined && narrowest.gateway === undefined) return { link: narrowest.link };
  return { kind: 'indirect', why: `its address ${text} is on no link of this host` };
}

function textOfAddress({ text }: Subnet): string {
  return text.slice(0, text.indexOf('/'));
}
