/** The AgentConfig that the agent takes: with every default, secrets wrapped, durations in milliseconds. Pure. */
import type { SensitiveText } from '../model/resources.ts';
import { sensitive, type With } from './complete-items.ts';
import {
  completed,
  each,
  kept,
  lack,
  or,
  sectionOrDefaults,
  type Completer,
  type Completion,
  type Lack,
  type Scope,
} from './completion.ts';
import { parseDuration } from './duration.ts';
import { invalidDocument } from './invalid.ts';
import type { LoadedDocument } from './load.ts';
import { formatPath } from './paths.ts';
import type { AgentConfigDocument } from './schema-agent.ts';

type SpecDocument = AgentConfigDocument['spec'];
type ClusterDocument = NonNullable<SpecDocument['cluster']>;
type TokenDocument = NonNullable<SpecDocument['tokens']>[number];
type HeartbeatDocument = NonNullable<SpecDocument['heartbeat']>;
type RestartsDocument = NonNullable<SpecDocument['restarts']>;
type HealthDocument = NonNullable<SpecDocument['health']>;

/** The cluster of an agent, and how it shows who it is there. */
export interface AgentClusterItem {
  /** Not empty, unless there is a kubeconfig. */
  readonly servers: readonly string[];
  readonly caBundle?: string;
  readonly caFile?: string;
  readonly bootstrapToken?: SensitiveText;
  readonly bootstrapTokenFile?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** A file that is kept equal to a value of a Secret. */
export type TokenItem = With<TokenDocument, 'key' | 'mode'>;

/** Durations are milliseconds. */
export interface AgentSpec {
  /** `secret:kube-system/pool-a`, `dir:/etc/nodekiln/desired` */
  readonly source?: string;
  readonly nodeName?: string;
  readonly cluster?: AgentClusterItem;
  readonly tokens: readonly TokenItem[];
  readonly tokensPeriod: number;
  readonly heartbeat: {
    readonly enabled: boolean;
    readonly lease: string;
    readonly duration: number;
    readonly period: number;
  };
  readonly podRoutes: boolean;
  /** Undefined: as the source has it. */
  readonly restarts: { readonly maxDelay?: number };
  readonly health: { readonly stuckAfter: number; readonly restartAfter: number; readonly maxRestarts: number };
  readonly drift: 'repair' | 'report';
  readonly resync: number;
  /** `none`, `unix:/run/nodekiln/agent.sock`, `127.0.0.1:2752` */
  readonly endpoint: string;
}

const milliseconds = (instead: string) => (value: string | undefined) => parseDuration(value ?? instead);
const maybeMilliseconds = (value: string | undefined): number | undefined =>
  value === undefined ? undefined : parseDuration(value);

const clusterCompletion: Completion<Omit<ClusterDocument, 'server'>, AgentClusterItem> = {
  servers: (servers, whole) => servers ?? [(whole as ClusterDocument).server ?? []].flat(),
  caBundle: kept,
  caFile: kept,
  bootstrapToken: sensitive,
  bootstrapTokenFile: kept,
  kubeconfig: kept,
  context: kept,
};

/** What contradicts itself, or is not enough to reach a cluster with. */
const completeCluster: Completer<ClusterDocument | undefined, AgentClusterItem | undefined, SpecDocument> = (
  document,
  _whole,
  scope,
) => {
  if (!document) return undefined;
  const { server, servers, caBundle, caFile, bootstrapToken, bootstrapTokenFile, kubeconfig, context } = document;
  const others = { server, servers, caBundle, caFile, bootstrapToken, bootstrapTokenFile };
  const given = Object.entries(others).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  const exclusive: readonly (readonly [keyof typeof others, keyof typeof others])[] = [
    ['server', 'servers'],
    ['caBundle', 'caFile'],
    ['bootstrapToken', 'bootstrapTokenFile'],
  ];
  if (kubeconfig !== undefined && given.length > 0)
    lack(scope, `has both kubeconfig and ${given.join(', ')}: the kubeconfig says all that`);
  for (const [one, other] of exclusive)
    if (others[one] !== undefined && others[other] !== undefined) lack(scope, `has both ${one} and ${other}`);
  if (context !== undefined && kubeconfig === undefined) lack(scope, 'has a context, and no kubeconfig to have it');
  if (kubeconfig === undefined && server === undefined && (servers ?? []).length === 0)
    lack(scope, 'has neither a server nor a kubeconfig');
  return completed(clusterCompletion, document, scope);
};

const completeToken = (document: TokenDocument, scope: Scope): TokenItem =>
  completed<TokenDocument, TokenItem>(
    { secret: kept, path: kept, key: or('token'), mode: or('0600') },
    document,
    scope,
  );

/** `leaseDurationSeconds` is an int32. */
const longestLeaseMs = 596_523 * 3_600_000;

const heartbeatCompletion: Completion<HeartbeatDocument, AgentSpec['heartbeat']> = {
  enabled: or(true),
  lease: or('nodekiln-agent-{node}'),
  duration: (value, _whole, scope) => {
    const ms = parseDuration(value ?? '40s');
    if (ms > longestLeaseMs) lack(scope, 'must be at most 596523h: a Lease holds no larger number of seconds');
    return ms;
  },
  period: (period, whole, scope) => {
    const ms = parseDuration(period ?? '20s');
    if (ms < 1000) lack(scope, 'must be at least 1s');
    if (ms >= parseDuration(whole.duration ?? '40s'))
      lack(scope, 'must be shorter than duration: between two renewals the Lease would run out');
    return ms;
  },
};

const restartsCompletion: Completion<RestartsDocument, AgentSpec['restarts']> = { maxDelay: maybeMilliseconds };

const healthCompletion: Completion<HealthDocument, AgentSpec['health']> = {
  stuckAfter: milliseconds('5m'),
  restartAfter: milliseconds('1m'),
  maxRestarts: or(5),
};

const atLeast =
  (least: string, instead: string): Completer<string | undefined, number, SpecDocument> =>
  (value, _whole, scope) => {
    const ms = parseDuration(value ?? instead);
    if (ms < parseDuration(least)) lack(scope, `must be at least ${least}`);
    return ms;
  };

const specCompletion: Completion<SpecDocument, AgentSpec> = {
  source: (source, whole, scope) => {
    if (source?.startsWith('secret:') && !whole.cluster)
      lack(scope, 'is a Secret, and there is no cluster to read it from: give spec.cluster');
    return source;
  },
  nodeName: kept,
  cluster: completeCluster,
  tokens: (tokens, whole, scope) => {
    if ((tokens ?? []).length > 0 && !whole.cluster)
      lack(scope, 'come from Secrets, and there is no cluster to read them from: give spec.cluster');
    return each(completeToken)(tokens, whole, scope);
  },
  tokensPeriod: atLeast('15s', '1h'),
  heartbeat: sectionOrDefaults(heartbeatCompletion, {}),
  podRoutes: (podRoutes = false, whole, scope) => {
    if (podRoutes && !whole.cluster) lack(scope, 'are those of a cluster, and there is none: give spec.cluster');
    return podRoutes;
  },
  restarts: sectionOrDefaults(restartsCompletion, {}),
  health: sectionOrDefaults(healthCompletion, {}),
  drift: or('repair'),
  resync: atLeast('10s', '1m'),
  endpoint: or('unix:/run/nodekiln/agent.sock'),
};

/** What the agent does when there is no AgentConfig. */
export function defaultAgentSpec(): AgentSpec {
  return completed(specCompletion, {}, { path: ['spec'], lacks: [], kubernetesVersion: '' });
}

/** NK_DOCUMENT_INVALID with everything that contradicts itself, each with its place. */
export function completeAgentConfig({ file, document, positions }: LoadedDocument<'AgentConfig'>): AgentSpec {
  const lacks: Lack[] = [];
  const spec = completed(specCompletion, document.spec, { path: ['spec'], lacks, kubernetesVersion: '' });
  if (lacks.length === 0) return spec;
  const problems = lacks.map(({ path, message, hint }) => ({
    message: `${formatPath(path)} ${message}`,
    place: { file, ...positions.locate(path, 'value'), path: formatPath(path) },
    ...(hint !== undefined && { hint }),
  }));
  throw invalidDocument(`${file} is not a complete AgentConfig`, problems);
}
