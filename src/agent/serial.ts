/**
 * One node after the other: for a Secret that says so, a node applies a change only while it holds the Lease of the Secret's
 * name. The Lease is renewed while it is at it and given back on every path. A node that fails leaves its mark with the
 * checksum: no other begins with that one (the line stops), whoever waits how long; another checksum clears it.
 *
 * A node that dies holds the Lease until another has seen it unchanged for as long as it lasts; that one goes on then. An
 * agent that starts anew finds its own.
 */
import { NodekilnError } from '../errors.ts';
import type { Clock } from '../host/port.ts';
import type { KubeApi } from '../kube/api.ts';
import { KubeApiError } from '../kube/error.ts';
import { leases, microTime, type Lease } from '../kube/lease.ts';
import { isMap } from '../config/paths.ts';

/** What is applied serially. */
export interface SerialTarget {
  /** Of the Secret and of its Lease. */
  readonly namespace: string;
  readonly name: string;
  /** What tells one content from another. */
  readonly checksum: string;
}

export interface SerialWait {
  readonly waitMs: number;
  readonly why: string;
}

/** The mark of a node that failed. */
interface Mark {
  readonly node: string;
  readonly checksum: string;
}

const markAnnotation = 'nodekiln.dev/serial-failed';
const durationMs = 180_000;
const renewMs = 60_000;
/** Nobody watches the Lease: a watch more for each node is more than a question now and then. */
const askAgainMs = 15_000;

/**
 * What a Lease says to a node that wants it. `unchangedMs` is for how long this node has seen it as it is: clocks of nodes
 * differ, so what its holder wrote of the time says only that it was renewed, as in client-go's leader election.
 */
export function judgeTurn(
  lease: Lease | undefined,
  {
    nodeName,
    checksum,
    unchangedMs,
  }: { readonly nodeName: string; readonly checksum: string; readonly unchangedMs: number },
): SerialWait | undefined {
  const mark = markOf(lease);
  if (mark && mark.node !== nodeName && mark.checksum === checksum)
    return { waitMs: askAgainMs, why: `${mark.node} failed with it, and no other node begins` };
  const { holderIdentity = '', leaseDurationSeconds } = lease?.spec ?? {};
  if (!holderIdentity || holderIdentity === nodeName) return undefined;
  // What says no duration holds nothing.
  const leftMs = (leaseDurationSeconds ?? 0) * 1000 - unchangedMs;
  return leftMs > 0 ? { waitMs: Math.min(leftMs, askAgainMs), why: `${holderIdentity} is at it` } : undefined;
}

export interface Serial {
  /** Takes the Lease, or says why not now. Errors of the API: nothing is begun without it. */
  enter(target: SerialTarget, signal: AbortSignal): Promise<SerialWait | undefined>;
  /** Gives it back, with a mark when it failed. Idempotent. Errors of the API. */
  leave(target: SerialTarget, failed: boolean, signal: AbortSignal): Promise<void>;
}

export function createSerial(
  { api, nodeName }: { readonly api: KubeApi; readonly nodeName: string },
  clock: Clock,
): Serial {
  let renewing: AbortController | undefined;
  /** The Lease as it was last found, and since when it is like that. */
  let found: { readonly state: string; readonly sinceMs: number } | undefined;

  const unchangedMs = ({ namespace, name }: SerialTarget, lease: Lease | undefined): number => {
    const { holderIdentity, renewTime } = lease?.spec ?? {};
    const state = JSON.stringify([namespace, name, holderIdentity, renewTime]);
    if (found?.state !== state) found = { state, sinceMs: clock.monotonic() };
    return clock.monotonic() - found.sinceMs;
  };
  const write = (lease: Lease | undefined, target: SerialTarget, next: Lease, signal: AbortSignal): Promise<Lease> =>
    lease
      ? api.update<Lease>(leases(target.namespace), next, { signal })
      : api.create<Lease>(leases(target.namespace), next, { signal });
  const read = ({ namespace, name }: SerialTarget, signal: AbortSignal): Promise<Lease | undefined> =>
    api.get<Lease>(leases(namespace), name, { signal });

  const renew = async (target: SerialTarget, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        await clock.sleep(renewMs, signal);
        const lease = await read(target, signal);
        if (lease?.spec?.holderIdentity !== nodeName) return;
        await write(lease, target, held(lease, { target, nodeName, nowMs: clock.now() }), signal);
      } catch {
        // It is tried again until it has run out; what is begun is carried through either way.
      }
    }
  };
  return {
    enter: async (target, signal) => {
      const lease = await read(target, signal);
      const { checksum } = target;
      const wait = judgeTurn(lease, { nodeName, checksum, unchangedMs: unchangedMs(target, lease) });
      if (wait) return wait;
      try {
        await write(lease, target, held(lease, { target, nodeName, nowMs: clock.now() }), signal);
      } catch (thrown) {
        if (thrown instanceof KubeApiError && thrown.status === 409)
          return { waitMs: Math.min(1000, askAgainMs), why: 'another node was faster' };
        throw thrown;
      }
      renewing?.abort();
      renewing = new AbortController();
      void renew(target, renewing.signal);
      return undefined;
    },
    leave: async (target, failed, signal) => {
      renewing?.abort();
      renewing = undefined;
      for (let attempt = 1; ; attempt++) {
        const lease = await read(target, signal);
        const isHeld = lease?.spec?.holderIdentity === nodeName;
        if (!lease || (!isHeld && markOf(lease)?.node !== nodeName)) return;
        try {
          await write(
            lease,
            target,
            released(lease, { isHeld, mark: failed ? { node: nodeName, checksum: target.checksum } : undefined }),
            signal,
          );
          return;
        } catch (thrown) {
          if (!(thrown instanceof KubeApiError) || thrown.status !== 409 || attempt === 3) throw thrown;
        }
      }
    },
  };
}

interface Holding {
  readonly target: SerialTarget;
  readonly nodeName: string;
  readonly nowMs: number;
}

function held(lease: Lease | undefined, { target: { namespace, name }, nodeName, nowMs }: Holding): Lease {
  const now = microTime(nowMs);
  const isHeld = lease?.spec?.holderIdentity === nodeName;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...lease?.metadata, name, namespace },
    spec: {
      holderIdentity: nodeName,
      leaseDurationSeconds: durationMs / 1000,
      acquireTime: isHeld ? (lease.spec?.acquireTime ?? now) : now,
      renewTime: now,
    },
  };
}

/** With nobody at it, and with the mark alone where another is. */
function released(
  lease: Lease,
  { isHeld, mark }: { readonly isHeld: boolean; readonly mark: Mark | undefined },
): Lease {
  const { [markAnnotation]: _before, ...annotations } = lease.metadata.annotations ?? {};
  return {
    ...lease,
    metadata: {
      ...lease.metadata,
      annotations: { ...annotations, ...(mark && { [markAnnotation]: JSON.stringify(mark) }) },
    },
    ...(isHeld && { spec: { holderIdentity: null, leaseDurationSeconds: null, acquireTime: null, renewTime: null } }),
  };
}

/** Whoever may write the Lease may have written it: what makes no sense marks nothing. */
function markOf(lease: Lease | undefined): Mark | undefined {
  try {
    const value: unknown = JSON.parse(lease?.metadata.annotations?.[markAnnotation] ?? '');
    if (!isMap(value)) return undefined;
    const { node, checksum } = value;
    return typeof node === 'string' && typeof checksum === 'string' ? { node, checksum } : undefined;
  } catch {
    return undefined;
  }
}

/** The Lease of a source `secret:NAMESPACE/NAME`. */
export function serialTarget(address: string, checksum: string): SerialTarget {
  const [namespace = '', name = ''] = address.replace(/^secret:/, '').split('/');
  if (name === '') throw new NodekilnError('NK_INTERNAL', `${address} is not a source that nodes share`);
  return { namespace, name, checksum };
}
