import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { compareLock, formatLock, parseLock, requireFrozen } from './lock.ts';

const digest = (character: string): string => `sha256:${character.repeat(64)}`;
const kubelet = { id: 'kubelet 1.34.3 amd64', location: 'https://h/kubelet.deb', digest: digest('a'), size: 10 };
const kubectl = { id: 'kubectl 1.34.3 amd64', location: '/debs/kubectl.deb', digest: digest('b'), size: 11 };

describe('lock file', () => {
  it('is read as it was written, sorted', () => {
    const text = formatLock([kubelet, kubectl]);
    assert.deepEqual(parseLock(text, 'lock.json'), [kubectl, kubelet]);
    assert.equal(formatLock(parseLock(text, 'lock.json')), text);
  });

  it('is refused when damaged, naming the place', () => {
    const refused = (text: string, code: string, pattern: RegExp): void => {
      assert.throws(
        () => parseLock(text, 'lock.json'),
        (thrown) => thrown instanceof NodekilnError && thrown.code === code && pattern.test(JSON.stringify(thrown)),
      );
    };
    refused('{', 'NK_DOCUMENT_SYNTAX', /lock\.json/);
    refused('{}', 'NK_DOCUMENT_INVALID', /apiVersion/);
    refused(formatLock([kubelet]).replace('aaa', 'xxx'), 'NK_DOCUMENT_INVALID', /artifacts\.0\.digest/);
    refused(formatLock([kubelet, kubelet]), 'NK_DOCUMENT_INVALID', /twice/);
  });

  it('frozen, refuses whatever is new, gone or changed', () => {
    const now = [
      { ...kubelet, digest: digest('c'), size: 12 },
      { ...kubelet, id: 'runc 1.3.0 amd64' },
    ];
    assert.deepEqual(compareLock([kubelet, kubectl], now), [
      { type: 'changed', id: kubelet.id, field: 'digest', locked: digest('a'), resolved: digest('c') },
      { type: 'changed', id: kubelet.id, field: 'size', locked: '10', resolved: '12' },
      { type: 'unlocked', id: 'runc 1.3.0 amd64' },
      { type: 'gone', id: kubectl.id },
    ]);
    assert.throws(
      () => requireFrozen([kubelet, kubectl], now, 'lock.json'),
      (thrown) =>
        thrown instanceof NodekilnError && thrown.code === 'NK_CHECK_DIFFERENCES' && thrown.problems.length === 4,
    );
    requireFrozen([kubelet, kubectl], [kubectl, kubelet], 'lock.json');
  });
});
