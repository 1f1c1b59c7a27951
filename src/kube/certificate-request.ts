/**
 * A client certificate from the cluster: a CertificateSigningRequest (`certificates.k8s.io/v1`) that somebody approves and the
 * cluster signs. Its object is named by a digest of key and content: whoever asks again for the same with the same key finds the
 * request of before.
 */
import { NodekilnError } from '../errors.ts';
import { withDeadline } from '../host/deadline.ts';
import { sha256 } from '../host/digest.ts';
import type { Clock, Signatures } from '../host/port.ts';
import { fromBase64, textOf, toBase64 } from '../model/bytes.ts';
import { certificateRequest, requestInfo, requestPem, type RequestedSubject } from '../model/certificate-request.ts';
import type { KubeApi } from './api.ts';
import { KubeApiError } from './error.ts';
import type { KubeObject, Resource } from './objects.ts';

export const certificateRequests: Resource = {
  apiVersion: 'certificates.k8s.io/v1',
  plural: 'certificatesigningrequests',
};

/** As far as it is read here. */
export interface CertificateRequestObject extends KubeObject {
  readonly spec?: {
    readonly request?: string;
    readonly signerName?: string;
    readonly usages?: readonly string[];
    readonly expirationSeconds?: number;
    readonly username?: string;
    readonly groups?: readonly string[];
  };
  readonly status?: {
    /** In base64. */
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string; readonly reason?: string; readonly message?: string }[];
  };
}

export interface CertificateWanted extends RequestedSubject {
  /** PKCS #8 in PEM, of `signatures.newKey`. */
  readonly key: string;
  /** Begins the name of the object: `nodekiln-agent`. */
  readonly prefix: string;
  readonly validityMs: number;
  /** Who signs; `kubernetes.io/kube-apiserver-client` unless told. */
  readonly signerName?: string;
}

export interface CertificateAsk {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly signatures: Signatures;
  readonly signal: AbortSignal;
  /** Told once, when the request is there and waits: its name. */
  readonly onPending?: (name: string) => void;
}

const clientSigner = 'kubernetes.io/kube-apiserver-client';
/** Signs what kubelets show the API server. */
export const kubeletSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
const usages = ['digital signature', 'client auth'];
/** Somebody has to approve it: a person, perhaps. */
const waitMs = 15 * 60_000;
const [firstLookMs, longestLookMs] = [250, 5000];

/**
 * The certificate and its chain in PEM form. NK_CLUSTER_REQUEST_DENIED, NK_CLUSTER_REQUEST_PENDING after a quarter of an hour,
 * errors of the API.
 */
export async function requestCertificate(ask: CertificateAsk, wanted: CertificateWanted): Promise<string> {
  const { api, signal, clock, onPending } = ask;
  const object = await requestObject(ask.signatures, wanted);
  const { name } = object.metadata;
  let uid = (await made(api, object, signal)).metadata.uid;
  let told = false;
  const until = async (within: AbortSignal): Promise<string> => {
    for (let pauseMs = firstLookMs; ; pauseMs = Math.min(pauseMs * 2, longestLookMs)) {
      const now = await api.get<CertificateRequestObject>(certificateRequests, name, { signal: within });
      if (!now) {
        // Cleaned away, as the cluster does with old ones: asked for again.
        uid = (await made(api, object, within)).metadata.uid;
      } else {
        if (now.metadata.uid !== uid) throw denied(name, 'was replaced by another of this name');
        const outcome = outcomeOf(now, name);
        if (outcome !== undefined) return outcome;
      }
      if (!told) onPending?.(name);
      told = true;
      await clock.sleep(pauseMs, within);
    }
  };
  try {
    return await withDeadline({ clock, ms: waitMs, about: `the certificate request ${name}`, signal }, until);
  } catch (thrown) {
    if (!(thrown instanceof NodekilnError) || thrown.code !== 'NK_TIMEOUT' || signal.aborted) throw thrown;
    throw new NodekilnError('NK_CLUSTER_REQUEST_PENDING', `nobody has approved the certificate request ${name}`, {
      cause: thrown,
      hint: `See whether \`nodekiln cluster approve\` runs, or \`kubectl certificate approve ${name}\`; it is asked for again.`,
    });
  }
}

/** The PEM when it is issued; undefined while it waits. */
function outcomeOf({ status }: CertificateRequestObject, name: string): string | undefined {
  for (const { type, reason = '' } of status?.conditions ?? [])
    if (type === 'Denied' || type === 'Failed')
      throw denied(
        name,
        `${type === 'Denied' ? 'was denied' : 'failed'}${/^\w{1,64}$/.test(reason) ? ` (${reason})` : ''}`,
      );
  const approved = status?.conditions?.some(({ type }) => type === 'Approved') === true;
  const { certificate = '' } = status ?? {};
  return approved && certificate !== '' ? textOf(fromBase64(certificate)) : undefined;
}

function denied(name: string, what: string): NodekilnError {
  return new NodekilnError('NK_CLUSTER_REQUEST_DENIED', `the certificate request ${name} ${what}`);
}

/** The one that is there, when it is there already. */
async function made(
  api: KubeApi,
  object: CertificateRequestObject,
  signal: AbortSignal,
): Promise<CertificateRequestObject> {
  try {
    // Its name follows from what it asks for: twice is once.
    return await api.create<CertificateRequestObject>(certificateRequests, object, { signal, repeatable: true });
  } catch (thrown) {
    if (!(thrown instanceof KubeApiError) || thrown.status !== 409) throw thrown;
    const there = await api.get<CertificateRequestObject>(certificateRequests, object.metadata.name, { signal });
    if (there) return there;
    throw thrown;
  }
}

async function requestObject(signatures: Signatures, wanted: CertificateWanted): Promise<CertificateRequestObject> {
  const { key, commonName, organizations, prefix, validityMs, signerName = clientSigner } = wanted;
  const publicKey = await signatures.publicKeyOf(key);
  if (!publicKey) throw new NodekilnError('NK_INTERNAL', 'the key of a certificate request is none');
  const info = requestInfo({ commonName, organizations }, publicKey);
  const request = certificateRequest(info, await signatures.sign(key, info));
  // Parts are encoded and ended, so that none can be taken for a piece of another.
  const parts = [publicKey, ...[commonName, ...organizations, ...usages].map((text) => new TextEncoder().encode(text))];
  const digest = sha256(parts.map((part) => `${toBase64(part)}|`).join(''));
  return {
    apiVersion: certificateRequests.apiVersion,
    kind: 'CertificateSigningRequest',
    metadata: { name: `${prefix}-${digest.slice('sha256:'.length, 'sha256:'.length + 40)}` },
    spec: {
      request: toBase64(new TextEncoder().encode(requestPem(request))),
      signerName,
      usages,
      expirationSeconds: Math.max(600, Math.floor(validityMs / 1000)),
    },
  };
}
