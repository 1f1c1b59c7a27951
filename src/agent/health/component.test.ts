/** When a component that does not answer is restarted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { healthyComponent, judgeComponent, type ComponentNews } from './component.ts';

const rules = { restartAfterMs: 60_000, maxRestarts: 2 };

/** What is said at each look, one every ten seconds: `.` healthy, `x` failing, `~` in transition. */
function news(looks: string, stepMs = 10_000): ComponentNews[] {
  let state = healthyComponent;
  return looks.split('').map((look, index) => {
    const judged = judgeComponent(
      state,
      { nowMs: index * stepMs, failure: look === 'x' ? 'status 500' : undefined, inTransition: look === '~' },
      rules,
    );
    ({ state } = judged);
    return judged.news;
  });
}

const at = (list: readonly ComponentNews[]): Record<number, ComponentNews> =>
  Object.fromEntries(list.flatMap((one, index) => (one === undefined ? [] : [[index, one] as const])));

describe('a component', () => {
  it('that is healthy is left alone', () => {
    assert.deepEqual(at(news('.....')), {});
  });

  it('that fails for a minute without a break is restarted, and not before', () => {
    assert.deepEqual(at(news('.xxxxxx')), { 1: 'failing' });
    assert.deepEqual(at(news('.xxxxxxx')), { 1: 'failing', 7: 'restart' });
    assert.deepEqual(at(news('.xxxx.xxxx')), { 1: 'failing', 5: 'recovered', 6: 'failing' });
  });

  it('has as long again after a restart', () => {
    assert.deepEqual(at(news('xxxxxxxxxxxxx')), { 0: 'failing', 6: 'restart', 7: 'failing' });
    assert.deepEqual(at(news('xxxxxxxxxxxxxx')), { 0: 'failing', 6: 'restart', 7: 'failing', 13: 'restart' });
  });

  it('is not restarted more often within an hour than it may, which is said once', () => {
    const said = at(news('x'.repeat(60)));
    assert.deepEqual(Object.values(said).filter((one) => one === 'restart').length, 2);
    assert.deepEqual(Object.values(said).filter((one) => one === 'gave-up').length, 1);
    const longer = at(news('x'.repeat(380)));
    assert.ok(
      Object.entries(longer).some(([index, one]) => Number(index) > 366 && one === 'restart'),
      'after an hour again',
    );
  });

  it('that is restarted by somebody is not judged meanwhile', () => {
    assert.deepEqual(at(news('xxxxx~~~~xxxxxx')), { 0: 'failing', 9: 'failing' });
  });

  it('that recovers after all says so', () => {
    assert.equal(at(news('x'.repeat(30) + '.'))[30], 'recovered');
  });
});
