import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClaimSource, Resource, ResourceId } from '../model/resources.ts';
import type { Observation, Touched } from '../model/steps.ts';
import { file, freshUnit, touchedEntry, unit } from '../../test/support/planning.ts';
import { diff, type Claim, type Diff } from './diff.ts';

const missing: Observation = { kind: 'file', entry: { type: 'absent' } };
const other: Observation = {
  kind: 'file',
  entry: { type: 'file', digest: 'sha256:00', mode: 0o600, uid: 0, gid: 0 },
};

interface Around {
  readonly touched?: readonly Touched[];
  readonly sources?: Readonly<Record<string, ClaimSource>>;
}

function diffOf(
  desired: readonly Resource[],
  seen: Readonly<Record<string, Observation>>,
  { touched = [], sources = {} }: Around = {},
): Diff {
  return diff({
    desired: new Map(
      desired.map((resource): [ResourceId, Claim] => [
        resource.id,
        { resource, source: sources[resource.id] ?? 'boot' },
      ]),
    ),
    observed: new Map(Object.entries(seen) as [ResourceId, Observation][]),
    touched: new Map(touched.map((entry) => [entry.id, entry])),
  });
}

describe('a difference', () => {
  const [a, b, c] = [file('/a'), file('/b'), file('/c')];

  test('is to create what is missing and to update what is otherwise', () => {
    const { changes } = diffOf([a, b], { [a.id]: missing, [b.id]: other });
    assert.deepEqual(
      changes.map(({ id, type, facets, desired }) => ({ id, type, facets, desired })),
      [
        { id: a.id, type: 'create', facets: ['presence'], desired: a },
        { id: b.id, type: 'update', facets: ['content', 'attributes'], desired: b },
      ],
    );
  });

  test('is to remove what was touched and nobody asks for, as its source brought it', () => {
    const entry = touchedEntry(a, { source: 'agent' });
    const { changes } = diffOf([], { [a.id]: other }, { touched: [entry] });
    assert.deepEqual(
      changes.map(({ details, ...change }) => ({ ...change, details: details.length })),
      [
        {
          id: a.id,
          type: 'remove',
          facets: ['presence'],
          details: 1,
          source: 'agent',
          desired: undefined,
          observed: other,
          touched: entry,
        },
      ],
    );
  });

  test('tells what was seen, what was done before and who asks', () => {
    const entry = touchedEntry(a, { done: false });
    const [change] = diffOf([a], { [a.id]: other }, { touched: [entry], sources: { [a.id]: 'image' } }).changes;
    assert.deepEqual([change?.observed, change?.touched, change?.source], [other, entry, 'image']);
  });

  test('is none of what was not looked at, wanted or not', () => {
    assert.deepEqual(diffOf([a], {}).changes, []);
    assert.deepEqual(diffOf([], {}, { touched: [touchedEntry(a)] }).changes, []);
  });

  test('is in the order of ids, removals last', () => {
    const [x, y] = [file('/0'), file('/1')];
    const seen = Object.fromEntries([a, b, c, x, y].map(({ id }) => [id, other]));
    const { changes } = diffOf([c, a, b], seen, { touched: [touchedEntry(y), touchedEntry(a), touchedEntry(x)] });
    assert.deepEqual(
      changes.map(({ id }) => id),
      ['file:/a', 'file:/b', 'file:/c', 'file:/0', 'file:/1'],
    );
  });

  test('of its own and of what is read is one, with each facet once and every reason', () => {
    const running = { ...freshUnit, activeState: 'active', enablement: 'disabled' };
    const reader = unit('a.service', { inputs: [a.id] });
    const { changes } = diffOf([a, reader], { [a.id]: missing, [reader.id]: running });
    const [change] = changes.filter(({ id }) => id === reader.id);
    assert.deepEqual(change?.facets, ['definition', 'enablement', 'inputs']);
    assert.equal(change.details.length, 3);
    assert.match(change.details.at(-1) ?? '', /file:\/a/);
  });
});

describe('what is known of other resources', () => {
  const folder = file('/d', { entry: { type: 'directory', mode: '0755', uid: 0, gid: 0 } });
  const { context } = diffOf(
    [file('/a'), folder],
    { 'file:/a': missing, 'file:/d': missing, 'file:/gone': other },
    {
      touched: [touchedEntry(file('/gone'))],
    },
  );

  test('is their content as somebody asks for it', () => {
    assert.deepEqual(context.contentOf('file:/a'), { text: 'x' });
    assert.equal(context.contentOf('file:/gone'), undefined);
  });

  test('is whether it is about to change', () => {
    assert.equal(context.contentChanges('file:/a'), true);
    assert.equal(context.contentChanges('file:/gone'), false);
    assert.equal(context.contentChanges('file:/never'), false);
  });

  test('is where folders are', () => {
    assert.deepEqual(
      (['file:/d', 'file:/a', 'file:/gone'] as const).map((id) => context.folderOf(id)),
      ['/d', undefined, undefined],
    );
  });
});
