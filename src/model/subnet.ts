/** Subnets, and which of many one has to do with. Pure. */
import { addressBytes, areSubnets, subnetsOf } from './ip-address.ts';

export interface Subnet {
  readonly family: 4 | 6;
  /** Addresses as numbers. */
  readonly first: bigint;
  readonly last: bigint;
  readonly prefix: number;
  /** `10.90.2.0/24`, the same for however it was written. */
  readonly text: string;
}

/** Of `10.90.2.0/24`, or of an address alone; bits behind the prefix count for nothing. Undefined for what is neither. */
export function subnetOf(text: string): Subnet | undefined {
  const [address = '', length, ...more] = text.split('/');
  const bytes = addressBytes(address);
  if (!bytes || more.length > 0 || (length !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(length))) return undefined;
  const bits = bytes.length * 8;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) return undefined;
  const size = 1n << BigInt(bits - prefix);
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const first = value - (value % size);
  const family = bits === 32 ? 4 : 6;
  return { family, first, last: first + size - 1n, prefix, text: `${addressText(first, family)}/${prefix}` };
}

function addressText(value: bigint, family: 4 | 6): string {
  const [parts, bits] = family === 4 ? [4, 8n] : [8, 16n];
  const numbers = Array.from(
    { length: parts },
    (_part, index) => (value >> (bits * BigInt(parts - 1 - index))) & ((1n << bits) - 1n),
  );
  return family === 4 ? numbers.join('.') : numbers.map((number) => number.toString(16)).join(':');
}

/**
 * Subnets out of which pods get addresses: one, or one of either family with a comma. The plugin that gives them (host-local)
 * takes no bits behind the prefix and nothing without room for a gateway and a pod, and an IPv4 subnet written as IPv6 for neither.
 */
export function arePodSubnets(text: string): boolean {
  return areSubnets(text) && subnetsOf(text).every(hasPods);
}

function hasPods(text: string): boolean {
  const [subnet, start] = [subnetOf(text), subnetOf(text.split('/')[0] ?? '')];
  if (!subnet || subnet.first !== start?.first || subnet.prefix > start.prefix - 2) return false;
  return !forNoPod.some((other) => holds(other, subnet));
}

/** Of the host itself, of groups, of another family. */
const forNoPod = ['127.0.0.0/8', '224.0.0.0/3', '::ffff:0:0/96', 'ff00::/8'].flatMap((text) => subnetOf(text) ?? []);

/** Whether the one has all addresses of the other. */
export function holds(one: Subnet, other: Subnet): boolean {
  return one.family === other.family && one.first <= other.first && other.last <= one.last;
}

export function overlaps(one: Subnet, other: Subnet): boolean {
  return one.family === other.family && one.first <= other.last && other.first <= one.last;
}

/** Subnets of which no two overlap, each with what is known of it. */
export interface SubnetSet<T> {
  /** What one that overlaps has; undefined when none does. */
  overlapping(subnet: Subnet): T | undefined;
  /** False when one that overlaps is there: it stays as it was. */
  add(subnet: Subnet, about: T): boolean;
}

export function createSubnetSet<T>(): SubnetSet<T> {
  const sorted: Record<4 | 6, { readonly subnet: Subnet; readonly about: T }[]> = { 4: [], 6: [] };
  /** Index of the first that ends at or after the beginning of this one. */
  const place = ({ family, first }: Subnet): number => {
    const list = sorted[family];
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((list[middle]?.subnet.last ?? 0n) < first) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const found = (subnet: Subnet): { readonly about: T } | undefined => {
    const next = sorted[subnet.family][place(subnet)];
    return next && overlaps(next.subnet, subnet) ? next : undefined;
  };
  return {
    overlapping: (subnet) => found(subnet)?.about,
    add: (subnet, about) => {
      if (found(subnet)) return false;
      sorted[subnet.family].splice(place(subnet), 0, { subnet, about });
      return true;
    },
  };
}
