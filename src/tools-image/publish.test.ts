import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { NodekilnError } from '../errors.ts';
import { chooseImage } from './choose.ts';
import { parseAs } from '../config/parse-as.ts';
import { parseMetadata } from './metadata.ts';
import { publish } from './publish.ts';
import { toolsImages, type ToolsImages } from './schema-images.ts';

const digestOf = (n: number): string => `sha256:${n.toString(16).padStart(64, '0')}`;

function images(...entries: readonly (readonly [string, number])[]): ToolsImages {
  return {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'ToolsImages',
    spec: { images: entries.map(([kubectl, n]) => ({ kubectl, digest: digestOf(n) })) },
  };
}

const published = (document: ToolsImages, previous?: string) =>
  publish(document, previous === undefined ? undefined : parseMetadata(previous, 'previous.json'));

describe('publishing', () => {
  it('writes what readers of the format expect', () => {
    const { text, revision, tags } = published(images(['1.31.1', 2], ['v1.9.4', 1], ['1.30.5', 3]));
    assert.match(revision, /^[0-9a-f]{10}$/);
    assert.deepEqual(JSON.parse(text), {
      tools: { kubectl: ['1.9.4', '1.30.5', '1.31.1'] },
      latest: '1.31',
      revisionHash: revision,
      deprecations: {},
      images: Object.fromEntries(tags.map(({ minor, tag, digest }) => [minor, { tag, digest }])),
    });
    assert.deepEqual(tags[0], { minor: '1.9', tag: `1.9-${revision}`, digest: digestOf(1) });
  });

  it('the revision changes exactly when an image does', () => {
    const { revision } = published(images(['1.31.1', 2], ['1.30.5', 3]));
    assert.equal(published(images(['1.30.5', 3], ['1.31.1', 2])).revision, revision, 'order');
    assert.equal(published(images(['1.30.6', 3], ['1.31.1', 2])).revision, revision, 'patch version alone');
    assert.notEqual(published(images(['1.30.5', 4], ['1.31.1', 2])).revision, revision, 'a digest');
    assert.notEqual(published(images(['1.30.5', 2], ['1.31.1', 3])).revision, revision, 'exchanged');
  });

  it('what is no longer listed is deprecated with its last tag and digest, until it is listed again', () => {
    const first = published(images(['1.30.5', 3], ['1.31.1', 2]));
    const second = published(images(['1.31.1', 2]), first.text);
    const last = `1.30-${first.revision}@${digestOf(3)}`;
    assert.deepEqual(parseMetadata(second.text, 'x').deprecated, new Map([['1.30', last]]));
    const third = published(images(['1.32.0', 9]), second.text);
    assert.deepEqual(third.deprecated, ['1.30', '1.31']);
    assert.equal(parseMetadata(third.text, 'x').deprecated.get('1.30'), last);
    const again = published(images(['1.30.9', 4], ['1.32.0', 9]), third.text);
    assert.deepEqual(again.deprecated, ['1.31']);
  });

  it('goes on from a document without digests', () => {
    const upstream = JSON.stringify({
      tools: { kubectl: ['1.28.14', '1.31.1'] },
      revisionHash: 'Juaa5J',
      deprecations: { '1.26': { latestTag: `1.26@${digestOf(7)}` } },
    });
    const { deprecated } = parseMetadata(published(images(['1.31.2', 1]), upstream).text, 'x');
    assert.deepEqual(
      [...deprecated],
      [
        ['1.26', `1.26@${digestOf(7)}`],
        ['1.28', '1.28-Juaa5J'],
      ],
    );
    const { deprecated: plain } = parseMetadata(
      published(images(['1.31.2', 1]), '{"tools":{"kubectl":["1.20.1"]}}').text,
      'x',
    );
    assert.deepEqual([...plain], [['1.20', '1.20']]);
  });
});

const anyList = fc
  .uniqueArray(fc.tuple(fc.nat(40), fc.nat(20), fc.nat(1000)), { selector: ([minor]) => minor })
  .map((list) => images(...list.map(([minor, patch, n]) => [`1.${minor}.${patch}`, n] as const)));

describe('any sequence of publications', () => {
  it('is repeatable, loses no version, and is read back as written', () => {
    fc.assert(
      fc.property(fc.array(anyList, { minLength: 1, maxLength: 5 }), (lists) => {
        let text: string | undefined;
        const ever = new Set<string>();
        for (const list of lists) {
          const next = published(list, text);
          assert.equal(published(list, next.text).text, next.text);
          text = next.text;
          const metadata = parseMetadata(text, 'x');
          for (const { minor } of next.tags) ever.add(minor);
          for (const cluster of ever) {
            const { reason, tag, digest } = chooseImage({
              repository: 'r',
              cluster,
              metadata,
              knownTags: [],
              policy: 'error',
            });
            const current = next.tags.find(({ minor }) => minor === cluster);
            assert.equal(reason, current ? 'revision' : 'deprecated');
            if (current) assert.deepEqual([tag, digest], [current.tag, current.digest]);
            else assert.ok(digest);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('a ToolsImages document', () => {
  const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: ToolsImages\nspec:\n';
  const read = (text: string) => parseAs({ file: 'images.yaml', text: head + text }, toolsImages, 'ToolsImages');

  it('is YAML or JSON', async () => {
    const { spec } = await read(`  images:\n    - kubectl: 1.31.1\n      digest: ${digestOf(1)}\n`);
    assert.equal(spec.images[0]?.kubectl, '1.31.1');
    const json = JSON.stringify(images(['1.30.1', 1]));
    assert.deepEqual(await parseAs({ file: 'x', text: json }, toolsImages, 'ToolsImages'), images(['1.30.1', 1]));
  });

  for (const [name, text, says] of [
    [
      'two images of one minor version',
      `  images: [{kubectl: 1.31.1, digest: "${digestOf(1)}"}, {kubectl: 1.31.2, digest: "${digestOf(2)}"}]`,
      /second image for 1\.31/,
    ],
    ['a short digest', '  images: [{kubectl: 1.31.1, digest: "sha256:1"}]', /must be a digest/],
    ['an unknown key', '  images: []\n  latst: "1.31"', /did you mean "latest"/],
    [
      'latest without an image',
      `  images: [{kubectl: 1.31.1, digest: "${digestOf(1)}"}]\n  latest: "1.32"`,
      /has no image/,
    ],
    ['kubectl among the tools', '  images: []\n  tools: {kubectl: ["1.31.1"]}', /made from the images/],
    ['no images', '  tools: {}', /images/],
    ['no minor version', `  images: [{kubectl: "1", digest: "${digestOf(1)}"}]`, /minor version/],
  ] as const) {
    it(`${name} is refused, with its line`, async () => {
      await assert.rejects(read(text), (thrown) => {
        assert.ok(thrown instanceof NodekilnError);
        const [problem] = thrown.problems;
        assert.match(`${problem?.place?.path} ${problem?.message} ${problem?.hint}`, says);
        assert.ok((problem?.place?.line ?? 0) >= 3);
        return true;
      });
    });
  }
});
