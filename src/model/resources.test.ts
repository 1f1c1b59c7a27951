import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  claimSourceOrder,
  isResourceId,
  isSensitive,
  kindOf,
  mostImportant,
  nameOf,
  nodeGoal,
  resourceKinds,
  reveal,
  type ResourceId,
} from './resources.ts';

test('ids of every kind, and what is none', () => {
  assert.deepEqual([...resourceKinds].sort(), ['action', 'binary', 'extension', 'file', 'image', 'kernel', 'unit']);
  for (const kind of resourceKinds) {
    const id: ResourceId = `${kind}:a:b`;
    assert.ok(isResourceId(id));
    assert.equal(kindOf(id), kind);
    assert.equal(nameOf(id), 'a:b');
  }
  for (const text of ['', 'file', ':a', 'files:/a', 'File:/a', 'constructor:a', 'fil']) {
    assert.ok(!isResourceId(text), text);
    assert.throws(() => kindOf(text as ResourceId), { code: 'NK_INTERNAL' });
  }
});

test('sensitive text is told by its shape', () => {
  assert.ok(isSensitive({ sensitive: 'a' }));
  assert.ok(!isSensitive('a'));
  assert.equal(reveal({ sensitive: 'a' }), 'a');
  assert.equal(reveal('b'), 'b');
});

test('later sources of claims come later, and kubelet is the goal', () => {
  assert.deepEqual(claimSourceOrder, ['image', 'boot', 'agent']);
  assert.equal(nodeGoal, 'unit:kubelet.service');
});

test('the most important of several', () => {
  assert.equal(mostImportant(['background', 'required', 'bestEffort']), 'required');
  assert.equal(mostImportant(['background', 'bestEffort']), 'bestEffort');
  assert.equal(mostImportant(['background']), 'background');
  assert.equal(mostImportant([]), 'background');
});
