import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeNode, unseenNode, type NodeHealth } from './node.ts';

/** Looks at readiness, one each `stepMs`: `+` Ready, `-` not. Gives when it was said to flap, by look. */
function flapping(looks: string, stepMs: number): number[] {
  let state: NodeHealth = unseenNode;
  return looks.split('').flatMap((look, index) => {
    const judged = judgeNode(state, { nowMs: index * stepMs, isReady: look === '+', hasAddress: true });
    ({ state } = judged);
    return judged.news === 'flapping' ? [index] : [];
  });
}

describe('readiness', () => {
  it('flaps when it comes back five times within ten minutes, and that is said once', () => {
    assert.deepEqual(flapping('+-+-+-+-+', 60_000), []);
    assert.deepEqual(flapping('+-+-+-+-+-+', 30_000), [10]);
    assert.deepEqual(flapping('+-+-+-+-+-+-+-+', 30_000), [10]);
    assert.deepEqual(flapping('+-+-+-+-+-+-+', 80_000), [], 'too slow for the window');
  });

  it('is said again after it was calm', () => {
    const calm = '+'.repeat(40);
    assert.deepEqual(flapping(`+-+-+-+-+-+${calm}-+-+-+-+-+`, 30_000).length, 2);
  });

  it('that begins with not being Ready has not come back before it was there', () => {
    assert.deepEqual(flapping('-+-+-+-+', 30_000), []);
    assert.deepEqual(flapping('-+-+-+-+-+', 30_000), [9]);
  });
});

describe('addresses', () => {
  const failures = (looks: string): (string | undefined)[] => {
    let state: NodeHealth = unseenNode;
    return looks.split('').map((look, index) => {
      const judged = judgeNode(state, { nowMs: index, isReady: true, hasAddress: look === '+' });
      ({ state } = judged);
      return judged.failure;
    });
  };
  const lost = 'its Node has lost its addresses';

  it('that were there and are gone are missed; those that never were are not', () => {
    assert.deepEqual(failures('--+-+'), [undefined, undefined, undefined, lost, undefined]);
  });
});
