/**
 * kubelet may not be newer than its API server (Kubernetes' version skew policy): nothing of a document that asks for that is
 * applied. While nobody answers, nothing is known, and nothing refused.
 */
import { atLeast, parseVersion } from '../model/version.ts';
import type { InPlaceUpdates } from '../desired/in-place.ts';
import { NodekilnError } from '../errors.ts';
import type { KubeApi } from '../kube/api.ts';
import { fieldOf } from '../kube/objects.ts';
import type { DesiredState } from '../model/resources.ts';
import { minorOf } from './in-place/due.ts';

const timeoutMs = 5000;

interface Asked {
  readonly desired: DesiredState;
  readonly inPlace: InPlaceUpdates | undefined;
}

/** NK_KUBELET_TOO_NEW when the minor version is beyond the server's. */
export type RefuseNewerKubelet = (asked: Asked, signal: AbortSignal) => Promise<void>;

/** Asks once for each version that is wanted: servers do not grow older. */
export function createSkewCheck(api: KubeApi | undefined): RefuseNewerKubelet {
  let accepted: string | undefined;
  return async (asked, signal) => {
    const wanted = minorOf(kubeletOf(asked));
    if (!api || wanted === undefined || wanted === accepted) return;
    const served = minorOf(await serverVersion(api, signal));
    if (served === undefined) return;
    if (!atLeast(parseVersion(served), parseVersion(wanted))) throw tooNew(wanted, served);
    accepted = wanted;
  };
}

function tooNew(wanted: string, served: string): NodekilnError {
  return new NodekilnError(
    'NK_KUBELET_TOO_NEW',
    `kubelet ${wanted} is asked for, and the API server is of ${served}: it has to be updated first`,
  );
}

function kubeletOf({ desired, inPlace }: Asked): string | undefined {
  for (const resource of desired.resources.values())
    if (resource.kind === 'binary' && resource.tool === 'kubelet' && resource.place.type === 'activate')
      return resource.version;
  return inPlace?.kubelet.version;
}

async function serverVersion(api: KubeApi, signal: AbortSignal): Promise<string | undefined> {
  try {
    const version = fieldOf(await api.request({ path: '/version', timeoutMs, signal }), 'gitVersion');
    return typeof version === 'string' ? version : undefined;
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return undefined;
  }
}
