/**
 * The API of a cluster on a machine in memory: objects of any kind, read, listed, watched and written as kube-apiserver does
 * it as far as an agent can tell. It knows no rights and no schemas; what those do is tried on the real one.
 */
import type { Endpoint, EndpointResponse, MemoryMachine } from '../../src/host/memory/machine.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { createConnection, type Connection } from './kube-server.ts';

export const clusterAddress = 'https://10.0.0.1:6443';

type Json = Record<string, unknown>;
type Stored = KubeObject & Json;

/** One request, as the server got it. */
export interface ClusterRequest {
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete` */
  readonly verb: string;
  /** `secrets`, `nodes/status` */
  readonly resource: string;
  readonly namespace: string | undefined;
  /** '' of a list or a creation. */
  readonly name: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds of the machine's clock. */
  readonly atMs: number;
}

export interface KubeCluster {
  /** What is stored under `secrets/kube-system/name` or `nodes/name`. */
  get(key: string): Stored | undefined;
  /** Puts it there or changes it, as somebody else; watches are told. */
  put(key: string, object: object): void;
  delete(key: string): void;
  /** What is put back by what it gives, versions, too: watches stay open and are told nothing of it. */
  save(): () => void;
  readonly asked: readonly ClusterRequest[];
  /** `get secrets/kube-system/a`, one for each request. */
  readonly told: readonly string[];
  /** `v1.34.4`, unless told. */
  version: string;
  /** Answers instead, while it gives an answer. */
  instead: ((request: ClusterRequest) => EndpointResponse | undefined) | undefined;
  /** Answers to another machine, too, which has the clock of the first. */
  serveOn(machine: MemoryMachine): void;
  /** Nobody answers, and connections break. */
  stop(): void;
  start(): void;
}

interface Watch {
  readonly connection: Connection;
  readonly wants: (key: string) => boolean;
}

interface Target {
  readonly collection: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly part: string;
}

/** What is stored, and who watches it. */
interface Store {
  readonly stored: ReadonlyMap<string, Stored>;
  readonly watches: ReadonlySet<Watch>;
  readonly version: () => number;
  readonly store: (key: string, object: Json) => Stored;
  readonly remove: (key: string) => boolean;
  readonly save: () => () => void;
  readonly follow: (wants: Watch['wants'], query: URLSearchParams) => EndpointResponse;
}

function createStore(machine: MemoryMachine): Store {
  let version = 1;
  /** The latest that watches were told. */
  let told = 1;
  const stored = new Map<string, Stored>();
  const history: { readonly version: number; readonly key: string; readonly line: string }[] = [];
  const watches = new Set<Watch>();

  const tell = (type: string, key: string, object: Stored): void => {
    const line = `${JSON.stringify({ type, object })}\n`;
    history.push({ version, key, line });
    told = Math.max(told, version);
    for (const { connection, wants } of watches) if (wants(key)) connection.push(line);
  };
  const store = (key: string, object: Json): Stored => {
    const before = stored.get(key);
    version += 1;
    const metadata = {
      ...(object['metadata'] as KubeObject['metadata']),
      uid: before?.metadata.uid ?? `uid-${version}`,
      resourceVersion: String(version),
    };
    const whole = { ...object, metadata };
    stored.set(key, whole);
    tell(before ? 'MODIFIED' : 'ADDED', key, whole);
    return whole;
  };
  const remove = (key: string): boolean => {
    const before = stored.get(key);
    if (!before) return false;
    version += 1;
    stored.delete(key);
    tell('DELETED', key, { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } });
    return true;
  };
  const follow = (wants: Watch['wants'], query: URLSearchParams): EndpointResponse => {
    const from = Number(query.get('resourceVersion'));
    const { connection, body } = createConnection(machine, {
      timeoutMs: Number(query.get('timeoutSeconds')) * 1000,
      bookmark: () =>
        `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(Math.max(version, told)) } } })}\n`,
      onEnd: () => watches.delete(watch),
    });
    const watch = { connection, wants };
    for (const event of history) if (event.version > from && wants(event.key)) connection.push(event.line);
    watches.add(watch);
    return { body };
  };
  const save = (): (() => void) => {
    const copy = { version, objects: new Map(stored) };
    return () => {
      ({ version } = copy);
      stored.clear();
      for (const [key, object] of copy.objects) stored.set(key, object);
    };
  };
  return { stored, watches, version: () => version, store, remove, save, follow };
}

/** Starts it at `clusterAddress`. */
export function createKubeCluster(machine: MemoryMachine): KubeCluster {
  const { stored, watches, version, store, remove, save, follow } = createStore(machine);
  const asked: ClusterRequest[] = [];
  let unserve: (() => void) | undefined;

  const write = (target: Target, request: ClusterRequest): EndpointResponse => {
    const { body, verb } = request;
    const key = keyOf(target, target.name || nameIn(body));
    const before = stored.get(key);
    if (verb === 'delete') return remove(key) ? json({ kind: 'Status' }) : refusal(404, 'NotFound');
    if (verb === 'create') return before ? refusal(409, 'AlreadyExists') : json(store(key, body as Json), 201);
    if (verb === 'apply') return json(store(key, merged(before ?? {}, body as Json)), before ? 200 : 201);
    if (!before) return refusal(404, 'NotFound');
    const wanted = (body as Partial<KubeObject>).metadata?.resourceVersion;
    if (wanted !== undefined && wanted !== before.metadata.resourceVersion) return refusal(409, 'Conflict');
    return json(store(key, verb === 'update' ? (body as Json) : merged(before, body as Json)));
  };
  const endpoint: Endpoint = ({ url, method = 'GET', headers = {}, body }) => {
    const { searchParams, pathname } = new URL(url);
    if (pathname === '/version') return json({ gitVersion: cluster.version });
    const target = targetOf(pathname);
    const request: ClusterRequest = {
      verb: verbOf(method, target, searchParams, headers),
      resource: target.part === '' ? target.resource : `${target.resource}/${target.part}`,
      namespace: target.namespace,
      name: target.name,
      body:
        body === undefined ? undefined : JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body)),
      headers,
      atMs: machine.clock.monotonic(),
    };
    asked.push(request);
    const instead = cluster.instead?.(request);
    if (instead) return instead;
    const only = /^metadata\.name=(.+)$/.exec(searchParams.get('fieldSelector') ?? '')?.[1];
    const wants = (key: string): boolean =>
      only === undefined ? key.startsWith(`${target.collection}/`) : key === `${target.collection}/${only}`;
    if (request.verb === 'watch') return follow(wants, searchParams);
    if (request.verb === 'list') {
      const items = [...stored].filter(([key]) => wants(key)).map(([, object]) => object);
      return json({ metadata: { resourceVersion: String(version()) }, items });
    }
    if (request.verb !== 'get') return write(target, request);
    const object = stored.get(keyOf(target, target.name));
    return object ? json(object) : refusal(404, 'NotFound');
  };

  const cluster: KubeCluster = {
    get: (key) => stored.get(key),
    put: (key, object) => {
      const [, ...parts] = key.split('/');
      const name = parts.at(-1) ?? '';
      const metadata = { ...(object as Partial<KubeObject>).metadata, name };
      store(key, { ...object, metadata: parts.length > 1 ? { ...metadata, namespace: parts[0] } : metadata });
    },
    delete: (key) => void remove(key),
    save,
    asked,
    get told() {
      return asked.map(({ verb, resource, namespace, name }) =>
        [verb, [resource, namespace, name].filter((part) => part !== undefined && part !== '').join('/')].join(' '),
      );
    },
    version: 'v1.34.4',
    instead: undefined,
    serveOn: (other) => void other.serve(clusterAddress, endpoint),
    stop: () => {
      unserve?.();
      for (const { connection } of watches) connection.end('cut');
    },
    start: () => {
      unserve = machine.serve(clusterAddress, endpoint);
    },
  };
  cluster.start();
  return cluster;
}

/** `/api/v1/namespaces/a/secrets/b/status` */
function targetOf(path: string): Target {
  const segments = path.split('/').slice(1).map(decodeURIComponent);
  const rest = segments.slice(segments[0] === 'api' ? 2 : 3);
  const namespaced = rest[0] === 'namespaces' && rest.length > 2;
  const namespace = namespaced ? rest[1] : undefined;
  const [resource = '', name = '', part = ''] = namespaced ? rest.slice(2) : rest;
  return {
    collection: namespace === undefined ? resource : `${resource}/${namespace}`,
    resource,
    namespace,
    name,
    part,
  };
}

function keyOf({ collection }: Target, name: string): string {
  return `${collection}/${name}`;
}

function nameIn(body: unknown): string {
  return (body as KubeObject).metadata.name;
}

function verbOf(
  method: string,
  { name }: Target,
  query: URLSearchParams,
  headers: Readonly<Record<string, string>>,
): string {
  if (method === 'GET') return name !== '' ? 'get' : query.get('watch') === 'true' ? 'watch' : 'list';
  if (method === 'PATCH') return headers['content-type']?.includes('apply') === true ? 'apply' : 'patch';
  return { POST: 'create', PUT: 'update', DELETE: 'delete' }[method] ?? method;
}

function json(value: object, status = 200): EndpointResponse {
  return { status, body: JSON.stringify(value) };
}

function refusal(status: number, reason: string): EndpointResponse {
  return json({ kind: 'Status', code: status, reason }, status);
}

/** Maps merge, null removes, conditions merge by their type, other lists replace. */
function merged(before: Json, change: Json): Json {
  const result: Json = { ...before };
  for (const [key, value] of Object.entries(change)) {
    const old = result[key];
    if (value === null) delete result[key];
    else if (key === 'conditions' && Array.isArray(value) && Array.isArray(old)) result[key] = byType(old, value);
    else result[key] = isMap(value) && isMap(old) ? merged(old, value) : value;
  }
  return result;
}

function byType(before: readonly unknown[], change: readonly unknown[]): readonly unknown[] {
  const all = new Map([...before, ...change].map((one) => [(one as { readonly type: string }).type, one]));
  return [...all.values()];
}

function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
