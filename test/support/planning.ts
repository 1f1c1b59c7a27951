/** Resources, observations and plans made of a few words, for tests of planning. */
import type {
  ActionResource,
  ClaimSource,
  FileResource,
  KernelResource,
  Resource,
  ResourceId,
  UnitResource,
} from '../../src/model/resources.ts';
import type { Observation, Plan, Touched, UnitObservation } from '../../src/model/steps.ts';
import { diff, type Claim } from '../../src/plan/diff.ts';
import { plan } from '../../src/plan/plan.ts';

const base = { scope: 'node', deferrable: false, importance: 'required', needs: [] } as const;

export function file(path: string, about: Partial<FileResource> & { text?: string } = {}): FileResource {
  const { text = 'x', ...rest } = about;
  return {
    kind: 'file',
    id: `file:${path}`,
    ...base,
    path,
    entry: { type: 'file', content: { text }, mode: '0644', uid: 0, gid: 0 },
    ...rest,
  };
}

export function unit(name: string, about: Partial<UnitResource> = {}): UnitResource {
  return {
    kind: 'unit',
    id: `unit:${name}`,
    ...base,
    name,
    content: '[Service]\nExecStart=/bin/x\n',
    dropIns: [],
    enablement: 'enabled',
    state: 'started',
    inputs: [],
    onChange: 'restart',
    readiness: { type: 'active' },
    deadlineMs: 1000,
    ...about,
  };
}

export function action(name: string, about: Partial<ActionResource> = {}): ActionResource {
  return {
    kind: 'action',
    id: `action:${name}`,
    ...base,
    argv: ['true'],
    guard: { type: 'path', path: '/done' },
    timeoutMs: 1000,
    ...about,
  };
}

export function sysctl(key: string): KernelResource {
  return { kind: 'kernel', id: `kernel:sysctl/${key}`, ...base, setting: { type: 'sysctl', key, value: '1' } };
}

export const freshUnit: UnitObservation = {
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

function fresh(resource: Resource): Observation {
  switch (resource.kind) {
    case 'file':
      return { kind: 'file', entry: { type: 'absent' } };
    case 'unit':
      return freshUnit;
    case 'binary':
      return { kind: 'binary', cached: undefined, cacheRefusals: [], targetDigest: undefined };
    case 'image':
      return { kind: 'image', present: false };
    case 'kernel':
      return { kind: 'kernel', value: undefined };
    case 'action':
      return { kind: 'action', done: false };
    case 'extension':
      return { kind: 'extension', live: true, record: undefined, deviations: [] };
  }
}

interface Situation {
  readonly desired: readonly Resource[];
  readonly observed?: Readonly<Record<string, Observation>>;
  readonly touched?: readonly Touched[];
  readonly goal?: ResourceId;
  readonly source?: ClaimSource;
}

export function planned({ desired, observed = {}, touched = [], goal, source = 'boot' }: Situation): Plan {
  const claims = new Map<ResourceId, Claim>(desired.map((resource) => [resource.id, { resource, source }]));
  const touchedById = new Map(touched.map((entry) => [entry.id, entry]));
  const observations = new Map<ResourceId, Observation>();
  for (const resource of [...touched.flatMap((entry) => entry.definitions), ...desired])
    observations.set(resource.id, observed[resource.id] ?? fresh(resource));
  return plan({ ...diff({ desired: claims, observed: observations, touched: touchedById }), desired: claims, goal });
}

export function touchedEntry(resource: Resource, about: Partial<Touched> = {}): Touched {
  return {
    id: resource.id,
    source: 'boot',
    definitions: [resource],
    done: true,
    startedWith: undefined,
    original: false,
    ...about,
  };
}
