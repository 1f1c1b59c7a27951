/** The boot on a machine in memory, whose minutes pass in milliseconds: what it publishes, and when, whatever happens. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryNode, healthz, nodeDocument, temporariesOf, textFile } from '../../test/support/memory-node.ts';
import { NodekilnError } from '../errors.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import { timelineSvg } from '../inspect/timeline-svg.ts';
import { timelineTable } from '../inspect/timeline-table.ts';
import { timeline } from '../inspect/timeline.ts';
import { textOf } from '../model/bytes.ts';
import { bootResultPath, lastResultPath } from '../model/state-paths.ts';
import type { BootResult } from '../telemetry/result.ts';
import { bootHost, type BootOptions } from './boot.ts';

const document = nodeDocument();
const written = `write ${bootResultPath}`;

/** One process that boots; its result, or what it threw. */
async function boot(machine: MemoryMachine, options: BootOptions & { environment?: Record<string, string> } = {}) {
  const { environment = {}, ...rest } = options;
  try {
    return { result: await bootHost(machine.open({ environment }), rest), error: undefined };
  } catch (error) {
    assert.ok(error instanceof NodekilnError, String(error));
    return { result: undefined, error };
  }
}

async function published(machine: MemoryMachine): Promise<BootResult | undefined> {
  const content = await machine.files.read(bootResultPath);
  return content && (JSON.parse(textOf(content)) as BootResult);
}

function codeOf(result: BootResult | undefined): string | undefined {
  return (result?.error as { code?: string } | undefined)?.code;
}

/** The effects since there were so many. */
const since = (machine: MemoryMachine, count: number): string[] => machine.effects.slice(count);

describe('a boot', () => {
  it('makes a node, and publishes its result once, at the end', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    const seen: (BootResult | undefined)[] = [];
    machine.program('modprobe', () => {
      void published(machine).then((result) => seen.push(result));
      return {};
    });
    const { result } = await boot(machine, {
      onEvent: () => void published(machine).then((found) => seen.push(found)),
    });
    assert.equal(result?.outcome, 'converged');
    assert.equal(result.runtime, 'memory');
    assert.deepEqual(await published(machine), JSON.parse(JSON.stringify(result)));
    assert.ok(seen.length > 10 && seen.every((found) => found === undefined), 'nothing of it is there before');
    assert.equal(machine.effects.filter((effect) => effect === written).length, 1);
    const last = machine.effects.indexOf(written);
    assert.ok(
      since(machine, last + 1).every((effect) => effect.startsWith('commit to')),
      since(machine, last).join(),
    );
    assert.equal((await machine.units.get('kubelet.service')).activeState, 'active');
    assert.equal(result.bootId, '0e1f');
    assert.deepEqual(
      result.milestones.map(({ name }) => name),
      ['kernel', 'userspace', 'process', 'config', 'planned', 'binaries', 'kubelet-queued', 'runtime-ready']
        .concat(['kubelet-started', 'healthz', 'deferred-done'])
        .filter((name) => result.milestones.some((milestone) => milestone.name === name)),
    );
    assert.deepEqual(result.spans.map(({ name }) => name).sort(), [
      'observe and plan',
      'observe facts',
      'read documents',
      'start of our process',
    ]);
  });

  it('does nothing the second time, and keeps the result of the first', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    const first = await boot(machine);
    const count = machine.effects.length;
    const before = machine.snapshot();
    const second = await boot(machine);
    assert.equal(second.result?.unchanged, true);
    assert.deepEqual(second.result.steps, []);
    assert.deepEqual(
      since(machine, count).filter((effect) => !effect.startsWith('commit to')),
      ['write /var/lib/nodekiln/boot/last.json'],
    );
    assert.deepEqual(await published(machine), JSON.parse(JSON.stringify(first.result)));
    const changed = Object.entries(machine.snapshot()).filter(([path, entry]) => before[path] !== entry);
    assert.deepEqual(
      changed.map(([path]) => path).filter((path) => !path.endsWith('.db')),
      ['/var/lib/nodekiln/boot/last.json'],
    );
  });

  it('keeps the result of what did the work, however that and the runs after it ended', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    machine.units.behave('kubelet.service', ({ start }) => ({ start: start === 1 ? 'fail' : 'ok' }));
    const { result: worked } = await boot(machine);
    assert.equal(worked?.outcome, 'failed');
    const last = async (): Promise<BootResult | undefined> => {
      const content = await machine.files.read(lastResultPath);
      return content && (JSON.parse(textOf(content)) as BootResult);
    };
    const path = '/etc/nodekiln/conf.d/10-node.json';
    for (const [text, code] of [
      ['{', 'NK_DOCUMENT_SYNTAX'],
      [nodeDocument({ kubernets: {} }), 'NK_DOCUMENT_INVALID'],
    ] as const) {
      await machine.files.write([textFile(path, text, 0o600)]);
      assert.equal((await boot(machine)).error?.code, code);
      assert.deepEqual(await published(machine), JSON.parse(JSON.stringify(worked)));
      assert.equal(codeOf(await last()), code);
    }
    await machine.files.write([textFile(path, document, 0o600)]);
    machine.units.behave('kubelet.service', { onActive: () => void machine.serve(healthz, () => ({})) });
    const { result } = await boot(machine);
    assert.equal(result?.outcome, 'converged');
    assert.deepEqual(await published(machine), JSON.parse(JSON.stringify(result)), 'this one did work');
    assert.equal(await last(), undefined, 'what was said before it is gone');
  });

  it('by hand takes away that the machine’s own one failed, when it goes well', async () => {
    for (const [by, left] of [
      [{}, 'inactive'],
      [{ NODEKILN_UNIT: 'nodekiln-boot.service' }, 'failed'],
    ] as const) {
      const machine = await createMemoryNode({ '10-node.json': document });
      await machine.files.write([
        textFile('/etc/systemd/system/nodekiln-boot.service', '[Service]\nExecStart=/bin/false\n', 0o644),
      ]);
      machine.units.behave('nodekiln-boot.service', { start: 'fail' });
      const { units } = machine.open();
      await units.daemonReload();
      await units.start('nodekiln-boot.service').then(({ result }) => result);
      assert.equal((await machine.units.get('nodekiln-boot.service')).activeState, 'failed');
      machine.units.behave('kubelet.service', ({ start }) => ({
        start: start === 1 ? 'fail' : 'ok',
        onActive: () => void machine.serve(healthz, () => ({})),
      }));
      assert.equal((await boot(machine)).result?.outcome, 'failed');
      assert.equal((await machine.units.get('nodekiln-boot.service')).activeState, 'failed');
      assert.equal((await boot(machine, { environment: by })).result?.outcome, 'converged');
      assert.equal((await machine.units.get('nodekiln-boot.service')).activeState, left);
    }
  });

  it('publishes the result of every start of the machine, also where nothing is left to do', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    const first = await boot(machine);
    await machine.files.write([textFile('/proc/sys/kernel/random/boot_id', '1f2a\n', 0o444)]);
    const { result } = await boot(machine);
    assert.equal(result?.unchanged, true);
    assert.deepEqual([first.result?.bootId, result.bootId], ['0e1f', '1f2a']);
    assert.deepEqual(await published(machine), JSON.parse(JSON.stringify(result)));
  });

  it('ends when its budget is used up, says so, and is taken up by the next', async () => {
    const machine = await createMemoryNode({ '10-node.json': nodeDocument({ boot: { deadline: '5s' } }) });
    machine.units.behave('containerd.service', { start: 'hang' });
    const startMs = machine.clock.monotonic();
    const { error } = await boot(machine);
    assert.equal(error?.code, 'NK_TIMEOUT');
    assert.equal(machine.clock.monotonic() - startMs, 5000);
    const failed = await published(machine);
    assert.equal(failed?.outcome, 'failed');
    assert.equal(codeOf(failed), 'NK_TIMEOUT');
    assert.ok(failed.steps.some(({ id, status }) => id === 'start unit:containerd.service' && status === 'done'));
    assert.ok(failed.milestones.some(({ name }) => name === 'userspace'));
    assert.match(
      error.message,
      /^the boot was not done within 5000 ms; it waited for .*ready unit:containerd\.service/,
    );
    const waited = failed.steps.find(({ id }) => id === 'ready unit:containerd.service');
    assert.deepEqual([waited?.status, waited?.resource], ['interrupted', 'unit:containerd.service']);
    assert.ok(waited && waited.endMs - waited.startMs > 4000 && waited.needs.includes('start unit:containerd.service'));
    const found = timeline(failed);
    assert.ok(found.waitedFor.includes('ready unit:containerd.service'));
    assert.match(
      timelineTable(found, { width: 80 }),
      /^failed, still waiting for .*ready unit:containerd\.service.* after 5\.\d+ s, ended after 5\.\d+ s/,
    );
    assert.match(timelineSvg(found), /Boot failed after 5\.\d+ s, waiting for (?:start|ready) unit:/);

    machine.units.behave('containerd.service', {
      onActive: () => void machine.serve('/run/containerd/containerd.sock', () => ({})),
    });
    const { result } = await boot(machine);
    assert.equal(result?.outcome, 'converged', JSON.stringify(result?.error));
    assert.ok(
      !result.unchanged && result.steps.every(({ id }) => !id.startsWith('write file:')),
      'what was done stays',
    );
    assert.equal((await published(machine))?.outcome, 'converged');
  });

  it('that failed in a step says which, and is taken up by the next', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    machine.units.behave('kubelet.service', ({ start }) => ({
      start: start === 1 ? 'fail' : 'ok',
      log: ['no such flag'],
      onActive: () => void machine.serve(healthz, () => ({})),
    }));
    const { result } = await boot(machine);
    assert.equal(result?.outcome, 'failed');
    assert.equal(codeOf(result), 'NK_UNIT_FAILED');
    assert.equal(result.steps.find(({ status }) => status === 'failed')?.resource, 'unit:kubelet.service');
    assert.deepEqual(await published(machine), JSON.parse(JSON.stringify(result)));
    const again = await boot(machine);
    assert.equal(again.result?.outcome, 'converged');
    assert.equal(again.result.generation, result.generation);
    assert.equal((await published(machine))?.outcome, 'converged');
  });

  it('is stopped by the signal, says so, and is taken up by the next', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    machine.units.behave('kubelet.service', ({ start }) => ({
      start: start === 1 ? 'hang' : 'ok',
      onActive: () => void machine.serve(healthz, () => ({})),
    }));
    const abort = new AbortController();
    machine.clock.after(2000, () => abort.abort(new NodekilnError('NK_INTERRUPTED', 'stopped by SIGTERM')));
    const startMs = machine.clock.monotonic();
    const { error } = await boot(machine, { signal: abort.signal });
    assert.equal(error?.code, 'NK_INTERRUPTED');
    assert.ok(machine.clock.monotonic() - startMs < 3000);
    const stopped = await published(machine);
    assert.equal(codeOf(stopped), 'NK_INTERRUPTED');
    assert.ok(stopped?.steps.some(({ id, status }) => id === 'ready unit:kubelet.service' && status === 'interrupted'));
    assert.match(error.message, /^stopped by SIGTERM; it waited for .*ready unit:kubelet\.service/);
    assert.equal((await boot(machine)).result?.outcome, 'converged');
  });

  it('leaves nothing in the making, whenever it is stopped', async () => {
    for (let afterMs = 5; afterMs < 1500; afterMs += 65) {
      const machine = await createMemoryNode({
        '10-node.json': nodeDocument({
          binaries: { tools: { crictl: { url: 'https://files.example/crictl', version: '1.34.0' } } },
        }),
      });
      machine.serve('https://files.example', () => ({ body: 'a'.repeat(1000), durationMs: 900 }));
      const abort = new AbortController();
      machine.clock.after(afterMs, () => abort.abort(new NodekilnError('NK_INTERRUPTED', 'stopped by SIGHUP')));
      await boot(machine, { signal: abort.signal });
      assert.deepEqual(await temporariesOf(machine), [], `after ${afterMs} ms`);
    }
  });

  it('is stopped within a second even where a wait hears no signal', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    machine.units.behave('containerd.service', { startMs: 50 });
    const host = machine.open();
    const deaf = { ...host, units: { ...host.units, daemonReload: () => new Promise<void>(() => undefined) } };
    const abort = new AbortController();
    machine.clock.after(2000, () => abort.abort(new NodekilnError('NK_INTERRUPTED', 'stopped by SIGTERM')));
    const startMs = machine.clock.monotonic();
    await assert.rejects(bootHost(deaf, { signal: abort.signal }), { code: 'NK_INTERRUPTED' });
    assert.ok(machine.clock.monotonic() - startMs < 3000);
    assert.equal((await published(machine))?.outcome, 'failed');
  });

  it('without documents, or with bad ones, changes nothing and says so', async () => {
    for (const [documents, code] of [
      [{}, 'NK_DOCUMENT_MISSING'],
      [{ '10-node.json': '{' }, 'NK_DOCUMENT_SYNTAX'],
      [{ '10-node.json': nodeDocument({ kubernets: {} }) }, 'NK_DOCUMENT_INVALID'],
      [{ '10-node.json': '{"apiVersion":"nodekiln.dev/v1alpha1","kind":"ImageManifest"}' }, 'NK_DOCUMENT_KIND'],
    ] as const) {
      const machine = await createMemoryNode(documents);
      const { error } = await boot(machine);
      assert.equal(error?.code, code);
      assert.equal(codeOf(await published(machine)), code);
      assert.equal(machine.effects.filter((effect) => effect === written).length, 1);
      assert.equal(await machine.files.stat('/etc/systemd/system/kubelet.service'), undefined);
    }
  });

  it('refuses a document that others can change, and applies nothing of it', async () => {
    const document = nodeDocument({ files: [{ path: '/etc/a', content: 'theirs' }] });
    const machine = await createMemoryNode();
    await machine.files.write([textFile('/etc/nodekiln/conf.d/10-node.json', document, 0o664)]);
    const { error } = await boot(machine);
    assert.equal(error?.code, 'NK_DOCUMENT_EXPOSED');
    assert.equal(await machine.files.stat('/etc/a'), undefined);
    assert.equal(codeOf(await published(machine)), 'NK_DOCUMENT_EXPOSED');
  });

  it('refuses a document with secrets that others can read', async () => {
    const secret = nodeDocument({ files: [{ path: '/etc/token', content: 'hunter2', sensitive: true }] });
    const machine = await createMemoryNode();
    await machine.files.write([textFile('/etc/nodekiln/conf.d/10-node.json', secret, 0o644)]);
    const { error } = await boot(machine);
    assert.equal(error?.code, 'NK_DOCUMENT_EXPOSED');
    const result = JSON.stringify(await published(machine));
    assert.match(result, /NK_DOCUMENT_EXPOSED/);
    assert.doesNotMatch(result, /hunter2/);
    assert.equal(await machine.files.stat('/etc/token'), undefined);
    await machine.files.write([textFile('/etc/nodekiln/conf.d/10-node.json', secret, 0o600)]);
    assert.equal((await boot(machine)).result?.outcome, 'converged');
    assert.doesNotMatch(JSON.stringify(await published(machine)), /hunter2/);
  });

  it('whose journal cannot be written publishes that', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    const full = Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
    machine.breakEffect('commit to /var/lib/nodekiln/state.db', full);
    const { error } = await boot(machine);
    assert.equal(error?.code, 'NK_STATE_UNUSABLE');
    assert.equal(codeOf(await published(machine)), 'NK_STATE_UNUSABLE');
    assert.equal(machine.effects.filter((effect) => effect === written).length, 1);
    machine.breakEffect('commit to /var/lib/nodekiln/state.db', undefined);
    assert.equal((await boot(machine)).result?.outcome, 'converged');
  });

  it('that finds another at work leaves the result to that one', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    const lock = await machine.open().locks.take('/var/lib/nodekiln', { waitMs: 0 });
    const startMs = machine.clock.monotonic();
    const { error } = await boot(machine);
    assert.equal(error?.code, 'NK_STATE_LOCKED');
    assert.equal(machine.clock.monotonic() - startMs, 10_000);
    assert.equal(await published(machine), undefined);
    machine.clock.after(4000, () => lock.release());
    assert.equal((await boot(machine)).result?.outcome, 'converged');
  });

  it('starts nothing that is ordered after the unit that runs it', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    const path = '/usr/lib/systemd/system/containerd.service';
    await machine.files.write([
      textFile(path, '[Unit]\nAfter=nodekiln-boot.service\n[Service]\nExecStart=/usr/bin/containerd\n', 0o644),
    ]);
    const { error } = await boot(machine, { environment: { NODEKILN_UNIT: 'nodekiln-boot.service' } });
    assert.equal(error?.code, 'NK_PLAN_SELF_WAIT');
    assert.equal(codeOf(await published(machine)), 'NK_PLAN_SELF_WAIT');
    assert.equal((await boot(machine)).result?.outcome, 'converged', 'by hand it is no wait for itself');
  });

  it('until shared leaves out what belongs to one machine', async () => {
    const files = [
      { path: '/etc/ours', content: 'shared', scope: 'shared' },
      { path: '/etc/mine', content: 'node' },
    ];
    const machine = await createMemoryNode({ '10-node.json': nodeDocument({ files }) });
    assert.equal((await boot(machine, { sharedOnly: true })).result?.outcome, 'converged');
    assert.ok(await machine.files.stat('/etc/ours'));
    assert.equal(await machine.files.stat('/etc/mine'), undefined);
    assert.equal((await boot(machine)).result?.outcome, 'converged');
    assert.ok(await machine.files.stat('/etc/mine'));
  });
});

describe('the cache', () => {
  const document = nodeDocument({ binaries: { cache: { keep: 0 } } });
  const spare = '/opt/bin/kubelet-1.34.4';

  it('gives up what nobody uses once the result is published', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    assert.equal((await boot(machine)).result?.outcome, 'converged');
    assert.equal(await machine.files.stat(spare), undefined);
    assert.ok(await machine.files.stat('/opt/bin/kubelet-1.34.3'));
    assert.ok(machine.effects.indexOf(written) < machine.effects.indexOf(`remove ${spare}`));
  });

  it('gives up nothing when the boot failed', async () => {
    const machine = await createMemoryNode({ '10-node.json': document });
    machine.units.behave('kubelet.service', ({ start }) => ({ start: start === 1 ? 'fail' : 'ok' }));
    assert.equal((await boot(machine)).result?.outcome, 'failed');
    assert.ok(await machine.files.stat(spare));
  });
});

describe('a boot that was killed', () => {
  it('at any effect is taken up, and ends as one that was not', async () => {
    const undisturbed = await createMemoryNode({ '10-node.json': document });
    await boot(undisturbed);
    const effects = undisturbed.effects.length;
    const wanted = comparable(undisturbed);
    assert.ok(effects > 20);
    for (let at = 1; at <= effects; at++) {
      const machine = await createMemoryNode({ '10-node.json': document });
      await bootHost(machine.open({ crash: { at, when: 'before' } })).catch(() => undefined);
      const { result, error } = await boot(machine);
      assert.equal(result?.outcome, 'converged', `${at}: ${error?.message}`);
      assert.deepEqual(comparable(machine), wanted, `killed before effect ${at}`);
      assert.equal((await published(machine))?.outcome, 'converged', `${at}`);
    }
  });
});

/** Trees without times: the database's pages and the result itself. */
function comparable(machine: MemoryMachine): Record<string, string> {
  const entries = Object.entries(machine.snapshot());
  return Object.fromEntries(
    entries.filter(([path]) => !/^\/var\/lib\/nodekiln\/(state\.db|boot\/|generations\/)/.test(path)),
  );
}
