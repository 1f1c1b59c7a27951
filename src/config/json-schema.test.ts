import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonSchema } from './json-schema.ts';
import { isMap, valueAt } from './paths.ts';

for (const kind of ['NodeConfig', 'AgentConfig', 'ImageManifest', 'Inventory'] as const) {
  test(`the schema of ${kind} says what it is, in which dialect, and what must be there`, async () => {
    const schema = await jsonSchema(kind);
    assert.equal(schema['$id'], `https://nodekiln.dev/schemas/v1alpha1/${kind}.json`);
    assert.equal(schema['title'], kind);
    assert.equal(schema['$schema'], 'https://json-schema.org/draft/2020-12/schema');
    assert.deepEqual(schema['required'], ['apiVersion', 'kind', 'spec']);
    assert.equal(valueAt(schema, ['properties', 'kind', 'const']), kind);
    const spec = valueAt(schema, ['properties', 'spec', 'properties']);
    assert.ok(isMap(spec) && Object.keys(spec).length > 4);
  });
}
