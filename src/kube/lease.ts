/**
 * Leases, `coordination.k8s.io/v1`: written directly and read directly. What a cache says of a Lease may be hours old, and an
 * update by what it says fails for as long.
 */
import type { AskOptions, KubeApi } from './api.ts';
import { KubeApiError } from './error.ts';
import type { KubeObject, Resource } from './objects.ts';

export interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

export interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  /** MicroTime. */
  readonly acquireTime?: string | null;
  /** MicroTime. */
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** A Lease that is renewed. */
export interface Renewal {
  readonly name: string;
  readonly namespace: string;
  readonly holder: string;
  readonly durationMs: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Goes with it: the API server removes the Lease of an owner that is gone. */
  readonly owner?: OwnerReference;
}

export function leases(namespace: string): Resource {
  return { apiVersion: 'coordination.k8s.io/v1', plural: 'leases', namespace };
}

/** A time as Leases have it, with six digits: API servers refuse one with fewer. */
export function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}

/**
 * Renews it, or makes it when there is none; whoever held it is passed over: the name is the holder's own. `last`: what the
 * renewal before gave, with which one request is enough as long as nobody else writes it; else it is read. Gives what the API
 * server has then.
 */
export async function renewLease(
  api: KubeApi,
  { last, ...renewal }: Renewal & { readonly last?: Lease | undefined },
  options: AskOptions = {},
): Promise<Lease> {
  const resource = leases(renewal.namespace);
  const update = (before: Lease): Promise<Lease> => api.update<Lease>(resource, renewed(before, renewal), options);
  if (last) {
    try {
      return await update(last);
    } catch (thrown) {
      // Somebody else has written or removed it.
      if (!(thrown instanceof KubeApiError) || ![404, 409].includes(thrown.status)) throw thrown;
    }
  }
  const before = await api.get<Lease>(resource, renewal.name, options);
  if (before) return update(before);
  try {
    return await api.create<Lease>(resource, renewed(undefined, renewal), options);
  } catch (thrown) {
    if (!(thrown instanceof KubeApiError) || thrown.status !== 409) throw thrown;
    const now = await api.get<Lease>(resource, renewal.name, options);
    if (!now) throw thrown;
    return update(now);
  }
}

/** The Lease as it is to be; what others put on it stays. */
function renewed(before: Lease | undefined, { name, namespace, holder, durationMs, nowMs, owner }: Renewal): Lease {
  const now = microTime(nowMs);
  const isHeld = before?.spec?.holderIdentity === holder;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      ...before?.metadata,
      name,
      namespace,
      ...(owner && { ownerReferences: [owner] }),
    },
    spec: {
      ...before?.spec,
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: isHeld ? (before.spec?.acquireTime ?? now) : now,
      renewTime: now,
    },
  };
}
