/**
 * The engine on a machine in memory, killed before and after any of its effects: whatever two documents of two sources
 * ask for, and whether the killed run is repeated or its document superseded, the machine ends as if nothing had happened.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { reveal, type FileResource, type Resource, type UnitResource } from '../model/resources.ts';
import type { CrashPoint } from '../host/memory/effects.ts';
import { createMemoryMachine, type MemoryMachine } from '../host/memory/machine.ts';
import { effectiveClaims, type Claims } from '../plan/claims.ts';
import { generationsFolder, stateFolder } from '../model/state-paths.ts';
import { openJournal, type Journal } from './journal.ts';
import { carryOut, prepare } from './reconcile.ts';

// ── documents ────────────────────────────────────────────────────────────────────────────────────────────────────

type Word = 'one' | 'two';

interface Document {
  readonly source: 'boot' | 'agent';
  readonly files: Readonly<Record<string, Word | 'link' | undefined>>;
  readonly own: UnitWish | undefined;
  readonly vendor: UnitWish | undefined;
}

interface UnitWish {
  readonly program: Word;
  readonly dropIns: readonly string[];
  readonly inputs: readonly string[];
  readonly onChange: UnitResource['onChange'];
}

/** The first two belong to somebody else before we come. */
const paths = ['/etc/foreign', '/etc/vendor', '/etc/ours', '/etc/also-ours'];
const dropInNames = ['10-a.conf', '20-b.conf'];

const word = fc.constantFrom<Word>('one', 'two');
const unitWish: fc.Arbitrary<UnitWish> = fc.record({
  program: word,
  dropIns: fc.subarray(dropInNames),
  inputs: fc.subarray(paths),
  onChange: fc.constantFrom('restart', 'reload', 'none'),
});
const documents: fc.Arbitrary<Document> = fc.record({
  source: fc.constantFrom('boot', 'agent'),
  files: fc
    .tuple(...paths.map(() => fc.option(fc.constantFrom<Word | 'link'>('one', 'two', 'link'), { nil: undefined })))
    .map((wishes) => Object.fromEntries(paths.map((path, index) => [path, wishes[index]]))),
  own: fc.option(unitWish, { nil: undefined }),
  vendor: fc.option(unitWish, { nil: undefined }),
});

function resources(document: Document): Resource[] {
  const base = { scope: 'node', deferrable: false, importance: 'required', needs: [] } as const;
  const taken = document.source === 'agent' ? { takeover: true } : {};
  const files = Object.entries(document.files).flatMap(([path, wish]): FileResource[] => {
    if (wish === undefined) return [];
    const text = `${wish} of ${document.source}`;
    const entry =
      wish === 'link'
        ? ({ type: 'symlink', target: '/etc/elsewhere' } as const)
        : ({ type: 'file', content: { text }, mode: '0640', uid: 0, gid: 0 } as const);
    return [{ kind: 'file', id: `file:${path}`, ...base, ...taken, path, entry }];
  });
  const unit = (name: string, wish: UnitWish | undefined, own: boolean): UnitResource[] =>
    wish === undefined
      ? []
      : [
          {
            kind: 'unit',
            id: `unit:${name}`,
            ...base,
            ...taken,
            name,
            ...(own && { content: unitText(wish.program), enablement: 'enabled' }),
            dropIns: wish.dropIns.map((dropIn) => ({ name: dropIn, content: dropInText(dropIn) })),
            state: 'started',
            inputs: wish.inputs
              .filter((path) => document.files[path] !== undefined)
              .map((path) => `file:${path}` as const),
            onChange: wish.onChange,
            readiness: { type: 'active' },
            deadlineMs: 10_000,
          },
        ];
  return [...files, ...unit('own.service', document.own, true), ...unit('vendor.service', document.vendor, false)];
}

function unitText(program: string): string {
  return `[Service]\nExecStart=/bin/${program}\nExecReload=/bin/reload\n[Install]\nWantedBy=multi-user.target\n`;
}

function dropInText(name: string): string {
  return `[Service]\nEnvironment=${name}\n`;
}

// ── machines ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface Node {
  readonly machine: MemoryMachine;
  /** Program and environment of each unit's last start, and what it read then. */
  readonly started: Map<string, { readonly definition: string; readonly snapshot: Record<string, string> }>;
}

async function createNode(): Promise<Node> {
  const machine = createMemoryMachine();
  const started: Node['started'] = new Map();
  for (const name of ['own.service', 'vendor.service']) {
    machine.units.behave(name, ({ file }) => {
      const definition = [file.value('Service', 'ExecStart'), ...file.values('Service', 'Environment')].join(' ');
      started.set(name, { definition, snapshot: machine.snapshot() });
      return { startMs: 5, stopMs: 5 };
    });
  }
  const put = (path: string, text: string): Parameters<typeof machine.files.write>[0][number] => ({
    type: 'file',
    path,
    content: Buffer.from(text),
    mode: 0o600,
    uid: 7,
    gid: 7,
  });
  await machine.files.write([
    put('/etc/foreign', 'foreign'),
    put('/etc/vendor', 'vendor'),
    put('/usr/lib/systemd/system/vendor.service', unitText('vendor')),
  ]);
  await (
    await machine.units.start('vendor.service')
  ).result;
  await machine.clock.sleep(100);
  return { machine, started };
}

/** One run on a document. With a crash its marks of what is done are lost, as they may be. */
async function run(node: Node, document: Document, crash?: CrashPoint): Promise<void> {
  const host = node.machine.open(crash && { crash });
  const desired = {
    resources: new Map(resources(document).map((resource) => [resource.id, resource])),
    goal: undefined,
    warnings: [],
  };
  const work = async (): Promise<void> => {
    const opened = await openJournal(host);
    const journal: Journal = crash ? { ...opened, flush: () => undefined } : opened;
    const prepared = await prepare({ host, journal, source: document.source, desired });
    const result = await carryOut(prepared, { artifactBase: '/' });
    if (crash) return;
    assert.equal(result.outcome, 'converged', result.error?.message);
    journal.close();
  };
  if (!crash) {
    await work();
    return;
  }
  await work().catch(() => undefined);
  // What the dead process had started goes on without it.
  await node.machine.clock.sleep(1000);
}

/**
 * Everything that must be alike. Where a document was skipped, other folders were made, other starts were ours, and a
 * vendor's unit without a definition of ours may have been started with something else.
 */
async function stateOf(node: Node, whole: boolean): Promise<unknown> {
  const snapshot = Object.entries(node.machine.snapshot());
  // A unit that is disabled loses its link first; the folder that is empty then asks for nothing.
  const isEmptied = (folder: string): boolean =>
    folder.endsWith('.wants') && !snapshot.some(([path]) => path.startsWith(`${folder}/`));
  const tree = snapshot.filter(
    ([path, entry]) => !path.startsWith(stateFolder) && (whole || !entry.startsWith('directory')) && !isEmptied(path),
  );
  const units = await Promise.all(
    ['own.service', 'vendor.service'].map(async (name) => {
      const { loadState, activeState, needDaemonReload } = await node.machine.units.get(name);
      const running = activeState === 'active' ? node.started.get(name)?.definition : undefined;
      // A removed unit may be known to systemd until it is collected.
      return running === undefined ? [name, 'not running'] : [name, loadState, activeState, needDaemonReload, running];
    }),
  );
  const journal = await openJournal(node.machine.open());
  const touched = [...journal.touched().values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .filter(({ definitions }) => whole || definitions.some((definition) => hasEntries(definition)))
    .map((entry) => (whole ? entry : { ...entry, startedWith: undefined }));
  const generation = journal.currentGeneration();
  journal.close();
  return { tree, units, touched, generation: whole && generation && { ...generation, createdMs: 0 } };
}

function hasEntries(resource: Resource): boolean {
  return resource.kind !== 'unit' || resource.content !== undefined || resource.dropIns.length > 0;
}

/**
 * Every process runs with the definition in force. Returns the inputs that changed after the start of a unit that reads
 * them: none but those of a unit that already ran when it was first named together with them.
 */
function outdatedInputs(node: Node, claims: Claims): Set<string> {
  const outdated = new Set<string>();
  const current = node.machine.snapshot();
  for (const { resource } of effectiveClaims(claims).values()) {
    if (resource.kind !== 'unit') continue;
    const started = node.started.get(resource.name);
    const text = resource.content === undefined ? unitText('vendor') : reveal(resource.content);
    const wanted = [/ExecStart=(.+)/.exec(text)?.[1], ...resource.dropIns.map(({ name }) => name)].join(' ');
    assert.equal(started?.definition, wanted, `definition of ${resource.name}`);
    if (resource.onChange !== 'restart') continue;
    for (const input of resource.inputs) {
      const path = input.slice('file:'.length);
      if (started?.snapshot[path] !== current[path]) outdated.add(`${resource.name} ${path}`);
    }
  }
  return outdated;
}

/** Until the first intents are committed, right after their generation was written. */
function effectsUntilBegun(effects: readonly string[]): number {
  return effects.findIndex((effect) => effect === `write ${generationsFolder}/1.json`) + 2;
}

interface Scenario {
  readonly first: Document;
  readonly second: Document;
  /** Which run is killed, where (a share of its effects), and whether it is repeated before the next document. */
  readonly killed: 'first' | 'second';
  readonly share: number;
  readonly when: CrashPoint['when'];
  readonly repeated: boolean;
}

const scenarios: fc.Arbitrary<Scenario> = fc.record({
  first: documents,
  second: documents,
  killed: fc.constantFrom('first', 'second'),
  // A double of fast-check is next to nothing nearly always.
  share: fc.nat(999).map((n) => n / 1_000),
  when: fc.constantFrom('before', 'after'),
  repeated: fc.boolean(),
});

async function checkScenario(scenario: Scenario): Promise<void> {
  const { first, second, killed, share, when, repeated } = scenario;
  const [undisturbed, disturbed] = [await createNode(), await createNode()];
  const claims: Claims = {
    [first.source]: resources(first),
    [second.source]: resources(second),
  };
  await run(undisturbed, first);
  const effectsOfFirst = undisturbed.machine.effects.length;
  await run(undisturbed, second);
  const effects = killed === 'first' ? effectsOfFirst : undisturbed.machine.effects.length - effectsOfFirst;
  const outdated = outdatedInputs(undisturbed, claims);

  // What is superseded before it was begun was never asked for.
  const begun = killed === 'first' && !repeated ? effectsUntilBegun(undisturbed.machine.effects) : 0;
  const crash = { at: begun + 1 + Math.floor(share * (effects - begun)), when };
  if (killed === 'first') {
    await run(disturbed, first, crash);
    if (repeated) await run(disturbed, first);
  } else {
    await run(disturbed, first);
    await run(disturbed, second, crash);
  }
  await run(disturbed, second);
  const whole = killed === 'second' || repeated;
  assert.deepEqual(await stateOf(disturbed, whole), await stateOf(undisturbed, whole));
  const more = [...outdatedInputs(disturbed, claims)].filter((input) => !outdated.has(input));
  assert.deepEqual(more, [], 'a process reads earlier inputs');
  const before = disturbed.machine.effects.length;
  await run(disturbed, second);
  const effectsOfMore = disturbed.machine.effects.slice(before).filter((effect) => !effect.includes(stateFolder));
  assert.deepEqual(effectsOfMore, [], 'a further run does something');
}

describe('a run that is killed', () => {
  test('and repeated, or superseded by another document, leads to the same machine', async () => {
    await fc.assert(fc.asyncProperty(scenarios, checkScenario), {
      numRuns: Number(process.env['NODEKILN_CRASH_RUNS'] ?? 60),
    });
  });
});
