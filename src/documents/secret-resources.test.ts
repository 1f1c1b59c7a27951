/** What a document says in secret is in a resource by the type that says so, and as no other text of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderOsc } from '../../test/support/osc.ts';
import { marker, secretOsc, secretSpec, traces, withSecret } from '../../test/support/secret-documents.ts';
import { nodeDocument } from '../../test/support/memory-node.ts';
import { parseDocument } from '../config/load.ts';
import { isMap } from '../config/paths.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { renderImage } from '../desired/render-image.ts';
import { renderNode } from '../desired/render-node.ts';
import { exampleFacts } from '../model/facts.ts';
import type { DesiredState } from '../model/resources.ts';

/** Where a text of it stands, as `sensitive` or otherwise. */
function* placesOf(value: unknown, path = ''): Generator<readonly [path: string, isSensitive: boolean]> {
  if (typeof value === 'string' && traces.some((trace) => value.includes(trace)))
    yield [path, path.endsWith('.sensitive')];
  if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* placesOf(item, `${path}[${index}]`);
  else if (isMap(value)) for (const [key, inner] of Object.entries(value)) yield* placesOf(inner, `${path}.${key}`);
}

function assertByType(desired: DesiredState, count: number): void {
  const { resources, warnings, notes } = desired;
  const places = [...resources.values()].flatMap((resource) => [...placesOf(resource, resource.id)]);
  assert.deepEqual(
    places.flatMap(([path, isSensitive]) => (isSensitive ? [] : [path])),
    [],
  );
  assert.deepEqual([...placesOf([warnings, notes])], []);
  assert.equal(places.length, count, places.map(([path]) => path).join('\n'));
}

test('of a NodeConfig', async () => {
  const { config } = resolveNodeConfig([
    await parseDocument({ file: 'a.json', text: nodeDocument(secretSpec) }, 'NodeConfig'),
  ]);
  assertByType(renderNode(config, exampleFacts), 34);
});

test('of an OperatingSystemConfig', async () => assertByType(await renderOsc(secretOsc), 8));

test('of an ImageManifest', async () => {
  const build = (source: object): object => ({ version: '1.34.3', source });
  const url = withSecret('https://files.example', '/a');
  const spec = {
    transfer: { proxy: `http://user:${marker}@proxy.example:3128`, mirrors: [{ host: 'a.example', url }] },
    components: [
      { name: 'a', action: 'cache', builds: [build({ type: 'file', url })] },
      { name: 'b', action: 'cache', builds: [build({ type: 'deb', url })] },
      { name: 'c', action: 'cache', builds: [build({ type: 'tarball', url, member: 'c' })] },
      { name: 'd', action: 'cache', builds: [build({ type: 'apt', url, suite: 'noble', signedBy: '/etc/key.gpg' })] },
      { name: 'e', action: 'cache', builds: [build({ type: 'dnf', url, keys: ['/etc/KEY'] })] },
      { name: 'f', action: 'download', url, target: '/opt/f', digest: `sha256:${'0'.repeat(64)}` },
    ],
    files: [{ path: '/etc/secret', content: marker, sensitive: true }],
  };
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'ImageManifest', spec });
  const { document } = await parseDocument({ file: 'image.json', text }, 'ImageManifest');
  assertByType(renderImage(document, exampleFacts, {}), 19);
});
