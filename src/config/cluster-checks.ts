/** What is asked of addresses, subnets and names of a cluster beyond their types: for schemas and whoever else asks. Pure. */
import { certificatesIn } from '../model/certificate.ts';
import { addressBytes } from '../model/ip-address.ts';
import { proxyAddress } from '../model/proxy-address.ts';
import { asReference } from '../model/reference.ts';
import { arePodSubnets } from '../model/subnet.ts';

/** The subnet of a bridge whose pods have the addresses that the cluster gives the Node. */
export const podCidr = 'podCIDR';

export const nodeNamePattern = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
export const nodeNameLength = 253;

/** May a Node have this name? A DNS subdomain of RFC 1123, which Kubernetes demands of every object with such a name. */
export function isNodeName(name: string): boolean {
  return name.length <= nodeNameLength && nodeNamePattern.test(name);
}

export function isUrl(value: string): boolean {
  return URL.canParse(value);
}

export function areCertificates(text: string): boolean {
  return certificatesIn(text) !== undefined;
}

export function isIpAddress(value: string): boolean {
  return addressBytes(value) !== undefined;
}

export function isPodSubnet(value: string): boolean {
  return value === podCidr || arePodSubnets(value);
}

/** '' is none. */
export function isProxy(text: string): boolean {
  return text === '' || proxyAddress(text) !== undefined;
}

/** Go, in which containerd and kubelet are written, knows these kinds, too. */
export function isGoProxy(text: string): boolean {
  return isProxy(text.replace(/^socks5h?:/i, 'http:'));
}

export function isReference(value: string): boolean {
  return asReference(value) !== undefined;
}

/** It completes to a reference with a tag, and has none itself. */
export function isRepository(text: string): boolean {
  return isReference(`${text}:tag`) && !isReference(text);
}
