/** The places of a host that a resource has for itself: what stands there is its own, whoever else asks for it. Pure. */
import { aboveOf } from '../model/path.ts';
import type { Resource, ResourceId } from '../model/resources.ts';
import { cacheKey, parseVersion } from '../model/version.ts';

/** Where unit files and drop-ins of ours lie. */
export const unitFolder = '/etc/systemd/system';

export function placesOf(resource: Resource): readonly string[] {
  switch (resource.kind) {
    case 'file':
      return [resource.path];
    case 'unit':
      return [
        ...(resource.content === undefined ? [] : [`${unitFolder}/${resource.name}`]),
        ...resource.dropIns.map(({ name }) => `${unitFolder}/${resource.name}.d/${name}`),
      ];
    case 'binary': {
      const { tool, version, place } = resource;
      const cached = resource.sources.some(({ type }) => type === 'cache') || place.type === 'cache';
      return [
        ...(place.type === 'activate' ? [place.target] : []),
        ...(cached ? [`/opt/bin/${tool}-${cacheKey(parseVersion(version))}`] : []),
      ];
    }
    case 'extension':
    case 'image':
    case 'kernel':
    case 'action':
      return [];
  }
}

export interface Contradiction {
  readonly ids: readonly [ResourceId, ResourceId];
  /** Of the two, as a sentence. */
  readonly message: string;
}

/** Where two of them want one place for themselves, or one a file where the other needs a folder. */
export function contradictions(resources: Iterable<Resource>): Contradiction[] {
  const all = [...resources];
  const owners = new Map<string, Resource>();
  const found: Contradiction[] = [];
  for (const resource of all)
    for (const place of placesOf(resource)) {
      const other = owners.get(place) ?? resource;
      owners.set(place, other);
      // One version of a program may be kept and activated.
      if (other.kind === resource.kind) continue;
      // The file is what a document asks for by its path, and can ask for elsewhere.
      const [first, second] = other.kind === 'file' ? [other.id, resource.id] : [resource.id, other.id];
      found.push({ ids: [first, second], message: `${first} and ${second} both write ${place}` });
    }
  const fileAbove = aboveOf((folder) => {
    const owner = owners.get(folder);
    return owner?.kind === 'file' && owner.entry.type === 'file' ? owner : undefined;
  });
  for (const [place, { id }] of owners)
    for (const { id: file } of fileAbove(place))
      found.push({ ids: [file, id], message: `${file} is a file where ${id} needs a folder` });
  return found;
}
