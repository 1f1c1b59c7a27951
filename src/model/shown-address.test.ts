import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addressNotShown, addressOf, holdsSecret, looksSecret, shownAddress, shownText } from './shown-address.ts';

/** Each as somebody may write it, and what is shown of it; `hunter2` is the secret. */
const secrets: readonly (readonly [address: string, shown: string])[] = [
  ['https://user:hunter2@registry.example.org/a', 'https://registry.example.org/a'],
  ['https://hunter2@registry.example.org/a', 'https://registry.example.org/a'],
  ['https://:hunter2@registry.example.org', 'https://registry.example.org/'],
  ['HTTPS://User:hunter2@Registry.Example.org/A', 'https://registry.example.org/A'],
  ['https://user:p%40hunter2@registry.example.org/a', 'https://registry.example.org/a'],
  ['https://user:p@hunter2@registry.example.org/a', 'https://registry.example.org/a'],
  ['https://user:50%hunter2@registry.example.org/a', 'https://registry.example.org/a'],
  ['https://user:пароль-hunter2@registry.example.org/a', 'https://registry.example.org/a'],
  ['https://us\u0007er:hunter2@registry.example.org/a', 'https://registry.example.org/a'],
  ['https://user:hun\tter2@registry.example.org/a', 'https://registry.example.org/a'],
  ['https://user:hunter2@[2001:db8::1]:5000/a', 'https://[2001:db8::1]:5000/a'],
  ['https:\\\\user:hunter2@registry.example.org\\a', 'https://registry.example.org/a'],
  ['socks5://user:hunter2@proxy.example.org:1080', 'socks5://proxy.example.org:1080/'],
  ['//user:hunter2@registry.example.org/a', '//registry.example.org/a'],
  ['user:hunter2@registry.example.org/a', 'registry.example.org/a'],
  ['user:hunter2@registry.example.org:5000', 'registry.example.org:5000/'],
  ['user:hunter2@[::1]:3128', '[::1]:3128/'],
  ['user:hunter2@registry.example.org/a@sha256:00', 'registry.example.org/a@sha256:00'],
  ['https://registry.example.org/a?sig=hunter2', 'https://registry.example.org/a?…'],
  ['https://registry.example.org/a?a=b&sig=hunter2&c=d#e', 'https://registry.example.org/a?…#…'],
  ['https://registry.example.org?hunter2', 'https://registry.example.org/?…'],
  ['https://registry.example.org/a#hunter2', 'https://registry.example.org/a#…'],
  ['registry.example.org/a?sig=hunter2', 'registry.example.org/a?…'],
  ['https://user:pass/hunter2@registry.example.org/a', addressNotShown],
  ['https://user:12/hunter2@registry.example.org/a', addressNotShown],
  ['user/hunter2@registry.example.org', addressNotShown],
  ['https://user:hunter2%40registry.example.org/a', addressNotShown],
  ['https://user:hunter2＠registry.example.org/a', addressNotShown],
  ['https://user:hunter2@registry example.org/a', addressNotShown],
  ['https://user:hunter2@', addressNotShown],
];

const harmless = [
  'https://registry.example.org/a',
  'https://example.org/a@b',
  'https://example.org:5000/a',
  'http://[::1]:10248/healthz',
  'registry.example.org/a:b@sha256:0',
  'registry.example.org:5000/a/b@sha256:00',
  'https://example.org',
  '',
];

describe('what is shown of an address', () => {
  for (const [address, shown] of secrets)
    test(JSON.stringify(address), () => {
      assert.equal(shownAddress(address), shown);
      assert.ok(!shown.includes('hunter2') && !shown.includes('ter2'));
      assert.ok(holdsSecret(address));
      assert.deepEqual([addressOf(address), shownAddress(addressOf(address))], [{ sensitive: address }, shown]);
      if (!/:\/\//.test(address) || /\s/.test(address)) return;
      assert.equal(shownText(`GET "${address}" and ${address}`), `GET "${shown}" and ${shown}`);
    });

  for (const address of harmless)
    test(`${address || 'nothing'} as it is`, () => {
      assert.ok(!holdsSecret(address) && !looksSecret(address));
      assert.deepEqual([addressOf(address), shownText(`${address}, it says`)], [address, `${address}, it says`]);
      if (URL.canParse(address)) assert.equal(shownAddress(address), address);
    });
});

test('a text that may be anything is taken for an address only when it looks like one', () => {
  for (const text of ['unit:getty@tty1.service', '/run/a:b@c', 'getty@tty1', 'a@example.org', '*.conf?', '#1', 'a: b?'])
    assert.ok(!looksSecret(text), text);
  for (const text of ['user:hunter2@host', '//hunter2@host', 'https://host?hunter2', '\\\\user:hunter2@host'])
    assert.ok(looksSecret(text), text);
});
