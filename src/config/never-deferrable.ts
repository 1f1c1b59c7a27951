/**
 * What may never wait for kubelet, whatever a document says: kernel settings, mounts, identity, trust and the runtime's
 * configuration. Nor may taking it away again: what is left of it would be read by what starts before. Pure.
 */
import { isResourceId, kindOf, nameOf, type ResourceKind } from '../model/resources.ts';

/** Files at these, and below those that end with a slash. */
const paths = [
  '/etc/containerd/',
  '/etc/hostname',
  '/etc/hosts',
  '/etc/kubernetes/',
  '/etc/machine-id',
  '/etc/modprobe.d/',
  '/etc/modules-load.d/',
  '/etc/pki/',
  '/etc/resolv.conf',
  '/etc/ssl/',
  '/etc/sysctl.d/',
  '/usr/local/share/ca-certificates/',
  '/var/lib/kubelet/',
] as const;

export function isNeverDeferrablePath(path: string): boolean {
  return paths.some((prefix) => (prefix.endsWith('/') ? path.startsWith(prefix) : path === prefix));
}

export function isNeverDeferrableUnit(unit: string): boolean {
  return /\.(?:mount|automount|swap)$/.test(unit) || unit === 'containerd.service' || unit === 'kubelet.service';
}

const byKind: { readonly [K in ResourceKind]: (name: string) => boolean } = {
  file: isNeverDeferrablePath,
  unit: isNeverDeferrableUnit,
  binary: (tool) => tool === 'kubelet',
  extension: () => true,
  image: () => false,
  kernel: () => true,
  action: () => false,
};

/** Whether a resource has to precede kubelet whatever a document says. */
export function isNeverDeferrable(id: string): boolean {
  return isResourceId(id) && byKind[kindOf(id)](nameOf(id));
}
