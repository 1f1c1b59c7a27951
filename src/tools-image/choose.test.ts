import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { NodekilnError } from '../errors.ts';
import {
  chooseImage,
  configuredImage,
  defaultKnownTags,
  latestPolicies,
  type LatestPolicy,
  type Reason,
} from './choose.ts';
import { parseMetadata, readMetadata } from './metadata.ts';
import { repositoryPattern, tagPattern } from './repository.ts';
import { minorOf } from '../model/minor.ts';

const repository = 'octopusdeploy/kubernetes-agent-tools-base';
const digest = `sha256:${'c3'.repeat(32)}`;
const upstream = {
  tools: { kubectl: ['1.28.14', '1.29.9', '1.30.5', '1.31.1'], helm: ['3.16.1'], powershell: ['7.4.5'] },
  latest: '1.30',
  revisionHash: 'Juaa5J',
  deprecations: { '1.26': { latestTag: `1.26@${digest}` }, '1.27': { latestTag: '1.27-oldrev' } },
};

interface Vector {
  readonly name: string;
  readonly cluster?: string;
  /** No metadata when absent. */
  readonly document?: unknown;
  readonly policy?: LatestPolicy;
  readonly knownTags?: readonly string[];
  readonly tag: string;
  readonly digest?: string;
  readonly reason: Reason;
}

const vectors: readonly Vector[] = [
  { name: 'the current revision', cluster: '1.30', document: upstream, tag: '1.30-Juaa5J', reason: 'revision' },
  {
    name: 'listed, though newer than latest',
    cluster: '1.31',
    document: upstream,
    tag: '1.31-Juaa5J',
    reason: 'revision',
  },
  { name: 'a full version', cluster: 'v1.28.2', document: upstream, tag: '1.28-Juaa5J', reason: 'revision' },
  {
    name: 'deprecated, with its digest',
    cluster: '1.26',
    document: upstream,
    tag: '1.26',
    digest,
    reason: 'deprecated',
  },
  {
    name: 'deprecated, without a digest',
    cluster: '1.27',
    document: upstream,
    tag: '1.27-oldrev',
    reason: 'deprecated',
  },
  { name: 'newer than all', cluster: '1.40', document: upstream, tag: 'latest', reason: 'latest' },
  { name: 'not listed, but known', cluster: '1.35', document: upstream, tag: '1.35', reason: 'known-tag' },
  { name: 'no metadata, known', cluster: '1.36', tag: '1.36', reason: 'known-tag' },
  { name: 'no metadata, too new', cluster: '1.37', tag: 'latest', reason: 'latest' },
  { name: 'no metadata, too old', cluster: '1.25', tag: 'latest', reason: 'latest' },
  { name: 'no metadata, oldest known', cluster: '1.26', tag: '1.26', reason: 'known-tag' },
  {
    name: 'deprecated and listed',
    cluster: '1.30',
    document: { ...upstream, deprecations: { '1.30': { latestTag: 'last' } } },
    tag: 'last',
    reason: 'deprecated',
  },
  // Every missing part means "not listed".
  { name: 'an empty document', cluster: '1.30', document: {}, tag: '1.30', reason: 'known-tag' },
  { name: 'no tools', cluster: '1.30', document: { ...upstream, tools: undefined }, tag: '1.30', reason: 'known-tag' },
  { name: 'tools are null', cluster: '1.30', document: { ...upstream, tools: null }, tag: '1.30', reason: 'known-tag' },
  {
    name: 'no kubectl',
    cluster: '1.30',
    document: { ...upstream, tools: { helm: ['3'] } },
    tag: '1.30',
    reason: 'known-tag',
  },
  {
    name: 'no revision',
    cluster: '1.30',
    document: { ...upstream, revisionHash: undefined },
    tag: '1.30',
    reason: 'known-tag',
  },
  {
    name: 'no deprecations',
    cluster: '1.26',
    document: { ...upstream, deprecations: undefined },
    tag: '1.26',
    reason: 'known-tag',
  },
  {
    name: 'a deprecation without a tag',
    cluster: '1.26',
    document: { ...upstream, deprecations: { '1.26': {} } },
    tag: '1.26',
    reason: 'known-tag',
  },
  {
    name: 'a deprecation that is null',
    cluster: '1.26',
    document: { ...upstream, deprecations: { '1.26': null } },
    tag: '1.26',
    reason: 'known-tag',
  },
  // The policy.
  {
    name: 'newest of the metadata',
    cluster: '1.40',
    document: upstream,
    policy: 'newest',
    tag: '1.31-Juaa5J',
    reason: 'newest',
  },
  { name: 'newest known', cluster: '1.40', policy: 'newest', tag: '1.36', reason: 'newest' },
  {
    name: 'newest: 1.9 is older than 1.10',
    cluster: '1.40',
    policy: 'newest',
    knownTags: ['1.9', '1.10', '1.8'],
    tag: '1.10',
    reason: 'newest',
  },
  { name: 'no version given', document: upstream, tag: 'latest', reason: 'latest' },
  { name: 'no version given, newest', document: upstream, policy: 'newest', tag: '1.31-Juaa5J', reason: 'newest' },
  {
    name: 'the digest of the current image',
    cluster: '1.30',
    document: { ...upstream, images: { '1.30': { tag: '1.30-Juaa5J', digest }, '1.31': { tag: 'other', digest } } },
    tag: '1.30-Juaa5J',
    digest,
    reason: 'revision',
  },
  {
    name: 'a digest of another revision is not told',
    cluster: '1.31',
    document: { ...upstream, images: { '1.31': { tag: '1.31-before', digest } } },
    tag: '1.31-Juaa5J',
    reason: 'revision',
  },
];

function choose({ cluster, document, policy = 'latest', knownTags = defaultKnownTags }: Partial<Vector>) {
  return chooseImage({
    repository,
    knownTags,
    policy,
    ...(cluster !== undefined && { cluster: minorOf(cluster) }),
    ...(document !== undefined && { metadata: parseMetadata(JSON.stringify(document), 'metadata.json') }),
  });
}

describe('the choice of an image', () => {
  for (const vector of vectors) {
    it(vector.name, () => {
      const { tag, digest: known, reason, image, why } = choose(vector);
      assert.deepEqual(
        { tag, digest: known, reason },
        { tag: vector.tag, digest: vector.digest, reason: vector.reason },
      );
      const written = vector.reason === 'deprecated' && known !== undefined ? `${tag}@${known}` : tag;
      assert.equal(image, `${repository}:${written}`);
      assert.match(why, /\S/);
    });
  }

  it('refuses a fallback where the policy says so, and only then', () => {
    assert.throws(() => choose({ cluster: '1.40', document: upstream, policy: 'error' }), {
      code: 'NK_TOOLS_IMAGE_NONE',
    });
    assert.throws(() => choose({ policy: 'error' }), { code: 'NK_TOOLS_IMAGE_NONE' });
    assert.throws(() => choose({ cluster: '1.40', policy: 'newest', knownTags: [] }), { code: 'NK_TOOLS_IMAGE_NONE' });
    assert.equal(choose({ cluster: '1.30', document: upstream, policy: 'error' }).tag, '1.30-Juaa5J');
  });

  it('says when the cluster is newer than what is published', () => {
    assert.match(choose({ cluster: '1.40', document: upstream }).why, /1\.40 is newer than .* 1\.30/);
  });

  it('takes a configured tag as it is', () => {
    assert.deepEqual(configuredImage('r.example:5000/a', `1.2@${digest}`), {
      image: `r.example:5000/a:1.2@${digest}`,
      repository: 'r.example:5000/a',
      tag: '1.2',
      digest,
      reason: 'configured',
      why: 'the tag is configured',
    });
  });
});

const anyMinor = fc.tuple(fc.nat(3), fc.nat(45)).map(([major, minor]) => `${major}.${minor}`);
const anyTag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}$/);
const anyDocument = fc.record(
  {
    tools: fc.option(
      fc.record({ kubectl: fc.option(fc.array(anyMinor.map((minor) => `${minor}.3`))) }, { requiredKeys: [] }),
    ),
    latest: fc.option(anyMinor),
    revisionHash: fc.option(fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}$/)),
    deprecations: fc.option(fc.dictionary(anyMinor, fc.option(fc.record({ latestTag: anyTag }, { requiredKeys: [] })))),
    images: fc.option(
      fc.dictionary(anyMinor, fc.record({ tag: anyTag, digest: fc.constant(digest) }, { requiredKeys: [] })),
    ),
  },
  { requiredKeys: [] },
);

describe('whatever the metadata say', () => {
  it('the result is an image reference, or there is none and the error says so', () => {
    fc.assert(
      fc.property(anyMinor, anyDocument, fc.constantFrom(...latestPolicies), (cluster, document, policy) => {
        try {
          const { image } = choose({ cluster, document, policy });
          const tag = image.slice(repository.length + 1);
          assert.ok(image.startsWith(`${repository}:`) && tagPattern.test(tag), image);
        } catch (thrown) {
          if (thrown instanceof assert.AssertionError) throw thrown;
          assert.ok(thrown instanceof NodekilnError && thrown.code === 'NK_TOOLS_IMAGE_NONE', String(thrown));
        }
      }),
    );
  });

  it('what is no metadata document is an error with a code', () => {
    const broken = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `{"tools":${json}}`),
      fc.json().map((json) => `{"deprecations":{"1.30":${json}}}`),
      fc.json().map((json) => `{"images":${json}}`),
    );
    fc.assert(
      fc.property(broken, (json) => {
        try {
          readMetadata(json, 'metadata.json');
          parseMetadata(json, 'metadata.json');
        } catch (thrown) {
          assert.ok(thrown instanceof NodekilnError, String(thrown));
          assert.match(thrown.code, /^NK_DOCUMENT_(?:SYNTAX|INVALID)$/);
        }
      }),
    );
  });
});

describe('names', () => {
  for (const name of [
    'tools',
    'team/tools',
    'registry.example/team/tools',
    'localhost:5000/t',
    'a.b-c_d__e/f',
    '[::1]:5000/t',
  ])
    it(`${name} is a repository`, () => assert.match(name, repositoryPattern));
  for (const name of [
    '',
    'Tools',
    'a/',
    '/a',
    'a//b',
    'a:1',
    'a@sha256:1',
    'a b',
    'https://a/b',
    `${'a/'.repeat(130)}a`,
  ])
    it(`${JSON.stringify(name.slice(0, 20))} is none`, () => assert.doesNotMatch(name, repositoryPattern));

  it('versions of clusters', () => {
    const read = ['1.30', 'v1.30.2', '1.30+', 'v1.30.1-eks-0a1b2c', 'v1.30.4-gke.1348000', 'v1.30.1+k3s1', '1.030'].map(
      minorOf,
    );
    assert.deepEqual([...new Set(read)], ['1.30']);
    for (const wrong of ['', '1', 'latest', '1.x', 'v', `1.${'9'.repeat(30)}`])
      assert.throws(() => minorOf(wrong), { code: 'NK_VERSION_INVALID' });
  });
});

describe('a metadata document with entries that cannot be read', () => {
  const good = { tools: { kubectl: ['1.30.5', '1.31.1'] }, latest: '1.31', revisionHash: 'rev' };
  const [tag, image] = [{ latestTag: '1.26-old' }, { tag: '1.30-rev', digest }];
  interface Spoilt {
    readonly name: string;
    readonly document: unknown;
    readonly passedOver: readonly string[];
    /** What it means without them. */
    readonly left: unknown;
  }
  const spoilt: readonly Spoilt[] = [
    {
      name: 'a version among others',
      document: { ...good, tools: { kubectl: ['1.30.5', 'newest', '1.31.1', 7, null] } },
      passedOver: ['tools.kubectl[1]', 'tools.kubectl[3]', 'tools.kubectl[4]'],
      left: good,
    },
    {
      name: 'a list',
      document: { ...good, tools: { kubectl: '1.30.5' } },
      passedOver: ['tools.kubectl'],
      left: { ...good, tools: {} },
    },
    { name: 'the tools', document: { ...good, tools: [] }, passedOver: ['tools'], left: { ...good, tools: {} } },
    {
      name: 'the latest version',
      document: { ...good, latest: 1.31 },
      passedOver: ['latest'],
      left: { ...good, latest: null },
    },
    {
      name: 'the revision',
      document: { ...good, revisionHash: 'a/b' },
      passedOver: ['revisionHash'],
      left: { ...good, revisionHash: null },
    },
    {
      name: 'a deprecation among others',
      document: { ...good, deprecations: { '1.25': '1.25', '1.26': tag, '1.27': { latestTag: 'a b' }, 'v1.28': tag } },
      passedOver: ['deprecations["1.25"]', 'deprecations["1.27"].latestTag', 'deprecations["v1.28"]'],
      left: { ...good, deprecations: { '1.26': tag } },
    },
    { name: 'the deprecations', document: { ...good, deprecations: 'none' }, passedOver: ['deprecations'], left: good },
    {
      name: 'an image among others',
      document: { ...good, images: { '1.30': image, '1.31': { tag: '1.31-rev', digest: 'sha256:short' }, '1.32': [] } },
      passedOver: ['images["1.31"].digest', 'images["1.32"]'],
      left: { ...good, images: { '1.30': image } },
    },
    {
      name: 'some of everything',
      document: {
        ...good,
        tools: { kubectl: ['1.30.5', '', '1.31.1'] },
        latest: [],
        deprecations: { x: tag, '1.26': tag },
      },
      passedOver: ['tools.kubectl[1]', 'latest', 'deprecations.x'],
      left: { ...good, latest: null, deprecations: { '1.26': tag } },
    },
  ];
  for (const { name, document, passedOver, left } of spoilt)
    it(`is used without them: ${name}`, () => {
      const read = readMetadata(JSON.stringify(document, undefined, 1), 'metadata.json');
      assert.deepEqual(read.metadata, parseMetadata(JSON.stringify(left), 'metadata.json'));
      assert.deepEqual(
        read.passedOver.map((said) => /^metadata\.json:\d+:\d+: (\S+): /.exec(said)?.[1]),
        passedOver,
        read.passedOver.join('\n'),
      );
    });

  it('names a few of many', () => {
    const { passedOver, metadata } = readMetadata(
      JSON.stringify({ tools: { kubectl: [...Array.from({ length: 1_000 }, () => 'x'), '1.30.1'] } }),
      'x',
    );
    assert.deepEqual([passedOver.length, passedOver.at(-1), metadata.listed], [21, 'and 980 more', ['1.30']]);
  });

  for (const wrong of ['[]', '"1.30"', '7', 'null', 'true'])
    it(`is none when it is no map: ${wrong}`, () => {
      assert.throws(() => readMetadata(wrong, 'x'), { code: 'NK_DOCUMENT_INVALID' });
    });
});

describe('a metadata document', () => {
  for (const [document, path] of [
    [{ tools: { kubectl: ['1.30.1', 'newest'] } }, 'tools.kubectl[1]'],
    [{ tools: [] }, 'tools'],
    [{ tools: { kubectl: '1.30.1' } }, 'tools.kubectl'],
    [{ revisionHash: 'a/b' }, 'revisionHash'],
    [{ revisionHash: 7 }, 'revisionHash'],
    [{ deprecations: { '1.26': { latestTag: '1.26@sha256:short' } } }, 'deprecations.1.26.latestTag'],
    [{ deprecations: { '1.26': '1.26' } }, 'deprecations.1.26'],
    [[], ''],
  ] as const) {
    it(`names the path ${path}`, () => {
      assert.throws(
        () => parseMetadata(JSON.stringify(document), 'metadata.json'),
        (thrown) => {
          assert.ok(thrown instanceof NodekilnError);
          assert.equal(thrown.code, 'NK_DOCUMENT_INVALID');
          assert.equal(
            (thrown.place?.path ?? '')
              .replaceAll(/["[\]]+/g, ' ')
              .trim()
              .replaceAll(/[. ]+/g, '.'),
            path
              .replaceAll(/["[\]]+/g, ' ')
              .trim()
              .replaceAll(/[. ]+/g, '.'),
          );
          return true;
        },
      );
    });
  }

  it('is not a web page', () => {
    assert.throws(() => parseMetadata('<!doctype html><p>Not found', 'x'), {
      code: 'NK_DOCUMENT_SYNTAX',
      message: /web page/,
    });
  });

  it('cannot bring values past the schema by way of a prototype', () => {
    const smuggled = parseMetadata('{"__proto__":{"revisionHash":"a b","tools":{"kubectl":["1.30.1"]}}}', 'x');
    assert.deepEqual([smuggled.revision, smuggled.listed], [undefined, []]);
    const inside = parseMetadata('{"images":{"__proto__":{"1.30":{"tag":"x","digest":"y"}}}}', 'x');
    assert.equal(inside.images.size, 0);
  });

  it('may be deep where nobody looks', () => {
    const deep = `{"other":${'['.repeat(200_000)}${']'.repeat(200_000)},"revisionHash":"r"}`;
    assert.equal(parseMetadata(deep, 'x').revision, 'r');
    assert.throws(() => parseMetadata(deep.replace('"r"', '7'), 'x'), NodekilnError);
  });
});
