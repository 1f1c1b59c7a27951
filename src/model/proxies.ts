/**
 * Which proxy an address is asked through, as curl and Go read HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Pure.
 *
 * NO_PROXY names hosts, separated by commas: `*` (all), `example.com` and `.example.com` (that host and those below it),
 * `*.example.com` (those below it), `example.com:8443` (that port of it), `192.168.1.1-192.168.1.99` (those addresses),
 * `10.0.0.0/8` and `fd00::/8` (those of a subnet). Blanks separate, too, as curl takes them. A dot at the end of a name says
 * nothing, a name in another script counts by its ASCII form, an IPv4 address written as IPv6 as what it is.
 *
 * Errors: NK_USAGE for a proxy that is none, or of a kind that is not spoken here. Its address, which may hold a password, is
 * not repeated.
 */
import { NodekilnError } from '../errors.ts';
import { proxyAddress } from './proxy-address.ts';
import { holds, subnetOf, type Subnet } from './subnet.ts';

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What says which proxy is used. */
export interface ProxySettings {
  /** `http://user:password@proxy:3128` or `proxy:3128`, for both kinds of addresses; from the variables when only they are given. */
  readonly proxy?: string;
  /** Hosts that need no proxy, as in NO_PROXY; before what the variables say. */
  readonly noProxy?: string;
  /** The variables that count; the lower-case spelling wins. Without them and `proxy` all is direct. */
  readonly environment?: Environment;
}

/** Undefined: straight to the server. */
export function proxyFor(url: URL, { proxy, noProxy, environment = {} }: ProxySettings): string | undefined {
  // An empty variable is as good as none.
  const variable = (name: string): string => environment[name.toLowerCase()] || environment[name] || '';
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const chosen = proxy ?? variable(name);
  if (chosen === '' || isExcepted(url, noProxy ?? variable('NO_PROXY'))) return undefined;
  const address = proxyAddress(chosen);
  if (address !== undefined) return address;
  throw new NodekilnError('NK_USAGE', `${proxy === undefined ? name : 'the proxy that is given'} names no HTTP proxy`, {
    hint: 'Write it like http://proxy.example.org:3128 or proxy.example.org:3128; other kinds, as socks5, are not spoken.',
  });
}

function isExcepted(url: URL, list: string): boolean {
  const host = bare(url.hostname.toLowerCase()).replace(/\.$/, '');
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return list
    .toLowerCase()
    .replaceAll(/\s+-\s+/g, '-')
    .split(/[,\s]+/)
    .some((entry) => covers(entry, host, port));
}

/** Without the brackets of an address in an address. */
function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (entry.startsWith('*.')) return host.endsWith(entry.slice(1));
  const address = addressOf(host);
  const [from, to] = entry.split('-').map(subnetOf);
  if (address && from && to)
    return from.family === address.family && from.first <= address.first && address.last <= to.last;
  const { name, onPort = port } = withPort(entry);
  if (onPort !== port) return false;
  const subnet = addressOf(name);
  if (address) return subnet !== undefined && holds(subnet, address);
  const domain = inAscii(name.replace(/^\./, '').replace(/\.$/, ''));
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

/** An address or a subnet; one address of IPv4 in the clothes of IPv6 is that one. */
function addressOf(text: string): Subnet | undefined {
  const subnet = subnetOf(text);
  if (subnet?.family !== 6 || subnet.prefix < 128 || subnet.first >> 32n !== 0xffffn) return subnet;
  const bytes = [24n, 16n, 8n, 0n].map((shift) => (subnet.first >> shift) & 0xffn);
  return subnetOf(bytes.join('.'));
}

function inAscii(name: string): string {
  return /[^\x20-\x7e]/.test(name) ? (URL.parse(`http://${name}`)?.hostname ?? name) : name;
}

/** An address with colons has a port only behind brackets. */
function withPort(entry: string): { readonly name: string; readonly onPort?: string } {
  const [name = '', onPort, ...more] = entry.startsWith('[') ? entry.slice(1).split(/\](?::|$)/) : entry.split(':');
  if (more.length > 0) return { name: entry };
  return onPort ? { name, onPort } : { name };
}
