/**
 * ip(8) of a machine in memory, as far as nodekiln asks it: a main table and addresses that a test sets, and batches that change the
 * table. `src/host/routes.test.ts` holds it to the real one.
 */
import type { MemoryMachine } from '../../src/host/memory/machine.ts';
import { addressBytes } from '../../src/model/ip-address.ts';
import { subnetOf } from '../../src/model/subnet.ts';

export interface ToldRoute {
  /** `10.90.2.0/24`, `default` */
  readonly dst: string;
  readonly dev: string;
  readonly gateway?: string;
  readonly protocol?: string;
}

export interface IpTable {
  routes: ToldRoute[];
  /** By link: `10.77.0.2/24`. */
  readonly addresses: Readonly<Record<string, readonly string[]>>;
  /** How often it was asked or changed. */
  calls: number;
}

export function serveIp(machine: MemoryMachine, addresses: IpTable['addresses']): IpTable {
  const table: IpTable = { routes: [], addresses, calls: 0 };
  for (const [dev, own] of Object.entries(addresses))
    for (const dst of own) table.routes.push({ dst: subnetOf(dst)?.text ?? '', dev, protocol: '2' });
  machine.program('ip', ({ argv, options }) => {
    table.calls += 1;
    const words = argv.slice(1).join(' ');
    if (words === '-json -N route show table all')
      return { stdout: JSON.stringify([...table.routes, ...local(addresses)]) };
    if (words !== '-force -batch -') return { status: 255, stderr: `Object "${words}" is unknown` };
    const failures = String(options.input)
      .split('\n')
      .flatMap((line, index) => {
        const failure = line === '' ? undefined : change(table, line.split(' '));
        return failure === undefined ? [] : [`RTNETLINK answers: ${failure}\nCommand failed -:${index + 1}`];
      });
    return { status: failures.length === 0 ? 0 : 1, stderr: failures.join('\n') };
  });
  return table;
}

/** The table of own addresses. */
function local(addresses: IpTable['addresses']): object[] {
  const ofTable = { table: '255', protocol: '2' };
  return Object.entries(addresses).flatMap(([dev, own]) =>
    own.flatMap((text) => [
      { ...ofTable, type: '2', dst: text.split('/')[0], dev },
      { ...ofTable, type: '3', dst: '10.77.0.255', dev },
    ]),
  );
}

/** Undefined when it went well. */
function change(table: IpTable, [object, verb, dst = '', ...rest]: string[]): string | undefined {
  if (object !== 'route') return 'Invalid argument';
  const word = (name: string): string | undefined => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined);
  const [gateway, dev, protocol] = [word('via'), word('dev'), word('proto')];
  const isThis = (route: ToldRoute): boolean =>
    route.dst === dst && (protocol === undefined || route.protocol === protocol);
  if (verb === 'del') {
    const index = table.routes.findIndex(isThis);
    if (index < 0) return 'No such process';
    table.routes.splice(index, 1);
    return undefined;
  }
  if (gateway === undefined || dev === undefined || protocol === undefined) return 'Invalid argument';
  const isNear = table.routes.some(
    (route) => route.dev === dev && route.gateway === undefined && isIn(gateway, route.dst),
  );
  if (!isNear) return 'Nexthop has invalid gateway.';
  const same = table.routes.findIndex((route) => route.dst === dst);
  if (same >= 0 && verb === 'add') return 'File exists';
  if (same >= 0) table.routes.splice(same, 1);
  table.routes.push({ dst, gateway, dev, protocol });
  return undefined;
}

function isIn(address: string, subnet: string): boolean {
  const [one, other] = [subnetOf(address), subnetOf(subnet)];
  return (
    addressBytes(address) !== undefined &&
    one !== undefined &&
    other?.family === one.family &&
    other.first <= one.first &&
    one.last <= other.last
  );
}
