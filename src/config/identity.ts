/**
 * What makes a machine this one and no other, or expires with it: never of scope `shared`, which may be captured in an image.
 * machine-id(5), hostname(5), sshd(8); kubelet keeps its certificates and its state below /var/lib/kubelet. Pure.
 */
const paths = [
  '/etc/hostname',
  '/etc/kubernetes/bootstrap-kubeconfig',
  '/etc/machine-id',
  '/etc/ssh/ssh_host_',
  '/var/lib/dbus/machine-id',
  '/var/lib/kubelet/',
  '/var/lib/systemd/random-seed',
] as const;

/** A folder and a common beginning stand for all below and all that begin so. */
export function isIdentityPath(path: string): boolean {
  return paths.some((known) => (/[/_]$/.test(known) ? path.startsWith(known) : path === known));
}

/** kubelet is registered under this machine's name. */
export function isIdentityUnit(unit: string): boolean {
  return unit === 'kubelet.service';
}
