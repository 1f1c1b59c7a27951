/**
 * The units of nodekiln itself, as the bake puts them into an image. Pure.
 */
import { agentUpdateFolder } from '../model/state-paths.ts';
import type { Rendering } from './rendering.ts';
import { execStart, unitText } from './systemd-text.ts';

const program = '/opt/nodekiln/bin/nodekiln';
const folders = '/var/lib/nodekiln /opt';

/**
 * Early: without default dependencies it starts beside the rest of early boot instead of after basic.target, and
 * multi-user.target does not wait for it. It is ordered before nothing, so that a unit it starts never waits for it. What
 * early boot still does beside it (tmpfiles, modules, sysctls) the units it starts wait for themselves; its own kernel
 * settings wait for systemd's (kinds/kernel/apply.ts).
 */
export function bootUnit(): string {
  return unitText({
    Unit: [
      'Description=nodekiln: make this machine the node its configuration describes',
      'DefaultDependencies=no',
      `RequiresMountsFor=${folders}`,
      'Wants=local-fs.target',
      'After=local-fs.target systemd-journald.socket',
      'Conflicts=shutdown.target',
      'Before=shutdown.target',
    ],
    Service: [
      'Type=oneshot',
      'RemainAfterExit=yes',
      // How the process knows its own unit: nothing it starts may be ordered after it.
      'Environment=NODEKILN_UNIT=%n',
      execStart([program, 'boot']),
      // Behind the boot’s own budget, so that a boot that hangs is still ended and taken up again at the next start.
      'TimeoutStartSec=30min',
      // Secrets pass through this process.
      'UMask=0077',
    ],
    Install: ['WantedBy=multi-user.target'],
  });
}

/**
 * A process that waits for most of its life keeps what each piece of work leaves behind: glibc in an arena a thread and above
 * its top, V8 in a young generation of 16 MiB. With these it stays at half of that (measured: `./dev bench agent`).
 */
const agentEnvironment: readonly string[] = [
  'MALLOC_ARENA_MAX=1',
  'MALLOC_TRIM_THRESHOLD_=131072',
  'NODE_OPTIONS=--max-semi-space-size=1',
];

/**
 * As far as its work allows: it writes anywhere, starts programs of packages, mounts extensions for all to see and loads modules.
 * So nothing here makes a mount or host name namespace of its own, or keeps set-user-ID files from packages.
 */
const hardening: readonly string[] = [
  'LockPersonality=yes',
  'RestrictRealtime=yes',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'SystemCallArchitectures=native',
  'SystemCallFilter=~@clock @cpu-emulation @obsolete @raw-io @reboot @swap',
  'SystemCallErrorNumber=EPERM',
  `CapabilityBoundingSet=~${[
    'CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_BLOCK_SUSPEND CAP_BPF CAP_IPC_OWNER CAP_LEASE CAP_MAC_ADMIN CAP_MAC_OVERRIDE',
    'CAP_NET_BROADCAST CAP_PERFMON CAP_SYSLOG CAP_SYS_BOOT CAP_SYS_PACCT CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_TTY_CONFIG',
    'CAP_WAKE_ALARM',
  ].join(' ')}`,
];

/** Without a source it is the AgentConfig's to say. */
export function agentUnit(source: string | undefined): string {
  return unitText({
    Unit: [
      'Description=nodekiln: keep this node as its configuration describes',
      `RequiresMountsFor=${folders}`,
      // Both work on the same state.
      'After=nodekiln-boot.service',
      'StartLimitIntervalSec=0',
    ],
    Service: [
      'Type=exec',
      execStart([program, 'agent', ...(source === undefined ? [] : ['--source', source])]),
      ...agentEnvironment.map((variable) => `Environment=${variable}`),
      'Restart=always',
      'RestartSec=2',
      'UMask=0077',
      ...hardening,
    ],
    Install: ['WantedBy=multi-user.target'],
  });
}

export const agentUpdateUnitName = 'nodekiln-agent-update.service';

/** Restarts the agent as another one, and brings the one before back; see `agent/self-update/errand.ts`. */
export function agentUpdateUnit(programBefore: readonly string[]): string {
  return unitText({
    Unit: [
      'Description=nodekiln: put another agent in the place of this one',
      `RequiresMountsFor=${folders}`,
      `ConditionPathExists=${agentUpdateFolder}/trial.json`,
      'StartLimitIntervalSec=0',
    ],
    Service: [
      'Type=exec',
      execStart([...programBefore, 'agent', 'update']),
      'Restart=on-failure',
      'RestartSec=2',
      'UMask=0077',
      ...hardening,
    ],
    Install: ['WantedBy=multi-user.target'],
  });
}

/** The unit that calls `nodekiln agent bootstrap`, where user data makes one. */
export const agentBootstrapUnitName = 'nodekiln-agent-bootstrap.service';

const errands = [agentBootstrapUnitName, agentUpdateUnitName];
const unitPlace =
  /^(?:\/usr)?\/(?:etc|run|lib)\/systemd\/system(?:\.control)?\/(?:[^/]+\.wants\/)?([^/]+?)(?:\.d\/.*)?$/;

/**
 * Units that come and go with what they are for are no document's: what it brings it would take away again, and the machine
 * would be left without an agent, or half of one.
 */
export function refuseErrands({ resources, pathOf, report }: Pick<Rendering, 'resources' | 'pathOf' | 'report'>): void {
  for (const resource of resources.values()) {
    const name =
      resource.kind === 'unit' ? resource.name : 'path' in resource ? unitPlace.exec(resource.path)?.[1] : undefined;
    if (name !== undefined && errands.includes(name))
      report(pathOf(resource.id) ?? ['spec'], `${name} is a unit of nodekiln’s own, which no document has a say in`);
  }
}

export const sshHostKeysUnitName = 'nodekiln-ssh-host-keys.service';

/** For sealed images of distributions that make host keys only when the SSH server is installed (Debian). */
export function sshHostKeysUnit(): string {
  return unitText({
    Unit: [
      'Description=nodekiln: make this machine’s SSH host keys',
      'Before=ssh.service sshd.service ssh.socket sshd.socket',
      'ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key',
    ],
    Service: ['Type=oneshot', 'RemainAfterExit=yes', execStart(['/usr/bin/ssh-keygen', '-A'])],
    Install: ['WantedBy=multi-user.target'],
  });
}
