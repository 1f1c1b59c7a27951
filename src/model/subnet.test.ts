/** Subnets however they are written, and which have to do with each other. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createChance } from '../../test/support/chance.ts';
import { createSubnetSet, holds, overlaps, subnetOf, type Subnet } from './subnet.ts';

const known = (text: string): Subnet => subnetOf(text) ?? assert.fail(text);

describe('a subnet', () => {
  for (const [text, same] of [
    ['10.90.2.0/24', '10.90.2.0/24'],
    ['10.90.2.77/24', '10.90.2.0/24'],
    ['10.90.2.7', '10.90.2.7/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['255.255.255.255/31', '255.255.255.254/31'],
    ['fd00:2::1/64', 'fd00:2:0:0:0:0:0:0/64'],
    ['FD00::2', 'fd00:0:0:0:0:0:0:2/128'],
    ['::/0', '0:0:0:0:0:0:0:0/0'],
  ] as const)
    it(`${text} is ${same}`, () => assert.equal(known(text).text, same));

  for (const text of [
    '',
    '/',
    '10.90.2.0/33',
    'fd00::/129',
    '10.90.2/24',
    '10.90.2.0/',
    '10.90.2.0/+4',
    '10.90.2.0/24/8',
    '10.90.2.0/-1',
    'fd00::1%eth0/64',
    '10.90.2.0/024',
    'a\nb',
  ])
    it(`${JSON.stringify(text)} is none`, () => assert.equal(subnetOf(text), undefined));

  it('has another or has nothing to do with it', () => {
    assert.ok(holds(known('10.0.0.0/8'), known('10.90.2.0/24')));
    assert.ok(!holds(known('10.90.2.0/24'), known('10.0.0.0/8')));
    assert.ok(overlaps(known('10.90.2.0/24'), known('10.0.0.0/8')));
    assert.ok(!overlaps(known('10.90.2.0/24'), known('10.90.3.0/24')));
    assert.ok(!overlaps(known('0.0.0.0/0'), known('::/0')));
  });
});

it('a set knows what overlaps as looking at each does', (context) => {
  const chance = createChance(context);
  const set = createSubnetSet<string>();
  const all: Subnet[] = [];
  for (let count = 0; count < 2000; count++) {
    const number = (below: number): number => Math.floor(chance.next() * below);
    const subnet = known(
      chance.next() < 0.5
        ? `10.${number(4)}.${number(256)}.${number(256)}/${14 + number(19)}`
        : `fd00::${number(65536).toString(16)}:${number(65536).toString(16)}/${100 + number(29)}`,
    );
    const others = all.filter((one) => overlaps(one, subnet)).map(({ text }) => text);
    const found = set.overlapping(subnet);
    assert.equal(found === undefined, others.length === 0, subnet.text);
    if (found !== undefined) assert.ok(others.includes(found));
    assert.equal(set.add(subnet, subnet.text), others.length === 0);
    if (others.length === 0) all.push(subnet);
  }
  assert.ok(all.length > 100, `${all.length} subnets`);
});
