/** Which families the network of a document has, as far as it says: by the addresses it gives pods, the node and the cluster’s DNS. Pure. */
import { valueAt } from './paths.ts';
import { podCidr } from './cluster-checks.ts';

export type AddressFamily = 'IPv4' | 'IPv6';

/** `spec`: of a NodeConfig, complete or not. */
export function familiesIn(spec: unknown): ReadonlySet<AddressFamily> {
  const given = [
    ['network', 'cni', 'subnet'],
    ['kubelet', 'nodeIp'],
    ['cluster', 'dns'],
  ].flatMap((path) => valueAt(spec, path));
  const addresses = given.flatMap((text) => (typeof text === 'string' && text !== podCidr ? text.split(',') : []));
  return new Set(addresses.map((address) => (address.includes(':') ? 'IPv6' : 'IPv4')));
}
