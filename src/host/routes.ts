/**
 * The host's routes: its main table and its addresses as ip(8) tells them, and changes of those that are nodekiln's. They are known
 * by their protocol, a number that the kernel keeps with each route and makes nothing of, so that nobody else's is ever touched.
 *
 * Errors: NK_TOOL_MISSING without ip; NK_ROUTE_FAILED with what ip said; what `Exec.run` throws.
 */
import { NodekilnError } from '../errors.ts';
import { subnetOf, type Subnet } from '../model/subnet.ts';
import type { Exec } from './port.ts';

/** Of the routes that are nodekiln's; none that iproute2 or a routing daemon we know of has (/etc/iproute2/rt_protos). */
export const ownProtocol = '107';

/** One route of the main table. */
export interface Route {
  readonly subnet: Subnet;
  /** The link it leads to; undefined of one that leads nowhere or to several. */
  readonly link: string | undefined;
  /** By way of this address; undefined where every address of the subnet is on the link itself. */
  readonly gateway: string | undefined;
  readonly isOwn: boolean;
}

export interface HostRoutes {
  readonly routes: readonly Route[];
  /** Of the host itself, on any link. */
  readonly addresses: readonly Subnet[];
}

/** A route that is to be. */
export interface WantedRoute {
  readonly subnet: Subnet;
  readonly gateway: string;
  readonly link: string;
}

const timeoutMs = 10_000;
const maxOutput = 16 * 1024 * 1024;
const ip = ['ip', '-json', '-N'];

export async function readHostRoutes(exec: Exec, signal?: AbortSignal): Promise<HostRoutes> {
  const table = ['route', 'show', 'table', 'main'];
  const [four, six, links] = await Promise.all([
    answer(exec, [...ip, '-4', ...table], signal),
    answer(exec, [...ip, '-6', ...table], signal),
    answer(exec, [...ip, 'address', 'show'], signal),
  ]);
  return {
    routes: [...four.map((route) => routeOf(route, '0.0.0.0/0')), ...six.map((route) => routeOf(route, '::/0'))].filter(
      (route) => route !== undefined,
    ),
    addresses: links.flatMap((link) =>
      listIn(link, 'addr_info').flatMap((address) => subnetOf(textIn(address, 'local') ?? '') ?? []),
    ),
  };
}

/** Makes some, changes the way of some, and takes some away; all of it is tried. Only routes that are nodekiln's may be given. */
export async function changeRoutes(
  exec: Exec,
  changes: {
    readonly add: readonly WantedRoute[];
    readonly replace: readonly WantedRoute[];
    readonly remove: readonly Subnet[];
  },
  signal?: AbortSignal,
): Promise<void> {
  const way = ({ subnet, gateway, link }: WantedRoute): string =>
    `${subnet.text} via ${gateway} dev ${link} proto ${ownProtocol}`;
  const lines = [
    ...changes.remove.map(({ text }) => `route del ${text} proto ${ownProtocol}`),
    ...changes.replace.map((route) => `route replace ${way(route)}`),
    // An add fails where somebody else has made one meanwhile; a replace would take theirs.
    ...changes.add.map((route) => `route add ${way(route)}`),
  ];
  if (lines.length === 0) return;
  const input = `${lines.join('\n')}\n`;
  const options = { timeoutMs, input, ...(signal && { signal }) };
  const { status, stderr } = await exec.run(['ip', '-force', '-batch', '-'], options);
  if (status !== 0) throw failed('ip -batch', status, stderr);
}

async function answer(exec: Exec, argv: readonly string[], signal?: AbortSignal): Promise<readonly unknown[]> {
  const { status, stdout, stderr } = await exec.run(argv, { timeoutMs, maxOutput, ...(signal && { signal }) });
  if (status !== 0) throw failed(argv.join(' '), status, stderr);
  try {
    // Some versions say nothing instead of an empty list.
    const told: unknown = JSON.parse(stdout.trim() || '[]');
    if (Array.isArray(told)) return told;
  } catch {
    // As what is no list.
  }
  throw new NodekilnError('NK_ROUTE_FAILED', `${argv.join(' ')} answers what is no list of JSON`);
}

function failed(what: string, status: number, stderr: string): NodekilnError {
  const [first = ''] = stderr.trim().split('\n');
  return new NodekilnError('NK_ROUTE_FAILED', `${what} ended with status ${status}${first === '' ? '' : `: ${first}`}`);
}

/** A blackhole and its like, several ways and a gateway of the other family have no link or a gateway: none is a direct way. */
function routeOf(told: unknown, everything: string): Route | undefined {
  const destination = textIn(told, 'dst') ?? '';
  const subnet = subnetOf(destination === 'default' ? everything : destination);
  if (!subnet) return undefined;
  const isPlain = fieldIn(told, 'type') === undefined && fieldIn(told, 'via') === undefined;
  return {
    subnet,
    link: isPlain ? textIn(told, 'dev') : undefined,
    gateway: addressText(textIn(told, 'gateway')),
    isOwn: textIn(told, 'protocol') === ownProtocol,
  };
}

/** The same for however it is written. */
function addressText(text: string | undefined): string | undefined {
  return text === undefined ? undefined : subnetOf(text)?.text.replace(/\/.*/, '');
}

function fieldIn(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

function textIn(value: unknown, key: string): string | undefined {
  const found = fieldIn(value, key);
  return typeof found === 'string' ? found : undefined;
}

function listIn(value: unknown, key: string): readonly unknown[] {
  const found = fieldIn(value, key);
  return Array.isArray(found) ? found : [];
}
