/** Questions to an API server while a node joins: small, each with a deadline, without retries. Whoever asks looks again. */
import type { HttpResponse } from '../../host/port.ts';
import { createKubeClient, type KubeClientHost } from '../../kube/client.ts';
import type { ApiServer } from '../../kube/kubeconfig.ts';
import { textOf } from '../../model/bytes.ts';

/** Who asks, and whom. */
export interface Api extends ApiServer {
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

/** What is asked for, or what is posted there. */
export interface Question {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly post?: unknown;
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

/** Errors of the client. */
export async function ask(
  host: KubeClientHost,
  { signal, ...api }: Api,
  { path, query, post }: Question,
): Promise<Answer> {
  const client = createKubeClient(host, api, { keepAlive: true });
  const response = await client.ask({
    path,
    timeoutMs,
    maxBytes,
    ...(query && { query }),
    ...(signal && { signal }),
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
