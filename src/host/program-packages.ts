/** Which packages have the programs that work here needs: what to install where one is missing. Pure. */
import { NodekilnError } from '../errors.ts';

/** By program: the package of Debian and its kin, and that of RPM distributions. */
export const programPackages: Readonly<Record<string, readonly [debian: string, rpm: string]>> = {
  'apt-cache': ['apt', 'apt'],
  bzip2: ['bzip2', 'bzip2'],
  containerd: ['containerd', 'containerd'],
  ctr: ['containerd', 'containerd'],
  getent: ['libc-bin', 'glibc-common'],
  gpgv: ['gpgv', 'gnupg2'],
  ip: ['iproute2', 'iproute'],
  journalctl: ['systemd', 'systemd'],
  modprobe: ['kmod', 'kmod'],
  mount: ['mount', 'util-linux'],
  perl: ['perl-base', 'perl-interpreter'],
  rpm: ['rpm', 'rpm'],
  'systemd-sysext': ['systemd', 'systemd-udev'],
  unshare: ['util-linux', 'util-linux'],
  'update-ca-certificates': ['ca-certificates', 'ca-certificates'],
  'update-ca-trust': ['ca-certificates', 'ca-certificates'],
  xz: ['xz-utils', 'xz'],
};

/** NK_TOOL_MISSING: what to install, as far as that is known. */
export function missingProgram(
  program: string,
  { message, resource, cause, otherwise }: MissingProgram = {},
): NodekilnError {
  const packages = Object.hasOwn(programPackages, program) ? programPackages[program] : undefined;
  const [debian, rpm] = packages ?? [];
  const where = debian === rpm ? debian : `${debian} (Debian, Ubuntu) or ${rpm} (RPM distributions)`;
  return new NodekilnError('NK_TOOL_MISSING', message ?? `cannot run ${program}: no such program`, {
    ...(cause !== undefined && { cause }),
    ...(resource !== undefined && { resource }),
    ...(packages && { hint: `Install the package ${where}${otherwise === undefined ? '' : `, or ${otherwise}`}.` }),
  });
}

interface MissingProgram {
  readonly message?: string;
  readonly resource?: string;
  readonly cause?: unknown;
  /** What could be done instead. */
  readonly otherwise?: string;
}
