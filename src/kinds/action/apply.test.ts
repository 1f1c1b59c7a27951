/** Effects of actions on a machine in memory. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { installActions } from '../../desired/packages.ts';
import type { ActionResource } from '../../model/resources.ts';
import { createEngine, type Engine } from '../../../test/support/engine.ts';
import { action } from '../../../test/support/planning.ts';

const marks = (about: Partial<ActionResource> = {}): ActionResource =>
  action('mark', { argv: ['mark', 'it'], guard: { type: 'path', path: '/done' }, ...about });

let engine: Engine;
let calls: { argv: readonly string[]; env: unknown }[];
beforeEach(async () => {
  engine = await createEngine();
  calls = [];
  engine.machine.program('mark', async ({ argv, options }) => {
    calls.push({ argv, env: options.env });
    await engine.put('/done', '');
    return { stdout: 'marked\n' };
  });
});

describe('an action', () => {
  test('runs with its arguments and environment, once: its guard says then that it is done', async () => {
    await engine.applied([marks({ env: { WHO: 'me' } })]);
    await engine.applied([marks({ env: { WHO: 'me' } })]);
    assert.deepEqual(calls, [{ argv: ['mark', 'it'], env: { WHO: 'me' } }]);
  });

  test('runs again when its guard says that it is not done any more', async () => {
    await engine.applied([marks()]);
    await engine.machine.files.remove(['/done']);
    await engine.applied([marks()]);
    assert.equal(calls.length, 2);
  });

  test('may have a program for its guard', async () => {
    let done = false;
    engine.machine.program('is-done', () => ({ status: done ? 0 : 1 }));
    engine.machine.program('do', () => {
      done = true;
      return {};
    });
    const guarded = action('do', { argv: ['do'], guard: { type: 'command', argv: ['is-done'] } });
    await engine.applied([guarded]);
    engine.effects();
    await engine.applied([guarded]);
    assert.deepEqual(engine.effects(), ['exec is-done']);
  });

  test('that ends with another status has failed, with what it said last', async () => {
    const said = Array.from({ length: 30 }, (_, index) => `line ${index}`).join('\n');
    engine.machine.program('mark', () => ({ status: 3, stderr: said }));
    const { outcome, error } = await engine.apply([marks()]);
    assert.deepEqual([outcome, error?.code, error?.resource], ['failed', 'NK_ACTION_FAILED', 'action:mark']);
    assert.match(error?.message ?? '', /mark ended with exit status 3/);
    assert.deepEqual([error?.lines.length, error?.lines.at(-1)], [20, 'line 29']);
  });

  for (const [value, line, told] of [
    ['hunter2', 'TOKEN=hunter2 is wrong', 'TOKEN=<redacted> is wrong'],
    ['hunter2', 'hunter2, hunter2', '<redacted>, <redacted>'],
    ['hunter2\nhunter3', 'hunter3', '<redacted>'],
    ['http://u:hunter2@proxy', 'CONNECT http://u:hunter2@proxy/a', 'CONNECT <redacted>/a'],
    ['abc', 'abc', 'abc'],
    ['', 'nothing', 'nothing'],
    ['x', 'GET https://u:p@a.example/b?sig=c: 404', 'GET https://a.example/b?… 404'],
    ['x', 'curl: (6) "https://u:p@a.example/b", \'//a?b\'', 'curl: (6) "https://a.example/b", \'//a?b\''],
    ['x', "GET 'https://u:p'q@a.example/b'", "GET 'https://a.example/b'"],
    ['x', 'https://a.example/b is down', 'https://a.example/b is down'],
  ] as const)
    test(`that fails tells without what it was given in secret: ${line}`, async () => {
      for (const how of [{ status: 1 }, { status: 0 }, { durationMs: 10_000 }]) {
        engine.machine.program('mark', () => ({ ...how, stderr: line }));
        const env = { TOKEN: { sensitive: value }, LONG: { sensitive: `${value}-and-more` }, LANG: 'down' };
        const { error } = await engine.apply([marks({ env, timeoutMs: 2000 })]);
        assert.deepEqual(error?.lines, [told], JSON.stringify(how));
      }
    });

  test('that succeeds and leaves its guard unmet has failed', async () => {
    engine.machine.program('mark', () => ({}));
    const { error } = await engine.apply([marks()]);
    assert.match(error?.message ?? '', /its guard still says that it is not done/);
  });

  test('has no longer than its time', async () => {
    engine.machine.program('mark', () => ({ durationMs: 10_000 }));
    const begun = engine.machine.clock.monotonic();
    const { error } = await engine.apply([marks({ timeoutMs: 2000 })]);
    assert.equal(error?.code, 'NK_TIMEOUT');
    assert.ok(engine.machine.clock.monotonic() - begun < 3000);
  });

  test('that a document drops is forgotten, and its guard is not asked', async () => {
    const guarded = marks({ guard: { type: 'command', argv: ['is-done'] } });
    engine.machine.program('is-done', () => ({ status: calls.length === 0 ? 1 : 0 }));
    await engine.applied([guarded]);
    engine.effects();
    await engine.applied([]);
    assert.deepEqual(engine.effects(), []);
    assert.equal(engine.journal.touched().size, 0);
  });
});

describe('an action that may do better a little later', () => {
  const [installs] = installActions('tools', 'dnf', [{ name: 'hello' }]);
  assert.ok(installs);
  const install: ActionResource = { ...installs, guard: { type: 'path', path: '/done' } };

  /** Runs it with a program that fails so often with these words; how often it ran. */
  async function runs(said: string, failures: number, about: Partial<ActionResource> = {}): Promise<number> {
    let count = 0;
    engine.machine.program('sh', async () => {
      count++;
      if (count > failures) await engine.put('/done', '');
      return count > failures ? {} : { status: 1, stderr: said, durationMs: 1_000 };
    });
    await engine.apply([{ ...install, ...about }]);
    return count;
  }

  for (const said of [
    'Curl error (28): Timeout was reached for https://mirror.example/repodata/repomd.xml',
    'Error: Failed to download metadata for repo base: Cannot download repomd.xml: All mirrors were tried',
    'Status code: 404 for https://mirror.example/repodata/1-primary.xml.gz (IP: 192.0.2.1)',
    "Downloading successful, but checksum doesn't match. Calculated: 12(sha256)  Expected: 34(sha256)",
    '[MIRROR] hello.rpm: Interrupted by header callback\nError downloading packages: No more mirrors to try',
    'Could not resolve host: mirror.example',
    "can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)",
    "Error: 503 when downloading https://mirror.example/a.rpm. Please check repo url or refresh metadata with 'tdnf makecache'.",
    'Error: Failed to synchronize cache for repo',
    'https://mirror.example/a.rpm: [Errno 14] HTTP Error 404 - Not Found',
    'Cannot retrieve repository metadata (repomd.xml) for repository: base',
  ])
    test(`is run again after ${said.split('\n')[0]}`, async () => {
      assert.equal(await runs(said, 2), 3);
      assert.ok((await engine.text('/done')) !== undefined);
    });

  for (const said of [
    'Error: Unable to find a match: hello',
    'Error: GPG check FAILED\nNo more mirrors to try',
    'nothing provides libhello.so needed by hello',
    'Problem: conflicting requests',
    'Fetched 404 packages in 503 seconds',
  ])
    test(`is not after ${said.split('\n')[0]}`, async () => {
      assert.equal(await runs(said, 2), 1);
    });

  test('has its time for all attempts together', async () => {
    const begun = engine.machine.clock.monotonic();
    assert.equal(await runs('Curl error (7)', 99, { timeoutMs: 12_000 }), 3);
    assert.ok(engine.machine.clock.monotonic() - begun < 12_000);
  });

  test('is not run again where it is no package manager’s', async () => {
    const { packageManager: _, ...once } = install;
    let count = 0;
    engine.machine.program('sh', () => ({ status: 1, stderr: `Curl error (28) ${count++}` }));
    await engine.apply([once]);
    assert.equal(count, 1);
  });
});
