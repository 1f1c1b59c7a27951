/** Follows requests for certificates and answers those that `approval.ts` judges, until it is told to stop. */
import type { Clock, Signatures } from '../host/port.ts';
import type { KubeApi } from '../kube/api.ts';
import { certificateRequests, type CertificateRequestObject } from '../kube/certificate-request.ts';
import { createBackOff } from '../kube/back-off.ts';
import { startInformer } from '../kube/informer.ts';
import type { KubeObject, Resource } from '../kube/objects.ts';
import { fromBase64, textOf } from '../model/bytes.ts';
import { readCertificateRequest, type ReadRequest } from '../model/certificate-request.ts';
import {
  judgeAgentRequest,
  judgeServingRequest,
  type Judged,
  type JudgedRequest,
  type NodeAddresses,
} from './approval.ts';

/** What became of one request. */
export interface Answered extends Judged {
  readonly name: string;
  readonly username: string;
}

export interface ApproverOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly signatures: Signatures;
  readonly signal: AbortSignal;
  /** Requests of kubelets for what they serve are answered, too. */
  readonly kubeletServing?: boolean;
  /** Of each request that was approved or denied. */
  readonly onAnswered?: (answered: Answered) => void;
  readonly onTrouble?: (trouble: unknown) => void;
}

const nodes: Resource = { apiVersion: 'v1', plural: 'nodes' };

/** Those that wait now, once; errors of the API. */
export async function approveOnce(options: ApproverOptions): Promise<readonly Answered[]> {
  const { items } = await options.api.list<CertificateRequestObject>(certificateRequests, { signal: options.signal });
  const answered: Answered[] = [];
  for (const item of items) {
    const one = await answer(options, item);
    if (one) answered.push(one);
  }
  return answered;
}

/** Ends with the signal. A request that could not be answered is tried again, less and less often. */
export async function approveUntil(options: ApproverOptions): Promise<void> {
  const { api, clock, signal, onTrouble } = options;
  const waiting = new Map<string, CertificateRequestObject>();
  let wake = Promise.withResolvers<void>();
  const backOff = createBackOff({ clock, firstMs: 1000, longestMs: 5 * 60_000 });
  startInformer<CertificateRequestObject>({
    api,
    clock,
    resource: certificateRequests,
    signal,
    onChange: ({ type, object }) => {
      if (type === 'deleted') waiting.delete(object.metadata.name);
      else waiting.set(object.metadata.name, object);
      wake.resolve();
    },
    ...(onTrouble && { onTrouble }),
  });
  while (!signal.aborted) {
    for (const [name, object] of waiting) {
      try {
        await answer(options, object);
        waiting.delete(name);
      } catch (thrown) {
        if (!signal.aborted) onTrouble?.(thrown);
      }
    }
    if (waiting.size === 0) backOff.reset();
    const until = new AbortController();
    const end = (): void => until.abort(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    const again =
      waiting.size > 0
        ? backOff.wait(undefined, until.signal)
        : new Promise<void>((resolve) => until.signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([wake.promise, again.catch(() => undefined)]);
    signal.removeEventListener('abort', end);
    end();
    wake = Promise.withResolvers();
  }
}

/** Undefined for what has its answer, and for what is not ours. */
async function answer(options: ApproverOptions, object: CertificateRequestObject): Promise<Answered | undefined> {
  const { api, signal } = options;
  const { name } = object.metadata;
  const { spec = {}, status } = object;
  if ((status?.conditions ?? []).some(({ type }) => ['Approved', 'Denied', 'Failed'].includes(type))) return undefined;
  const { username = '', groups = [], signerName = '', usages = [], expirationSeconds } = spec;
  const request = await readVerified(options.signatures, spec.request ?? '');
  // Asked of the server itself: what a cache says of who is there may be old.
  const node = request && (await api.get<AddressedNode>(nodes, nodeIn(request), { signal }));
  const asked: JudgedRequest = {
    username,
    groups,
    signerName,
    usages,
    request,
    ...(expirationSeconds !== undefined && { expirationSeconds }),
  };
  const ofAgent = judgeAgentRequest(asked, { hasNode: () => node !== undefined });
  const judged =
    ofAgent.verdict === 'left' && options.kubeletServing === true
      ? judgeServingRequest(asked, node && (node.status?.addresses ?? []))
      : ofAgent;
  if (judged.verdict === 'left') return undefined;
  const condition = {
    type: judged.verdict === 'approved' ? 'Approved' : 'Denied',
    status: 'True',
    reason: reasonOf(judged, judged === ofAgent),
    message: judged.why,
  };
  const answered = { ...object, status: { ...status, conditions: [...(status?.conditions ?? []), condition] } };
  await api.update(certificateRequests, answered, { subresource: 'approval', signal });
  const result = { ...judged, name, username };
  options.onAnswered?.(result);
  return result;
}

interface AddressedNode extends KubeObject {
  readonly status?: { readonly addresses?: NodeAddresses };
}

function reasonOf({ verdict }: Judged, isAgent: boolean): string {
  return `${isAgent ? 'Agent' : 'Kubelet'}${verdict === 'approved' ? 'Fits' : 'DoesNotFit'}`;
}

/** A name that no Node has, for what names none. */
function nodeIn({ commonName }: ReadRequest): string {
  const name = commonName.slice(commonName.lastIndexOf(':') + 1);
  return /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/.test(name) ? name : 'none';
}

async function readVerified(signatures: Signatures, base64: string): Promise<ReadRequest | undefined> {
  const request = readCertificateRequest(textOf(fromBase64(base64)));
  if (!request) return undefined;
  const { publicKey: key, signed: content, signature } = request;
  return (await signatures.byKey({ key, content, signature })) === 'good' ? request : undefined;
}
