/**
 * Cases from the field, by their numbers: version texts and their cache keys (A), lookups (A2), version gates (B), the
 * credential provider (G2), tarballs and references (H). Those of selection, packages and source order stand beside the
 * code they are about.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDocument } from '../config/load.ts';
import { expandTemplate, type TemplateValues } from '../config/template.ts';
import type { ErrorCode } from '../errors.ts';
import { findCached, type CacheEntry } from './cache/cache.ts';
import { artifactSourceOrder } from './order.ts';
import { asReference, mirrorTag } from '../model/reference.ts';
import { atLeast, cacheKey, parseVersion } from '../model/version.ts';

describe('A: version texts', () => {
  for (const [id, text, key, parts] of [
    ['A01', '1.34.10-ubuntu22.04u1', '1.34.10', { upstream: '1.34.10', distro: 'ubuntu22.04' }],
    ['A02', '1.34.9-5.azl3', '1.34.9', { revision: '5', distro: 'azl3' }],
    ['A03', '1:1.34.8-2.azl3', '1.34.8', { epoch: 1, revision: '2' }],
    ['A04', '1:4.5.3-1', '4.5.3', { epoch: 1, revision: '1' }],
    ['A05', '1.28.103-akslts', '1.28.103-akslts', { track: 'akslts' }],
    ['A07', '1.27.14-hotfix.20240712', '1.27.14-hotfix.20240712', { upstream: '1.27.14' }],
    ['A09', '1.18.8_1.2', '1.18.8_1.2', { upstream: '1.18.8', track: '_1.2' }],
    ['A10', '1.18.8_f0.1', '1.18.8_f0.1', { upstream: '1.18.8', track: '_f0.1' }],
    ['A16', 'v1.34.10-1-azlinux3', '1.34.10', { revision: '1', distro: 'azlinux3' }],
    ['A17', 'v1.34.10-1-azlinux3-x86-64', '1.34.10', { revision: '1', distro: 'azlinux3', arch: 'x86-64' }],
    ['A19', '0.51.0-4.azl3', '0.51.0', { upstream: '0.51.0' }],
  ] as const) {
    it(`${id}: ${text} is ${key}`, () => {
      const version = parseVersion(text);
      assert.equal(cacheKey(version), key);
      for (const [part, value] of Object.entries(parts))
        assert.equal(String(version[part as keyof typeof version]), String(value), part);
    });
  }
  it('A12, A13: a prerelease has one key however it is spelled, and never that of its release', () => {
    const keys = ['1.34.0~rc1-ubuntu24.04u1', '1.34.0~rc.1', '1.34.0-rc.1', '1.34.0'].map((text) =>
      cacheKey(parseVersion(text)),
    );
    assert.equal(keys[1], keys[2]);
    assert.equal(new Set([keys[0], keys[3]]).size, 2);
    assert.notEqual(keys[1], keys[3]);
  });
  it('A07: a hotfix never shares a key with the version it fixes', () => {
    assert.notEqual(cacheKey(parseVersion('1.27.14-hotfix.20240712')), cacheKey(parseVersion('1.27.14')));
  });
});

describe('A2: what a request finds in the cache', () => {
  const entry = (version: string): CacheEntry => ({
    tool: 'kubelet',
    version,
    key: cacheKey(parseVersion(version)),
    digest: 'sha256:0',
    size: 1,
    source: { type: 'deb', location: 'x' },
    seal: { size: 1, mtimeNs: '0' },
  });
  const found = (versions: readonly string[], version: string): string | undefined => {
    const index = { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'ArtifactCache', entries: versions.map(entry) } as const;
    const lookup = findCached(index, { tool: 'kubelet', version });
    return lookup.found ? lookup.entry.version : undefined;
  };
  for (const [id, versions, wanted, expected] of [
    ['A201', ['1.34.0'], '1.34.0', '1.34.0'],
    ['A202', ['1.34.0-5.azl3'], '1.34.0-5.azl3', '1.34.0-5.azl3'],
    ['A202, another revision', ['1.34.0-4.azl3'], '1.34.0-5.azl3', undefined],
    ['A205', ['1.34.1', '1.34.10'], '1.34.1', '1.34.1'],
    ['A206', ['1.28.103-akslts'], '1.28.103-akslts', '1.28.103-akslts'],
    ['A207', ['1.28.103-akslts'], '1.28.103', undefined],
  ] as const) {
    it(`${id}: ${wanted} among ${versions.join(', ')}`, () => assert.equal(found(versions, wanted), expected));
  }
  it('A211: the policy "package" does not ask the cache', () => {
    const { sources, skipped } = artifactSourceOrder({
      version: '1.34.0',
      policy: 'package',
      repository: { kind: 'apt' },
    });
    assert.deepEqual(
      sources.map(({ type }) => type),
      ['repository'],
    );
    assert.ok(skipped.some(({ source, why }) => source === 'cache' && why === 'the policy is package'));
  });
  for (const policy of ['TRUE', '1', '', 'true', 'Package']) {
    it(`A212, G28: the policy ${JSON.stringify(policy)} is refused with the document`, () =>
      assert.rejects(
        parseDocument({
          file: 'node.yaml',
          text: `apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  binaries: {policy: "${policy}"}\n`,
        }),
        { code: 'NK_DOCUMENT_INVALID' },
      ));
  }
  it('A216: an empty version is an error, never a wildcard', () => refuses(() => found(['1.34.0'], '')));
});

describe('B: a is at least b', () => {
  for (const [id, a, b, expected] of [
    ['B01', '1.34.0', '1.34.0', true],
    ['B03', '1.34.10', '1.34.9', true],
    ['B04', '1.9.0', '1.10.0', false],
    ['B05', '1.30.101-akslts', '1.34.0', false],
    ['B06', '1.28.103-akslts', '1.27.0', true],
    ['B07', '1.34.0-alpha.1', '1.34.0', false],
    ['B08', '1.34.0', '1.34.0-alpha.1', true],
    ['B10', '1.27.0-beta.0', '1.27.0', false],
    ['B13', '0.0.0', '1.27.0', false],
    ['B14', 'v1.34.0', '1.34.0', true],
    ['B15', '1.34', '1.34.0', true],
    ['B17', '5.15.0-1116-azure', '5.15.0-1116-azure', true],
  ] as const) {
    it(`${id}: ${a} ≥ ${b}`, () => assert.equal(atLeast(parseVersion(a), parseVersion(b)), expected));
  }
  it('B13: a version that was not given is an error', () =>
    refuses(() =>
      artifactSourceOrder({ version: '', policy: 'cache-first', mirror: { registry: 'm', since: '1.27.0' } }),
    ));
});

describe('G2: the credential provider', () => {
  const provider = { repository: { kind: 'dnf', since: '1.33.0' }, tarball: { url: 'https://public/t' } } as const;
  const order = (version: string): string[] =>
    artifactSourceOrder({ version, policy: 'cache-first', ...provider }).sources.map(({ type }) => type);
  it('G201: before 1.33.0 it is a tarball', () => assert.deepEqual(order('1.32.99'), ['cache', 'tarball']));
  it('G203: from 1.33.0 on it is a package', () =>
    assert.deepEqual(order('1.33.0'), ['cache', 'repository', 'tarball']));
  it('G208, G209: a mirror’s tag has one v', () => {
    assert.equal(mirrorTag('1.34.0'), 'v1.34.0');
    assert.equal(mirrorTag('v1.34.0'), 'v1.34.0');
  });
  it('G214: its version is read out of the reference’s tag', () => {
    assert.equal(parseVersion(asReference('mcr.example/provider:v1.30.0-linux-amd64')?.tag ?? '').upstream, '1.30.0');
  });
  it('G216: without any source there is none, and it says so', () => {
    const { sources, skipped } = artifactSourceOrder({ version: '1.33.0', policy: 'package' });
    assert.deepEqual(sources, []);
    assert.equal(skipped.length, 7);
  });
});

describe('H: references and tarballs', () => {
  for (const [id, text, expected] of [
    ['H01', 'mcr.microsoft.com/component/binary:1.0', true],
    ['H02', 'mcr.microsoft.com/component/binary', false],
    ['H05', '', false],
    ['H07', 'host.io:443/a:1', true],
    ['H09', 'a:b', false],
  ] as const) {
    it(`${id}: ${JSON.stringify(text)} ${expected ? 'is' : 'is not'} a reference`, () =>
      assert.equal(asReference(text) !== undefined, expected));
  }
  // A mirror keeps a platform's tarball under the word of its address; `sources.mirror.reference` says so with placeholders.
  for (const [id, version, tag] of [
    ['H11', '1.30.0-hotfix20241209', 'v1.30.0-hotfix20241209-linux-amd64'],
    ['H12', '1.30.0-alpha', 'v1.30.0-alpha-linux-amd64'],
    ['H12, a release', '1.29.0', 'v1.29.0-linux-amd64'],
  ] as const) {
    it(`${id}: the mirror of ${version}`, () => {
      const reference = expandTemplate('M/oss/binaries/{tool}:v{version}-linux-{arch}', values(version));
      assert.equal(reference, `M/oss/binaries/kubernetes-node:${tag}`);
      assert.equal(asReference(reference.replace('M/', 'm.example/'))?.tag, tag);
    });
  }
});

function values(version: string): TemplateValues {
  const [upstream, tag, amd64] = [parseVersion(version).upstream, mirrorTag(version), 'amd64'];
  const arches = { arch: amd64, debArch: amd64, rpmArch: 'x86_64', systemdArch: 'x86-64' };
  return { tool: 'kubernetes-node', version, upstream, tag, ...arches };
}

function refuses(work: () => unknown): void {
  const code: ErrorCode = 'NK_VERSION_INVALID';
  assert.throws(work, { code });
}
