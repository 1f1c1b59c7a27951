/**
 * The host's routes: its main table and its own addresses as ip(8) tells them, and changes of those that are nodekiln's. They are known
 * by their protocol, a number that the kernel keeps with each route and makes nothing of, so that nobody else's is ever touched.
 *
 * Errors: NK_TOOL_MISSING without ip; NK_ROUTE_FAILED with what ip said; what `Exec.run` throws.
 */
import { NodekilnError } from '../errors.ts';
import { subnetOf, type Subnet } from '../model/subnet.ts';
import type { Exec } from './port.ts';

/** Of the routes that are nodekiln's; none that iproute2 or a routing daemon we know of has (/etc/iproute2/rt_protos). */
export const ownProtocol = '107';

/** One route of the main table, a default route aside. */
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
  /** Of the host itself, on any link; all of 127.0.0.0/8 are. */
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
/** Of both families and with the table of own addresses in one answer; numbers instead of names that a host may give others. */
const tables = ['ip', '-json', '-N', 'route', 'show', 'table', 'all'];
/** RT_TABLE_LOCAL, RTN_LOCAL */
const [localTable, localType] = ['255', '2'];

export async function readHostRoutes(exec: Exec, signal?: AbortSignal): Promise<HostRoutes> {
  const told = await answer(exec, tables, signal);
  const ofTable = (table: string | undefined): readonly unknown[] =>
    told.filter((route) => textIn(route, 'table') === table);
  return {
    // The main table is told without its number.
    routes: ofTable(undefined).flatMap((route) => routeOf(route) ?? []),
    addresses: ofTable(localTable).flatMap((route) =>
      textIn(route, 'type') === localType ? (subnetOf(textIn(route, 'dst') ?? '') ?? []) : [],
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

/**
 * A blackhole and its like, several ways and a gateway of the other family have no link: none is a direct way. Undefined of a default
 * route, which is told without its family.
 */
function routeOf(told: unknown): Route | undefined {
  const subnet = subnetOf(textIn(told, 'dst') ?? '');
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
