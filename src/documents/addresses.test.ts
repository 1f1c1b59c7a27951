/** Every field that names a place in a network has the type of an address: what is shown of it goes by that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentSchemas } from '../../test/support/document-schemas.ts';
import { schemaFields } from '../../test/support/schema-fields.ts';
import { isAddress, isSecretMap } from '../config/typed.ts';

const names =
  /(?:^|[a-z])(?:url|server|http|https|proxy|registry|reference|host|issuer|mirror|endpoint|upstream|image|domain|dns|nodeIp|address)s?$/i;

/** Named like one, and none: a path inside an image. */
const others = ['filePathInImage'];

for (const [kind, schemaOf] of documentSchemas)
  test(`every address of a ${kind} is one by type`, async () => {
    const missed = new Set<string>();
    for (const { path, schema } of schemaFields(await schemaOf())) {
      const name = path.findLast((part) => part !== '*' && !part.startsWith('<')) ?? '';
      const { type } = schema._zod.def;
      if (type !== 'string' || !names.test(name) || others.includes(name) || path.at(-1) === '{}') continue;
      if (!isAddress([schema])) missed.add(path.join('.'));
    }
    assert.deepEqual([...missed], []);
  });

for (const [kind, schemaOf] of documentSchemas)
  test(`every environment of a ${kind} is one by type`, async () => {
    for (const { path, schema } of schemaFields(await schemaOf()))
      if (path.at(-1) === 'env') assert.ok(isSecretMap([schema]), path.join('.'));
  });
