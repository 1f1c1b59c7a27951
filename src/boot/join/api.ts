/** Questions to an API server while a node joins: small, each with a deadline, without retries. Whoever asks looks again. */
import type { HttpResponse, Net, TlsOptions } from '../../host/port.ts';
import { textOf } from '../../model/bytes.ts';

/** Who asks, and whom. */
export interface Api {
  /** `https://api.example.org:6443` */
  readonly server: string;
  readonly tls: TlsOptions;
  readonly token?: string;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

/** What was answered, whatever its status; `body` is what the JSON says, undefined when it is none. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** What the server's clock said, milliseconds since 1970; undefined when it did not say. */
  readonly serverTime: number | undefined;
}

const timeoutMs = 3_000;
/** A list of a hundred certificate requests. */
const maxBytes = 1024 * 1024;

/** Throws what the port's network throws. */
export async function ask(net: Net, api: Api, path: string, post?: unknown): Promise<Answer> {
  const response = await net.request({
    url: `${api.server.replace(/\/+$/, '')}${path}`,
    timeoutMs,
    maxBytes,
    keepAlive: true,
    headers: {
      accept: 'application/json',
      'user-agent': 'nodekiln',
      ...(api.token !== undefined && { authorization: `Bearer ${api.token}` }),
      ...(post !== undefined && { 'content-type': 'application/json' }),
    },
    tls: api.tls,
    ...(api.signal && { signal: api.signal }),
    ...(post !== undefined && { method: 'POST', body: JSON.stringify(post) }),
  });
  return { status: response.status, body: jsonIn(response), serverTime: timeIn(response) };
}

function jsonIn({ body }: HttpResponse): unknown {
  try {
    return JSON.parse(textOf(body));
  } catch {
    return undefined;
  }
}

function timeIn({ headers }: HttpResponse): number | undefined {
  const time = Date.parse(headers['date'] ?? '');
  return Number.isNaN(time) ? undefined : time;
}

/** The value at a path of keys in what a server said, which may be anything. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let inner = value;
  for (const key of path) {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, key)) return undefined;
    inner = (inner as Readonly<Record<string, unknown>>)[key];
  }
  return inner;
}

export function textAt(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}
