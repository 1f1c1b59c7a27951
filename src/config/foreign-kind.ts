/** What a document that is none of ours looks like, for who mistook it. Pure. */
import { isMap } from './paths.ts';

const owners: readonly (readonly [group: RegExp, what: string])[] = [
  [/^kubeadm\.k8s\.io\//, 'kubeadm'],
  [/^node\.eks\.aws\//, 'nodeadm'],
  [/^kubelet\.config\.k8s\.io\//, 'kubelet: its fields go into `spec.kubelet.configuration` of a NodeConfig'],
  [
    /^extensions\.gardener\.cloud\//,
    'Gardener: of its kinds an OperatingSystemConfig is read, where nodes are described',
  ],
];
const cloudConfigKeys = ['bootcmd', 'ntp', 'packages', 'runcmd', 'ssh_authorized_keys', 'users', 'write_files'];

/** Whose document it looks like; undefined for what looks like nobody's. */
export function ownerOf(value: Readonly<Record<string, unknown>>): string | undefined {
  const group = value['apiVersion'];
  if (typeof group === 'string') return owners.find(([pattern]) => pattern.test(group))?.[1];
  if (isMap(value['ignition'])) return 'Ignition';
  return cloudConfigKeys.some((key) => Object.hasOwn(value, key)) ? 'cloud-init (cloud-config)' : undefined;
}
