/**
 * What rendering a document gathers: its resources, the problems found on the way, each with its place, and remarks for the
 * person. Every problem is gathered before one is told. Pure.
 */
import { invalidDocument } from '../config/invalid.ts';
import type { Path } from '../config/paths.ts';
import { nearest } from '../config/words.ts';
import { formatPlace } from '../errors.ts';
import type { Place, Problem } from '../errors.ts';
import type { Facts } from '../model/facts.ts';
import type { Resource, ResourceId, ResourceMap } from '../model/resources.ts';
import { contradictions } from './places.ts';

export interface Rendering {
  readonly facts: Facts;
  readonly resources: Map<ResourceId, Resource>;
  readonly warnings: string[];
  readonly notes: string[];
  /** `path`: where the document asks for it, for messages about it. What has the same id is replaced. */
  readonly add: (resource: Resource, path?: Path) => void;
  /** Where the document asks for a resource; undefined for what it does not name itself. */
  readonly pathOf: (id: ResourceId) => Path | undefined;
  readonly placeOf: (path: Path) => Place | undefined;
  /** `node.yaml:12:5` */
  readonly originOf: (path: Path) => string | undefined;
  readonly report: (path: Path, message: string, hint?: string) => void;
  /** `did you mean "unit:kubelet.service"?` */
  readonly suggestion: (id: string) => string | undefined;
  /** NK_DOCUMENT_INVALID with all that was reported, if anything was. */
  readonly refuseProblems: (what: string) => void;
}

export function createRendering(facts: Facts, placeOf: (path: Path) => Place | undefined): Rendering {
  const resources = new Map<ResourceId, Resource>();
  const paths = new Map<ResourceId, Path>();
  const problems: Problem[] = [];
  const report: Rendering['report'] = (path, message, hint) => {
    const place = placeOf(path);
    problems.push({ message, ...(place && { place }), ...(hint !== undefined && { hint }) });
  };
  return {
    facts,
    resources,
    warnings: [],
    notes: [],
    add(resource, path) {
      resources.set(resource.id, resource);
      if (path) paths.set(resource.id, path);
    },
    pathOf: (id) => paths.get(id),
    placeOf,
    originOf(path) {
      const place = placeOf(path);
      if (!place) return undefined;
      const { path: _path, ...position } = place;
      return formatPlace(position);
    },
    report,
    suggestion(id) {
      const near = nearest(id, resources.keys());
      return near && `did you mean "${near}"?`;
    },
    refuseProblems(what) {
      for (const { ids, message } of contradictions(resources.values()))
        report(paths.get(ids.find((id) => paths.has(id)) ?? ids[0]) ?? [], message, 'Keep one of the two.');
      if (problems.length > 0) throw invalidDocument(what, problems);
    },
  };
}

/** A renderer for every field of a spec, in the order they are rendered: a field without one does not compile. */
export type Parts<Spec, Context> = { readonly [Key in keyof Spec]-?: (value: Spec[Key], context: Context) => void };

export function renderParts<Spec extends object, Context>(
  parts: Parts<Spec, Context>,
  spec: Spec,
  context: Context,
): void {
  for (const key in parts) parts[key](spec[key], context);
}

/** A part that others render from: each of its fields, and who reads it. */
export function readBy<Value>(_readers: { readonly [Key in keyof NonNullable<Value>]-?: string }): () => void {
  return () => undefined;
}

/** Resources in the order of their ids. */
export function sorted(resources: ResourceMap): Map<ResourceId, Resource> {
  return new Map([...resources].sort(([a], [b]) => (a < b ? -1 : 1)));
}
