/**
 * What may hold a secret is never shown, whatever place it is written in and however it is spelled: every field of every kind
 * of document is given addresses with passwords and signatures. No message has them.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { $ZodType } from 'zod/v4/core';
import { documentSchemas } from '../../test/support/document-schemas.ts';
import { documentAround, schemaFields } from '../../test/support/schema-fields.ts';
import { around, secret, secretAddresses as spellings } from '../../test/support/secret-addresses.ts';
import { parseManifestLock } from '../artifacts/manifest-lock.ts';
import { NodekilnError } from '../errors.ts';
import { parseImageLock } from '../image/image-lock.ts';
import { checkDocuments } from './check.ts';

type Try = readonly [spelling: string, place: (text: string) => unknown];

/** Where anything is wanted, as a text, in a list, as a value and as a key of a map. */
const others: readonly Try[] = [
  [spellings[0], (text) => text],
  [spellings[0], (text) => [text, text]],
  [spellings[0], (text) => ({ [text]: text, a: text })],
];
const tries: readonly Try[] = [...others, ...spellings.slice(1).map((one): Try => [one, (text) => text])];

describe('messages', () => {
  for (const [kind, schemaOf] of documentSchemas)
    test(`about any field of a ${kind}`, async () => {
      const schema = await schemaOf();
      const found: string[] = [];
      for (const { path, isText } of fieldsOf(schema))
        for (const [spelling, place] of isText ? tries : others) {
          const document = documentAround(schema, path, place(spelling));
          const said = JSON.stringify(await checkDocuments([{ file: 'x', text: JSON.stringify(document) ?? '' }]));
          if (secret.test(said)) found.push(`${path.join('.')}: ${JSON.stringify(document)}: ${around(said)}`);
        }
      assert.deepEqual(found.slice(0, 5), [], `${found.length} messages`);
    });

  test('about texts that are no documents', async () => {
    const found: string[] = [];
    for (const spelling of spellings)
      for (const text of [
        spelling,
        `${spelling}: [`,
        `a: "${spelling}`,
        `a: ${spelling}\n b: c`,
        `{"a": "${spelling}", "a": 1}`,
        `"${spelling}": 1\n"${spelling}": 2\n`,
        `apiVersion: "${spelling}"\nkind: NodeConfig\n`,
        `apiVersion: nodekiln.dev/v1alpha1\nkind: "${spelling}"\n`,
      ]) {
        const said = JSON.stringify(await checkDocuments([{ file: 'x', text }]));
        if (secret.test(said)) found.push(`${text}: ${said.slice(0, 600)}`);
      }
    assert.deepEqual(found.slice(0, 5), [], `${found.length} messages`);
  });

  for (const [name, parse] of [
    ['image.lock.json', parseManifestLock],
    ['lock of an image', parseImageLock],
  ] as const)
    test(`about a damaged ${name}`, () => {
      for (const spelling of spellings)
        for (const text of [
          spelling,
          JSON.stringify({
            kind: spelling,
            [spelling]: 1,
            artifacts: [{ id: 1, [spelling]: spelling }],
            images: [spelling],
          }),
        ])
          assert.throws(
            () => parse(text, 'x'),
            (error) => {
              assert.ok(error instanceof NodekilnError);
              assert.doesNotMatch(JSON.stringify([error, error.problems]), secret);
              return true;
            },
          );
    });
});

/** Of several fields at one path the texts count. */
function fieldsOf(schema: $ZodType): readonly { readonly path: readonly string[]; readonly isText: boolean }[] {
  const fields = new Map<string, { path: readonly string[]; isText: boolean }>();
  for (const { path, schema: one } of schemaFields(schema)) {
    const name = path.join('.');
    fields.set(name, { path, isText: fields.get(name)?.isText === true || one._zod.def.type === 'string' });
  }
  return [...fields.values()];
}
