/**
 * Labels that kubelet may give its own node. Of the names that belong to Kubernetes it takes a few, and ends with an error
 * at any other: `--node-labels` of kubelet, the rule of its admission plugin NodeRestriction. Pure.
 */

const own = /(?:^|\.)(?:kubernetes|k8s)\.io$/;
const ofKubelet = /(?:^|\.)(?:kubelet|node)\.kubernetes\.io$/;
const known: ReadonlySet<string> = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
]);

/** Whether kubelet refuses to start with a label of this key. */
export function isRestrictedLabel(key: string): boolean {
  const [namespace = '', name] = key.split('/');
  return name !== undefined && own.test(namespace) && !ofKubelet.test(namespace) && !known.has(key);
}
