import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { formatProblem } from './invalid.ts';
import { parseDocument } from './load.ts';
import { whyNoAddress, type AddressKind } from './address.ts';

const hex = 'a'.repeat(64);
const repository = { type: 'apt', url: 'apt.example.org', suite: 'x/', signedBy: '/k' };

describe('an address of an artifact', () => {
  const right: readonly [AddressKind, string][] = [
    ['url', 'https://example.org/a.deb'],
    ['url', 'http://10.0.0.1:8080/{tool}_{version}_{debArch}.deb?x={tag}'],
    ['url', 'https://[fd00::1]/a'],
    ['url', 'HTTPS://example.org/a'],
    ['any', 'https://user:secret@example.org/a'],
    ['any', 'registry.example/kubelet:{tag}'],
    ['reference', 'registry.example:5000/team/{tool}:{version}'],
    ['reference', 'localhost/kubelet:1'],
    ['reference', `docker.io/busybox@sha256:${hex}`],
    ['reference', `docker.io/busybox:1@sha256:${hex}`],
  ];
  for (const [kind, text] of right)
    it(`${text} is one (${kind})`, () => {
      assert.equal(whyNoAddress(text, kind), undefined);
    });

  const wrong: readonly [AddressKind, string, RegExp][] = [
    ['url', 'ftp://example.org/secret', /nothing is fetched by "ftp:"/],
    ['any', 'oci://registry.example/secret:1', /nothing is fetched by "oci:"/],
    ['any', 'docker://registry.example/secret:1', /nothing is fetched by "docker:"/],
    ['any', 'file:///srv/secret', /nothing is fetched by "file:"/],
    ['any', 's3://bucket/secret', /nothing is fetched by "s3:"/],
    ['reference', 'https://example.org/secret', /OCI reference/],
    ['url', 'registry.example/secret:1', /must be a URL/],
    ['url', 'example.org/secret.deb', /must be a URL/],
    ['url', 'https:///secret', /must be a URL/],
    ['url', 'https://exa mple.org/secret', /must be a URL/],
    ['any', 'secret', /it names no registry|OCI reference/],
    ['any', 'secret:1.27', /it names no registry/],
    ['any', 'library/secret:1', /it names no registry/],
    ['reference', 'registry.example/secret', /no tag and no digest/],
    ['reference', 'registry.example/secret@sha256:abc', /is no digest/],
    ['reference', `registry.example/secret@sha256:${'A'.repeat(64)}`, /is no digest/],
    ['reference', `registry.example/secret@md5:${'a'.repeat(32)}`, /is no digest/],
    ['reference', 'registry.example/secret@latest', /is no digest/],
    ['reference', 'registry.example/Secret:1', /OCI reference/],
  ];
  for (const [kind, text, why] of wrong)
    it(`${text} is none (${kind})`, () => {
      const said = whyNoAddress(text, kind) ?? '';
      assert.match(said, why);
      assert.ok(!/secret/i.test(said), 'it may hold a secret');
    });

  const documents: readonly [string, string, object][] = [
    ['a tool', 'binaries.tools.kubelet.url', node({ binaries: { tools: { kubelet: { url: 'ftp://x.org/k' } } } })],
    ['a private build', 'privateUrl', node({ binaries: { tools: { kubelet: { privateUrl: 'kubelet:1' } } } })],
    [
      'a digest',
      'kubelet.digest',
      node({ binaries: { tools: { kubelet: { url: 'https://x.org/k', digest: 'sha256:1' } } } }),
    ],
    ['a mirror', 'mirror.reference', node({ binaries: { sources: { mirror: { reference: 'kubelet:{tag}' } } } })],
    ['an archive', 'tarball.url', node({ binaries: { sources: { tarball: { url: 'file:///x' } } } })],
    ['a repository', 'repository.url', node({ binaries: { sources: { repository } } })],
    ['an extension', 'extensions[0].url', node({ extensions: [{ name: 'x', url: 'oci://a/b:1' }] })],
    ['a deb', 'source.url', build({ type: 'deb', url: 'ftp://x/k.deb' })],
    ['an artifact', 'source.reference', build({ type: 'file', reference: 'kubelet:1' })],
    ['a program of an image', 'source.reference', build({ type: 'image', member: 'a', reference: 'p' })],
    [
      'a download',
      'components[0].url',
      image({ action: 'download', url: 'rsync://x/y', target: '/opt/x', digest: `sha256:${hex}` }),
    ],
    ['a bare image', 'components[0].reference', image({ action: 'image', reference: 'pause:3.10', archive: 'x.tar' })],
    [
      'an image of no registry',
      'components[0].reference',
      image({ action: 'image', reference: 'library/pause:3.10', archive: 'x.tar' }),
    ],
    [
      'an image’s digest',
      'components[0].reference',
      image({ action: 'image', reference: 'r.io/p@sha256:1', archive: 'x.tar' }),
    ],
  ];
  for (const [what, path, document] of documents)
    it(`is refused with its place, before anything is fetched: ${what}`, async () => {
      await assert.rejects(parseDocument({ file: 'x.json', text: JSON.stringify(document) }), (thrown: unknown) => {
        assert.ok(thrown instanceof NodekilnError && thrown.code === 'NK_DOCUMENT_INVALID');
        const problems = thrown.problems.map(formatProblem);
        assert.ok(problems.length === 1 && problems[0]?.includes(`${path}: `), problems.join('\n'));
        return true;
      });
    });
});

function node(spec: object): object {
  return { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec };
}

function image(component: object): object {
  return {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'ImageManifest',
    spec: { components: [{ name: 'x', ...component }] },
  };
}

function build(source: object): object {
  return image({ action: 'cache', builds: [{ version: '1.34.3', source }] });
}
