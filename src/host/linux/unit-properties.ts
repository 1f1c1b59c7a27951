/**
 * systemd's D-Bus properties as a `UnitStatus`, and unit names as D-Bus object paths.
 * Source: org.freedesktop.systemd1(5); the escaping is that of sd_bus_path_encode(3).
 */
import type { UnitStatus } from '../port.ts';

export type Properties = Readonly<Record<string, unknown>>;

export function unitPath(name: string): string {
  const escaped = Buffer.from(name)
    .reduce<string[]>((parts, byte, index) => {
      const letter = String.fromCharCode(byte);
      const plain = /[A-Za-z]/.test(letter) || (index > 0 && /[0-9]/.test(letter));
      parts.push(plain ? letter : `_${byte.toString(16).padStart(2, '0')}`);
      return parts;
    }, [])
    .join('');
  return `/org/freedesktop/systemd1/unit/${escaped}`;
}

export function isService(name: string): boolean {
  return name.endsWith('.service');
}

export const loadStates = ['loaded', 'not-found', 'bad-setting', 'error', 'masked', 'stub', 'merged'] as const;
export const activeStates = [
  'active',
  'reloading',
  'inactive',
  'failed',
  'activating',
  'deactivating',
  'maintenance',
  'refreshing',
] as const;

/** The properties of the Unit interface and, for services, of the Service interface with them. */
export function unitStatus(unit: Properties, service: boolean): UnitStatus {
  return {
    name: text(unit['Id']),
    loadState: loadStates.find((state) => state === unit['LoadState']) ?? 'error',
    activeState: activeStates.find((state) => state === unit['ActiveState']) ?? 'maintenance',
    subState: text(unit['SubState']),
    unitFileState: text(unit['UnitFileState']),
    invocationId: hexOf(unit['InvocationID']),
    fragmentPath: text(unit['FragmentPath']),
    dropInPaths: texts(unit['DropInPaths']),
    activeEnterUsec: number(unit['ActiveEnterTimestampMonotonic']),
    inactiveExitUsec: number(unit['InactiveExitTimestampMonotonic']),
    needDaemonReload: unit['NeedDaemonReload'] === true,
    ...(service && {
      mainPid: number(unit['MainPID']),
      restarts: number(unit['NRestarts']),
      result: text(unit['Result']),
      execMainStatus: number(unit['ExecMainStatus']),
      serviceType: text(unit['Type']),
      remainAfterExit: unit['RemainAfterExit'] === true,
    }),
  };
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function hexOf(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('hex') : '';
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

export function number(value: unknown): number {
  return typeof value === 'bigint' || typeof value === 'number' ? Number(value) : 0;
}

export function isProperties(value: unknown): value is Properties {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
