/**
 * From which source each program of a plan will come, in the order they are tried, and why the others do not serve.
 * Addresses without credentials and queries. Pure.
 */
import { shownAddress } from '../model/shown-address.ts';
import type { ArtifactLocation, BinaryResource, ExtensionResource, ExtensionSource } from '../model/resources.ts';
import type { Change } from '../model/steps.ts';

/** The sources of one program, in the order they are tried. */
export interface PlannedSources {
  readonly id: string;
  readonly version: string;
  readonly sources: readonly PlannedSource[];
}

/** One source of a program, and its part in the plan. */
export interface PlannedSource {
  /** `cache`, `custom`, `local`, `mirror`, `repository`, `tarball`, `manifest` */
  readonly source: string;
  /** `serves`: known to have it. `next`: is asked when those before it fail. `spare`: a source before it serves. `refused`: has no part. */
  readonly part: 'serves' | 'next' | 'spare' | 'refused';
  /** The place, or why it has no part. */
  readonly why: string;
}

/** By resource, of sources that are on the machine itself and were looked at. */
export type LocalSources = ReadonlyMap<string, Pick<PlannedSource, 'part' | 'why'>>;

/** Only of programs that change. Without `looked` nothing is known of what is not in the cache. */
export function plannedSources(changes: readonly Change[], looked: LocalSources = new Map()): PlannedSources[] {
  return changes.flatMap(({ desired, observed }) => {
    if (desired?.kind === 'extension')
      return [{ id: desired.id, version: desired.version ?? 'any', sources: extensionSources(desired, looked) }];
    if (desired?.kind !== 'binary' || observed.kind !== 'binary' || desired.place.type !== 'activate') return [];
    const sources = sourcesOf(desired, { ...observed, looked: looked.get(desired.id) });
    return [{ id: desired.id, version: desired.version, sources }];
  });
}

/** Which of those elsewhere serves is known only when they are asked. */
function extensionSources({ id, sources }: ExtensionResource, looked: LocalSources): PlannedSource[] {
  return spareBehind(
    sources.map((source): PlannedSource => ({
      source: source.type,
      ...((source.type === 'local' ? looked.get(id) : undefined) ?? { part: 'next', why: shownExtension(source) }),
    })),
  );
}

/** Nobody asks what stands behind one that serves. */
function spareBehind(sources: readonly PlannedSource[]): PlannedSource[] {
  const serving = sources.findIndex(({ part }) => part === 'serves');
  return sources.map((source, index) =>
    serving >= 0 && index > serving && source.part === 'next' ? { ...source, part: 'spare' } : source,
  );
}

function shownExtension(source: ExtensionSource): string {
  switch (source.type) {
    case 'local':
      return source.path;
    case 'registry':
      return source.reference;
    case 'url':
      return shownAddress(source.url);
    case 'tarball':
      return shownLocation(source.from);
  }
}

function sourcesOf(
  { sources, passedOver = [] }: BinaryResource,
  observed: {
    readonly cached: { readonly file: string } | undefined;
    readonly cacheRefusals: readonly string[];
    readonly looked: Pick<PlannedSource, 'part' | 'why'> | undefined;
  },
): PlannedSource[] {
  const { cached, cacheRefusals, looked } = observed;
  const tried = sources.map((source): PlannedSource => {
    if (source.type === 'cache') {
      if (cached) return { source: 'cache', part: 'serves', why: cached.file };
      return { source: 'cache', part: 'refused', why: cacheRefusals.join('; ') };
    }
    if (source.from.type === 'folder' && looked) return { source: source.role, ...looked };
    return { source: source.role, part: 'next', why: `${source.type} from ${shownLocation(source.from)}` };
  });
  return [
    ...spareBehind(tried),
    ...passedOver.map(({ source, why }): PlannedSource => ({ source, part: 'refused', why })),
  ];
}

/** For people. */
export function shownLocation(from: ArtifactLocation): string {
  switch (from.type) {
    case 'path':
    case 'folder':
      return from.path;
    case 'url':
      return shownAddress(from.url);
    case 'own':
      return 'nodekiln itself';
    case 'oci':
    case 'image':
      return from.reference;
    case 'oci-layout':
    case 'image-layout':
      return from.tag === undefined ? from.path : `${from.path}:${from.tag}`;
    case 'apt':
      return `${shownAddress(from.url)} ${from.suite}`;
    case 'dnf':
      return shownAddress(from.url);
  }
}
