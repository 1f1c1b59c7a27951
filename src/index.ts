/**
 * The typed surface for programs: parse documents, resolve and render them, plan and diff off the machine, read and match
 * versions of artifacts, speak to registries, find a tools image. It is what our own command line calls, and it is stable:
 * what is here keeps its name and its shape, and grows by what is optional. docs/reference/api.md is made of this file.
 *
 *     import { exampleFacts, parseDocument, plan, resolveNodeConfig } from './src/index.ts';
 *
 * Every error is a NodekilnError with a code of docs/reference/errors.md. Times are milliseconds, sizes bytes, digests
 * `sha256:<hex>`. Nothing here changes a machine.
 */
import { createHttpClient as createClient } from './artifacts/sources/http-client.ts';
import { dockerCredentials } from './artifacts/sources/oci/credentials.ts';
import type { CredentialStore } from './artifacts/sources/oci/credentials.ts';
import { openRegistry as open } from './artifacts/sources/oci/registry.ts';
import type { HttpClient } from './artifacts/sources/http-client.ts';
import type { RegistryClient } from './artifacts/sources/oci/authorization.ts';
import type { Repository } from './artifacts/sources/oci/repository.ts';
import { parseDocument, type DocumentText, type LoadedDocument } from './config/load.ts';
import { resolveNodeConfig } from './config/resolve.ts';
import { renderNode } from './desired/render-node.ts';
import { loadNodeDocuments } from './documents/documents.ts';
import { createLinuxHost } from './host/linux/host.ts';
import { createLinuxNet } from './host/linux/net/net.ts';
import { program } from './host/program.ts';
import type { Clock } from './host/port.ts';
import { planReport, type PlanReport } from './inspect/plan-report.ts';
import { absentOn } from './kinds/planners.ts';
import { exampleFacts, type Facts } from './model/facts.ts';
import type { ClaimSource, DesiredState, ResourceId } from './model/resources.ts';
import type { Observation, Touched } from './model/steps.ts';
import { effectiveClaims } from './plan/claims.ts';
import { decide, type Decision } from './plan/decide.ts';
import { createToolsImageResolver, type ToolsImage } from './tools-image/resolver.ts';
import type { ToolsImageSettings } from './tools-image/settings.ts';
import type { MetadataHost } from './tools-image/source.ts';

// ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────

export { NodekilnError } from './errors.ts';
export type { ErrorClass, ErrorCode, ErrorDetail, Place, Problem } from './errors.ts';

// ── documents ────────────────────────────────────────────────────────────────────────────────────────────────────

export { parseDocument } from './config/load.ts';
export type { DocumentKind } from './config/kinds.ts';
export type { DocumentOf, DocumentText, LoadedDocument } from './config/load.ts';
export type { Path } from './config/paths.ts';
export type { Positions } from './config/positions.ts';
export { resolveNodeConfig } from './config/resolve.ts';
export type { ResolvedNodeConfig } from './config/resolve.ts';
export type { NodeConfig, NodeSpec } from './config/complete.ts';
export { checkDocuments } from './documents/check.ts';
export type { DocumentCheck } from './documents/check.ts';
export { configDump } from './config/inspect.ts';
export type { ConfigDump, DumpEntry } from './config/inspect.ts';

// ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────

export { exampleFacts, factsFromJson } from './model/facts.ts';
export type { Facts } from './model/facts.ts';

// ── resources ────────────────────────────────────────────────────────────────────────────────────────────────────

export { renderNode } from './desired/render-node.ts';
export type { RenderOptions } from './desired/render-node.ts';
export { renderImage } from './desired/render-image.ts';
export type { RenderImageOptions } from './desired/render-image.ts';
export type {
  ActionResource,
  Address,
  BinaryResource,
  ClaimSource,
  ContainerImageResource,
  DesiredState,
  ExtensionResource,
  FileResource,
  KernelResource,
  Resource,
  ResourceBase,
  ResourceId,
  ResourceKind,
  ResourceMap,
  SensitiveText,
  UnitResource,
} from './model/resources.ts';

// ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────

export type { PlannedStep, PlanReport } from './inspect/plan-report.ts';
export type { PlannedSource, PlannedSources } from './inspect/plan-sources.ts';
export type { Unserved } from './inspect/plan-unserved.ts';
export type { Impact, Observation, Touched } from './model/steps.ts';

/** What is known of the machine that is planned for. */
export interface MachineState {
  readonly facts: Facts;
  /** What is there, by resource. Left out: as on a machine that nobody has set up yet. */
  readonly observed?: ReadonlyMap<ResourceId, Observation>;
  /** What nodekiln changed there before, by resource. Left out: nothing. */
  readonly touched?: ReadonlyMap<ResourceId, Touched>;
}

/** What is planned, and for which machine. */
export interface PlanOptions extends Partial<MachineState> {
  /**
   * Documents of one kind that describes a node, in the order they merge: texts, or what `parseDocument` made of NodeConfigs.
   */
  readonly documents: readonly (DocumentText | LoadedDocument<'NodeConfig'>)[];
  /** On whose behalf. Default: `boot`. */
  readonly source?: ClaimSource;
}

/**
 * What a boot would do with these documents on such a machine, as `nodekiln plan --json` prints it: every change and step,
 * why it is there and why it stands where it stands, where programs come from, what starts and restarts. Facts are those of
 * a typical host unless given. The same input gives the same plan; nothing is asked of any machine.
 *
 *     const { steps, impact } = await plan({ documents: [{ file: 'node.yaml', text }] });
 *
 * Errors: those of `parseDocument`, `resolveNodeConfig` and `renderNode`; NK_PLAN_CONFLICT.
 */
export async function plan({ documents, source = 'boot', ...state }: PlanOptions): Promise<PlanReport> {
  const machine = { facts: exampleFacts, ...state };
  const desired = await desiredBy(documents, machine.facts);
  return planReport(decideFor(desired, machine, source), desired);
}

async function desiredBy(documents: PlanOptions['documents'], facts: Facts): Promise<DesiredState> {
  const texts = documents.flatMap((one) => ('document' in one ? [] : [{ ...one, mode: 0 }]));
  if (documents.length > 0 && texts.length === documents.length) return (await loadNodeDocuments(texts))(facts).desired;
  const parsed = await Promise.all(
    documents.map(async (one) => ('document' in one ? one : parseDocument(one, 'NodeConfig'))),
  );
  const { config, placeOf } = resolveNodeConfig(parsed);
  return renderNode(config, facts, { placeOf });
}

/** A difference between what is asked for and what is there. */
export type ResourceDifference = PlanReport['changes'][number];

/**
 * What differs between what documents ask for (`renderNode`, `renderImage`) and such a machine, by resource, sorted, without
 * secrets. Empty when nothing is to be done.
 */
export function diff(desired: DesiredState, machine: MachineState): readonly ResourceDifference[] {
  return planReport(decideFor(desired, machine, 'boot'), { warnings: [] }).changes;
}

function decideFor(desired: DesiredState, machine: MachineState, source: ClaimSource): Decision {
  const { facts, observed = new Map<ResourceId, Observation>(), touched = new Map<ResourceId, Touched>() } = machine;
  const seen = new Map([...desired.resources].map(([id, resource]) => [id, absentOn(resource, facts)]));
  for (const [id, observation] of observed) seen.set(id, observation);
  return decide({
    source,
    asked: desired.resources.keys(),
    desired: effectiveClaims({ [source]: [...desired.resources.values()] }),
    observed: seen,
    touched,
    goal: desired.goal,
  });
}

// ── artifacts ────────────────────────────────────────────────────────────────────────────────────────────────────

export { cacheKey, compareVersions, formatVersion, parseVersion, satisfies } from './model/version.ts';
export type { Comparison, Order, Version } from './model/version.ts';
export { architectureFor, extensionCandidate, matchBuild, tagCandidate } from './artifacts/match.ts';
export type { BuildChoice, BuildKind, BuildRequest, Candidate } from './artifacts/match.ts';

// ── registries ───────────────────────────────────────────────────────────────────────────────────────────────────

export type { HttpClient } from './artifacts/sources/http-client.ts';
export type { RegistryClient } from './artifacts/sources/oci/authorization.ts';
export type { Credentials, CredentialStore } from './artifacts/sources/oci/credentials.ts';
export type { RawManifest } from './artifacts/sources/oci/model.ts';
export type { Descriptor } from './artifacts/sources/oci/schema.ts';
export type { BlobOptions, Repository } from './artifacts/sources/oci/repository.ts';

/** How the network is reached. */
export interface HttpClientOptions {
  /** `http://user:password@proxy:3128`; `environment`: HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Direct when absent. */
  readonly proxy?: string;
  /** Hosts that need no proxy, as in NO_PROXY. */
  readonly noProxy?: string;
  /** PEM certificates trusted instead of the machine's. */
  readonly ca?: string;
}

/** A client with connections of its own; `close` ends them. */
export function createHttpClient({ proxy, ...how }: HttpClientOptions = {}): HttpClient & { close(): void } {
  const net = createLinuxNet();
  const way = proxy === 'environment' ? { environment: program.environment } : proxy !== undefined && { proxy };
  return { ...createClient({ net, ...how, ...way }), close: () => net.close() };
}

/** Which repository, and how it is spoken to. */
export interface RegistryOptions {
  /** `registry.example:5000` */
  readonly registry: string;
  /** `team/kubelet` */
  readonly repository: string;
  /** Default: one that goes through the proxy of the environment. */
  readonly client?: RegistryClient;
  /** Default: those of the user's Docker configuration. */
  readonly credentials?: CredentialStore;
  /** Default: HTTPS. */
  readonly plainHttp?: boolean;
  /** Root of the API. Default: `https://<registry>/v2`. */
  readonly api?: string;
  /** Default: this machine's. */
  readonly clock?: Clock;
  /** For each request, retries included. Default: 60 s. */
  readonly budgetMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * One repository of a registry (OCI distribution specification v1.1): manifests, blobs, tags, referrers. Everything is
 * verified by digest and size; requests are repeated within the budget.
 *
 *     const tags = await openRegistry({ registry: 'registry.k8s.io', repository: 'pause' }).tags();
 *
 * Errors: NK_ARTIFACT_MISSING, NK_ARTIFACT_DIGEST, NK_ARTIFACT_UNREADABLE, NK_REGISTRY_DENIED, NK_TAGS_UNAVAILABLE,
 * NK_SOURCE_UNAVAILABLE, NK_TIMEOUT, NK_INTERRUPTED.
 */
export function openRegistry(options: RegistryOptions): Repository {
  const machine = createLinuxHost();
  return open({
    local: machine.local,
    client: options.client ?? createHttpClient({ proxy: 'environment' }),
    credentials: options.credentials ?? dockerCredentials(machine),
    plainHttp: false,
    clock: machine.clock,
    budgetMs: 60_000,
    ...options,
  });
}

// ── tools image ──────────────────────────────────────────────────────────────────────────────────────────────────

export { createToolsImageResolver } from './tools-image/resolver.ts';
export type { Choice } from './tools-image/choose.ts';
export type { ToolsImage, ToolsImageResolver } from './tools-image/resolver.ts';
export type { ToolsImageSettings } from './tools-image/settings.ts';
export type { MetadataHost } from './tools-image/source.ts';

/** Which tools image is asked for. */
export interface ToolsImageRequest extends ToolsImageSettings {
  /** Of the cluster, `1.31` or `v1.31.1`; called only when the answer depends on it. */
  readonly clusterVersion?: string | (() => string | Promise<string>);
  /** What the metadata are fetched and kept with. Default: this machine. */
  readonly host?: MetadataHost;
}

/**
 * The tools image for a cluster, once. A program that asks often keeps a `createToolsImageResolver` instead, which never
 * waits after its first answer.
 *
 *     const { image, why } = await resolveToolsImage({ repository: 'registry.example/team/tools', clusterVersion: '1.31' });
 *
 * Errors: NK_DOCUMENT_INVALID, NK_VERSION_INVALID, NK_TOOLS_IMAGE_NONE, and what `clusterVersion` throws.
 */
export async function resolveToolsImage({ clusterVersion, host, ...settings }: ToolsImageRequest): Promise<ToolsImage> {
  const ask = typeof clusterVersion === 'string' ? () => clusterVersion : clusterVersion;
  if (host) return createToolsImageResolver(host, settings).resolve(ask);
  const own = createLinuxHost();
  const resolver = createToolsImageResolver(own, settings);
  try {
    return await resolver.resolve(ask);
  } finally {
    // A refresh that runs beside a stale answer is for the next call.
    await resolver.settled();
    await own.close();
  }
}
