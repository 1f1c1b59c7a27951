import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { asArch, debArch, parseArch, rpmArch, systemdArch } from './arch.ts';

describe('architectures', () => {
  it('read every vocabulary and write each (F20)', () => {
    for (const text of ['amd64', 'x86_64', 'x86-64', 'x64']) {
      assert.deepEqual(
        [parseArch(text), systemdArch(text), debArch(text), rpmArch(text)],
        ['amd64', 'x86-64', 'amd64', 'x86_64'],
      );
    }
    for (const text of ['arm64', 'aarch64']) {
      assert.deepEqual(
        [parseArch(text), systemdArch(text), debArch(text), rpmArch(text)],
        ['arm64', 'arm64', 'arm64', 'aarch64'],
      );
    }
  });
  it('refuse what is unknown, also names every object has', () => {
    for (const text of ['', 'riscv64', 'AMD64', 'constructor']) {
      assert.equal(asArch(text), undefined);
      assert.throws(
        () => parseArch(text),
        (thrown) => thrown instanceof NodekilnError && thrown.code === 'NK_UNSUPPORTED',
      );
    }
  });
});
