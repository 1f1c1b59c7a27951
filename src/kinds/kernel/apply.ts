/** Effects of `kernel` resources, through /proc and modprobe. A sysctl is read back: a value the kernel did not take is an error. */
import type { KernelResource } from '../../model/resources.ts';
import { NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import type { KernelObservation } from '../../model/steps.ts';
import type { PerformContext } from '../performer.ts';
import { normalise } from './plan.ts';
import { textOf } from '../../model/bytes.ts';

export async function observeKernel(host: Host, resource: KernelResource): Promise<KernelObservation> {
  const { setting } = resource;
  // A root folder has no kernel of its own: the files beside these resources apply at its start.
  if (host.units.mode === 'offline')
    return { kind: 'kernel', value: setting.type === 'sysctl' ? setting.value : 'offline' };
  if (setting.type === 'sysctl')
    return { kind: 'kernel', value: textOf(await host.files.read(sysctlPath(setting.key))) };
  return { kind: 'kernel', value: (await isModulePresent(host, setting.name)) ? 'loaded' : undefined };
}

/** Modules that leave no other trace when they are built in without parameters and the kernel came without a list of them. */
const builtinTraces: Readonly<Record<string, string>> = {
  br_netfilter: '/proc/sys/net/bridge',
  nf_conntrack: '/proc/sys/net/netfilter/nf_conntrack_max',
};

/** Loaded modules and those built in with parameters have a folder in /sys/module; the rest of the built-in ones are listed by the kernel's package. */
async function isModulePresent(host: Host, name: string): Promise<boolean> {
  const folder = name.replaceAll('-', '_');
  if (await host.files.stat(`/sys/module/${folder}`)) return true;
  const trace = builtinTraces[folder];
  if (trace !== undefined && (await host.files.stat(trace))) return true;
  const release = textOf(await host.files.read('/proc/sys/kernel/osrelease'))?.trim() ?? '';
  const builtin = textOf(await host.files.read(`/lib/modules/${release}/modules.builtin`)) ?? '';
  if (builtin.split('\n').some((line) => line.endsWith(`/${name}.ko`) || line.endsWith(`/${folder}.ko`))) return true;
  const filesystems = textOf(await host.files.read('/proc/filesystems')) ?? '';
  return filesystems.split('\n').some((line) => line.trim() === name || line.endsWith(`\t${name}`));
}

function sysctlPath(key: string): string {
  // sysctl(8): dots separate, a slash stands for a dot inside a name (interface names).
  const path =
    key.includes('/') && !key.slice(0, key.indexOf('/')).includes('.')
      ? key
      : key.replace(/[./]/g, (sign) => (sign === '.' ? '/' : '.'));
  return `/proc/sys/${path}`;
}

const pollMs = 10;
const systemSettingsDeadlineMs = 30_000;

/**
 * Early in boot systemd loads modules and applies sysctl.d itself, perhaps from files older than ours: what we set must
 * come after that. Both have ended once sysinit.target is reached.
 */
async function afterSystemSettings(context: PerformContext): Promise<void> {
  const { units, clock } = context.host;
  const deadline = clock.monotonic() + systemSettingsDeadlineMs;
  while (clock.monotonic() < deadline) {
    const [sysinit, sysctl] = await Promise.all([units.get('sysinit.target'), units.get('systemd-sysctl.service')]);
    if (sysinit.loadState !== 'loaded' || sysinit.activeState === 'active') return;
    if (sysctl.activeState === 'active' || sysctl.activeState === 'failed') return;
    await clock.sleep(pollMs, context.signal);
  }
}

export async function performModule(context: PerformContext, name: string): Promise<void> {
  const { signal } = context;
  const result = await context.host.exec.run(['modprobe', name], { timeoutMs: 30_000, ...(signal && { signal }) });
  if (result.status === 0) return;
  throw new NodekilnError('NK_KERNEL_SETTING', `module ${name} cannot be loaded`, {
    resource: `kernel:module/${name}`,
    lines: result.stderr.trim().split('\n'),
  });
}

export async function performSysctl(context: PerformContext, setting: { key: string; value: string }): Promise<void> {
  const { key, value } = setting;
  const path = sysctlPath(key);
  await afterSystemSettings(context);
  try {
    await context.host.files.writeKernel(path, value);
  } catch (cause) {
    throw new NodekilnError('NK_KERNEL_SETTING', `${key} cannot be set to ${value}`, {
      cause,
      resource: `kernel:sysctl/${key}`,
    });
  }
  const read = textOf(await context.host.files.read(path));
  if (normalise(read) === normalise(value)) return;
  throw new NodekilnError(
    'NK_KERNEL_SETTING',
    `${key} reads back as ${normalise(read) ?? 'nothing'} after it was set to ${value}`,
    { resource: `kernel:sysctl/${key}` },
  );
}
