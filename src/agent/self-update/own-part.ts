/**
 * Which resources are the agent's own: its unit, its program and what runs it, its configuration, and files that this unit
 * alone reads. They are put in place after everything else, and no plan starts or stops the agent that carries it out. Pure.
 */
import { documentPaths } from '../../config/defaults.ts';
import { fingerprint } from '../../host/digest.ts';
import type { DesiredState, Resource, ResourceId, UnitResource } from '../../model/resources.ts';
import { programFolder } from '../../model/state-paths.ts';
import { agentUnit } from '../../model/agent-identity.ts';

/** The program last: where it is, what runs it is there, too. */
export const programPaths = [`${programFolder}/node`, `${programFolder}/nodekiln`] as const;

export const ownUnitId: ResourceId = `unit:${agentUnit}`;

export interface OwnPart {
  /** All that is asked for, with the own part as it can be put in place. */
  readonly desired: DesiredState;
  /** Also those that nothing asks for now. */
  readonly ids: ReadonlySet<ResourceId>;
  /** Those asked for. */
  readonly resources: readonly Resource[];
  readonly fingerprint: string;
}

/**
 * `before`: what the same source asked for last. What a document drops of the own part stays: an agent removes neither itself
 * nor what it starts with.
 */
export function ownPartOf(desired: DesiredState, before: readonly Resource[], configFile: string): OwnPart {
  const ids = idsOf([...desired.resources.values()], before, configFile);
  const kept = before.filter(({ id }) => ids.has(id) && !desired.resources.has(id));
  const asked = [...desired.resources.values()].filter(({ id }) => ids.has(id));
  const all = [...asked, ...kept].toSorted((a, b) => rankOf(a.id) - rankOf(b.id) || (a.id < b.id ? -1 : 1));
  const resources = all.map((resource) => ready(resource, all));
  return {
    desired: {
      ...desired,
      resources: new Map([...desired.resources, ...resources.map((resource) => [resource.id, resource] as const)]),
    },
    ids,
    resources,
    fingerprint: fingerprint(resources.map(({ origin: _origin, ...rest }) => rest)),
  };
}

/** All else, and of the own part what was asked for before. */
export function withoutOwn({ desired, ids }: OwnPart, before: readonly Resource[]): DesiredState {
  const own = new Map(before.filter(({ id }) => ids.has(id)).map((resource) => [resource.id, resource] as const));
  const isThere = (id: ResourceId): boolean => !ids.has(id) || own.has(id);
  const others = [...desired.resources.values()]
    .filter(({ id }) => !ids.has(id))
    .map((resource) =>
      resource.needs.every(isThere) ? resource : { ...resource, needs: resource.needs.filter(isThere) },
    );
  return { ...desired, resources: new Map([...others.map((resource) => [resource.id, resource] as const), ...own]) };
}

function idsOf(asked: readonly Resource[], before: readonly Resource[], configFile: string): Set<ResourceId> {
  const ids = new Set<ResourceId>([ownUnitId, ...[...programPaths, documentPaths.agent, configFile].map(fileId)]);
  for (const resources of [asked, before]) {
    const units = resources.filter((resource) => resource.kind === 'unit');
    const others = new Set(units.flatMap((unit) => (unit.id === ownUnitId ? [] : readBy(unit))));
    for (const id of units.flatMap((unit) => (unit.id === ownUnitId ? readBy(unit) : [])))
      if (id.startsWith('file:') && !others.has(id)) ids.add(id);
  }
  return ids;
}

const fileId = (path: string): ResourceId => `file:${path}`;

const readBy = ({ inputs, startInputs = [] }: UnitResource): readonly ResourceId[] => [...inputs, ...startInputs];

/** A configuration is in place only with the program that understands it. */
function rankOf(id: ResourceId): number {
  const program = programPaths.findIndex((path) => fileId(path) === id);
  if (program >= 0) return program;
  return id === ownUnitId ? programPaths.length + 1 : programPaths.length;
}

function ready(resource: Resource, all: readonly Resource[]): Resource {
  const earlier = all.filter(({ id }) => rankOf(id) < rankOf(resource.id)).map(({ id }) => id);
  const last = {
    needs: [...new Set([...resource.needs, ...earlier])],
    importance: 'required',
    deferrable: false,
  } as const;
  if (resource.kind !== 'unit') return { ...resource, ...last };
  const { state: _state, enablement, ...unit } = resource;
  return { ...unit, ...last, onChange: 'none', ...(enablement !== undefined && { enablement: 'enabled' }) };
}
