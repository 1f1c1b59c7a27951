/** Who says that a Node is drained, and what the agent answers: our words, and those of Gardener's machine controller. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeObject } from '../cluster.ts';
import { drainedBy, isAskedAgain, sayUpdate } from './drained.ts';

type Texts = Readonly<Record<string, string>>;

function nodeOf(labels: Texts = {}, annotations: Texts = {}, reason?: string): NodeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'a', labels, annotations },
    status: { conditions: reason === undefined ? [] : [{ type: 'InPlaceUpdate', status: 'True', reason }] },
  };
}
const own = (word: string): NodeObject => nodeOf({ 'nodekiln.dev/update': word });
const result = 'node.machine.sapcloud.io/update-result';
const updating = 'node-agent.gardener.cloud/updating-operating-system-version';

describe('a Node is drained', () => {
  for (const [name, node, by] of [
    ['by nobody where there is none', undefined, undefined],
    ['by nobody', nodeOf(), undefined],
    ['by nobody while it is wanted', own('wanted'), undefined],
    ['by an operator', own('ready'), 'operator'],
    ['by nobody after it was updated', own('successful'), undefined],
    ['by nobody after it failed', own('failed'), undefined],
    ['by nobody while a drain goes on', nodeOf({}, {}, 'SelectedForUpdate'), undefined],
    ['by Gardener', nodeOf({}, {}, 'ReadyForUpdate'), 'gardener'],
    ['by nobody once Gardener was told', nodeOf({ [result]: 'successful' }, {}, 'ReadyForUpdate'), undefined],
    ['by Gardener after it failed', nodeOf({ [result]: 'failed' }), 'gardener'],
  ] as const)
    it(name, () => assert.equal(drainedBy(node), by));
});

describe('what failed is tried again', () => {
  for (const [name, node, by, ofSystem, again] of [
    ['when an operator says so again', own('ready'), 'operator', true, true],
    ['by nobody’s word not', own('failed'), undefined, true, false],
    [
      'while Gardener’s label says failed not',
      nodeOf({ [result]: 'failed' }, { [updating]: '2' }),
      'gardener',
      true,
      false,
    ],
    ['when the annotation of the system went', nodeOf({ [result]: 'failed' }), 'gardener', true, true],
    ['but only of the system', nodeOf({ [result]: 'failed' }), 'gardener', false, false],
    ['when the label went', nodeOf({}, { [updating]: '2' }, 'ReadyForUpdate'), 'gardener', false, true],
  ] as const)
    it(name, () => assert.equal(isAskedAgain(node, by, ofSystem), again));
});

describe('the agent says', () => {
  for (const [name, node, by, word, said] of [
    [
      'that it waits',
      nodeOf(),
      undefined,
      { type: 'wanted' },
      { labels: { 'nodekiln.dev/update': 'wanted' }, annotations: {} },
    ],
    ['so once', own('wanted'), undefined, { type: 'wanted' }, undefined],
    ['nothing over a failure', own('failed'), undefined, { type: 'wanted' }, undefined],
    [
      'that it waits again',
      own('successful'),
      undefined,
      { type: 'wanted' },
      { labels: { 'nodekiln.dev/update': 'wanted' }, annotations: {} },
    ],
    [
      'that it is done',
      nodeOf({ 'nodekiln.dev/update': 'ready' }, { 'nodekiln.dev/update-failed-reason': 'x' }),
      'operator',
      { type: 'successful' },
      { labels: { 'nodekiln.dev/update': 'successful' }, annotations: { 'nodekiln.dev/update-failed-reason': null } },
    ],
    [
      'why it failed',
      own('ready'),
      'operator',
      { type: 'failed', reason: 'r' },
      { labels: { 'nodekiln.dev/update': 'failed' }, annotations: { 'nodekiln.dev/update-failed-reason': 'r' } },
    ],
    ['nothing of the system’s version', own('ready'), 'operator', { type: 'system', version: '2' }, undefined],
    [
      'the system’s version to Gardener',
      nodeOf({}, {}, 'ReadyForUpdate'),
      'gardener',
      { type: 'system', version: '2' },
      { labels: {}, annotations: { [updating]: '2' } },
    ],
    [
      'Gardener that it is done',
      nodeOf({}, { [updating]: '2' }, 'ReadyForUpdate'),
      'gardener',
      { type: 'successful' },
      {
        labels: { [result]: 'successful' },
        annotations: { 'node.machine.sapcloud.io/update-failed-reason': null, [updating]: null },
      },
    ],
    [
      'Gardener why it failed, and keeps the system’s version',
      nodeOf({}, { [updating]: '2' }, 'ReadyForUpdate'),
      'gardener',
      { type: 'failed', reason: 'r' },
      { labels: { [result]: 'failed' }, annotations: { 'node.machine.sapcloud.io/update-failed-reason': 'r' } },
    ],
  ] as const)
    it(name, () => assert.deepEqual(sayUpdate(node, by, word), said));
});
