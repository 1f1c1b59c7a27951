/** Which updates in place are due: the comparisons of Gardener's node agent, and ours. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kubeletTraits, type InPlaceUpdates } from '../../desired/in-place.ts';
import { dueUpdates, kubeletChange, minorOf, noteOf, sameVersion, systemVersionIn } from './due.ts';

const asked = (over: Partial<InPlaceUpdates> = {}): InPlaceUpdates => ({
  drain: true,
  kubelet: kubeletTraits('1.34.3', {}),
  credentials: {},
  ...over,
});
const kinds = (before: InPlaceUpdates | undefined, now: InPlaceUpdates, running?: string): string[] =>
  dueUpdates(before && noteOf(before), now, running).map(({ kind }) => kind);

describe('settings of kubelet', () => {
  for (const [id, before, after, changed] of [
    ['C1', {}, {}, undefined],
    ['C2', { cpuManagerPolicy: 'static' }, { cpuManagerPolicy: 'none' }, 'cpuManagerPolicy static → none'],
    ['C2, by its default', { cpuManagerPolicy: 'static' }, {}, 'cpuManagerPolicy static → none'],
    ['C2, the same by its default', { cpuManagerPolicy: 'none' }, {}, undefined],
    ['C4', { kubeReserved: { cpu: '100m' } }, { kubeReserved: { cpu: '200m' } }, 'kubeReserved.cpu 100m → 200m'],
    ['C7', { kubeReserved: { pid: '10k' } }, { kubeReserved: { pid: '20k' } }, 'kubeReserved.pid 10k → 20k'],
    [
      'C8',
      { evictionHard: { 'memory.available': '100Mi' } },
      { evictionHard: { 'memory.available': '200Mi' } },
      'evictionHard.memory.available 100Mi → 200Mi',
    ],
    ['C10', { evictionHard: { foo: 'bar' } }, { evictionHard: { foo: 'baz' } }, undefined],
    ['that are new', {}, { kubeReserved: { memory: '1Gi' } }, 'kubeReserved.memory unset → 1Gi'],
    ['that go', { kubeReserved: { memory: '1Gi' } }, {}, 'kubeReserved.memory 1Gi → unset'],
    ['of another kind', { maxPods: 110 }, { maxPods: 50 }, undefined],
    ['that are none', 'text', { kubeReserved: 'x', evictionHard: ['a'] }, undefined],
  ] as const)
    it(`${id}: ${changed ?? 'nothing'}`, () => {
      assert.equal(kubeletChange(kubeletTraits('1.34.3', before), kubeletTraits('1.34.4', after)), changed);
    });
});

describe('versions', () => {
  it('of kubelet: another minor one counts, a patch does not', () => {
    assert.deepEqual(kinds(asked(), asked({ kubelet: kubeletTraits('1.34.9', {}) })), []);
    const [due] = dueUpdates(noteOf(asked()), asked({ kubelet: kubeletTraits('v1.35.0', {}) }), undefined);
    assert.equal(due?.what, 'kubelet 1.34.3 → v1.35.0');
    assert.deepEqual(kinds(asked({ kubelet: kubeletTraits(undefined, {}) }), asked()), []);
    assert.equal(minorOf('v1.34'), '1.34');
    assert.equal(minorOf('latest'), undefined);
  });

  for (const [id, running, wanted, same] of [
    ['C20', '', '1.2.0', false],
    ['C21', '1.2', '1.2.0', true],
    ['C24', '1.1.0', '1.2.0', false],
    ['longer', '1592.6.1', '1592.6', false],
    ['with a v and a suffix', '1.2.0', 'v1.2-rc1', true],
  ] as const)
    it(`${id}: ${running} ${same ? 'is' : 'is not'} ${wanted}`, () => assert.equal(sameVersion(running, wanted), same));

  it('C26: one that is none is refused', () =>
    assert.throws(() => sameVersion('1.2.0', 'invalid'), { code: 'NK_VERSION_INVALID' }));

  for (const [id, name, version] of [
    ['C40', 'Garden Linux 1592.6', '1592.6'],
    ['C42', 'Debian GNU/Linux 12 (bookworm)', '12'],
    ['C46', 'Garden Linux 1592Foo', undefined],
    ['without any', '', undefined],
  ] as const)
    it(`${id}: ${name} is of ${version ?? 'no version'}`, () => assert.equal(systemVersionIn(name), version));

  it('of the system: what runs counts, whatever was noted', () => {
    const now = asked({ operatingSystem: { version: '2.0' } });
    assert.deepEqual(kinds(asked(), now, '1.0'), ['operatingSystem']);
    assert.deepEqual(kinds(asked(), now, undefined), ['operatingSystem']);
    assert.deepEqual(kinds(asked(), now, '2.0.0'), []);
  });
});

describe('rotations', () => {
  for (const [id, before, after, due] of [
    ['C30', {}, {}, []],
    [
      'C33',
      { certificateAuthorities: 'a', serviceAccountKey: 'b' },
      { certificateAuthorities: 'a', serviceAccountKey: 'b' },
      [],
    ],
    ['begun for the first time', {}, { certificateAuthorities: 'a' }, ['certificateAuthorities']],
    ['begun again', { serviceAccountKey: 'a' }, { serviceAccountKey: 'b' }, ['serviceAccountKey']],
    ['no longer named', { serviceAccountKey: 'a' }, {}, []],
  ] as const)
    it(`${id}: ${due.join() || 'nothing'}`, () => {
      assert.deepEqual(kinds(asked({ credentials: before }), asked({ credentials: after })), due);
    });

  it('are nothing to a machine that begins with them', () => {
    assert.deepEqual(
      kinds(undefined, asked({ credentials: { certificateAuthorities: 'a' }, operatingSystem: { version: '2' } })),
      [],
    );
  });
});
