import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { NodekilnError } from '../errors.ts';
import { matchBuild, extensionCandidate, tagCandidate } from './match.ts';
import type { Candidate } from './match.ts';

type Row = readonly [id: string, request: string, files: readonly string[], expected: string | undefined];

/** `name version` → candidate. */
const candidate =
  (architecture: string) =>
  (text: string): Candidate => {
    const [name = '', version = ''] = text.split(' ');
    return { file: text, name, version, architecture };
  };

describe('packages', () => {
  const debs: readonly Row[] = [
    [
      'E01',
      '1.34.1',
      ['kubelet 1.34.1-1ubuntu22.04u1', 'kubelet 1.34.10-1', 'kubelet 1.34.11-1', 'kubelet 1.34.12-1'],
      'kubelet 1.34.1-1ubuntu22.04u1',
    ],
    ['E03', '1.34.1', ['kubelet 1.34.10-1', 'kubelet 1.34.2-1'], undefined],
    ['E04', '1.34.1', ['kubelet 1.34.1+azure-1', 'kubelet 1.34.10+azure-1'], 'kubelet 1.34.1+azure-1'],
    [
      'E05',
      '1.34.1',
      [
        'kubelet 11.34.1-x',
        'kubelet 1.34.1-ubuntu22.04u1',
        'kubelet 1.34.1-ubuntu22.04u2',
        'kubelet 1.34.1-ubuntu22.04u10',
      ],
      'kubelet 1.34.1-ubuntu22.04u10',
    ],
    ['E06', '1.34.1', ['kubelet 1x34x1-u'], undefined],
    ['E07', '1.34.0', ['kubelet 1.34.0~rc1-u'], undefined],
    ['E09', '1.34.1', ['kubelet 1.3411-x'], undefined],
    ['E10', '1.34.1', ['kubelet 2.11.34.1-u'], undefined],
    [
      'E12',
      '1.34.1',
      ['cri-kubelet-helper 1.34.1-u', 'kubelet 1.34.1-1', 'kubelet-convert 1.34.1-9'],
      'kubelet 1.34.1-1',
    ],
    ['E14', '1.34.3', ['kubelet 1.34.3-1', 'kubelet 1.34.3-9', 'kubelet 1.34.3-10'], 'kubelet 1.34.3-10'],
    [
      'E17',
      '1.34.1',
      ['kubelet 1.34.1-5.azl3', 'kubelet 1.34.10-2.azl3', 'kubelet 1.34.11-1.azl3'],
      'kubelet 1.34.1-5.azl3',
    ],
    ['E19', '1.34.1', ['kubelet 1.34.10-2', 'kubelet 1.34.12-1'], undefined],
    ['E20', '1.34.3', ['containernetworking-plugins 1.34.3-99', 'kubelet 1.34.3-1'], 'kubelet 1.34.3-1'],
    ['E201', '1.34.8', ['kubelet 1:1.34.8-2.azl3'], 'kubelet 1:1.34.8-2.azl3'],
    [
      'E202',
      '1.34.8',
      ['kubelet 1:1.34.8-2.azl3', 'kubelet 1:1.34.8-10.azl3', 'kubelet 1:1.34.80-1.azl3', 'kubelet 1:11.34.8-1.azl3'],
      'kubelet 1:1.34.8-10.azl3',
    ],
    [
      'a pinned revision',
      '1.34.3-9',
      ['kubelet 1.34.3-1', 'kubelet 1.34.3-9', 'kubelet 1.34.3-10'],
      'kubelet 1.34.3-9',
    ],
    ['a minor line is no version of a package', '1.34', ['kubelet 1.34.1-1'], undefined],
  ];
  for (const [id, version, files, expected] of debs) {
    for (const kind of ['deb', 'rpm'] as const) {
      it(`${id} as ${kind}`, () => {
        const architecture = kind === 'deb' ? 'amd64' : 'x86_64';
        const choice = matchBuild(
          { kind, component: 'kubelet', version, architecture },
          files.map(candidate(architecture)),
        );
        assert.equal(choice.chosen?.file, expected);
        assert.equal(
          choice.passedOver.length,
          files.length - (expected === undefined ? 0 : 1),
          'every other one is accounted for',
        );
        assert.ok(choice.passedOver.every((one) => one.why !== ''));
      });
    }
  }

  it('never takes another architecture, but takes packages for all', () => {
    const request = { kind: 'deb', component: 'kubelet', version: '1.34.1', architecture: 'amd64' } as const;
    const choice = matchBuild(request, [candidate('arm64')('kubelet 1.34.1-9'), candidate('all')('kubelet 1.34.1-1')]);
    assert.equal(choice.chosen?.version, '1.34.1-1');
    assert.deepEqual(choice.passedOver, [{ file: 'kubelet 1.34.1-9', why: 'is for arm64, not amd64' }]);
  });

  it('refuses a request without a version', () => {
    assert.throws(
      () => matchBuild({ kind: 'deb', component: 'kubelet', version: '', architecture: 'amd64' }, []),
      (thrown) => thrown instanceof NodekilnError && thrown.code === 'NK_VERSION_INVALID',
    );
  });

  it('whatever lies around, takes only what was asked for', () => {
    const number = fc.integer({ min: 0, max: 3 });
    const version = fc
      .tuple(
        fc.constantFrom(1, 1, 1, 11),
        fc.constantFrom(34, 34, 34, 3, 340),
        number,
        fc.constantFrom('', '', '~rc1', '-rc.1', '-akslts'),
        fc.constantFrom('', '-1', '-10', '-ubuntu22.04u2', '-5.azl3'),
      )
      .map(([a, b, c, extra, revision]) => `${a}.${b}.${c}${extra}${revision}`);
    let found = 0;
    fc.assert(
      fc.property(fc.array(version, { maxLength: 12 }), number, (versions, patch) => {
        const request = { kind: 'deb', component: 'kubelet', version: `1.34.${patch}`, architecture: 'amd64' } as const;
        const choice = matchBuild(
          request,
          [...versions, `1.34.${patch}0-1`, `1${request.version}`].map((text) => candidate('amd64')(`kubelet ${text}`)),
        );
        const right = new RegExp(`^1\\.34\\.${patch}(-(\\d|ubuntu).*)?$`);
        assert.equal(
          choice.chosen !== undefined,
          versions.some((text) => right.test(text)),
        );
        if (!choice.chosen) return;
        found += 1;
        assert.match(choice.chosen.version, right);
      }),
      { numRuns: 300 },
    );
    assert.ok(found > 30, `${found} of 300 found one`);
  });
});

describe('extensions', () => {
  const local = ['1.34.1-1', '1.34.1-2', '1.34.1-10', '1.34.10-1']
    .map((version) => `kubelet-v${version}-azlinux3-x86-64.raw`)
    .concat('kubelet-v1.34.1-3-azlinux3-arm64.raw');
  const rows: readonly (readonly [string, readonly string[], string, string, string | undefined])[] = [
    ['F01', local, '1.34.1', 'x86-64', 'kubelet-v1.34.1-10-azlinux3-x86-64.raw'],
    ['F02', local, '1.34.1', 'arm64', 'kubelet-v1.34.1-3-azlinux3-arm64.raw'],
    ['F03', local, '1.34.1', 'amd64', undefined],
    ['F04', local, '1.34.10', 'x86-64', 'kubelet-v1.34.10-1-azlinux3-x86-64.raw'],
    ['F06', local, '1.3', 'x86-64', undefined],
    ['F07', local, '1.34.2', 'arm64', undefined],
    ['F10', ['kubelet.raw'], '1.34.1', 'x86-64', undefined],
    ['another component', ['kubelet-convert-v1.34.1-1-azlinux3-x86-64.raw'], '1.34.1', 'x86-64', undefined],
    [
      'without a v',
      ['kubelet-1.34.1-1-azlinux3-x86-64.raw'],
      'v1.34.1',
      'x86-64',
      'kubelet-1.34.1-1-azlinux3-x86-64.raw',
    ],
  ];
  for (const [id, files, version, architecture, expected] of rows) {
    it(id, () => {
      const choice = matchBuild(
        { kind: 'sysext', component: 'kubelet', version, architecture },
        files.map((file) => extensionCandidate('kubelet', file)),
      );
      assert.equal(choice.chosen?.file, expected);
    });
  }
  it('F03 says that the architecture has another name there', () => {
    const choice = matchBuild({ kind: 'sysext', component: 'kubelet', version: '1.34.1', architecture: 'amd64' }, []);
    assert.match(choice.hint ?? '', /amd64 is called x86-64/);
  });

  const remote = ['v1.33.2-1', 'v1.33.10-1', 'v1.33.4-1', 'v1.33.40-1', 'v1.33.4-10', 'v1.33.4~rc1-1']
    .map((tag) => `${tag}-azlinux3-x86-64`)
    .concat('v1.33.4-2-azlinux3-arm64', 'v1.33.4-1-noble-x86-64', '1.33.4', 'latest', 'sha256-abc.sig');
  const tagRows: readonly (readonly [string, readonly string[], string, string, string | undefined])[] = [
    [
      'F11',
      ['v1.33.2-1', 'v1.33.10-1', 'v1.33.4-1'].map((tag) => `${tag}-azlinux3-x86-64`),
      '1.33',
      'x86-64',
      'v1.33.10-1-azlinux3-x86-64',
    ],
    ['F13', remote, '1.33.4', 'arm64', 'v1.33.4-2-azlinux3-arm64'],
    ['F16', remote, '1.34', 'x86-64', undefined],
    ['exact', remote, '1.33.4', 'x86-64', 'v1.33.4-10-azlinux3-x86-64'],
    ['a prerelease when asked for', remote, '1.33.4-rc.1', 'x86-64', 'v1.33.4~rc1-1-azlinux3-x86-64'],
    ['a pinned distribution', remote, '1.33.4-1-noble', 'x86-64', 'v1.33.4-1-noble-x86-64'],
  ];
  for (const [id, tags, version, architecture, expected] of tagRows) {
    it(`${id} among tags`, () => {
      const choice = matchBuild(
        { kind: 'sysext', component: 'kubelet', version, architecture },
        tags.map((tag) => tagCandidate('kubelet', tag)),
      );
      assert.equal(choice.chosen?.file, expected);
    });
  }
});
