/** Situations for planning of any size: files, and one unit for every twenty of them, all tied together by inputs and needs. */
import type { FileResource, Resource, ResourceId, UnitResource } from '../../src/model/resources.ts';
import type { Observation, Touched, UnitObservation } from '../../src/model/steps.ts';
import type { Situation } from './plan-cases.ts';

export const filesPerUnit = 20;

const policy = { scope: 'node', deferrable: false, importance: 'required', needs: [] } as const;

function file(index: number): FileResource {
  const path = `/etc/folder-${Math.floor(index / 100)}/part-${Math.floor(index / 10) % 10}/file-${index}`;
  const text = `setting ${index}\n`.repeat(1 + (index % 40));
  return {
    ...policy,
    kind: 'file',
    id: `file:${path}`,
    path,
    deferrable: index % 5 === 0,
    entry: { type: 'file', content: { text }, mode: '0644', uid: 0, gid: 0 },
  };
}

/** Reads twenty files, needs an earlier unit and, for the tenth part, the one right before it. */
function unit(index: number, inputs: readonly ResourceId[]): UnitResource {
  const name = index === 0 ? 'kubelet.service' : `unit-${index}.service`;
  const needs: ResourceId[] = index > 1 ? [`unit:unit-${Math.ceil(index / 2)}.service`] : [];
  if (index > 1 && index % 10 === 0) needs.push(`unit:unit-${index - 1}.service`);
  return {
    ...policy,
    kind: 'unit',
    id: `unit:${name}`,
    name,
    deferrable: index % 4 === 3,
    needs: [...new Set(needs)].filter((need) => need !== `unit:${name}`),
    content: `[Unit]\nDescription=number ${index}\n[Service]\nExecStart=/usr/bin/program --number ${index}\n[Install]\nWantedBy=multi-user.target\n`,
    dropIns: index % 3 === 0 ? [{ name: '50-nodekiln.conf', content: `[Service]\nEnvironment=NUMBER=${index}\n` }] : [],
    enablement: 'enabled',
    state: 'started',
    inputs,
    onChange: 'restart',
    readiness: { type: 'active' },
    deadlineMs: 1000,
  };
}

function node(files: number): Resource[] {
  const all = Array.from({ length: files }, (_, index) => file(index));
  const units = Array.from({ length: Math.ceil(files / filesPerUnit) }, (_, index) =>
    unit(
      index,
      all.slice(index * filesPerUnit, (index + 1) * filesPerUnit).map(({ id }) => id),
    ),
  );
  return [...all, ...units];
}

const stopped: UnitObservation = {
  kind: 'unit',
  entries: {},
  enablement: '',
  loadState: 'not-found',
  activeState: 'inactive',
  invocationId: '',
  live: true,
  transient: false,
  succeeded: false,
  stale: false,
};
const running: UnitObservation = { ...stopped, enablement: 'enabled', loadState: 'loaded', activeState: 'active' };

function observation(resource: Resource, there: boolean): Observation {
  if (resource.kind === 'unit') return there ? running : stopped;
  if (!there) return { kind: 'file', entry: { type: 'absent' } };
  return { kind: 'file', entry: { type: 'file', digest: 'sha256:0', mode: 0o644, uid: 0, gid: 0 } };
}

function touched(resource: Resource): Touched {
  return { id: resource.id, source: 'boot', definitions: [resource], done: true, startedWith: '0', original: false };
}

/**
 * `fresh`: nothing is there yet. `changed`: everything is there, differs, and runs. `dropped`: all that was there is asked
 * for no more, but kubelet and every second file.
 */
export type Shape = 'fresh' | 'changed' | 'dropped';
export const shapes: readonly Shape[] = ['fresh', 'changed', 'dropped'];

export function sizedSituation(shape: Shape, files: number): Situation {
  const resources = node(files);
  const wanted = (resource: Resource, index: number): boolean =>
    shape !== 'dropped' || (resource.kind === 'file' ? index % 2 === 0 : index === files);
  const desired = resources.filter(wanted);
  const kept = new Set(desired.map(({ id }) => id));
  const trimmed = desired.map((resource) =>
    resource.kind === 'unit' ? { ...resource, inputs: resource.inputs.filter((id) => kept.has(id)) } : resource,
  );
  return {
    desired: new Map(trimmed.map((resource) => [resource.id, { resource, source: 'boot' as const }])),
    observed: new Map(resources.map((resource) => [resource.id, observation(resource, shape !== 'fresh')])),
    touched: shape === 'fresh' ? new Map() : new Map(resources.map((resource) => [resource.id, touched(resource)])),
    goal: 'unit:kubelet.service',
  };
}
