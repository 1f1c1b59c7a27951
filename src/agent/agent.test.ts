/**
 * The agent that follows a folder, on a machine in memory whose hours pass in milliseconds. Everything here is played to
 * the whole agent: documents that come and go, disks that are full, locks that others hold.
 */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { createMemoryNode, nodeDocument, temporariesOf, textFile } from '../../test/support/memory-node.ts';
import { openJournal } from '../apply/journal.ts';
import { bootHost } from '../boot/boot.ts';
import { NodekilnError } from '../errors.ts';
import { sha256 } from '../host/digest.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import type { Host } from '../host/port.ts';
import { status } from '../inspect/status.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import type { AgentReport } from '../telemetry/agent-report.ts';
import { runAgentOn } from './agent.ts';

const folder = '/etc/nodekiln/desired';
const first = `${folder}/10-node.json`;
const database = 'commit to /var/lib/nodekiln/state.db';

/** Files by path, with words in them. */
function documentOf(files: Readonly<Record<string, string>>, spec: Readonly<Record<string, unknown>> = {}): string {
  const list = Object.entries(files).map(([path, content]) => ({ path, content }));
  return nodeDocument({ files: list, ...spec });
}

interface Told {
  readonly atMs: number;
  readonly report: AgentReport;
}

interface Played {
  readonly machine: MemoryMachine;
  readonly told: readonly Told[];
  /** `converged 3`, `failed NK_UNIT_FAILED`, one per report. */
  readonly summary: readonly string[];
  /** From the signal to the end. */
  readonly stoppingMs: number;
  readonly troubles: readonly string[];
}

interface Play {
  readonly machine?: MemoryMachine;
  /** In the folder before the agent starts; no folder when undefined. */
  readonly documents?: Readonly<Record<string, string>>;
  /** What happens how many milliseconds after the start. */
  readonly at?: Readonly<Record<number, (machine: MemoryMachine) => unknown>>;
  readonly untilMs: number;
  readonly host?: (host: Host) => Host;
}

/** Runs an agent until `untilMs`, on a node of its own unless one is given. */
async function play({ documents, at = {}, untilMs, host = (own) => own, ...given }: Play): Promise<Played> {
  const machine = given.machine ?? (await createMemoryNode());
  const { clock, files } = machine;
  if (documents) {
    await files.write([{ type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 }]);
    await files.write(Object.entries(documents).map(([name, text]) => textFile(`${folder}/${name}`, text)));
  }
  // Nobody has just written them.
  await clock.sleep(1000);
  const startMs = clock.monotonic();
  const abort = new AbortController();
  const told: Told[] = [];
  const troubles: string[] = [];
  let stoppedMs = 0;
  for (const [ms, happen] of Object.entries(at)) clock.after(Number(ms), () => void happen(machine));
  clock.after(untilMs, () => {
    stoppedMs = clock.monotonic();
    abort.abort(new NodekilnError('NK_INTERRUPTED', 'stopped by SIGTERM'));
  });
  await runAgentOn(host(machine.open()), {
    source: `dir:${folder}`,
    signal: abort.signal,
    onEvent: (event) => {
      if (event.type === 'reconciled') told.push({ atMs: clock.monotonic() - startMs, report: event.report });
      if (event.type === 'trouble') troubles.push(event.error.message);
    },
  });
  const stoppingMs = clock.monotonic() - stoppedMs;
  assert.equal(getEventListeners(abort.signal, 'abort').length, 0, 'no listener is left');
  return { machine, told, summary: told.map(({ report }) => summaryOf(report)), stoppingMs, troubles };
}

function summaryOf(report: AgentReport): string {
  const error = report.error as { code?: string } | undefined;
  return `${report.outcome} ${error?.code ?? report.changes}`;
}

const give =
  (text: string, path = first) =>
  (machine: MemoryMachine): Promise<unknown> =>
    machine.files.write([textFile(path, text)]);

const remove =
  (path: string) =>
  (machine: MemoryMachine): Promise<unknown> =>
    machine.files.remove([path]);

async function contentOf({ files }: MemoryMachine, path: string): Promise<string | undefined> {
  const content = await files.read(path);
  return content && textOf(content);
}

/** Of an OperatingSystemConfig, which says nothing of kubelet. */
function osc(files: Readonly<Record<string, string>>): string {
  return JSON.stringify({
    apiVersion: 'extensions.gardener.cloud/v1alpha1',
    kind: 'OperatingSystemConfig',
    spec: { files: Object.entries(files).map(([path, data]) => ({ path, content: { inline: { data } } })) },
  });
}

/** Its server begins to answer, and does not end. */
async function slowServer(): Promise<MemoryMachine> {
  const machine = await createMemoryNode();
  async function* endless() {
    yield Buffer.from('some');
    await machine.clock.sleep(100_000);
    yield Buffer.from('more');
  }
  machine.serve('https://files.example', () => ({ body: endless() }));
  return machine;
}

const fetched = { url: 'https://files.example/crictl', version: '1.34.0' };

function oscOfImage(): string {
  const image = { image: 'files.example/a:1', filePathInImage: '/a' };
  const document = JSON.parse(osc({})) as { spec: { files: unknown[] } };
  document.spec.files.push({ path: '/opt/a', content: { imageRef: image } });
  return JSON.stringify(document);
}

const one = documentOf({ '/etc/a': 'one' });
const two = documentOf({ '/etc/a': 'two' });

describe('the agent', () => {
  it('applies what its folder says, and a change once, as soon as it is renamed into place', async () => {
    const { machine, told, summary } = await play({
      documents: { '10-node.json': one },
      at: { 2000: give(two) },
      untilMs: 5000,
    });
    assert.equal(await contentOf(machine, '/etc/a'), 'two');
    assert.match(summary[0] ?? '', /^converged \d+$/);
    assert.deepEqual(summary.slice(1), ['converged 1']);
    assert.deepEqual(told[0]?.report.reasons, ['start']);
    assert.deepEqual(told[1]?.report.reasons, ['change']);
    // No pause: a document that is renamed into place is whole.
    assert.equal(told[1]?.atMs, 2000);
    assert.deepEqual(told[1]?.report.documents, [{ file: first, digest: sha256(two) }]);
    assert.notEqual(told[1]?.report.digest, told[0]?.report.digest);
    assert.equal(told[1]?.report.generation, 2);
  });

  it('counts memory more than speed while it has no pause', async () => {
    const asked: boolean[] = [];
    const host = (own: Host): Host => ({
      ...own,
      program: { ...own.program, saveMemory: (yes) => void asked.push(yes) },
    });
    const machine = await createMemoryNode();
    machine.units.behave('slow.service', { startMs: 4000 });
    const content = '[Service]\nExecStart=/usr/bin/slow\n';
    const document = documentOf({}, { units: [{ name: 'slow.service', content, state: 'started' }] });
    await play({ machine, documents: { '10-node.json': document }, at: { 20_000: give(two) }, untilMs: 60_000, host });
    assert.deepEqual(asked, [true, false]);
  });

  it('is the only one on its host: a second one ends with a code, and the first goes on', async () => {
    let second: unknown;
    const { machine, summary } = await play({
      documents: { '10-node.json': one },
      at: {
        1000: async (shared) => {
          second = await runAgentOn(shared.open(), { source: `dir:${folder}` }).catch((thrown: unknown) => thrown);
        },
        8000: give(two),
      },
      untilMs: 10_000,
    });
    assert.ok(second instanceof NodekilnError);
    assert.equal(second.code, 'NK_AGENT_RUNNING');
    assert.equal(await contentOf(machine, '/etc/a'), 'two');
    assert.deepEqual(summary.slice(1), ['converged 1']);
    const { summary: later } = await play({ machine, untilMs: 1000 });
    assert.equal(later.length, 1, 'after its end there is room for another');
  });

  it('runs where there can be no lock, and says so', async () => {
    const { summary, troubles } = await play({
      documents: { '10-node.json': one },
      untilMs: 2000,
      host: (own) => ({
        ...own,
        locks: {
          take: (place, options) =>
            place.endsWith('/agent') ? Promise.reject(new Error('no lock here')) : own.locks.take(place, options),
        },
      }),
    });
    assert.deepEqual([summary.length, troubles], [1, ['no lock here']]);
  });

  it('waits until what is written in place is written, and takes it once', async () => {
    const half = two.slice(0, two.length / 2);
    const { summary, told, machine } = await play({
      documents: { '10-node.json': one },
      at: {
        2000: ({ files }) => files.writeKernel(first, half),
        2040: ({ files }) => files.writeKernel(first, two),
      },
      untilMs: 5000,
    });
    assert.deepEqual(summary.slice(1), ['converged 1']);
    assert.ok((told[1]?.atMs ?? 0) >= 2090, String(told[1]?.atMs));
    assert.equal(await contentOf(machine, '/etc/a'), 'two');
  });

  it('does nothing about files that are no documents, and documents that say what they said', async () => {
    const { summary } = await play({
      documents: { '10-node.json': one },
      at: {
        1000: give('notes', `${folder}/notes.txt`),
        1200: give('{', `${folder}/.10-node.json.swp`),
        1400: give('{', `${folder}/10-node.json.tmp`),
        1600: give(one),
        1800: ({ files }) => files.writeKernel(first, one),
        2000: remove(`${folder}/notes.txt`),
      },
      untilMs: 5000,
    });
    // What was written in place ends with a new line, which is another text, but asks for the same.
    assert.deepEqual(summary.slice(1), ['converged 0']);
  });

  it('takes several changes while it is busy for one', async () => {
    const slow = documentOf(
      {},
      {
        units: [{ name: 'slow.service', content: '[Service]\nType=notify\nExecStart=/bin/slow\n', state: 'started' }],
      },
    );
    const machine = await createMemoryNode();
    machine.units.behave('slow.service', { startMs: 3000 });
    const { summary, told } = await play({
      machine,
      documents: { '10-node.json': slow },
      at: { 500: give(one), 1000: give(documentOf({ '/etc/a': 'x' })), 1500: give(two) },
      untilMs: 20_000,
    });
    assert.equal(summary.length, 2);
    assert.deepEqual(told[1]?.report.documents, [{ file: first, digest: sha256(two) }]);
    assert.equal(await contentOf(machine, '/etc/a'), 'two');
  });

  it('repairs drift within a minute', async () => {
    const { machine, summary, told } = await play({
      documents: { '10-node.json': one },
      at: { 10_000: ({ files }) => files.write([textFile('/etc/a', 'drifted', 0o644)]) },
      untilMs: 70_000,
    });
    assert.equal(await contentOf(machine, '/etc/a'), 'one');
    assert.deepEqual(summary.slice(1), ['converged 1']);
    assert.deepEqual(told[1]?.report.reasons, ['resync']);
    assert.ok((told[1]?.atMs ?? 0) <= 61_000);
  });

  it('merges its documents over what the image says of every node', async () => {
    const machine = await createMemoryNode();
    await machine.files.write([textFile('/etc/nodekiln/image.json', documentOf({ '/etc/image': 'of the image' }))]);
    const { told } = await play({
      machine,
      documents: { '10-node.json': one, '20-more.json': documentOf({ '/etc/b': 'b' }) },
      untilMs: 2000,
    });
    assert.deepEqual(
      told[0]?.report.documents.map(({ file }) => file),
      ['/etc/nodekiln/image.json', first, `${folder}/20-more.json`],
    );
    for (const [path, text] of [
      ['/etc/image', 'of the image'],
      ['/etc/a', 'one'],
      ['/etc/b', 'b'],
    ] as const)
      assert.equal(await contentOf(machine, path), text);
  });
});

describe('a folder', () => {
  it('with an OperatingSystemConfig is followed, whatever the image says of nodes of ours', async () => {
    const osc = (files: Readonly<Record<string, string>>): string =>
      JSON.stringify({
        apiVersion: 'extensions.gardener.cloud/v1alpha1',
        kind: 'OperatingSystemConfig',
        spec: { files: Object.entries(files).map(([path, data]) => ({ path, content: { inline: { data } } })) },
      });
    const machine = await createMemoryNode();
    await machine.files.write([textFile('/etc/nodekiln/image.json', documentOf({ '/etc/image': 'x' }))]);
    const { summary } = await play({
      machine,
      documents: { '10-osc.yaml': osc({ '/etc/a': 'one', '/etc/b': 'one' }) },
      at: { 1000: give(osc({ '/etc/a': 'two' }), `${folder}/10-osc.yaml`) },
      untilMs: 2000,
    });
    assert.deepEqual(summary, ['converged 2', 'converged 2']);
    assert.deepEqual(await Promise.all(['/etc/a', '/etc/b', '/etc/image'].map((path) => contentOf(machine, path))), [
      'two',
      undefined,
      undefined,
    ]);
  });

  it('that is empty asks for nothing: what the agent brought goes, what the boot brought stays', async () => {
    const machine = await createMemoryNode({ '10-node.json': documentOf({ '/etc/boot': 'boot' }) });
    await bootHost(machine.open());
    const { summary } = await play({
      machine,
      documents: { '10-node.json': documentOf({ '/etc/a': 'one' }, { takeover: true }) },
      at: { 2000: remove(first) },
      untilMs: 5000,
    });
    assert.match(summary[1] ?? '', /^converged [1-9]/);
    assert.equal(await contentOf(machine, '/etc/a'), undefined);
    assert.equal(await contentOf(machine, '/etc/boot'), 'boot');
    assert.equal((await machine.units.get('kubelet.service')).activeState, 'active');
  });

  it('that holds what the boot was made from changes nothing, and goes on with it', async () => {
    const machine = await createMemoryNode({ '10-node.json': one });
    await bootHost(machine.open());
    const started = (await machine.units.get('kubelet.service')).invocationId;
    const { summary } = await play({
      machine,
      documents: { '10-node.json': one },
      at: { 2000: give(two), 4000: give(one) },
      untilMs: 6000,
    });
    assert.deepEqual([...new Set(summary)], ['converged 0', 'failed NK_PLAN_CONFLICT']);
    assert.equal(summary.at(-1), 'converged 0');
    assert.equal((await machine.units.get('kubelet.service')).invocationId, started);
    await machine.files.write([textFile('/etc/nodekiln/conf.d/10-node.json', two)]);
    const { outcome } = await bootHost(machine.open());
    assert.equal(outcome, 'converged', 'a boot whose documents changed since goes on with the agent’s');
    assert.equal(await contentOf(machine, '/etc/a'), 'one');
  });

  it('that differs from what the boot was made from is told by each resource that differs, and no other', async () => {
    const machine = await createMemoryNode({
      '10-node.json': documentOf({ '/etc/a': 'one', '/etc/b': 'x', '/etc/c': 'x' }),
    });
    await bootHost(machine.open());
    const { told } = await play({
      machine,
      documents: { '10-node.json': documentOf({ '/etc/a': 'two', '/etc/b': 'y', '/etc/c': 'x' }) },
      untilMs: 1000,
    });
    const error = told[0]?.report.error as { problems?: readonly { message: string }[] } | undefined;
    assert.deepEqual(
      error?.problems?.map(({ message }) => message),
      ['/etc/a', '/etc/b'].map((path) => `file:${path} belongs to source boot and is claimed by agent`),
    );
  });

  it('that is renamed away keeps what is applied, and is followed when it is back', async () => {
    const { machine, summary, told } = await play({
      documents: { '10-node.json': one },
      at: {
        2000: ({ files }) => files.move(folder, '/etc/away'),
        30_000: ({ files }) => files.move('/etc/away', folder),
        40_000: give(two),
      },
      untilMs: 45_000,
    });
    const missing = summary.filter((each) => each === 'failed NK_DOCUMENT_MISSING');
    assert.ok(missing.length >= 4, 'it is tried again');
    assert.deepEqual(
      told.filter(({ report }) => report.changes > 0).map(({ atMs }) => atMs > 1000 && atMs),
      [false, 40_000],
      'nothing is removed',
    );
    assert.deepEqual(summary.slice(-2), ['converged 0', 'converged 1']);
    assert.equal(told.at(-2)?.atMs, 30_000);
    assert.equal(await contentOf(machine, '/etc/a'), 'two');
  });

  it('that is removed keeps what is applied, also when the agent starts anew', async () => {
    const { machine } = await play({
      documents: { '10-node.json': one },
      at: { 2000: ({ files }) => files.removeTree(folder) },
      untilMs: 3000,
    });
    assert.equal(await contentOf(machine, '/etc/a'), 'one');
    const { summary } = await play({ machine, untilMs: 500 });
    assert.deepEqual(summary, ['failed NK_DOCUMENT_MISSING']);
    assert.equal(await contentOf(machine, '/etc/a'), 'one');
    assert.equal(await machine.files.stat(folder), undefined, 'and is not made');
  });

  it('that is replaced by another is followed', async () => {
    const machine = await createMemoryNode();
    await machine.files.write([textFile('/etc/next/10-node.json', two)]);
    const { summary } = await play({
      machine,
      documents: { '10-node.json': one },
      at: {
        2000: async ({ files }) => {
          await files.move(folder, '/etc/old');
          await files.move('/etc/next', folder);
        },
        3000: give(documentOf({ '/etc/a': 'three' })),
      },
      untilMs: 5000,
    });
    assert.deepEqual(
      summary.slice(1).filter((each) => !each.startsWith('failed NK_DOCUMENT_MISSING')),
      ['converged 1', 'converged 1'],
    );
    assert.equal(await contentOf(machine, '/etc/a'), 'three');
  });

  it('is made where there is none and nothing was ever asked for, and is followed', async () => {
    const { machine, summary, told } = await play({ at: { 2000: give(one) }, untilMs: 3000 });
    assert.equal(summary[0], 'converged 0');
    assert.equal((await machine.files.stat(folder))?.mode, 0o700);
    assert.equal(told[1]?.atMs, 2000 + (told[1]?.report.durationMs ?? 0));
    assert.equal(await contentOf(machine, '/etc/a'), 'one');
  });
});

describe('what is wrong', () => {
  it('with a document keeps what is applied, and the next good one is taken up', async () => {
    for (const [bad, code] of [
      ['{', 'NK_DOCUMENT_SYNTAX'],
      [nodeDocument({ fils: [] }), 'NK_DOCUMENT_INVALID'],
      ['{"apiVersion":"v1","kind":"ConfigMap"}', 'NK_DOCUMENT_KIND'],
    ] as const) {
      const { machine, summary, told } = await play({
        documents: { '10-node.json': one },
        at: { 2000: give(bad), 2500: give(two) },
        untilMs: 5000,
      });
      assert.deepEqual(summary.slice(1), [`failed ${code}`, 'converged 1']);
      assert.deepEqual(told[1]?.report.documents, [{ file: first, digest: sha256(bad) }]);
      assert.equal(await contentOf(machine, '/etc/a'), 'two');
    }
  });

  it('with a document is tried again less and less often while nothing changes', async () => {
    const { told, machine } = await play({
      documents: { '10-node.json': one },
      at: { 2000: give('{') },
      untilMs: 20_000,
    });
    const times = told.slice(1).map(({ atMs }) => atMs);
    const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
    const least = [1000, 2000, 4000, 8000].slice(0, gaps.length);
    assert.ok(times[0] === 2000 && gaps.length >= 3, String(times));
    // Up to a quarter more: agents do not keep in step.
    assert.ok(
      gaps.every((gap, index) => gap >= (least[index] ?? NaN) && gap <= (least[index] ?? 0) * 1.25 + 1),
      String(gaps),
    );
    assert.equal(await contentOf(machine, '/etc/a'), 'one');
  });

  it('that others can make themselves is refused and keeps what is applied, until it is put right', async () => {
    const two = nodeDocument({ files: [{ path: '/etc/a', content: 'two' }] });
    const { machine, summary } = await play({
      documents: { '10-node.json': one },
      at: {
        2000: ({ files }) => files.write([textFile(first, two, 0o666)]),
        2500: async ({ files }) => assert.equal(textOf(await files.read('/etc/a')), 'one'),
        3000: ({ files }) =>
          files.write([{ type: 'file', path: first, content: bytesOf(two), mode: 0o644, uid: 7, gid: 0 }]),
        3500: async ({ files }) => assert.equal(textOf(await files.read('/etc/a')), 'one'),
        4000: ({ files }) => files.write([textFile(first, two, 0o644)]),
      },
      untilMs: 6000,
    });
    assert.deepEqual(summary.slice(1), ['failed NK_DOCUMENT_EXPOSED', 'failed NK_DOCUMENT_EXPOSED', 'converged 1']);
    assert.equal(await contentOf(machine, '/etc/a'), 'two');
  });

  it('with who can read a document is refused, and taken up when it is put right', async () => {
    const secret = nodeDocument({ files: [{ path: '/etc/a', content: 'hunter2', sensitive: true }] });
    const { machine, told, summary } = await play({
      documents: { '10-node.json': one },
      at: {
        2000: ({ files }) => files.write([textFile(first, secret, 0o644)]),
        2500: ({ files }) => files.write([textFile(first, secret, 0o600)]),
      },
      untilMs: 5000,
    });
    assert.deepEqual(summary.slice(1), ['failed NK_DOCUMENT_EXPOSED', 'converged 1']);
    assert.deepEqual(told[2]?.report.reasons, ['change']);
    assert.doesNotMatch(JSON.stringify(told), /hunter2/);
    assert.equal(await contentOf(machine, '/etc/a'), 'hunter2');
  });

  it('with a FIFO in the folder is said at once, and over when it is gone', async () => {
    const { summary } = await play({
      documents: { '10-node.json': one },
      at: {
        2000: (machine) => machine.makeFifo(`${folder}/20-fifo.json`),
        2500: remove(`${folder}/20-fifo.json`),
      },
      untilMs: 3000,
    });
    assert.deepEqual(summary.slice(1), ['failed NK_DOCUMENT_MISSING', 'converged 0']);
  });

  it('with a unit is tried again by itself, and stays as it is otherwise', async () => {
    const machine = await createMemoryNode();
    let broken = true;
    machine.units.behave('mine.service', () => ({ start: broken ? 'fail' : 'ok' }));
    const unit = { name: 'mine.service', content: '[Service]\nExecStart=/bin/mine\n', state: 'started' };
    const { summary, told } = await play({
      machine,
      documents: { '10-node.json': one },
      at: { 2000: give(documentOf({ '/etc/a': 'one' }, { units: [unit] })), 6000: () => (broken = false) },
      untilMs: 20_000,
    });
    assert.deepEqual(summary.slice(1, 4), Array(3).fill('failed NK_UNIT_FAILED'));
    assert.match(summary[4] ?? '', /^converged/);
    assert.deepEqual(told[4]?.report.reasons, ['retry']);
    assert.equal(summary.length, 5);
  });

  const refused = (code: string): Error => Object.assign(new Error(`${code}: refused`), { code });
  for (const [what, effect, code, said] of [
    ['a full disk under our own state', database, 'SQLITE_FULL', 'NK_STATE_UNUSABLE'],
    ['a disk that fails under our own state', database, 'SQLITE_IOERR', 'NK_STATE_UNUSABLE'],
    ['no more open files for our own state', database, 'SQLITE_CANTOPEN', 'NK_STATE_UNUSABLE'],
    ['a full disk, or no inodes', 'write /etc/a', 'ENOSPC', 'NK_SYSTEM'],
    ['a quota', 'write /etc/a', 'EDQUOT', 'NK_SYSTEM'],
    ['a disk that cannot be written to', 'write /etc/a', 'EROFS', 'NK_SYSTEM'],
    ['a disk that fails', 'write /etc/a', 'EIO', 'NK_SYSTEM'],
    ['no more open files', 'write /etc/a', 'EMFILE', 'NK_SYSTEM'],
    ['no more open files on the whole machine', 'write /etc/a', 'ENFILE', 'NK_SYSTEM'],
  ] as const)
    it(`with ${what} is said, outlived, and over by itself`, async () => {
      const { machine, summary } = await play({
        documents: { '10-node.json': one },
        at: {
          2000: (its) => {
            its.breakEffect(effect, refused(code));
            return give(two)(its);
          },
          10_000: (its) => its.breakEffect(effect, undefined),
        },
        untilMs: 30_000,
      });
      assert.deepEqual(summary.slice(1, 4), Array(3).fill(`failed ${said}`));
      assert.match(summary.at(-1) ?? '', /^converged/);
      assert.equal(await contentOf(machine, '/etc/a'), 'two');
    });

  it('with no more open files to read its documents with is said, outlived, and over by itself', async () => {
    let broken = false;
    const { machine, summary, troubles } = await play({
      documents: { '10-node.json': one },
      at: {
        2000: (its) => {
          broken = true;
          return give(two)(its);
        },
        10_000: () => (broken = false),
      },
      host: (own) => ({
        ...own,
        files: {
          ...own.files,
          open: (path) =>
            broken && path.startsWith(folder) ? Promise.reject(refused('EMFILE')) : own.files.open(path),
        },
      }),
      untilMs: 40_000,
    });
    assert.match([...summary, ...troubles].join(), /failed NK_DOCUMENT_MISSING|open files/);
    assert.doesNotMatch([...summary, ...troubles].join(), /NK_INTERNAL/);
    assert.equal(await contentOf(machine, '/etc/a'), 'two');
  });

  it('with another nodekiln that works on the host is waited for, a minute at a time, while nothing else stands still', async () => {
    const machine = await createMemoryNode();
    const lock = await machine.open().locks.take('/var/lib/nodekiln', { waitMs: 0 });
    const { summary, told } = await play({
      machine,
      documents: { '10-node.json': one },
      at: { 100_000: () => lock.release() },
      untilMs: 110_000,
    });
    assert.equal(summary[0], 'failed NK_STATE_LOCKED');
    assert.equal(told[0]?.atMs, 60_000);
    assert.match(summary[1] ?? '', /^converged/);
    assert.ok(Math.abs((told[1]?.atMs ?? 0) - 100_000) < 1000);
    assert.equal(summary.length, 2);
  });
});

describe('being told to stop', () => {
  const waits: Readonly<Record<string, () => Promise<Play>>> = {
    'while it watches': async () => ({ documents: { '10-node.json': one }, untilMs: 5000 }),
    'while it waits to try again': async () => ({ documents: { '10-node.json': '{' }, untilMs: 20_000 }),
    'while it waits for the lock': async () => {
      const machine = await createMemoryNode();
      await machine.open().locks.take('/var/lib/nodekiln', { waitMs: 0 });
      return { machine, documents: { '10-node.json': one }, untilMs: 5000 };
    },
    'while a document is written': async () => ({
      documents: { '10-node.json': one },
      at: { 2990: ({ files }) => files.writeKernel(first, two) },
      untilMs: 3000,
    }),
    'while a unit starts': async () => {
      const machine = await createMemoryNode();
      // Once: systemd starts it again, for ever, also after the test.
      machine.units.behave('kubelet.service', ({ start }) => ({ start: start === 1 ? 'hang' : 'ok' }));
      return { machine, documents: { '10-node.json': one }, untilMs: 5000 };
    },
    'while a unit stops': async () => {
      const machine = await createMemoryNode();
      machine.units.behave('mine.service', { stopMs: 80_000 });
      const unit = { name: 'mine.service', content: '[Service]\nExecStart=/bin/mine\n', state: 'started' };
      return {
        machine,
        documents: { '10-node.json': documentOf({}, { units: [unit] }) },
        at: { 2000: give(one) },
        untilMs: 5000,
      };
    },
    'while a command runs': async () => {
      const machine = await createMemoryNode();
      machine.program('long', () => ({ durationMs: 50_000 }));
      const action = { name: 'long', argv: ['/bin/long'], guard: { path: '/run/never' } };
      return { machine, documents: { '10-node.json': documentOf({}, { actions: [action] }) }, untilMs: 5000 };
    },
    'while a guard is asked': async () => {
      const machine = await createMemoryNode();
      machine.program('long', () => ({ durationMs: 9000 }));
      const action = { name: 'long', argv: ['/bin/true'], guard: { command: ['/bin/long'] } };
      return { machine, documents: { '10-node.json': documentOf({}, { actions: [action] }) }, untilMs: 5000 };
    },
    'while a program is fetched': async () => ({
      machine: await slowServer(),
      documents: { '10-node.json': documentOf({}, { binaries: { tools: { crictl: fetched } } }) },
      untilMs: 5000,
    }),
    'while a file is fetched from a registry': async () => ({
      machine: await slowServer(),
      documents: { '10-node.json': oscOfImage() },
      untilMs: 5000,
    }),
    'while an extension is fetched': async () => ({
      machine: await slowServer(),
      documents: {
        '10-node.json': documentOf({}, { extensions: [{ name: 'a', registry: 'files.example/a', version: '1.0' }] }),
      },
      untilMs: 5000,
    }),
    'while something hears no signal': async () => ({
      documents: { '10-node.json': one },
      host: (own) => ({ ...own, units: { ...own.units, daemonReload: () => new Promise<void>(() => undefined) } }),
      untilMs: 5000,
    }),
  };
  /** What hears no signal is left after half a second; everything else ends at once. */
  const deaf = ['while a guard is asked', 'while something hears no signal'];
  for (const [name, prepare] of Object.entries(waits)) {
    it(`ends within a second ${name}, and says nothing about what it did not finish`, async () => {
      const { machine, stoppingMs, told } = await play(await prepare());
      assert.ok(stoppingMs < (deaf.includes(name) ? 1000 : 50), `${stoppingMs} ms`);
      assert.ok(told.every(({ report }) => (report.error as { code?: string })?.code !== 'NK_INTERRUPTED'));
      if (name.includes('fetched')) assert.deepEqual(told, []);
      assert.deepEqual(await temporariesOf(machine), []);
    });
  }

  it('leaves a machine that the next agent takes up', async () => {
    const machine = await createMemoryNode();
    machine.units.behave('kubelet.service', ({ start }) => ({ start: start === 1 ? 'hang' : 'ok' }));
    machine.serve('http://127.0.0.1:10248', () => ({}));
    const interrupted = await play({ machine, documents: { '10-node.json': one }, untilMs: 2000 });
    assert.deepEqual(interrupted.summary, []);
    const { summary } = await play({ machine, untilMs: 2000 });
    assert.match(summary[0] ?? '', /^converged [1-9]/);
  });
});

describe('reports', () => {
  it('are kept, the last twenty, and what finds nothing to do takes the place of such another', async () => {
    const at = Object.fromEntries(
      Array.from({ length: 25 }, (_, turn) => [(turn + 1) * 1000, give(documentOf({ '/etc/a': `words ${turn}` }))]),
    );
    const { machine, told } = await play({ documents: { '10-node.json': one }, at, untilMs: 300_000 });
    const journal = await openJournal(machine.open());
    const { agent, agentReports } = await status(machine.open(), journal);
    journal.close();
    const kept = agentReports as AgentReport[];
    assert.equal(kept.length, 20);
    assert.equal(told.length, 1 + 25 + 4);
    assert.deepEqual(
      kept.slice(0, -1).map(({ documents }) => documents[0]?.digest),
      Array.from({ length: 19 }, (_, turn) => sha256(documentOf({ '/etc/a': `words ${turn + 6}` }))),
    );
    assert.deepEqual([kept.at(-1)?.reasons, kept.at(-1)?.changes], [['resync'], 0]);
    assert.deepEqual(agent, kept.at(-1));
  });

  it('once, are thrown when they say that it failed', async () => {
    const machine = await createMemoryNode();
    await machine.files.write([textFile(first, '{')]);
    const once = (): Promise<void> => runAgentOn(machine.open(), { source: `dir:${folder}`, once: true });
    await assert.rejects(once(), { code: 'NK_DOCUMENT_SYNTAX' });
    await machine.files.write([textFile(first, one)]);
    await once();
    assert.equal(await contentOf(machine, '/etc/a'), 'one');
    await assert.rejects(runAgentOn(machine.open(), { source: '/etc/x', once: true }), { code: 'NK_USAGE' });
  });
});

describe('a document whose files stand in the way of what a boot brought', () => {
  const bad: Readonly<Record<string, string>> = {
    'a program of the boot': '/opt/bin/kubelet',
    'a cached version of it': '/opt/bin/kubelet-1.34.3',
    'the folder of the programs': '/opt/bin',
    'its unit': '/etc/systemd/system/kubelet.service',
    'a drop-in of a unit': '/etc/systemd/system/containerd.service.d/50-nodekiln.conf',
    'the folder of units': '/etc/systemd/system',
    'a folder of the settings': '/etc/kubernetes',
    'the root’s folder of settings': '/etc',
    'a setting of the kernel': '/proc/sys/kernel/domainname',
    'our journal': '/var/lib/nodekiln/state.db',
    'our state': '/var/lib/nodekiln',
    'what holds our state': '/var/lib',
    'the folder of the documents': '/etc/nodekiln/desired',
    'our program': '/opt/nodekiln',
  };
  for (const [name, path] of Object.entries(bad))
    it(`fails in words, changes nothing and is followed by the next: ${name}`, async () => {
      const machine = await createMemoryNode({ '10-node.json': nodeDocument({}) });
      await bootHost(machine.open());
      const started = (await machine.units.get('kubelet.service')).invocationId;
      const before = await contentOf(machine, '/opt/bin/kubelet');
      const { summary } = await play({
        machine,
        documents: { '10-osc.yaml': osc({ '/etc/a': 'one' }) },
        at: {
          2000: give(osc({ '/etc/a': 'two', [path]: 'bad' }), `${folder}/10-osc.yaml`),
          20_000: give(osc({ '/etc/a': 'three' }), `${folder}/10-osc.yaml`),
          40_000: give(osc({}), `${folder}/10-osc.yaml`),
        },
        untilMs: 60_000,
      });
      assert.match(summary[1] ?? '', /^failed NK_(?!INTERNAL)/);
      assert.equal(summary.at(-1), 'converged 1');
      assert.equal(await contentOf(machine, '/etc/a'), undefined);
      assert.equal(await contentOf(machine, '/opt/bin/kubelet'), before);
      assert.equal((await machine.units.get('kubelet.service')).invocationId, started);
    });

  it('is taken back where it was there before the boot, and the boot is not held up', async () => {
    const machine = await createMemoryNode({ '10-node.json': nodeDocument({}) });
    const { summary } = await play({
      machine,
      documents: { '10-osc.yaml': osc({ '/opt/bin/kubelet': 'bad', '/etc/a': 'one' }) },
      at: {
        2000: async () => {
          const { outcome, error } = await bootHost(machine.open());
          assert.deepEqual([outcome, error], ['converged', undefined]);
        },
        30_000: give(osc({ '/etc/a': 'two' }), `${folder}/10-osc.yaml`),
      },
      untilMs: 60_000,
    });
    assert.match(summary.at(-1) ?? '', /^converged/);
    assert.equal(await contentOf(machine, '/etc/a'), 'two');
    assert.notEqual(await contentOf(machine, '/opt/bin/kubelet'), 'bad');
    assert.equal((await bootHost(machine.open())).outcome, 'converged');
    assert.equal((await machine.units.get('kubelet.service')).activeState, 'active');
  });
});
