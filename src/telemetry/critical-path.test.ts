/** What of documents stood before kubelet, with its time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bootResult, step } from '../../test/support/boot-results.ts';
import { timeline } from '../inspect/timeline.ts';
import { timelineTable } from '../inspect/timeline-table.ts';
import { delaysIn } from './critical-path.ts';
import type { ResultStep } from './result.ts';

const kubelet = (at: number, ...needs: string[]): ResultStep[] => [
  step('start unit:kubelet.service', [at, at + 10], { needs }),
  step('ready unit:kubelet.service', [at + 10, at + 500], { needs: ['start unit:kubelet.service'] }),
];
const unit = (name: string, [from, to]: readonly [number, number], needs: string[] = []): ResultStep[] => [
  step(`start unit:${name}`, [from, from + 5], { needs }),
  step(`ready unit:${name}`, [from + 5, to], { needs: [`start unit:${name}`] }),
];

const cases: readonly (readonly [string, readonly ResultStep[], Readonly<Record<string, number>>])[] = [
  [
    'a unit that takes long',
    [...unit('slow.service', [0, 3000]), ...kubelet(3000, 'ready unit:slow.service')],
    { 'unit:slow.service': 3000 },
  ],
  [
    'one beside another that takes longer',
    [
      ...unit('slow.service', [0, 3000]),
      ...unit('quick.service', [0, 200]),
      ...kubelet(3000, 'ready unit:slow.service', 'ready unit:quick.service'),
    ],
    { 'unit:slow.service': 3000 },
  ],
  [
    'one after another, each with its own part',
    [
      ...unit('a.service', [0, 1000]),
      ...unit('b.service', [1000, 1400], ['ready unit:a.service']),
      step('run action:c', [1400, 3400], { needs: ['ready unit:b.service'] }),
      ...kubelet(3400, 'run action:c'),
    ],
    { 'action:c': 2000, 'unit:a.service': 1000, 'unit:b.service': 400 },
  ],
  [
    'a program that is fetched',
    [step('activate binary:helm', [0, 900]), ...kubelet(900, 'activate binary:helm')],
    { 'binary:helm': 900 },
  ],
  [
    'one that began while another still worked',
    [
      ...unit('a.service', [0, 1000]),
      step('run action:b', [400, 1100], { needs: ['ready unit:a.service'] }),
      ...kubelet(1100, 'run action:b'),
    ],
    { 'unit:a.service': 1000, 'action:b': 100 },
  ],
  [
    'the files of units that may wait themselves',
    [
      step('write unit:late.service /etc/systemd/system/late.service', [0, 400], { resource: 'unit:late.service' }),
      step('daemon-reload', [400, 500], {
        resource: 'unit:late.service',
        needs: ['write unit:late.service /etc/systemd/system/late.service'],
      }),
      ...kubelet(500, 'daemon-reload'),
    ],
    {},
  ],
  ['less than anybody would notice', [step('run action:a', [0, 0.6]), ...kubelet(1, 'run action:a')], {}],
  [
    'what kubelet cannot do without',
    [
      step('activate binary:kubelet', [0, 900]),
      ...unit('containerd.service', [900, 1500], ['activate binary:kubelet']),
      ...unit('data.mount', [1500, 2500], ['ready unit:containerd.service']),
      ...kubelet(2500, 'ready unit:data.mount'),
    ],
    {},
  ],
  ['what comes after it', [...kubelet(0), ...unit('late.service', [600, 5000], ['ready unit:kubelet.service'])], {}],
  [
    'a boot that failed',
    [...unit('slow.service', [0, 3000]), ...kubelet(3000, 'ready unit:slow.service')].map((one) =>
      one.id === 'ready unit:kubelet.service' ? { ...one, status: 'failed' as const } : one,
    ),
    {},
  ],
  ['a boot without kubelet', unit('slow.service', [0, 3000]), {}],
];

describe('what delayed kubelet', () => {
  for (const [name, steps, delays] of cases)
    it(`${name}: ${JSON.stringify(delays)}`, () =>
      assert.deepEqual(
        delaysIn(steps).map(({ resource, ms }) => [resource, ms]),
        Object.entries(delays),
      ));

  it('stands below the timeline, with its time', () => {
    const steps = [...unit('slow.service', [1500, 4500]), ...kubelet(4500, 'ready unit:slow.service')];
    const found = timeline(bootResult({ steps }));
    assert.deepEqual(found.delays, [{ resource: 'unit:slow.service', ms: 3000 }]);
    assert.match(
      timelineTable(found, { width: 80 }),
      /waited for these, .*`deferrable: true`:\n +3\.00 s +unit:slow\.service$/,
    );
    assert.doesNotMatch(timelineTable(timeline(bootResult()), { width: 80 }), /deferrable/);
  });
});
