import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { NodekilnError } from '../errors.ts';
import { architectureFor, matchBuild, extensionCandidate, tagCandidate } from './match.ts';
import type { BuildKind, BuildRequest, Candidate } from './match.ts';

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

describe('a build is passed over', () => {
  const kubelet: Candidate = { file: 'f', name: 'kubelet', version: '1.34.1-1', architecture: 'amd64' };
  const request: BuildRequest = { kind: 'deb', component: 'kubelet', version: '1.34.1', architecture: 'amd64' };
  const rows: readonly [Partial<Candidate>, Partial<BuildRequest>, string | undefined][] = [
    [{}, {}, undefined],
    [{ name: '' }, {}, 'is not named like kubelet'],
    [{ name: 'kubectl' }, {}, 'is kubectl, not kubelet'],
    [{ version: '' }, {}, 'names no version'],
    [{ version: 'latest' }, {}, 'has the version "latest", which is none'],
    [{ version: '1.34.2' }, {}, 'is 1.34.2, not 1.34.1'],
    [{ architecture: '' }, {}, 'names no architecture'],
    [{ architecture: 'arm64' }, {}, 'is for arm64, not amd64'],
    [{ architecture: 'all' }, {}, undefined],
    [{ architecture: 'noarch' }, {}, 'is for noarch, not amd64'],
    [{ architecture: 'noarch' }, { kind: 'rpm' }, undefined],
    [{ architecture: 'all' }, { kind: 'rpm' }, 'is for all, not amd64'],
    [{ architecture: 'noarch' }, { kind: 'sysext' }, 'is for noarch, not amd64'],
    [{ architecture: 'all' }, { kind: 'sysext' }, 'is for all, not amd64'],
  ];
  for (const [candidate_, request_, why] of rows)
    it(`${JSON.stringify({ ...request_, ...candidate_ })}: ${why ?? 'not'}`, () => {
      const { chosen, passedOver } = matchBuild({ ...request, ...request_ }, [{ ...kubelet, ...candidate_ }]);
      assert.equal(chosen !== undefined, why === undefined);
      assert.deepEqual(passedOver, why === undefined ? [] : [{ file: 'f', why }]);
    });

  it('because a newer one is there, in the order of its kind', () => {
    const versions = ['1.34.1-1+1', '1.34.1-1.1'];
    const chosen = (kind: BuildKind): unknown => {
      const { passedOver, ...choice } = matchBuild(
        { ...request, kind },
        versions.map((version) => ({ ...kubelet, file: version, version })),
      );
      return [choice.chosen?.version, passedOver.map(({ file, why }) => `${file}: ${why}`)];
    };
    // dpkg compares what separates numbers; rpm does not, and what is alike stays as it came.
    assert.deepEqual(chosen('deb'), ['1.34.1-1.1', ['1.34.1-1+1: 1.34.1-1.1 is newer']]);
    assert.deepEqual(chosen('rpm'), ['1.34.1-1+1', ['1.34.1-1.1: 1.34.1-1+1 is newer']]);
  });
});

describe('a line of releases', () => {
  const found = (version: string, candidates: readonly string[], kind: BuildKind = 'sysext'): string | undefined =>
    matchBuild(
      { kind, component: 'kubelet', version, architecture: 'x86-64' },
      candidates.map(candidate('x86-64')).map((one) => ({ ...one, name: 'kubelet', version: one.file })),
    ).chosen?.version;

  it('is served by its highest release, not by prereleases, tracks and other lines', () => {
    assert.equal(found('1.33', ['1.33.4', '1.33.10']), '1.33.10');
    assert.equal(found('11.33', ['11.33.4']), '11.33.4');
    for (const other of ['1.33.5~rc1', '1.33.5-akslts', '1.34.1', '1.330.1', '11.33.1'])
      assert.equal(found('1.33', [other]), undefined, other);
  });

  it('is told by two numbers alone, and of extensions alone', () => {
    assert.equal(found('1', ['1.33.4']), undefined);
    assert.equal(found('1.33.4', ['1.33.4.1']), undefined);
    assert.equal(found('1.33-rc.1', ['1.33.4-rc.1']), undefined);
    assert.equal(found('1.33-akslts', ['1.33.4-akslts']), undefined);
    assert.equal(found('1.33', ['1.33.4'], 'deb'), undefined);
    assert.equal(found('1.33-2', ['1.33.4-1']), undefined);
    assert.equal(found('1.33-2', ['1.33.4-1', '1.33.4-2']), '1.33.4-2');
  });
});

describe('when nothing was found, a hint names the architecture as the kind does', () => {
  const hint = (kind: BuildKind, architecture: string): string | undefined =>
    matchBuild({ kind, component: 'kubelet', version: '1.34.1', architecture }, []).hint;
  const rows: readonly [BuildKind, string, string | undefined][] = [
    ['deb', 'x86_64', 'x86_64 is called amd64 in names of deb packages'],
    ['rpm', 'amd64', 'amd64 is called x86_64 in names of rpm packages'],
    ['sysext', 'amd64', 'amd64 is called x86-64 in names of extensions'],
    ['deb', 'amd64', undefined],
    ['sysext', 'arm64', undefined],
    ['rpm', 'riscv64', undefined],
  ];
  for (const [kind, architecture, expected] of rows)
    it(`${kind} ${architecture}`, () => assert.equal(hint(kind, architecture), expected));

  it('and not when something was', () => {
    const request = { kind: 'deb', component: 'kubelet', version: '1.34.1', architecture: 'x86_64' } as const;
    const choice = matchBuild(request, [candidate('all')('kubelet 1.34.1-1')]);
    assert.deepEqual(Object.keys(choice), ['chosen', 'passedOver']);
  });

  it('in each vocabulary', () => {
    for (const [kind, names] of [
      ['deb', ['amd64', 'arm64']],
      ['rpm', ['x86_64', 'aarch64']],
      ['sysext', ['x86-64', 'arm64']],
    ] as const)
      assert.deepEqual(
        ['x86_64', 'aarch64'].map((architecture) => architectureFor(kind, architecture)),
        names,
      );
  });
});

describe('what a name says', () => {
  const nothing = { version: '', architecture: '' };
  const files: readonly [string, Omit<Candidate, 'file'>][] = [
    [
      'kubelet-v1.34.1-1-azlinux3-x86-64.raw',
      { name: 'kubelet', version: '1.34.1-1-azlinux3', architecture: 'x86-64' },
    ],
    ['kubelet-1.34.1.raw', { name: 'kubelet', version: '1.34.1', architecture: '' }],
    ['kubelet.raw', { name: 'kubelet', ...nothing }],
    ['other.raw', { name: '', ...nothing }],
    ['kubelet-v1.34.1.img', { name: '', ...nothing }],
    ['my-kubelet-v1.34.1.raw', { name: '', ...nothing }],
    ['kubelet-convert-v1.34.1.raw', { name: '', ...nothing }],
    ['kubectl-v1.34.1.raw', { name: '', ...nothing }],
    ['kubelet-latest.raw', { name: '', ...nothing }],
  ];
  for (const [file, said] of files)
    it(file, () => assert.deepEqual(extensionCandidate('kubelet', file), { file, ...said }));

  const tags: readonly [string, string, string][] = [
    ['v1.34.1-1-azlinux3-x86-64', '1.34.1-1-azlinux3', 'x86-64'],
    ['1.34.1-amd64', '1.34.1', 'amd64'],
    ['v1.34.1', '1.34.1', ''],
    ['1.34.1-dev', '1.34.1-dev', ''],
    ['latest', 'latest', ''],
  ];
  for (const [tag, version, architecture] of tags)
    it(`the tag ${tag}`, () =>
      assert.deepEqual(tagCandidate('kubelet', tag), { file: tag, name: 'kubelet', version, architecture }));
});
