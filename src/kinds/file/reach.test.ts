/** Files that send others to servers: written once those answer, on a machine in memory, in its own time. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createEngine, type Engine } from '../../../test/support/engine.ts';
import { file, planned, unit } from '../../../test/support/planning.ts';
import type { FileResource, Reachability } from '../../model/resources.ts';

const [one, two] = ['http://one.example:5000', 'http://two.example:5000/v2'];

function mirrors(text = 'x', about: Partial<Reachability> = {}): FileResource {
  return file('/etc/hosts.toml', {
    entry: { type: 'file', content: { text }, mode: '0644', uid: 0, gid: 0 },
    onceReachable: { servers: [{ url: one }, { url: two }], deadlineMs: 60_000, ...about },
  });
}

let engine: Engine;
beforeEach(async () => {
  engine = await createEngine();
});

/** How often the server was asked. */
function serve(url: string, status = 200): () => number {
  let asked = 0;
  engine.machine.serve(new URL(url).origin, () => {
    asked++;
    return { status };
  });
  return () => asked;
}

describe('a file that sends others to servers', () => {
  it('is written once all of them answer, whatever they say', async () => {
    const { clock } = engine.machine;
    serve(one, 500);
    clock.after(30_000, () => serve(two, 404));
    const startMs = clock.monotonic();
    await engine.applied([mirrors()]);
    assert.equal(await engine.text('/etc/hosts.toml'), 'x');
    const tookMs = clock.monotonic() - startMs;
    assert.ok(tookMs >= 30_000 && tookMs < 35_000, `it took ${tookMs} ms`);
  });

  it('is not written when one stays silent, and nothing else waits for it', async () => {
    serve(one);
    const { outcome, steps } = await engine.apply([{ ...mirrors(), importance: 'bestEffort' }, file('/etc/other')]);
    assert.equal(outcome, 'degraded');
    assert.equal(await engine.text('/etc/hosts.toml'), undefined);
    assert.equal(await engine.text('/etc/other'), 'x');
    const failed = steps.find(({ status }) => status === 'failed');
    assert.equal(failed?.id, 'reach file:/etc/hosts.toml');
    assert.match(failed.error?.message ?? '', /: no answer within 60 s: http:\/\/two\.example:5000\/v2: /);
  });

  it('that is right asks nobody', async () => {
    const asked = [serve(one), serve(two)];
    await engine.applied([mirrors()]);
    const before = asked.map((count) => count());
    assert.equal((await engine.applied([mirrors()])).changes, 0);
    const { entry } = mirrors();
    assert.ok(entry.type === 'file');
    await engine.applied([{ ...mirrors(), entry: { ...entry, mode: '0600' } }]);
    assert.deepEqual(
      asked.map((count) => count()),
      before,
      'another mode sends nobody elsewhere',
    );
    await engine.applied([mirrors('y')]);
    assert.deepEqual(
      asked.map((count) => count()),
      before.map((count) => count + 1),
    );
  });

  it('says which certificates it cannot read', async () => {
    serve(one);
    const servers = [{ url: one, caFiles: ['/etc/none.crt'] }];
    const { error } = await engine.apply([mirrors('x', { servers, deadlineMs: 1000 })]);
    assert.match(error?.message ?? '', /http:\/\/one\.example:5000: \/etc\/none\.crt holds no certificates$/);
  });

  it('comes after the certificates it needs, and before who reads it', () => {
    const servers = [{ url: one, caFiles: ['/etc/ca.crt'] }];
    const reader = unit('reader.service', { inputs: ['file:/etc/hosts.toml'] });
    const { steps } = planned({ desired: [file('/etc/ca.crt'), mirrors('x', { servers }), reader] });
    const needs = (id: string): readonly string[] => {
      const step = steps.find((candidate) => candidate.id === id);
      return [...(step?.needs ?? []), ...(step?.after ?? [])];
    };
    assert.ok(needs('reach file:/etc/hosts.toml').includes('write file:/etc/ca.crt'));
    assert.deepEqual(needs('write file:/etc/hosts.toml'), ['reach file:/etc/hosts.toml']);
    assert.ok(needs('start unit:reader.service').includes('write file:/etc/hosts.toml'));
  });
});
