/**
 * What one machine leaves in its root and no other may find there: identity, credentials, state of workloads, and residue
 * such as logs and caches. `seal` removes it, `verify` looks for it; both go by this one table. Pure, but for the walks at
 * the end, which read through the host's files.
 *
 * Patterns are absolute host paths; `*` stands for any part of one name, a last `**` for everything in a folder that
 * itself stays. Sources: machine-id(5), systemd-random-seed.service(8), systemd-creds(1), `cloud-init clean`, sshd(8),
 * the state folders of dhclient, dhcpcd, NetworkManager, kubelet and containerd.
 */
import type { FileStat, Files } from '../host/port.ts';
import { matchesGlob } from '../host/unit-files/glob.ts';
import { basename, join } from '../model/path.ts';
import { textOf } from '../model/bytes.ts';

export interface Trace {
  readonly id: string;
  readonly title: string;
  /** `identity`: two machines with it are in each other's way, or open to each other. `residue`: only of no use. */
  readonly class: 'identity' | 'residue';
  readonly patterns: readonly string[];
  /** Names in the last part that stay. */
  readonly except?: RegExp;
  /** Only in a root folder: on a running machine these are in use and gone at its next start. */
  readonly offlineOnly?: true;
}

export const machineIdPath = '/etc/machine-id';

export const traces: readonly Trace[] = [
  identity('dbus-machine-id', 'D-Bus machine id', ['/var/lib/dbus/machine-id']),
  identity('ssh-host-keys', 'SSH host keys', ['/etc/ssh/ssh_host_*']),
  identity('authorized-keys', 'SSH keys that are let in', [
    '/root/.ssh/authorized_keys*',
    '/home/*/.ssh/authorized_keys*',
  ]),
  identity('host-name', 'host name', ['/etc/hostname']),
  identity('cloud-init', 'state of cloud-init', [
    '/var/lib/cloud/instance',
    '/var/lib/cloud/instances',
    '/var/lib/cloud/data/**',
    '/var/lib/cloud/sem/**',
  ]),
  identity('leases', 'DHCP leases and identifiers', [
    '/var/lib/dhcp/**',
    '/var/lib/dhclient/**',
    '/var/lib/dhcpcd/**',
    '/etc/dhcpcd.duid',
    '/etc/dhcpcd.secret',
    '/var/lib/NetworkManager/*.lease',
    '/var/lib/NetworkManager/secret_key',
    '/var/lib/NetworkManager/timestamps',
    '/var/lib/systemd/network/**',
  ]),
  identity('random-seed', 'random seed', [
    '/var/lib/systemd/random-seed',
    '/var/lib/urandom/random-seed',
    '/var/lib/random-seed',
    '/boot/loader/random-seed',
    '/boot/efi/loader/random-seed',
    '/efi/loader/random-seed',
  ]),
  identity('credential-secret', 'key of systemd credentials', ['/var/lib/systemd/credential.secret']),
  identity('kubelet', 'credentials and state of kubelet', [
    '/var/lib/kubelet/pki',
    '/var/lib/kubelet/kubeconfig*',
    '/var/lib/kubelet/*_state',
    '/var/lib/kubelet/pods/**',
    '/var/lib/kubelet/plugins/**',
    '/var/lib/kubelet/plugins_registry/**',
    '/var/lib/kubelet/device-plugins/**',
    '/var/lib/kubelet/pod-resources/**',
    '/var/lib/kubelet/checkpoints/**',
    '/etc/kubernetes/kubelet.conf',
    '/etc/kubernetes/bootstrap-kubelet.conf',
    '/etc/kubernetes/bootstrap-kubeconfig',
  ]),
  identity('containers', 'containers and their networks', [
    '/var/lib/containerd/io.containerd.runtime.v2.task/**',
    '/var/lib/containerd/io.containerd.grpc.v1.cri/containers/**',
    '/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/**',
    '/var/lib/cni/**',
  ]),
  identity('storage-names', 'names in storage networks', [
    '/etc/iscsi/initiatorname.iscsi',
    '/etc/nvme/hostnqn',
    '/etc/nvme/hostid',
  ]),
  identity('fetch-credentials', 'credentials that artifacts were fetched with', [
    '/root/.docker/config.json',
    '/root/.config/containers/auth.json',
    '/root/.netrc',
  ]),
  identity('boot-records', 'records of nodekiln about this machine', ['/var/lib/nodekiln/boot']),

  residue('downloads', 'unfinished downloads', ['/var/lib/nodekiln/downloads']),
  residue('package-caches', 'caches of package managers', [
    '/var/cache/apt/archives/*.deb',
    '/var/cache/apt/archives/partial/**',
    '/var/cache/apt/*.bin',
    '/var/lib/apt/lists/**',
    '/var/cache/dnf/**',
    '/var/cache/libdnf5/**',
    '/var/cache/yum/**',
  ]),
  residue('logs', 'logs', [
    '/var/log/journal/**',
    '/var/log/pods/**',
    '/var/log/containers/**',
    '/var/log/**/*.gz',
    '/var/log/**/*.xz',
    '/var/log/**/*.old',
    '/var/log/**/*.[0-9]',
    '/var/log/cloud-init*',
  ]),
  residue('histories', 'histories of shells and programs', [
    '/root/.*_history',
    '/home/*/.*_history',
    '/root/.lesshst',
    '/root/.viminfo',
    '/root/.wget-hsts',
  ]),
  residue('crash-dumps', 'crash dumps', ['/var/lib/systemd/coredump/**', '/var/crash/**']),
  residue(
    'temporary-files',
    'temporary files',
    ['/tmp/**', '/var/tmp/**'],
    /^(systemd-private-.*|\.(X11|ICE|XIM|font)-unix)$/,
  ),
  { ...residue('runtime-files', 'files of /run', ['/run/**']), offlineOnly: true },
];

/** Logs that programs expect to be there keep their owner and mode, and lose their content. */
export const emptiedLogs = '/var/log';

function identity(id: string, title: string, patterns: readonly string[]): Trace {
  return { id, title, class: 'identity', patterns };
}

function residue(id: string, title: string, patterns: readonly string[], except?: RegExp): Trace {
  return { id, title, class: 'residue', patterns, ...(except && { except }) };
}

// ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** What of a trace is there: paths, sorted; folders as a whole. `kept` are paths that a document asks for. */
export async function findTrace(files: Files, trace: Trace, kept: ReadonlySet<string>): Promise<string[]> {
  const found = await Promise.all(trace.patterns.map((pattern) => expand(files, pattern)));
  const paths = [...new Set(found.flat())].filter((path) => !(trace.except?.test(basename(path)) ?? false));
  const usable = await Promise.all(
    paths.map(async (path) => {
      if (kept.has(path) || [...kept].some((other) => other.startsWith(`${path}/`))) return false;
      // A link to the machine id says nothing of its own.
      if (path === '/var/lib/dbus/machine-id') return (await files.stat(path))?.type === 'file';
      return true;
    }),
  );
  return paths.filter((_path, index) => usable[index]).sort();
}

/** How `/etc/machine-id` differs from an empty file; undefined when it does not. */
export async function machineIdProblem(files: Files): Promise<string | undefined> {
  const stat = await files.stat(machineIdPath);
  if (!stat)
    return `${machineIdPath} is missing: systemd would take the next start for the very first and apply presets`;
  if (stat.type !== 'file') return `${machineIdPath} is a ${stat.type}`;
  if (stat.size === 0) return undefined;
  const text = textOf(await files.read(machineIdPath))?.trim();
  return text === 'uninitialized'
    ? `${machineIdPath} says uninitialized: systemd would take the next start for the very first and apply presets`
    : `${machineIdPath} holds an id`;
}

/** Logs that are to be emptied: regular files with content, that no other trace removes. */
export async function findLogs(files: Files, removed: readonly string[]): Promise<{ path: string; stat: FileStat }[]> {
  const logs: { path: string; stat: FileStat }[] = [];
  await walk(files, emptiedLogs, (path, stat) => {
    const gone = removed.some((other) => path === other || path.startsWith(`${other}/`));
    if (stat.type === 'file' && stat.size > 0 && !gone) logs.push({ path, stat });
  });
  return logs;
}

/** Everything in and below a folder, children after their folder. */
export async function walk(files: Files, folder: string, visit: (path: string, stat: FileStat) => void): Promise<void> {
  for (const name of await files.list(folder)) {
    const path = join(folder, name);
    const stat = await files.stat(path);
    if (!stat) continue;
    visit(path, stat);
    if (stat.type === 'directory') await walk(files, path, visit);
  }
}

async function expand(files: Files, pattern: string): Promise<string[]> {
  let paths = ['/'];
  const parts = pattern.split('/').slice(1);
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    const next: string[] = [];
    for (const path of paths) {
      if (part === '**' && !last) {
        next.push(path);
        if ((await files.stat(path))?.type === 'directory')
          await walk(files, path, (inner, stat) => {
            if (stat.type === 'directory') next.push(inner);
          });
      } else if (part.includes('*') || part.includes('[')) {
        if ((await files.stat(path))?.type !== 'directory') continue;
        for (const name of await files.list(path))
          if (matchesGlob(part === '**' ? '*' : part, name)) next.push(join(path, name));
      } else if (!last || (await files.stat(join(path, part)))) next.push(join(path, part));
    }
    paths = next;
  }
  return paths;
}
