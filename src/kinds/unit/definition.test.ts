import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SensitiveText, UnitResource } from '../../model/resources.ts';
import { definitionDifferences, unitEntries } from './definition.ts';

function unit(content: string | SensitiveText, dropIn: string | SensitiveText): UnitResource {
  return {
    kind: 'unit',
    id: 'unit:a.service',
    name: 'a.service',
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: [],
    content,
    dropIns: [{ name: '10-a.conf', content: dropIn }],
    inputs: [],
    onChange: 'restart',
    readiness: { type: 'active' },
    deadlineMs: 1000,
  };
}

const paths = ['/etc/systemd/system/a.service', '/etc/systemd/system/a.service.d/10-a.conf'];

function modes(of: UnitResource): unknown[] {
  return [...unitEntries(of)].map(([path, entry]) => [path, entry.type === 'file' && entry.mode]);
}

test('unit files are for all to read, secret ones for root alone', () => {
  assert.deepEqual(
    modes(unit('x', 'y')),
    paths.map((path) => [path, 0o644]),
  );
  assert.deepEqual(
    modes(unit({ sensitive: 'x' }, { sensitive: 'y' })),
    paths.map((path) => [path, 0o600]),
  );
});

test('a secret one that others can read differs', () => {
  const entries = Object.fromEntries(
    [...unitEntries(unit({ sensitive: 'x' }, { sensitive: 'y' }))].map(([path, entry]) => [
      path,
      entry.type === 'file'
        ? ({ type: 'file', digest: entry.digest, mode: 0o644, uid: 0, gid: 0 } as const)
        : ({ type: 'absent' } as const),
    ]),
  );
  const found = definitionDifferences(unit({ sensitive: 'x' }, { sensitive: 'y' }), entries, undefined);
  assert.deepEqual(
    found.map(({ path }) => path),
    paths,
  );
});
