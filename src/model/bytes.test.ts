import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { bytesOf, concatBytes, equalBytes, fromBase64, fromHex, latin1Of, textOf, toBase64 } from './bytes.ts';

test('text there and back; a byte order mark is content, what is no text is marked', () => {
  assert.equal(textOf(bytesOf('ä€😀')), 'ä€😀');
  assert.equal(textOf(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), '\uFEFFa');
  assert.equal(textOf(Uint8Array.of(0xff)), '\uFFFD');
  assert.equal(textOf(undefined), undefined);
});

test('pieces are put together in their order, and one alone is itself', () => {
  const [one, two] = [Uint8Array.of(1, 2), Uint8Array.of(3)];
  assert.deepEqual(concatBytes([one, two, new Uint8Array(0), one]), Uint8Array.of(1, 2, 3, 1, 2));
  assert.equal(concatBytes([one]), one);
  assert.deepEqual(concatBytes([]), new Uint8Array(0));
});

test('bytes are equal when all of them are', () => {
  assert.ok(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
  assert.ok(equalBytes(new Uint8Array(0), new Uint8Array(0)));
  assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
  assert.ok(!equalBytes(Uint8Array.of(1), Uint8Array.of(1, 2)));
  assert.ok(!equalBytes(Uint8Array.of(2, 2), Uint8Array.of(1, 2)));
});

test('base64 is that of Node, there and back, also of much', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.equal(toBase64(bytes), Buffer.from(bytes).toString('base64'));
      assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
    }),
  );
  const much = new Uint8Array(20_000).map((_zero, index) => index % 256);
  assert.equal(toBase64(much), Buffer.from(much).toString('base64'));
  assert.equal(latin1Of(much).length, much.length);
});

test('base64 of the world: without padding, for addresses, broken into lines, cut off', () => {
  for (const [text, wanted] of [
    ['aGk', 'hi'],
    ['aGk=', 'hi'],
    ['aG\n k=', 'hi'],
    ['aGkx\r\nMg==', 'hi12'],
    ['aGkxM', 'hi1'],
    ['', ''],
  ] as const)
    assert.equal(textOf(fromBase64(text)), wanted, text);
  assert.deepEqual(fromBase64('-_-_'), fromBase64('+/+/'));
  assert.deepEqual(fromBase64('+/+/'), Uint8Array.of(0xfb, 0xff, 0xbf));
});

test('hexadecimal digits, small and large', () => {
  assert.deepEqual(fromHex('00fFa1'), Uint8Array.of(0, 255, 161));
  assert.deepEqual(fromHex(''), new Uint8Array(0));
});
