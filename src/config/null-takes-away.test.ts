/** `null` in a later document takes away each value that the schema knows, wherever it stands, and nothing else. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { occurrences, withValue, type Occurrence } from '../../test/support/schema-fields.ts';
import { parseDocument, parseText } from './load.ts';
import { merge } from './merge.ts';
import { isMap, valueAt } from './paths.ts';
import { foreignMaps, listKeys } from './removals.ts';
import { nodeConfigDocument } from './schema-node.ts';

const folder = join(import.meta.dirname, '../desired/effects');
const head = { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig' };

for (const file of readdirSync(folder).filter((name) => /node/i.test(name)))
  test(`in every map and keyed list of ${file}`, async (context) => {
    const text = readFileSync(join(folder, file), 'utf8');
    const { value: earlier } = await parseText({ file, text });
    if (!isMap(earlier) || earlier['kind'] !== head.kind) return;
    let taken = 0;
    const required: string[] = [];
    for (const occurrence of occurrences(nodeConfigDocument, earlier)) {
      const alone = removalOf(occurrence, earlier);
      if (!alone) continue;
      const about = occurrence.at.join('.');
      // What a map cannot do without is said again beside it; a value that it cannot do without goes with its map alone.
      const later = await firstAccepted([alone, withValue(earlier, occurrence.at, null)], about);
      if (later === undefined) {
        required.push(about);
        continue;
      }
      const { value: left } = merge([earlier, later]);
      const found = [...occurrences(nodeConfigDocument, left)].map(shown(left));
      assert.ok(!found.includes(shown(earlier)(occurrence)), `${about} is still there`);
      const isBelow = (one: Occurrence): boolean => occurrence.at.every((key, index) => one.at[index] === key);
      const others = [...occurrences(nodeConfigDocument, earlier)].filter(
        (one) => !isBelow(one) && !isMap(one.value) && !Array.isArray(one.value) && !sharesItem(one, occurrence),
      );
      const set = new Set(found);
      for (const one of others) assert.ok(set.has(shown(earlier)(one)), `${about} takes ${one.at.join('.')} with it`);
      taken += 1;
    }
    assert.ok(taken >= 10, `${taken} values were taken away`);
    context.diagnostic(`${taken} taken away; required where they stand: ${required.join(', ')}`);
  });

async function firstAccepted(documents: readonly unknown[], file: string): Promise<unknown> {
  for (const document of documents) {
    try {
      await parseDocument({ file, text: JSON.stringify(isMap(document) ? { ...document, ...head } : document) });
      return document;
    } catch (thrown) {
      assert.match(
        isMap(thrown) ? JSON.stringify(thrown['problems']) : '',
        /missing|must be|must have|needs|must not|without/,
      );
    }
  }
  return undefined;
}

/** A document that says nothing but null at one place; undefined where null is a value, or no word of a later document. */
function removalOf({ at, field }: Occurrence, earlier: unknown): Record<string, unknown> | undefined {
  const key = at.at(-1);
  if (at[0] !== 'spec' || at.length < 2 || typeof key !== 'string') return undefined;
  const kind: string[] = [];
  let known: unknown = earlier;
  const frames: ((inner: unknown) => unknown)[] = [];
  for (const [index, step] of at.entries()) {
    if (foreignMaps.has(kind.join('.'))) return undefined;
    const list = kind.join('.');
    if (typeof step === 'number') {
      const named = listKeys[list];
      const item: unknown = Array.isArray(known) ? known[step] : undefined;
      if (named === undefined || !isMap(item)) return undefined;
      // The name of an item is no value of it.
      if (index === at.length - 2 && key === named) return undefined;
      frames.push((inner) => [{ [named]: item[named], ...(isMap(inner) ? inner : {}) }]);
      kind.push('*');
      known = item;
    } else {
      frames.push((inner) => ({ [step]: inner }));
      kind.push(step);
      known = isMap(known) ? known[step] : undefined;
    }
  }
  assert.ok(field.path.length > 0);
  const document = frames.reduceRight<unknown>((inner, frame) => frame(inner), null);
  return isMap(document) ? document : undefined;
}

/** An occurrence by what its lists' items are called, since items that go change the numbers of others. */
function shown(tree: unknown): (one: Occurrence) => string {
  return ({ at, value }) => {
    const names = at.map((step, index) => {
      if (typeof step !== 'number') return step;
      const item = valueAt(tree, at.slice(0, index + 1));
      return isMap(item) ? JSON.stringify(item['name'] ?? item['path'] ?? item['host'] ?? item['key'] ?? step) : step;
    });
    return `${names.join('.')} ${JSON.stringify(value)}`;
  };
}

/** An item may go with the last of what makes it one. */
function sharesItem(one: Occurrence, { at }: Occurrence): boolean {
  const item = at.findLastIndex((step) => typeof step === 'number');
  return item >= 0 && at.slice(0, item + 1).every((step, index) => one.at[index] === step);
}
