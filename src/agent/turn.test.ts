/** When the turn of a change comes. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { NodeObject } from './cluster.ts';
import type { Moment } from './since.ts';
import { annotatedDelay, disruptionOf, ownDelay, parseGoDuration, waitLeft } from './turn.ts';

it('what stops or restarts kubelet or containerd has to wait, and nothing else', () => {
  const why = '';
  assert.deepEqual(
    disruptionOf([
      { unit: 'kubelet.service', effect: 'restart', why },
      { unit: 'containerd.service', effect: 'stop', why },
      { unit: 'mine.service', effect: 'restart', why },
    ]),
    ['kubelet.service', 'containerd.service'],
  );
  assert.deepEqual(disruptionOf([{ unit: 'kubelet.service', effect: 'start', why }]), []);
});

it('the delay of a node is the same each time, and spread evenly over nodes', () => {
  const delays = Array.from({ length: 1000 }, (_, index) => ownDelay(`node-${index}`, 300_000));
  assert.deepEqual(
    delays,
    Array.from({ length: 1000 }, (_, index) => ownDelay(`node-${index}`, 300_000)),
  );
  assert.ok(delays.every((delay) => delay >= 0 && delay < 300_000 && Number.isInteger(delay)));
  for (let part = 0; part < 10; part++) {
    const inside = delays.filter((delay) => Math.floor(delay / 30_000) === part).length;
    assert.ok(inside > 60 && inside < 140, `${inside} of 1000 in part ${part}`);
  }
  assert.equal(ownDelay('a', 0), 0);
});

it('durations are read as Go writes them', () => {
  for (const [text, ms] of [
    ['7.5s', 7500],
    ['1m30s', 90_000],
    ['0', 0],
    ['0s', 0],
    ['1h0m0.25s', 3_600_250],
    ['+1s', 1000],
    ['250ms', 250],
    ['.5s', 500],
    ['1.s', 1000],
    ['1500µs', 1.5],
  ] as const)
    assert.equal(parseGoDuration(text), ms, text);
  for (const text of ['', 's', '5', '-1s', '1s ', '1d', 'a', '1 s', '1s-1s'])
    assert.equal(parseGoDuration(text), undefined, text);
});

it('an annotation says how long; one that says nothing is passed over', () => {
  const node = (annotations: Readonly<Record<string, string>>): NodeObject => ({
    metadata: { name: 'a', annotations },
  });
  assert.equal(annotatedDelay(undefined), undefined);
  assert.equal(annotatedDelay(node({})), undefined);
  assert.equal(annotatedDelay(node({ 'node-agent.gardener.cloud/reconciliation-delay': '7.5s' })), 7500);
  assert.equal(
    annotatedDelay(
      node({ 'nodekiln.dev/restart-delay': '1s', 'node-agent.gardener.cloud/reconciliation-delay': '7.5s' }),
    ),
    1000,
  );
  assert.equal(annotatedDelay(node({ 'nodekiln.dev/restart-delay': 'soon' })), undefined);
});

it('the wait counts from when the change was first seen, whatever the time of day was set to meanwhile', () => {
  const at = (atMs: number, ms: number): Moment => ({ atMs, uptime: { bootId: 'a', ms } });
  const first = waitLeft({ note: {}, now: at(1000, 10), delayMs: 500 });
  assert.equal(first.waitMs, 500);
  for (const atMs of [1200, 3_601_000, 0]) {
    const later = waitLeft({ note: first.kept, now: at(atMs, 210), delayMs: 500 });
    assert.deepEqual(later, { waitMs: 300, kept: first.kept });
  }
  // Of an older nodekiln.
  assert.equal(waitLeft({ note: { waitingSince: 800 }, now: at(1000, 10), delayMs: 500 }).waitMs, 300);
  assert.equal(waitLeft({ note: { waitingSince: 9000 }, now: at(1000, 10), delayMs: 500 }).waitMs, 500);
});
