/**
 * Which proxy an address is asked through, as curl and others read HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Pure.
 *
 * NO_PROXY names hosts, separated by commas: `*` (all), `example.com` (that host), `.example.com` (and those below it),
 * `*.example.com` (those below it), `example.com:8443` (that port of it), `192.168.1.1-192.168.1.99` (those addresses).
 */
import type { Program } from '../../host/port.ts';

/** What says which proxy is used. */
export interface ProxySettings {
  /** `http://user:password@proxy:3128`, for both kinds of addresses; from the variables when only they are given. */
  readonly proxy?: string;
  /** Hosts that need no proxy, as in NO_PROXY; before what the variables say. */
  readonly noProxy?: string;
  /** The variables that count; the lower-case spelling wins. Without them and `proxy` all is direct. */
  readonly environment?: Program['environment'];
}

/** Undefined: straight to the server. */
export function proxyFor(url: URL, { proxy, noProxy, environment = {} }: ProxySettings): string | undefined {
  // An empty variable is as good as none.
  const variable = (name: string): string => environment[name.toLowerCase()] || environment[name] || '';
  const chosen = proxy ?? variable(url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (!/^https?:/i.test(chosen) || isExcepted(url, noProxy ?? variable('NO_PROXY'))) return undefined;
  return chosen;
}

function isExcepted(url: URL, list: string): boolean {
  const host = url.hostname.toLowerCase().replace(/^\[|\]$/g, '');
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return list
    .toLowerCase()
    .split(',')
    .map((entry) => entry.trim())
    .some((entry) => covers(entry, host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === '*' || entry === host || entry === `${host}:${port}`) return true;
  if (entry.startsWith('.')) return host === entry.slice(1) || host.endsWith(entry);
  if (entry.startsWith('*.')) return host.endsWith(entry.slice(1));
  const [, from, to] = /^([\d.]+)\s*-\s*([\d.]+)$/.exec(entry) ?? [];
  return from !== undefined && to !== undefined && isBetween(host, from, to);
}

function isBetween(host: string, from: string, to: string): boolean {
  const [at, first, last] = [host, from, to].map(addressNumber);
  return at !== undefined && first !== undefined && last !== undefined && at >= first && at <= last;
}

function addressNumber(text: string): number | undefined {
  const parts = /^\d+\.\d+\.\d+\.\d+$/.test(text) ? text.split('.').map(Number) : [];
  if (parts.length !== 4 || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}
