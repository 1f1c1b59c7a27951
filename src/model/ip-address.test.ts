import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { it } from 'node:test';
import { addressBytes } from './ip-address.ts';

const hex = (text: string): string | undefined => {
  const bytes = addressBytes(text);
  return bytes && Buffer.from(bytes).toString('hex');
};

it('addresses are bytes, however they are written', () => {
  assert.equal(hex('10.77.0.254'), '0a4d00fe');
  assert.equal(hex('::'), '0'.repeat(32));
  assert.equal(hex('::1'), `${'0'.repeat(31)}1`);
  assert.equal(hex('2001:db8::1'), hex('2001:0DB8:0:0:0:0:0:1'));
  assert.equal(hex('::ffff:10.0.0.1'), hex('::ffff:a00:1'));
  assert.equal(hex('1:2:3:4:5:6:7:8'), '00010002000300040005000600070008');
});

it('what Node takes for no address is none, and what it takes for one is', () => {
  const texts = [
    '',
    'a',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '12345::',
  ];
  const more = [
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::',
    'fe80::1',
    '::1.2.3.4',
    '1.2.3.4::',
    '::g',
    '1:2:3:4:5:6:1.2.3.4',
  ];
  for (const text of [...texts, ...more]) assert.equal(addressBytes(text) !== undefined, isIP(text) !== 0, text);
  assert.equal(addressBytes('fe80::1%eth0'), undefined);
});
