import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import {
  compareManifestLocks,
  emptyManifestLock,
  formatManifestLock,
  targetLock,
  manifestLockPath,
  parseManifestLock,
  replaceTarget,
  requireFrozen,
  requireUnchanged,
  type ManifestLock,
  type LockedArtifact,
} from './manifest-lock.ts';

const digest = (character: string): string => `sha256:${character.repeat(64)}`;
const kubelet: LockedArtifact = {
  id: 'binary:kubelet-1.34.3 debian/13 amd64',
  asked: 'kubelet 1.34.3 deb url https://h/kubelet.deb',
  location: 'https://h/kubelet.deb',
  digest: digest('a'),
  size: 10,
};
const kubectl: LockedArtifact = {
  id: 'binary:kubectl-1.34.3 debian/13 amd64',
  asked: 'kubectl 1.34.3 deb path debs/kubectl.deb',
  location: 'debs/kubectl.deb',
  digest: digest('b'),
  size: 11,
  version: '1.34.3-1.1',
};
const runc = { id: 'package:runc:amd64 debian/13 amd64', version: '1.1.15+ds1-2+b4' };
const of = (artifacts: LockedArtifact[]): ManifestLock => ({ artifacts, packages: [] });

describe('lock file', () => {
  it('lies beside the manifest', () => {
    assert.equal(manifestLockPath('/m/image.yaml'), '/m/image.lock.json');
    assert.equal(manifestLockPath('image.json'), 'image.lock.json');
    assert.equal(manifestLockPath('image'), 'image.lock.json');
  });

  it('is read as it was written, sorted', () => {
    const text = formatManifestLock({ artifacts: [kubelet, kubectl], packages: [runc] });
    assert.deepEqual(parseManifestLock(text, 'lock.json'), { artifacts: [kubectl, kubelet], packages: [runc] });
    assert.equal(formatManifestLock(parseManifestLock(text, 'lock.json')), text);
    assert.deepEqual(parseManifestLock(formatManifestLock(emptyManifestLock), 'lock.json'), emptyManifestLock);
  });

  it('is refused when damaged, naming the place', () => {
    const refused = (text: string, code: string, pattern: RegExp): void => {
      assert.throws(
        () => parseManifestLock(text, 'lock.json'),
        (thrown) => thrown instanceof NodekilnError && thrown.code === code && pattern.test(JSON.stringify(thrown)),
      );
    };
    refused('{', 'NK_DOCUMENT_SYNTAX', /lock\.json/);
    refused('{}', 'NK_DOCUMENT_INVALID', /apiVersion/);
    refused(formatManifestLock(of([kubelet])).replace('aaa', 'xxx'), 'NK_DOCUMENT_INVALID', /artifacts\.0\.digest/);
    refused(formatManifestLock(of([kubelet, kubelet])), 'NK_DOCUMENT_INVALID', /twice/);
    refused(formatManifestLock(of([kubelet])).replace('"asked"', '"askd"'), 'NK_DOCUMENT_INVALID', /artifacts\.0/);
  });

  it('frozen, refuses whatever is new, gone or changed', () => {
    const now: ManifestLock = {
      artifacts: [
        { ...kubelet, digest: digest('c'), size: 12 },
        { ...kubelet, id: 'binary:runc-1.3.0 debian/13 amd64' },
      ],
      packages: [{ ...runc, version: '1.1.15+ds1-2+b5' }],
    };
    const locked: ManifestLock = { artifacts: [kubelet, kubectl], packages: [runc] };
    assert.deepEqual(compareManifestLocks(locked, now), [
      { type: 'changed', id: kubelet.id, field: 'digest', locked: digest('a'), resolved: digest('c') },
      { type: 'changed', id: kubelet.id, field: 'size', locked: '10', resolved: '12' },
      { type: 'unlocked', id: 'binary:runc-1.3.0 debian/13 amd64' },
      { type: 'gone', id: kubectl.id },
      { type: 'changed', id: runc.id, field: 'version', locked: runc.version, resolved: '1.1.15+ds1-2+b5' },
    ]);
    assert.throws(
      () => requireFrozen(locked, now, 'lock.json'),
      (thrown) =>
        thrown instanceof NodekilnError && thrown.code === 'NK_CHECK_DIFFERENCES' && thrown.problems.length === 5,
    );
    requireFrozen(of([kubelet, kubectl]), of([kubectl, kubelet]), 'lock.json');
  });

  it('refuses another artifact under the same source, and lets the manifest change', () => {
    const changed = of([{ ...kubelet, digest: digest('c') }]);
    assert.throws(
      () => requireUnchanged(of([kubelet]), changed, 'lock.json'),
      (thrown) => thrown instanceof NodekilnError && thrown.code === 'NK_ARTIFACT_DIGEST',
    );
    requireUnchanged(of([kubelet]), of([{ ...kubelet, asked: 'from elsewhere', digest: digest('c') }]), 'lock.json');
    requireUnchanged(of([]), changed, 'lock.json');
  });

  it('keeps what other systems resolved to', () => {
    const noble = { ...kubelet, id: 'binary:kubelet-1.34.3 ubuntu/24.04 amd64' };
    const lock = of([kubelet, kubectl, noble]);
    assert.deepEqual(targetLock(lock, 'debian/13 amd64'), of([kubelet, kubectl]));
    assert.deepEqual(replaceTarget(lock, 'debian/13 amd64', of([kubectl])), of([noble, kubectl]));
  });
});
