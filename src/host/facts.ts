/**
 * Observes what rendering may know of a host (`desired/facts.ts`). Reads files, so that it costs a few milliseconds and
 * works on a root folder and on a host in memory too; starts only a containerd that no package owns and that states no version in
 * its file.
 */
import { readContainerd } from './containerd-facts.ts';
import { readNetwork } from './network-facts.ts';
import { parseOsRelease } from './os-release.ts';
import { certificatesIn } from '../model/certificate.ts';
import { nodeCertificatePath, type Facts } from '../model/facts.ts';
import { asArch, systemdArch } from '../model/arch.ts';
import type { Files, Host } from './port.ts';
import { textOf } from '../model/bytes.ts';

export async function observeFacts(host: Host): Promise<Facts> {
  const { files } = host;
  const [
    os,
    hostName,
    machineId,
    memory,
    cpus,
    interfaces,
    cache,
    systemdVersion,
    containerd,
    cniPlugins,
    kernel,
    cgroup,
    nodeCertificate,
    network,
  ] = await Promise.all([
    readOsRelease(files),
    readHostName(host),
    text(files, '/etc/machine-id'),
    text(files, '/proc/meminfo'),
    text(files, '/sys/devices/system/cpu/online'),
    files.list('/sys/class/net'),
    cachedVersions(files),
    systemdVersionOf(files),
    readContainerd(host),
    cniPluginsOf(files),
    readKernel(files),
    readCgroup(host),
    nodeCertificateOf(host),
    readNetwork(files),
  ]);
  const cpu = asArch(host.program.architecture) ?? 'amd64';
  return {
    os,
    arch: { cpu, systemd: systemdArch(cpu) },
    hostName,
    ...kernel,
    hasMachineId: /^[0-9a-f]{32}$/.test(machineId.trim()),
    ...cgroup,
    ...(nodeCertificate !== undefined && { nodeCertificate }),
    ...(systemdVersion !== undefined && { systemdVersion }),
    ...containerd,
    ...(cniPlugins !== undefined && { cniPlugins }),
    ...network,
    cpus: countCpus(cpus),
    memoryBytes: Number(/^MemTotal:\s+(\d+) kB/m.exec(memory)?.[1] ?? 0) * 1024,
    interfaces: interfaces.filter((name) => name !== 'lo'),
    cache,
  };
}

/** The running name; of a root folder, what it will be called. */
export async function readHostName(host: Host): Promise<string> {
  const running = host.root === '/' ? await text(host.files, '/proc/sys/kernel/hostname') : '';
  return (running || (await text(host.files, '/etc/hostname'))).trim();
}

/** What /proc says; nothing for a root folder, where it is empty. */
async function readKernel(files: Files): Promise<Pick<Facts, 'kernelRelease' | 'kernelModules' | 'hasSwap'>> {
  const [release, modules, swaps] = await Promise.all([
    text(files, '/proc/sys/kernel/osrelease'),
    text(files, '/proc/modules'),
    text(files, '/proc/swaps'),
  ]);
  if (release === '') return {};
  return {
    kernelRelease: release.trim(),
    kernelModules: lines(modules)
      .map((line) => line.split(' ')[0] ?? '')
      .sort(),
    // The first line is a heading.
    hasSwap: lines(swaps).length > 1,
  };
}

/** By where the version 2 tree is mounted. A root folder says nothing; what it will run on is taken to be version 2. */
async function readCgroup({ files, root }: Host): Promise<Pick<Facts, 'cgroupVersion' | 'cgroupLayout'>> {
  if (root !== '/') return { cgroupVersion: 2 };
  if (await files.stat('/sys/fs/cgroup/cgroup.controllers')) return { cgroupVersion: 2, cgroupLayout: 'unified' };
  const hybrid = await files.stat('/sys/fs/cgroup/unified/cgroup.controllers');
  return { cgroupVersion: 1, cgroupLayout: hybrid ? 'hybrid' : 'legacy' };
}

/** Of kubelet's own certificate; the file is there for root alone. */
async function nodeCertificateOf({ files, clock }: Host): Promise<string | undefined> {
  const [certificate] = certificatesIn(await text(files, nodeCertificatePath)) ?? [];
  const now = clock.now();
  if (!certificate || now < certificate.notBefore || now >= certificate.notAfter) return undefined;
  const { commonName } = certificate;
  return commonName.startsWith('system:node:') ? commonName.slice('system:node:'.length) : undefined;
}

function lines(content: string): string[] {
  return content.split('\n').filter((line) => line !== '');
}

async function text(files: Files, path: string): Promise<string> {
  return textOf(await files.read(path)) ?? '';
}

async function readOsRelease(files: Files): Promise<Facts['os']> {
  const release = parseOsRelease((await text(files, '/etc/os-release')) || (await text(files, '/usr/lib/os-release')));
  const variant = release['VARIANT_ID'];
  return { id: release['ID'] ?? '', release: release['VERSION_ID'] ?? '', ...(variant !== undefined && { variant }) };
}

/** `0-3,5` names five processors. */
function countCpus(online: string): number {
  return online
    .trim()
    .split(',')
    .filter((range) => range !== '')
    .reduce((sum, range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return sum + last - first + 1;
    }, 0);
}

/** By file name: what `/opt/bin/<tool>-<key>` says; whether it is usable is seen when it is used. */
async function cachedVersions(files: Files): Promise<Facts['cache']> {
  const versions: Record<string, string[]> = {};
  for (const name of await files.list('/opt/bin')) {
    const match = /^([a-z][a-z-]*?)-(\d.*)$/.exec(name);
    if (match?.[1] !== undefined && match[2] !== undefined) (versions[match[1]] ??= []).push(match[2]);
  }
  return versions;
}

/** The shared library carries systemd's version in its name on every distribution: no program has to run. */
async function systemdVersionOf(files: Files): Promise<string | undefined> {
  for (const folder of [
    '/usr/lib/systemd',
    '/lib/systemd',
    '/usr/lib/x86_64-linux-gnu/systemd',
    '/usr/lib/aarch64-linux-gnu/systemd',
  ]) {
    for (const name of await files.list(folder)) {
      const match = /^libsystemd-(?:core|shared)-(\d+)\b.*\.so$/.exec(name);
      if (match?.[1] !== undefined) return match[1];
    }
  }
  return undefined;
}

/** Upstream's folder, Debian's, Fedora's. */
const cniFolders = ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'];

async function cniPluginsOf(files: Files): Promise<string | undefined> {
  for (const folder of cniFolders) if (await files.stat(`${folder}/bridge`)) return folder;
  return undefined;
}
