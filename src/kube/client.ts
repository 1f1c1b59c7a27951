/**
 * A client of one API server: who is asked, how it shows who it is, and how we do. Requests go through the port's network,
 * without redirects and retries. What a server answers is the caller's to judge; credentials never appear in messages.
 */
import { NodekilnError } from '../errors.ts';
import { NetError } from '../host/port.ts';
import type { HttpResponse, Net } from '../host/port.ts';
import type { ApiServer } from './kubeconfig.ts';

/** What is asked of an API server. */
export interface KubeRequest {
  /** `/version`, `/api/v1/nodes`; with its query. */
  readonly path: string;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** Of the answer; 1 MiB unless told. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** One API server, as whoever the credentials say. */
export interface KubeClient {
  /** `https://host:6443`, for messages. */
  readonly where: string;
  /**
   * An answer of whatever status, asked for as JSON. NK_TIMEOUT after the deadline, NK_INTERRUPTED, NK_SOURCE_UNAVAILABLE
   * when there is none or it is too large.
   */
  get(request: KubeRequest): Promise<HttpResponse>;
}

/** Holds no connection open. */
export function createKubeClient(net: Net, api: ApiServer): KubeClient {
  const base = api.server.replace(/\/+$/, '');
  const { protocol, host } = new URL(base);
  const where = `${protocol}//${host}`;
  return {
    where,
    get: async ({ path, timeoutMs, maxBytes, signal }) => {
      try {
        return await net.request({
          url: `${base}${path}`,
          timeoutMs,
          headers: {
            accept: 'application/json',
            'user-agent': 'nodekiln',
            ...(api.token !== undefined && { authorization: `Bearer ${api.token}` }),
          },
          tls: {
            ...(api.ca !== undefined && { ca: api.ca }),
            ...(api.serverName !== undefined && { serverName: api.serverName }),
            ...(api.clientCertificate && { clientCertificate: api.clientCertificate }),
          },
          ...(maxBytes !== undefined && { maxBytes }),
          ...(signal && { signal }),
        });
      } catch (thrown) {
        if (thrown instanceof NodekilnError && thrown.code === 'NK_INTERRUPTED') throw thrown;
        if (thrown instanceof NodekilnError && thrown.code === 'NK_TIMEOUT')
          throw new NodekilnError('NK_TIMEOUT', `no answer from the API server ${where} within ${timeoutMs} ms`, {
            cause: thrown,
          });
        const why =
          thrown instanceof NetError && thrown.failure === 'too-large' && maxBytes !== undefined
            ? `answered with more than ${maxBytes} bytes`
            : `cannot be asked: ${reasonOf(thrown)}`;
        throw unusableServer(where, why, thrown);
      }
    },
  };
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof NetError) return thrown.why;
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** NK_SOURCE_UNAVAILABLE: what is wrong with the server `where`, as a clause that follows its name. */
export function unusableServer(where: string, why: string, cause?: unknown): NodekilnError {
  return new NodekilnError('NK_SOURCE_UNAVAILABLE', `the API server ${where} ${why}`, {
    ...(cause !== undefined && { cause }),
    hint: 'Check the server, its CA and the credentials in the kubeconfig, or give --cluster-version.',
  });
}
