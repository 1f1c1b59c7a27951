/**
 * What a host has for the network of its pods: networks that somebody brought, the resolver it really uses, and the routers it
 * heard of. Reads files only.
 */
import { textOf } from '../model/bytes.ts';
import type { Facts } from '../model/facts.ts';
import { resolve } from '../model/path.ts';
import type { Files } from './port.ts';

export async function readNetwork(files: Files): Promise<Pick<Facts, 'podNetworks' | 'resolvConf' | 'raLinks'>> {
  const [podNetworks, resolvConf, raLinks] = await Promise.all([
    podNetworksIn(files),
    resolvConfOf(files),
    linksWithHeardRouters(files),
  ]);
  return {
    ...(podNetworks.length > 0 && { podNetworks }),
    ...(resolvConf !== undefined && { resolvConf }),
    ...(raLinks.length > 0 && { raLinks }),
  };
}

const cniFolder = '/etc/cni/net.d';

/** As containerd takes them: by ending, in the order of their names. */
async function podNetworksIn(files: Files): Promise<string[]> {
  const names = await files.list(cniFolder);
  return names.filter((name) => /\.(?:conf|conflist|json)$/.test(name)).map((name) => `${cniFolder}/${name}`);
}

/** Of systemd-resolved, and of NetworkManager with a resolver of its own: the servers that these ask themselves. */
const resolvedServers = '/run/systemd/resolve/resolv.conf';
const networkManagerServers = '/run/NetworkManager/no-stub-resolv.conf';
const resolvConfPath = '/etc/resolv.conf';

/**
 * What pods can be given where /etc/resolv.conf names a resolver that only the host itself reaches: a file, or `none` when
 * there is no such file. Undefined where /etc/resolv.conf will do. A link counts by where it leads: before systemd-resolved
 * is up there is nothing yet.
 */
async function resolvConfOf(files: Files): Promise<string | undefined> {
  const stat = await files.stat(resolvConfPath);
  const target = stat?.target === undefined ? undefined : resolve('/etc', stat.target);
  if (target === '/run/systemd/resolve/stub-resolv.conf' || target === '/usr/lib/systemd/resolv.conf')
    return resolvedServers;
  const content = textOf(await files.read(resolvConfPath).catch(() => undefined)) ?? '';
  const servers = [...content.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server = '']) => server);
  if (servers.length === 0 || !servers.every(isLoopback)) return undefined;
  if (servers.some((server) => /^127\.0\.0\.5[34]$/.test(server))) return resolvedServers;
  return (await files.stat(networkManagerServers)) ? networkManagerServers : 'none';
}

function isLoopback(server: string): boolean {
  return server.startsWith('127.') || server === '::1' || server.startsWith('::ffff:127.');
}

/** RTF_DEFAULT and RTF_ADDRCONF of linux/ipv6_route.h: a default route out of a router advertisement that the kernel took. */
const heardDefault = 0x0001_0000 | 0x0004_0000;

async function linksWithHeardRouters(files: Files): Promise<string[]> {
  const table = textOf(await files.read('/proc/net/ipv6_route').catch(() => undefined)) ?? '';
  const links = table.split('\n').flatMap((line) => {
    const [, prefix, , , , , , , flags = '', link] = line.trim().split(/\s+/);
    const isHeard = prefix === '00' && (Number.parseInt(flags, 16) & heardDefault) === heardDefault;
    return isHeard && link !== undefined ? [link] : [];
  });
  return [...new Set(links)].sort();
}
