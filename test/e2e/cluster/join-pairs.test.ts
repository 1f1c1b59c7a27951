/** Boots that have two things against them at once: the one that is met first is named, since mending the other helps nobody. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BootResult } from '../../../src/telemetry/result.ts';
import { untilBooted, untilBootEnded } from '../../demo/nodes.ts';
import { sampleIn, sampleOf } from '../../support/sample.ts';
import { faultNamed, openJoinLab, severalAtATime, type JoinLab } from './joining.ts';

/** The cause, and what else is wrong. */
const pairs: readonly (readonly [cause: string, other: string])[] = [
  ['server-refuses', 'other-authority'],
  ['no-name', 'token-unknown'],
  ['no-route', 'token-expired'],
  ['server-refuses', 'nobody-approves'],
  ['server-refuses', 'no-pod-network'],
  ['no-name', 'other-authority'],
  ['other-authority', 'token-unknown'],
  ['other-authority', 'token-without-rights'],
  ['other-authority', 'no-pod-network'],
  ['other-authority', 'name-of-another'],
  ['other-authority', 'certificate-for-another'],
  ['certificate-for-another', 'token-disabled'],
  ['certificate-expired', 'token-unknown'],
  ['certificate-of-tomorrow', 'token-expired'],
  ['certificate-of-tomorrow', 'nobody-approves'],
  ['token-unknown', 'no-pod-network'],
  ['token-without-rights', 'name-of-another'],
  ['nobody-approves', 'no-pod-network'],
  ['nobody-approves', 'name-of-another'],
  ['name-of-another', 'no-pod-network'],
];

const day = Math.floor(Date.now() / (24 * 60 * 60 * 1000));
const chosen = sampleOf(pairs, { count: sampleIn(import.meta.dirname).points, seed: day });

describe('a boot with two things against it', { concurrency: 1 }, () => {
  let joining: JoinLab;
  before(async () => {
    joining = await openJoinLab();
    await untilBooted(await joining.started('good'));
  });
  after(() => joining?.lab.close());

  const ended = new Map<string, BootResult | Error>();
  test('meets each pair', { timeout: 900_000 }, async () => {
    await severalAtATime(chosen, async ([cause, other]) => {
      const name = `pair-${pairs.findIndex((pair) => pair[0] === cause && pair[1] === other)}`;
      const [first, second] = await Promise.all(
        [cause, other].map((each) => faultNamed(each).document(joining.cluster)),
      );
      const host = await joining.started(name, { ...first, ...second, spec: { ...first?.spec, ...second?.spec } });
      ended.set(`${cause} and ${other}`, await untilBootEnded(host).catch((thrown: unknown) => thrown as Error));
      await host.kill();
    });
    assert.equal(ended.size, chosen.length);
  });

  for (const [cause, other] of chosen) {
    test(`${cause} and ${other}: ${faultNamed(cause).code}`, () => {
      const result = ended.get(`${cause} and ${other}`);
      assert.ok(result && 'outcome' in result, result instanceof Error ? result.message : 'it was not tried');
      const obstacle = result.join?.obstacle as { code: string; message: string } | undefined;
      assert.equal(obstacle?.code, faultNamed(cause).code, JSON.stringify(result.join));
      assert.match(obstacle.message, faultNamed(cause).says);
      assert.notEqual(result.outcome, 'converged');
    });
  }
});
