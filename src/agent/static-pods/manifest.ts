/** Manifests of static pods, as far as it is told by them whether kubelet runs what they say. */
import { parseText } from '../../config/load.ts';
import { isMap, valueAt } from '../../config/paths.ts';
import { stableJson } from '../../desired/stable.ts';

export interface StaticPod {
  readonly namespace: string;
  /** Without the name of the node, which kubelet adds. */
  readonly name: string;
  /** Names of the containers that run as long as the pod does. */
  readonly containers: readonly string[];
  /** The pod keeps this identity, and containers that do not change, when its manifest changes. */
  readonly hasUid: boolean;
  /** Equal texts: one manifest, however it is written. */
  readonly content: string;
}

/** Undefined of what is no Pod: kubelet passes over it. */
export async function staticPodIn(text: string): Promise<StaticPod | undefined> {
  const parsed = await parseText({ file: 'manifest', text }).catch(() => undefined);
  const value = parsed?.value;
  const name = valueAt(value, ['metadata', 'name']);
  if (!isMap(value) || value['kind'] !== 'Pod' || typeof name !== 'string' || name === '') return undefined;
  const namespace = valueAt(value, ['metadata', 'namespace']);
  const containers = valueAt(value, ['spec', 'containers']);
  return {
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : 'default',
    name,
    containers: (Array.isArray(containers) ? containers : []).flatMap((one: unknown) =>
      isMap(one) && typeof one['name'] === 'string' ? [one['name']] : [],
    ),
    hasUid: valueAt(value, ['metadata', 'uid']) !== undefined,
    content: stableJson(value),
  };
}
