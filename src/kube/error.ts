/** What an API server answers instead of what was asked for. */
import { NodekilnError } from '../errors.ts';

export interface KubeApiRefusal {
  /** `https://host:6443` */
  readonly where: string;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly status: number;
  /** `NotFound`, `Conflict`, `Expired`: the server's own word; anything else is passed over. */
  readonly reason?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/**
 * What the server said: NK_CLUSTER_CREDENTIAL_REFUSED for 401, NK_CLUSTER_FORBIDDEN for 403, else NK_SOURCE_UNAVAILABLE. Its
 * words are not quoted: they may repeat what was sent.
 */
export class KubeApiError extends NodekilnError {
  readonly status: number;
  /** '' when the server gave none. */
  readonly reason: string;
  /** For how long the server asks to be left alone; undefined when it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor({ where, method, path, status, reason = '', retryAfterMs }: KubeApiRefusal) {
    const word = /^[A-Za-z]{1,64}$/.test(reason) ? reason : '';
    super(
      status === 401
        ? 'NK_CLUSTER_CREDENTIAL_REFUSED'
        : status === 403
          ? 'NK_CLUSTER_FORBIDDEN'
          : 'NK_SOURCE_UNAVAILABLE',
      `the API server ${where} answered ${method} ${path} with status ${status}${word && ` (${word})`}`,
    );
    this.name = 'KubeApiError';
    this.status = status;
    this.reason = word;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The version asked for is no longer there: whoever follows from it must list again. */
export function isGone(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && (thrown.status === 410 || thrown.reason === 'Expired');
}

const passingCodes: ReadonlySet<string> = new Set([
  'NK_CLUSTER_AUTHORITY',
  'NK_CLUSTER_CERTIFICATE',
  'NK_CLUSTER_CLOCK',
  'NK_CLUSTER_UNREACHABLE',
  'NK_SOURCE_UNAVAILABLE',
  'NK_TIMEOUT',
  'NK_STATE_LOCKED',
]);

/** Nothing was said about what was asked: it is worth asking again later. */
export function isPassing(error: NodekilnError): boolean {
  if (error instanceof KubeApiError) return error.status >= 500 || [408, 409, 429].includes(error.status);
  return passingCodes.has(error.code);
}
