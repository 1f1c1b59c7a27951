/** What a document of a registry is taken for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf } from '../../../model/bytes.ts';
import { parseManifest } from './model.ts';

const digest = `sha256:${'1'.repeat(64)}`;
const blob = { mediaType: 'application/octet-stream', digest, size: 1 };
const image = { schemaVersion: 2, config: blob, layers: [blob] };
const index = { schemaVersion: 2, manifests: [blob] };
const types = {
  image: ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'],
  index: ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'],
};
const parse = (document: object, mediaType: string) =>
  parseManifest({ digest, mediaType, content: bytesOf(JSON.stringify(document)) }, 'registry.example/t/k:v1');

describe('a document of a registry', () => {
  for (const type of types.image)
    it(`of ${type} is an image’s, also with parameters and as it says itself`, () => {
      assert.equal(parse(image, type).type, 'manifest');
      assert.equal(parse(image, `${type}; charset=utf-8`).type, 'manifest');
      assert.equal(parse({ ...image, mediaType: type }, 'application/json').type, 'manifest');
    });

  for (const type of types.index)
    it(`of ${type} is an index`, () => {
      assert.equal(parse(index, type).type, 'index');
    });

  const both: Readonly<Record<string, object>> = {
    'layers and a configuration': { ...index, ...image },
    layers: { ...index, layers: [] },
    'a configuration': { ...index, config: null },
    'layers of the first schema': { ...index, fsLayers: [] },
  };
  for (const [what, document] of Object.entries(both))
    it(`that is an index and has ${what} is refused, whatever it is called`, () => {
      for (const type of [...types.image, ...types.index])
        for (const own of [undefined, ...types.image, ...types.index])
          assert.throws(() => parse({ ...document, ...(own !== undefined && { mediaType: own }) }, type), {
            code: 'NK_ARTIFACT_UNREADABLE',
            message: 'the manifest of registry.example/t/k:v1 is an index and the manifest of an image at once',
          });
    });

  it('of another type, or none, is refused', () => {
    for (const type of [
      '',
      'application/json',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'text/html',
    ])
      assert.throws(() => parse(image, type), { code: 'NK_ARTIFACT_UNREADABLE', message: /media type/ });
    for (const content of ['', '<html>', '[]', 'null', '1'])
      assert.throws(() => parseManifest({ digest, mediaType: '', content: bytesOf(content) }, 'x'), {
        code: 'NK_ARTIFACT_UNREADABLE',
      });
  });
});
