/**
 * Objects of an API server: read, listed page by page, written. One question is asked once: whoever wants to try again has
 * `createBackOff`, and a KubeApiError says how long the server asks to be left alone.
 *
 * Errors: KubeApiError for a refusal, else those of the client; NK_SOURCE_UNAVAILABLE for an answer that is no object.
 */
import type { Clock } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import { retryAfterMs } from '../model/retry-after.ts';
import { unusableServer } from './client.ts';
import type { KubeClient, KubeExchange, KubeStreamRequest } from './client.ts';
import { isGone, KubeApiError } from './error.ts';
import { fieldOf, isKubeObject, pathOf } from './objects.ts';
import type { KubeObject, Resource, Selection } from './objects.ts';
import { concealed } from './secrets.ts';
import { createSeenVersions } from './seen-versions.ts';

/** Of any question. */
export interface AskOptions {
  /** For the whole exchange; 30 s unless told. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly fresh?: boolean;
  readonly repeatable?: boolean;
}

/** A question in its own words. */
export interface ApiRequest extends KubeExchange, AskOptions {
  /** Of the answer; 16 MiB unless told. */
  readonly maxBytes?: number;
}

/** Objects, and the version of the whole that a watch goes on from. */
export interface KubeList<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

/** How a change is written down: RFC 7396, RFC 6902, or Kubernetes' own, which knows keys of lists (built-in kinds only). */
export type PatchType = 'merge' | 'json' | 'strategic';

/** Of a server-side apply. */
export interface ApplyOptions extends AskOptions {
  /** Whose fields these are. */
  readonly fieldManager: string;
  /** Takes over fields that others hold, instead of a 409. */
  readonly force?: boolean;
  /** `status` */
  readonly subresource?: string;
}

/** Of a change. */
export interface WriteOptions extends AskOptions {
  readonly subresource?: string;
}

/** One API server. */
export interface KubeApi {
  /** `https://host:6443`, for messages. */
  readonly where: string;
  /** What the JSON of a good answer says. */
  request(request: ApiRequest): Promise<unknown>;
  /** The body of a good answer as it arrives. */
  stream(request: KubeStreamRequest): Promise<AsyncIterable<Uint8Array>>;
  /** Undefined when there is none of this name. */
  get<T extends KubeObject>(resource: Resource, name: string, options?: AskOptions): Promise<T | undefined>;
  /** All of them, in pages; begins again when the version of the first page is gone before the last one came. */
  list<T extends KubeObject>(resource: Resource, options?: Selection & AskOptions): Promise<KubeList<T>>;
  create<T extends KubeObject>(resource: Resource, object: T, options?: AskOptions): Promise<T>;
  /** 409 when it is no longer of the version that the object names. */
  update<T extends KubeObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource,
    name: string,
    patch: { readonly type: PatchType; readonly content: unknown },
    options?: WriteOptions,
  ): Promise<T>;
  /** Server-side apply: makes it when there is none, and leaves alone what others set. */
  apply<T extends KubeObject>(resource: Resource, object: KubeObject, options: ApplyOptions): Promise<T>;
  /** False when there was none. */
  delete(resource: Resource, name: string, options?: AskOptions): Promise<boolean>;
}

const defaultTimeoutMs = 30_000;
const defaultMaxBytes = 16 * 1024 * 1024;
const pageSize = 500;
/** A version that is gone again and again is a server that forgets faster than it can be read. */
const listAttempts = 3;
/** The largest clusters have 5,000 nodes and 150,000 Pods; what goes on beyond that is no list of theirs. */
const mostItems = 200_000;
const mostPages = 1_000;

const contentTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const;

/** What is told beside answers. */
export interface KubeApiOptions {
  /** An object was answered in an earlier version than it had before: the server's store was put back to an older copy. */
  readonly onEarlier?: () => void;
}

/** Asks through the client; holds nothing but versions, for `onEarlier`. */
export function createKubeApi(client: KubeClient, clock: Clock, { onEarlier }: KubeApiOptions = {}): KubeApi {
  const request = requestThrough(client, clock);
  const seen = onEarlier && createSeenVersions(onEarlier);
  const object = async <T extends KubeObject>(resource: Resource, wanted: ApiRequest, name?: string): Promise<T> => {
    const answered = name === undefined ? undefined : seen?.ask(pathOf(resource, name));
    const content = await request(wanted);
    if (!isKubeObject(content)) throw unusableServer(client.where, `answered ${wanted.path} with what is no object`);
    answered?.(content);
    return concealed(resource, content as T);
  };

  const write = <T extends KubeObject>(
    resource: Resource,
    wanted: ApiRequest,
    { content, name }: { readonly content: unknown; readonly name?: string },
  ): Promise<T> => object<T>(resource, { ...wanted, body: JSON.stringify(content) }, name);

  return {
    get where() {
      return client.where;
    },
    request,
    stream: async (wanted) => {
      const { status, headers, body } = await client.stream(wanted);
      if (status !== 200)
        throw refusal({ where: client.where, wanted, status, askedMs: retryAfterMs(headers, clock.now()) }, undefined);
      return body;
    },
    get: async (resource, name, options = {}) =>
      unlessMissing(object(resource, { path: pathOf(resource, name), ...options }, name)),
    list: async <T extends KubeObject>(resource: Resource, options: Selection & AskOptions = {}) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await readPages<T>({ request, where: client.where }, resource, options);
        } catch (thrown) {
          if (!isGone(thrown) || attempt === listAttempts) throw thrown;
        }
      }
    },
    create: async (resource, content, options = {}) =>
      write(resource, { method: 'POST', path: pathOf(resource), ...options }, { content }),
    update: async (resource, content, { subresource, ...options } = {}) =>
      write(
        resource,
        { method: 'PUT', path: pathOf(resource, content.metadata.name, ...partOf(subresource)), ...options },
        { content, name: content.metadata.name },
      ),
    patch: async (resource, name, { type, content }, { subresource, ...options } = {}) =>
      write(
        resource,
        {
          method: 'PATCH',
          path: pathOf(resource, name, ...partOf(subresource)),
          contentType: contentTypes[type],
          ...options,
        },
        { content, name },
      ),
    apply: async (resource, content, { fieldManager, force, subresource, ...options }) =>
      write(
        resource,
        {
          method: 'PATCH',
          path: pathOf(resource, content.metadata.name, ...partOf(subresource)),
          query: { fieldManager, ...(force === true && { force: 'true' }) },
          // JSON is YAML.
          contentType: 'application/apply-patch+yaml',
          ...options,
        },
        { content, name: content.metadata.name },
      ),
    delete: async (resource, name, options = {}) => {
      seen?.forget(pathOf(resource, name));
      const answer = await unlessMissing(request({ method: 'DELETE', path: pathOf(resource, name), ...options }));
      return answer !== undefined;
    },
  };
}

/** All pages of one list. */
async function readPages<T extends KubeObject>(
  asking: Pick<KubeApi, 'request' | 'where'>,
  resource: Resource,
  options: Selection & AskOptions,
): Promise<KubeList<T>> {
  const { timeoutMs = defaultTimeoutMs, signal, fresh = false } = options;
  const items: T[] = [];
  for (let next = '', page = 1; ; page++) {
    const query = {
      limit: String(pageSize),
      ...selectionOf(options),
      ...(next !== '' && { continue: next }),
    };
    const read = await readPage<T>(asking, resource, {
      path: pathOf(resource),
      query,
      timeoutMs,
      fresh,
      ...(signal && { signal }),
    });
    items.push(...read.items);
    // A page may be empty, all of it filtered out, and another follow.
    if (items.length > mostItems || page > mostPages || (read.next !== '' && read.next === next))
      throw unusableServer(asking.where, `answered ${pathOf(resource)} with a list that does not end`);
    if (read.next === '') return { items, resourceVersion: read.resourceVersion };
    next = read.next;
  }
}

/** One page of a list. */
async function readPage<T extends KubeObject>(
  { request, where }: Pick<KubeApi, 'request' | 'where'>,
  resource: Resource,
  wanted: ApiRequest,
): Promise<KubeList<T> & { readonly next: string }> {
  const content = await request(wanted);
  const items = fieldOf(content, 'items') ?? [];
  const version = fieldOf(fieldOf(content, 'metadata'), 'resourceVersion');
  const next = fieldOf(fieldOf(content, 'metadata'), 'continue') ?? '';
  if (!Array.isArray(items) || !items.every(isKubeObject) || typeof version !== 'string' || typeof next !== 'string')
    throw unusableServer(where, `answered ${wanted.path} with what is no list`);
  return { items: (items as unknown as T[]).map((one) => concealed(resource, one)), resourceVersion: version, next };
}

/** One question, answered by what the JSON says or refused. */
function requestThrough(client: KubeClient, clock: Clock): KubeApi['request'] {
  return async (wanted) => {
    const { status, headers, body } = await client.ask({
      ...wanted,
      timeoutMs: wanted.timeoutMs ?? defaultTimeoutMs,
      maxBytes: wanted.maxBytes ?? defaultMaxBytes,
    });
    const content = jsonIn(body);
    if (status < 200 || status > 299)
      throw refusal({ where: client.where, wanted, status, askedMs: retryAfterMs(headers, clock.now()) }, content);
    if (content === undefined) throw unusableServer(client.where, `answered ${wanted.path} with what is not JSON`);
    return content;
  };
}

interface Refused {
  readonly where: string;
  readonly wanted: KubeExchange;
  readonly status: number;
  /** By the header. */
  readonly askedMs: number | undefined;
}

function refusal({ where, wanted, status, askedMs }: Refused, body: unknown): KubeApiError {
  const reason = fieldOf(body, 'reason');
  const seconds = fieldOf(fieldOf(body, 'details'), 'retryAfterSeconds');
  return new KubeApiError({
    where,
    method: wanted.method ?? 'GET',
    path: wanted.path,
    status,
    ...(typeof reason === 'string' && { reason }),
    retryAfterMs: askedMs ?? (typeof seconds === 'number' ? seconds * 1000 : undefined),
  });
}

/** A selection as the query has it. */
export function selectionOf({ fieldSelector, labelSelector }: Selection): Readonly<Record<string, string>> {
  return {
    ...(fieldSelector !== undefined && { fieldSelector }),
    ...(labelSelector !== undefined && { labelSelector }),
  };
}

function partOf(subresource: string | undefined): readonly string[] {
  return subresource === undefined ? [] : [subresource];
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (thrown instanceof KubeApiError && thrown.status === 404) return undefined;
    throw thrown;
  }
}

function jsonIn(body: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(body));
  } catch {
    return undefined;
  }
}
