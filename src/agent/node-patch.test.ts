/** What is written to a Node so that it holds what documents ask for, and nothing of anybody else's is lost. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeObject } from './cluster.ts';
import { ownedAnnotation } from '../model/agent-identity.ts';
import { nodeChange, type Taint } from './node-patch.ts';

const part = (
  labels: Record<string, string> = {},
  annotations: Record<string, string> = {},
  taints: { key: string; value?: string; effect: 'NoSchedule' | 'NoExecute' }[] = [],
): Parameters<typeof nodeChange>[1] => ({ labels, annotations, taints });

const owned = (labels: string[] = [], annotations: string[] = [], taints: string[] = []): Record<string, string> => ({
  [ownedAnnotation]: JSON.stringify({ labels, annotations, taints }),
});

const node = (
  labels: Record<string, string>,
  annotations: Record<string, string> = {},
  taints?: readonly Taint[],
): NodeObject => ({ metadata: { name: 'a', labels, annotations }, ...(taints && { spec: { taints } }) });

describe('a Node', () => {
  it('that is as it should be is left alone', () => {
    const present = node({ a: '1', theirs: 'x' }, { b: '2', ...owned(['a'], ['b'], ['t:NoSchedule']) }, [
      { key: 't', value: '', effect: 'NoSchedule' },
    ]);
    assert.deepEqual(nodeChange(present, part({ a: '1' }, { b: '2' }, [{ key: 't', effect: 'NoSchedule' }])), {});
  });

  it('gets all of what is ours when any of it is not there', () => {
    const { apply, ...rest } = nodeChange(node({ a: '0', theirs: 'x' }), part({ a: '1' }, { b: '2' }));
    assert.deepEqual(apply, { labels: { a: '1' }, annotations: { b: '2', ...owned(['a'], ['b']) } });
    assert.deepEqual(rest, {});
  });

  it('loses what is dropped, and nothing that was never ours', () => {
    const present = node(
      { a: '1', old: '1', theirs: 'x' },
      { gone: '1', kept: '1', ...owned(['a', 'old'], ['gone', 'away']) },
    );
    const { drop, apply } = nodeChange(present, part({ a: '1' }));
    assert.deepEqual(drop, { labels: { old: null }, annotations: { gone: null } });
    assert.deepEqual(apply, { labels: { a: '1' }, annotations: owned(['a']) });
  });

  it('keeps the taints of others; ours come, change and go by key and effect', () => {
    const theirs: Taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
    const change = (present: readonly Taint[], wanted: Parameters<typeof part>[2], before: string[] = []) =>
      nodeChange(node({}, owned([], [], before), present), part({}, {}, wanted)).taints;
    const ours: Taint = { key: 't', value: 'v', effect: 'NoExecute' };
    assert.deepEqual(change([theirs], [{ key: 't', value: 'v', effect: 'NoExecute' }]), [theirs, ours]);
    assert.equal(change([ours, theirs], [{ key: 't', value: 'v', effect: 'NoExecute' }]), undefined);
    assert.deepEqual(change([ours, theirs], [{ key: 't', value: 'w', effect: 'NoExecute' }]), [
      theirs,
      { ...ours, value: 'w' },
    ]);
    assert.deepEqual(change([theirs, ours], [], ['t:NoExecute']), [theirs]);
    assert.equal(change([theirs, ours], []), undefined);
  });

  it('with a note that makes no sense has nothing of ours', () => {
    for (const note of ['{', '7', '{"labels":7}', '{"labels":[7]}', ''])
      assert.equal(nodeChange(node({ a: '1' }, { [ownedAnnotation]: note }), part()).drop, undefined, note);
  });
});
