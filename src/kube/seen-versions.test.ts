import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createSeenVersions, type SeenVersions } from './seen-versions.ts';

let seen: SeenVersions;
let earlier: number;
beforeEach(() => {
  earlier = 0;
  seen = createSeenVersions(() => (earlier += 1));
});

const answer = (resourceVersion: string, uid = 'a') => ({ metadata: { name: 'n', uid, resourceVersion } });
const ask = (version: string, path = '/n', uid?: string): void => seen.ask(path)(answer(version, uid));

describe('versions of an object', () => {
  it('that grow, or stay, show nothing', () => {
    for (const version of ['9', '9', '10', '1000000000000000000000', '1000000000000000000001']) ask(version);
    assert.equal(earlier, 0);
  });

  it('that go back show that the store was put back, once', () => {
    for (const version of ['10', '9', '9', '11', '10']) ask(version);
    assert.equal(earlier, 2);
  });

  it('of another object, of another place, or that are no numbers, show nothing', () => {
    ask('10');
    ask('3', '/n', 'b');
    ask('10');
    ask('2', '/m');
    ask('x');
    assert.equal(earlier, 0);
    ask('20');
    seen.forget('/n');
    ask('4');
    assert.equal(earlier, 0);
  });

  it('show nothing when two are asked for at once, and the later answer comes first', () => {
    ask('1');
    const [slow, quick] = [seen.ask('/n'), seen.ask('/n')];
    quick(answer('6'));
    slow(answer('5'));
    assert.equal(earlier, 0);
    ask('5');
    assert.equal(earlier, 1);
  });
});
