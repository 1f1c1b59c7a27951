/**
 * From which sources a binary may come, in which order, and why the others do not serve: a pure function of typed
 * configuration. A custom address is the only source when given: it is never ignored, and nothing public stands in for
 * it. Otherwise: cache; local package or extension; mirror registry; package repository or extension registry; tarball.
 */
import { atLeast, parseVersion } from '../model/version.ts';

/**
 * `cache-first`: the whole order. `package`: packages and extensions even when the binary is cached, a tarball only where
 * the platform has no packages. `cache-only`: nothing but the cache.
 */
export type BinaryPolicy = 'cache-first' | 'package' | 'cache-only';

export interface SourceConfiguration {
  /** As asked for: `1.34.1`. */
  readonly version: string;
  readonly policy: BinaryPolicy;
  /** An address for this very node; wins over everything. */
  readonly customUrl?: string;
  /** An address of a private build; like a custom one, after it. */
  readonly privateUrl?: string;
  /** A folder of the host with packages or extensions. */
  readonly local?: { readonly kind: 'deb' | 'rpm' | 'sysext'; readonly directory: string };
  /** A registry that stands in for the public sources, for networks without a way out. */
  readonly mirror?: { readonly registry: string; readonly since?: string };
  /** Where this platform's packages are published; `since`: the first version that is. */
  readonly repository?: { readonly kind: 'apt' | 'dnf'; readonly since?: string };
  /** Where this platform's extensions are published. */
  readonly registry?: { readonly kind: 'sysext'; readonly repository: string; readonly since?: string };
  readonly tarball?: { readonly url: string };
}

export type OrderedSource =
  | { readonly type: 'custom'; readonly url: string }
  | { readonly type: 'cache' }
  | { readonly type: 'local'; readonly kind: 'deb' | 'rpm' | 'sysext'; readonly directory: string }
  | { readonly type: 'mirror'; readonly registry: string }
  | { readonly type: 'repository'; readonly kind: 'apt' | 'dnf' }
  | { readonly type: 'registry'; readonly kind: 'sysext'; readonly repository: string }
  | { readonly type: 'tarball'; readonly url: string };

export interface SkippedSource {
  readonly source: OrderedSource['type'];
  readonly why: string;
}

export interface SourceOrder {
  /** To be tried from the first to the last. */
  readonly sources: readonly OrderedSource[];
  readonly skipped: readonly SkippedSource[];
}

const all = [
  'custom',
  'cache',
  'local',
  'mirror',
  'repository',
  'registry',
  'tarball',
] as const satisfies OrderedSource['type'][];

/** NK_VERSION_INVALID for versions that are none, the empty one included. */
export function artifactSourceOrder(configuration: SourceConfiguration): SourceOrder {
  const sources: OrderedSource[] = [];
  const skipped: SkippedSource[] = [];
  // Every version is looked at, so that a wrong one is an error whatever the other settings are.
  const published = publications(configuration);
  for (const type of all) {
    const answer = consider(type, configuration, published);
    if (typeof answer === 'string') skipped.push({ source: type, why: answer });
    else sources.push(answer);
  }
  return { sources, skipped };
}

type Published = Readonly<
  Record<'mirror' | 'repository' | 'registry', { readonly since: string; readonly includes: boolean } | undefined>
>;

function publications({ version, mirror, repository, registry }: SourceConfiguration): Published {
  const wanted = parseVersion(version);
  const published = (since: string | undefined): Published['mirror'] =>
    since === undefined ? undefined : { since, includes: atLeast(wanted, parseVersion(since)) };
  return {
    mirror: published(mirror?.since),
    repository: published(repository?.since),
    registry: published(registry?.since),
  };
}

/** The source, or why it does not serve. */
function consider(
  type: OrderedSource['type'],
  configuration: SourceConfiguration,
  published: Published,
): OrderedSource | string {
  const { policy, local, mirror, repository, registry, tarball } = configuration;
  const custom = configuration.customUrl ?? configuration.privateUrl;
  if (type === 'custom') return custom === undefined ? 'no custom address is given' : { type, url: custom };
  if (custom !== undefined) return 'a custom address is given, and nothing stands in for it';
  if (type !== 'cache' && policy === 'cache-only') return 'the policy is cache-only';
  switch (type) {
    case 'cache':
      return policy === 'package' ? 'the policy is package' : { type };
    case 'local':
      return local ? { type, ...local } : 'no local folder is configured';
    case 'mirror':
      return mirror
        ? (tooEarly(published.mirror, policy) ?? { type, registry: mirror.registry })
        : 'no mirror registry is configured';
    case 'repository':
      if (!repository) return 'no package repository is configured for this platform';
      return replaced(mirror) ?? tooEarly(published.repository, policy) ?? { type, kind: repository.kind };
    case 'registry':
      if (!registry) return 'no extension registry is configured for this platform';
      return (
        replaced(mirror) ??
        tooEarly(published.registry, policy) ?? { type, kind: registry.kind, repository: registry.repository }
      );
    case 'tarball':
      if (!tarball) return 'no tarball is configured';
      if (policy === 'package' && (local || mirror || repository || registry)) return 'the policy is package';
      return { type, url: tarball.url };
  }
}

/** The `package` policy asks for the package path of every version. */
function tooEarly(published: Published['mirror'], policy: BinaryPolicy): string | undefined {
  if (!published || published.includes || policy === 'package') return undefined;
  return `packages are published there from ${published.since} on`;
}

function replaced(mirror: SourceConfiguration['mirror']): string | undefined {
  return mirror ? `the mirror registry ${mirror.registry} stands in for it` : undefined;
}
