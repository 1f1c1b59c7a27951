/**
 * Random situations for planning: resources of every kind with needs and inputs, what a host may look like, and what we
 * touched before. All paths and names come from small pools, so that things meet.
 */
import * as fc from 'fast-check';
import type {
  ActionResource,
  BinaryResource,
  ExtensionResource,
  FileResource,
  ContainerImageResource,
  KernelResource,
  Resource,
  ResourceId,
  UnitResource,
} from '../../src/model/resources.ts';
import type {
  EntryObservation,
  ExtensionRecord,
  Observation,
  Touched,
  UnitObservation,
} from '../../src/model/steps.ts';
import type { Claim } from '../../src/plan/diff.ts';

export interface Situation {
  readonly desired: ReadonlyMap<ResourceId, Claim>;
  readonly observed: ReadonlyMap<ResourceId, Observation>;
  readonly touched: ReadonlyMap<ResourceId, Touched>;
  readonly goal: ResourceId | undefined;
}

const paths = [
  '/etc/a',
  '/etc/a/b',
  '/etc/a/b/c',
  '/etc/d',
  '/etc/kubernetes/e',
  '/etc/systemd/system/two.service.d/90-other.conf',
  '/opt/bin/tool',
];
const units = ['kubelet.service', 'one.service', 'two.service', 'three.timer', 'data.mount'];
const tools = ['tool', 'kubelet'];
const words = ['x', 'y'];

const ids: readonly ResourceId[] = [
  ...paths.map((path): ResourceId => `file:${path}`),
  ...units.map((name): ResourceId => `unit:${name}`),
  ...tools.map((tool): ResourceId => `binary:${tool}`),
  'extension:tool',
  'extension:other',
  'image:pause',
  'kernel:module/m',
  'kernel:sysctl/s',
  'kernel:sysctl/t',
  'action:run',
  'action:other',
];

interface Wish {
  readonly deferrable: boolean;
  readonly importance: Resource['importance'];
  readonly scope: Resource['scope'];
  readonly needs: readonly ResourceId[];
  readonly inputs: readonly ResourceId[];
  readonly word: string;
  readonly form: number;
  readonly dropIns: readonly string[];
  readonly enablement: UnitResource['enablement'];
  readonly state: UnitResource['state'];
  readonly onChange: UnitResource['onChange'];
}

const some = (max: number): fc.Arbitrary<ResourceId[]> => fc.subarray([...ids], { maxLength: max });

const wishes: fc.Arbitrary<Wish> = fc.record({
  deferrable: fc.boolean(),
  importance: fc.constantFrom('required', 'required', 'bestEffort', 'background'),
  scope: fc.constantFrom('shared', 'node'),
  needs: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: some(2) }),
  inputs: some(3),
  word: fc.constantFrom(...words),
  form: fc.nat(3),
  dropIns: fc.subarray(['10-a.conf', '20-b.conf']),
  enablement: fc.constantFrom(undefined, 'enabled', 'enabled', 'disabled', 'masked'),
  state: fc.constantFrom(undefined, 'started', 'started', 'stopped'),
  onChange: fc.constantFrom('restart', 'reload', 'none'),
});

function resourceOf(id: ResourceId, wish: Wish): Resource {
  const name = id.slice(id.indexOf(':') + 1);
  const { deferrable, importance, scope, needs, word } = wish;
  const base = { deferrable, importance, scope, needs: needs.filter((need) => need !== id) };
  switch (id.slice(0, id.indexOf(':'))) {
    case 'file':
      return { ...base, kind: 'file', id, path: name, entry: entryOf(wish) } satisfies FileResource;
    case 'unit':
      return unitOf(id, name, wish);
    case 'binary':
      return {
        ...base,
        kind: 'binary',
        id,
        tool: name,
        version: word === 'x' ? '1.0.0' : '1.1.0',
        sources: [{ type: 'cache', version: '1.0.0' }],
        place: wish.form === 0 ? { type: 'cache' } : { type: 'activate', target: `/opt/bin/${name}` },
      } satisfies BinaryResource;
    case 'extension':
      return {
        ...base,
        kind: 'extension',
        id,
        name,
        version: word === 'x' ? '1.0.0' : '1.1.0',
        architecture: 'amd64',
        sources: [{ type: 'local', path: '/opt/extensions' }],
        tools: wish.form === 0 ? [] : ['tool'],
      } satisfies ExtensionResource;
    case 'image':
      return {
        ...base,
        kind: 'image',
        id,
        reference: name,
        archive: `/images/${word}.tar`,
      } satisfies ContainerImageResource;
    case 'kernel':
      return {
        ...base,
        kind: 'kernel',
        id,
        setting: name.startsWith('module')
          ? { type: 'module', name: name.slice('module/'.length) }
          : { type: 'sysctl', key: name.slice('sysctl/'.length), value: word },
      } satisfies KernelResource;
    default:
      return {
        ...base,
        kind: 'action',
        id,
        argv: [word],
        guard: { type: 'path', path: '/done' },
        timeoutMs: 1000,
      } satisfies ActionResource;
  }
}

function entryOf({ form, word }: Wish): FileResource['entry'] {
  if (form === 0) return { type: 'directory', mode: '0755', uid: 0, gid: 0 };
  if (form === 1) return { type: 'symlink', target: `/${word}` };
  return { type: 'file', content: { text: word }, mode: '0644', uid: 0, gid: 0 };
}

function unitOf(id: ResourceId, name: string, wish: Wish): UnitResource {
  const { deferrable, importance, scope, needs, inputs, word, form, dropIns, enablement, state, onChange } = wish;
  const mention = form === 3 ? 'Requires=one.service\n' : '';
  return {
    kind: 'unit',
    id,
    name,
    deferrable,
    importance,
    scope,
    needs: needs.filter((need) => need !== id),
    ...(form > 0 && { content: `[Unit]\n${mention}[Service]\nExecStart=/bin/${word}\n` }),
    dropIns: dropIns.map((dropIn) => ({ name: dropIn, content: word })),
    ...(enablement && { enablement }),
    ...(state && { state }),
    inputs,
    onChange,
    readiness: { type: 'active' },
    deadlineMs: 1000,
  };
}

// ── what is there ────────────────────────────────────────────────────────────────────────────────────────────────

/** Digest of the word `x`. */
const known = 'sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881';
const entries: fc.Arbitrary<EntryObservation> = fc.oneof(
  fc.constant<EntryObservation>({ type: 'absent' }),
  fc.record({
    type: fc.constant('file' as const),
    digest: fc.constantFrom(known, 'sha256:0'),
    mode: fc.constantFrom(0o644, 0o600),
    uid: fc.constant(0),
    gid: fc.constant(0),
  }),
  fc.constant<EntryObservation>({ type: 'directory', mode: 0o755, uid: 0, gid: 0 }),
  fc.constant<EntryObservation>({ type: 'symlink', target: '/x' }),
);

function unitObservation(name: string): fc.Arbitrary<UnitObservation> {
  const folder = `/etc/systemd/system/${name}`;
  return fc.record({
    kind: fc.constant('unit' as const),
    entries: fc.record({
      [folder]: entries,
      [`${folder}.d/10-a.conf`]: entries,
      [`${folder}.d/20-b.conf`]: entries,
    }),
    enablement: fc.constantFrom('', 'enabled', 'disabled', 'masked', 'static'),
    loadState: fc.constantFrom('loaded', 'not-found'),
    activeState: fc.constantFrom('active', 'inactive', 'failed', 'activating'),
    invocationId: fc.constant('1'),
    live: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    transient: fc.boolean(),
    succeeded: fc.boolean(),
    stale: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  });
}

function recordOf(name: string, version: string): ExtensionRecord {
  return {
    name,
    version,
    path: '/opt/extensions',
    file: `/opt/extensions/${name}-v${version}.raw`,
    link: `/etc/extensions/${name}.raw`,
    size: 1,
    mtimeNs: '1',
    masks: [],
    tools: ['tool'],
    settled: true,
  };
}

function observationOf(id: ResourceId): fc.Arbitrary<Observation> {
  const name = id.slice(id.indexOf(':') + 1);
  switch (id.slice(0, id.indexOf(':'))) {
    case 'file':
      return fc.record({ entry: entries, live: fc.boolean() }).map(({ entry, live }) => ({
        kind: 'file',
        entry,
        ...(live && name.startsWith('/etc/systemd/system/') && { readBySystemd: true }),
      }));
    case 'unit':
      return unitObservation(name);
    case 'binary':
      return fc.record({
        kind: fc.constant('binary' as const),
        cached: fc.constantFrom(undefined, { key: '1.0.0', file: '/opt/bin/x', digest: 'sha256:1' }),
        cacheRefusals: fc.constant([]),
        targetDigest: fc.constantFrom(undefined, 'sha256:1', 'sha256:2'),
      });
    case 'extension':
      return fc.record({
        kind: fc.constant('extension' as const),
        live: fc.boolean(),
        record: fc.constantFrom(undefined, recordOf(name, '1.0.0'), recordOf(name, '1.1.0')),
        deviations: fc.constantFrom([], ['is not merged']),
      });
    case 'image':
      return fc.boolean().map((present) => ({ kind: 'image', present }));
    case 'kernel':
      return fc.constantFrom(undefined, 'x').map((value) => ({ kind: 'kernel', value }));
    default:
      return fc.boolean().map((done) => ({ kind: 'action', done }));
  }
}

interface Item {
  readonly id: ResourceId;
  readonly wanted: Wish | undefined;
  readonly earlier: readonly Wish[];
  readonly observation: Observation | undefined;
  readonly done: boolean;
  readonly startedWith: string | undefined;
  readonly original: boolean;
}

const items: fc.Arbitrary<Item[]> = fc.subarray([...ids], { minLength: 1 }).chain((chosen) =>
  fc.tuple(
    ...chosen.map((id) =>
      fc.record({
        id: fc.constant(id),
        wanted: fc.option(wishes, { nil: undefined, freq: 4 }),
        earlier: fc.oneof(
          { weight: 2, arbitrary: fc.constant([]) },
          { weight: 2, arbitrary: fc.array(wishes, { minLength: 1, maxLength: 2 }) },
        ),
        observation: fc.option(observationOf(id), { nil: undefined, freq: 12 }),
        done: fc.boolean(),
        startedWith: fc.constantFrom(undefined, '', 'another'),
        original: fc.boolean(),
      }),
    ),
  ),
);

/** Needs and inputs name only what is desired, as documents are checked; who is in a circle with whom is left to chance. */
export const situations: fc.Arbitrary<Situation> = fc
  .tuple(items, fc.constantFrom<ResourceId | undefined>('unit:kubelet.service', 'unit:kubelet.service', undefined))
  .map(([chosen, goal]) => {
    const there = new Set(chosen.flatMap(({ id, wanted }) => (wanted ? [id] : [])));
    const desired = new Map<ResourceId, Claim>();
    const observed = new Map<ResourceId, Observation>();
    const touched = new Map<ResourceId, Touched>();
    const acyclic = (id: ResourceId, wish: Wish): Wish => ({
      ...wish,
      needs: wish.needs.filter((need) => there.has(need) && need < id),
      inputs: wish.inputs.filter((input) => there.has(input) && (input < id || wish.form === 2)),
    });
    for (const { id, wanted, earlier, observation, done, startedWith, original } of chosen) {
      if (wanted) desired.set(id, { resource: resourceOf(id, acyclic(id, wanted)), source: 'boot' });
      if (observation) observed.set(id, observation);
      if (earlier.length > 0) {
        const definitions = earlier.map((wish) => resourceOf(id, wish));
        touched.set(id, { id, source: 'boot', definitions, done, startedWith, original });
      }
    }
    return { desired, observed, touched, goal };
  });
