import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { asReference, formatReference, mirrorTag, parseReference } from './reference.ts';
import type { Reference } from './reference.ts';

describe('references', () => {
  const rows: readonly [string, string, boolean][] = [
    ['H01', 'mcr.microsoft.com/component/binary:1.0', true],
    ['H02', 'mcr.microsoft.com/component/binary', false],
    ['H05', '', false],
    ['H07', 'host.io:443/a:1', true],
    ['H09', 'a:b', false],
    ['an address', 'https://host.io/a:1', false],
    ['a digest', `host.io/a@sha256:${'0'.repeat(64)}`, true],
    ['a short digest', 'host.io/a@sha256:00', false],
    ['a local registry', 'localhost:5000/a/b:v1', true],
    ['capitals in the repository', 'host.io/A:1', false],
    ['a leading dash in the tag', 'host.io/a:-1', false],
  ];
  for (const [id, text, expected] of rows) {
    it(`${id}: ${text}`, () => {
      const reference = asReference(text);
      assert.equal(reference !== undefined, expected);
      if (reference) assert.equal(formatReference(reference), text);
      else
        assert.throws(
          () => parseReference(text),
          (thrown) => thrown instanceof NodekilnError && thrown.code === 'NK_DOCUMENT_INVALID',
        );
    });
  }
});

describe('the parts of a reference', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const rows: readonly [string, Reference][] = [
    ['host.io/a:1', { registry: 'host.io', repository: 'a', tag: '1' }],
    [`localhost/a/b@${digest}`, { registry: 'localhost', repository: 'a/b', digest }],
    [`[::1]:5000/a:v1@${digest}`, { registry: '[::1]:5000', repository: 'a', tag: 'v1', digest }],
  ];
  for (const [text, parts] of rows)
    it(text, () => {
      assert.deepEqual(asReference(text), parts);
      assert.deepEqual(parseReference(text), parts);
      assert.equal(formatReference(parts), text);
    });
});

describe('a reference of Docker Hub', () => {
  const rows: readonly [string, string][] = [
    ['docker.io/busybox:1', 'docker.io/library/busybox:1'],
    ['docker.io/library/busybox:1', 'docker.io/library/busybox:1'],
    ['docker.io/team/tool:1', 'docker.io/team/tool:1'],
    ['index.docker.io/busybox:1', 'docker.io/library/busybox:1'],
    ['registry-1.docker.io/team/tool:1', 'docker.io/team/tool:1'],
    ['docker.io:443/busybox:1', 'docker.io:443/busybox:1'],
    ['localhost/busybox:1', 'localhost/busybox:1'],
    ['quay.io/busybox:1', 'quay.io/busybox:1'],
  ];
  for (const [text, meant] of rows)
    it(`${text} is ${meant}`, () => {
      assert.equal(formatReference(parseReference(text)), meant);
    });
});

describe('tags', () => {
  it('carry one v (G208, G209)', () => {
    assert.equal(mirrorTag('1.34.0'), 'v1.34.0');
    assert.equal(mirrorTag('v1.34.0'), 'v1.34.0');
  });
});

it('a reference that is none is named without what may be a password', () => {
  for (const [text, shown] of [
    ['user:hunter2@host.io/a:1', 'host.io/a:1'],
    ['https://user:hunter2@host.io/a:1', 'https://host.io/a:1'],
    ['host.io/a:1?hunter2', 'host.io/a:1?…'],
    ['host.io/a@b', 'an address that is none'],
    ['a:b', '"a:b"'],
  ] as const)
    assert.throws(() => parseReference(text), { code: 'NK_DOCUMENT_INVALID', message: `${shown} is no OCI reference` });
});
