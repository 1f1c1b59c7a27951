/**
 * What may hold a secret is never shown: the documents in `desired/effects/` hold every field, and each of their texts is given an
 * address with a password, and one with a signature. Taken or refused, neither the dump nor a message has it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { occurrences, withValue } from '../../test/support/schema-fields.ts';
import { NodekilnError } from '../errors.ts';
import { configDump } from './inspect.ts';
import { parseDocument } from './load.ts';
import { formatPath } from './paths.ts';
import { nodeConfigDocument } from './schema-node.ts';

const addresses = [
  'https://user:hunter2@registry.example.org/a',
  'https://registry.example.org/a?sig=hunter2',
  'http://user:hunter2@127.0.0.1:8080/healthz',
  // Wrong wherever it stands.
  'https://user:hunter2@registry.example.org/a\u0007',
];
/** Free texts, which are what somebody says they are: an argument, a label, a file. */
const free = /(?:content|argv\.\*|args\.\*|command\.\*|labels\.\{\}|annotations\.\{\}|flags\.\{\}|value)$/;

for (const file of ['node-1.yaml', 'node-2.yaml', 'node-3.yaml', 'node-4.yaml', 'node-5.yaml'])
  test(`no address in ${file} is shown with its secret`, async () => {
    const text = readFileSync(join(import.meta.dirname, '..', 'desired', 'effects', file), 'utf8');
    const { document } = await parseDocument({ file, text }, 'NodeConfig');
    let taken = 0;
    for (const { at, field, value } of occurrences(nodeConfigDocument, document)) {
      if (typeof value !== 'string' || field.schema._zod.def.type !== 'string') continue;
      if (free.test(field.path.join('.'))) continue;
      const isVariable = field.path.at(-2) === 'env';
      for (const address of isVariable ? [...addresses, 'hunter2'] : addresses) {
        const changed = JSON.stringify(withValue(document, at, address));
        const shown = await shownOf(changed);
        if (shown.type === 'dump') taken += 1;
        assert.ok(!shown.text.includes('hunter2'), `${formatPath(at)}: ${shown.text.slice(0, 2000)}`);
      }
    }
    assert.ok(taken > 0, 'some are taken');
  });

async function shownOf(text: string): Promise<{ readonly type: 'dump' | 'messages'; readonly text: string }> {
  try {
    return { type: 'dump', text: JSON.stringify(configDump([await parseDocument({ file: 'x', text }, 'NodeConfig')])) };
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError, String(thrown));
    const { message, hint, lines, problems, place } = thrown;
    return { type: 'messages', text: JSON.stringify([message, hint, lines, problems, place]) };
  }
}
