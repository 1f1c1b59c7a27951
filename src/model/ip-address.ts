/** Addresses as bytes, so that two ways to write one are one. Pure. */

/** Four bytes or sixteen; undefined for what is no address. Zones (`fe80::1%eth0`) are none. */
export function addressBytes(text: string): Uint8Array | undefined {
  return text.includes(':') ? ipv6(text) : ipv4(text);
}

function ipv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return Uint8Array.from(parts.map(Number));
}

function ipv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map((half, index) =>
    half === '' ? [] : groupsOf(half.split(':'), index === halves.length - 1),
  );
  if (!before || (halves.length === 2 && !after)) return undefined;
  const missing = 8 - before.length - (after?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...before, ...Array.from({ length: missing }, () => 0), ...(after ?? [])];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** At the end of an address the last one may be an IPv4 address. */
function groupsOf(parts: readonly string[], isEnd: boolean): number[] | undefined {
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    const last = isEnd && index === parts.length - 1 && part.includes('.') ? ipv4(part) : undefined;
    const [a = 0, b = 0, c = 0, d = 0] = last ?? [];
    if (last) groups.push((a << 8) | b, (c << 8) | d);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/** An address and how many of its bits are the network's, `10.88.0.0/24`. */
export function isSubnet(text: string): boolean {
  const [address = '', bits = '', ...more] = text.split('/');
  const bytes = addressBytes(address);
  return bytes !== undefined && more.length === 0 && /^(?:0|[1-9]\d*)$/.test(bits) && Number(bits) <= bytes.length * 8;
}

/** The subnets of a text: one, or one of either family with a comma. */
export function subnetsOf(text: string): readonly string[] {
  return text.split(',');
}

/** One subnet, or one of either family, as Kubernetes writes two of them: `10.88.0.0/24,fd00:88::/64`. */
export function areSubnets(text: string): boolean {
  const subnets = subnetsOf(text);
  const families = new Set(subnets.map((subnet) => subnet.includes(':')));
  return subnets.every(isSubnet) && families.size === subnets.length;
}

/** What kubelet takes for the address of its node: one, or one of either family, by which others can reach it. */
export function isNodeAddress(text: string): boolean {
  const addresses = text.split(',').map(addressBytes);
  const lengths = addresses.map((bytes) => bytes?.length);
  if (lengths.length > 2 || new Set(lengths).size < lengths.length) return false;
  return addresses.every((bytes) => bytes !== undefined && !isForNoOther(bytes));
}

/** Of this host alone, of one link alone, of a group; "any address" tells kubelet the family. */
function isForNoOther(bytes: Uint8Array): boolean {
  const [a = 0, b = 0] = bytes;
  if (bytes.length === 4) return a === 127 || (a === 169 && b === 254) || (a >= 224 && a < 240);
  const isLoopback = bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
  return isLoopback || (a === 0xfe && (b & 0xc0) === 0x80) || a === 0xff;
}
