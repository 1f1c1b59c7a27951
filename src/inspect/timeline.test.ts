import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { array, assert as holds, float, integer, property, record, constantFrom } from 'fast-check';
import { milestoneNames } from '../telemetry/result.ts';
import { bootResult, milestones, step } from '../../test/support/boot-results.ts';
import { timeline, type Segment } from './timeline.ts';
import { layoutMilestones, tickStep, timelineSvg } from './timeline-svg.ts';
import { timelineTable } from './timeline-table.ts';
import { timelineTrace } from './timeline-trace.ts';

const shortly = (segments: readonly Segment[]): string[] =>
  segments.map(({ name, kind, startMs, endMs }) => `${kind} ${startMs}-${endMs} ${name}`);

describe('the critical path', () => {
  it('leads without a hole from the start of the machine to the goal', () => {
    assert.deepEqual(shortly(timeline(bootResult()).critical), [
      'machine 0-1000 kernel',
      'machine 1000-1400 systemd before nodekiln',
      'work 1400-1440 start of our process',
      'work 1440-1460 observe facts',
      'work 1460-1500 observe and plan',
      'work 1500-1510 recording the plan',
      'step 1510-1540 write 2 files',
      'wait 1540-1545 until daemon-reload may run',
      'step 1545-1600 daemon-reload',
      'step 1600-1605 start unit:containerd.service',
      'wait 1605-1610 until start unit:kubelet.service may run',
      'step 1610-1620 start unit:kubelet.service',
      'wait 1620-1900 waiting for the container runtime',
      'wait 1900-1920 waiting for systemd to start kubelet',
      'wait 1920-2700 waiting for kubelet',
    ]);
  });

  it('takes the need that ended last', () => {
    const result = bootResult({
      steps: [
        step('write file:/a', [1500, 1600]),
        step('activate binary:kubelet', [1500, 1700]),
        step('start unit:kubelet.service', [1700, 1710], { needs: ['write file:/a', 'activate binary:kubelet'] }),
        step('ready unit:kubelet.service', [1710, 2000], { needs: ['start unit:kubelet.service'] }),
      ],
    });
    const steps = timeline(result).critical.flatMap((segment) => segment.step ?? []);
    assert.ok(steps.includes('activate binary:kubelet'));
    assert.ok(!steps.includes('write file:/a'));
  });

  it('tells systemd’s part of a wait from the component’s by the unit’s own times', () => {
    const result = bootResult({
      milestones: milestones({ userspace: 1000, process: 1400 }),
      spans: [],
      steps: [step('ready unit:demo.service', [1500, 2000])],
    });
    const { critical } = timeline(result, [
      { name: 'demo.service', inactiveExitUsec: 1_600_000, activeEnterUsec: 1_700_000 },
    ]);
    assert.deepEqual(shortly(critical).slice(-2), [
      'wait 500-600 waiting for systemd to start demo',
      'wait 600-1000 waiting for demo',
    ]);
  });

  it('is empty when nothing was to be done', () => {
    const found = timeline(bootResult({ unchanged: true, steps: [] }));
    assert.deepEqual(found.critical, []);
    assert.equal(found.goalMs, undefined);
    assert.match(timelineTable(found, { width: 80 }), /no step ran/);
    assert.match(timelineSvg(found), /Nothing to do/);
  });

  it('adds up to the goal, whatever the steps', () => {
    const anyStep = record({
      start: integer({ min: 1500, max: 3000 }),
      time: integer({ min: 0, max: 500 }),
      need: integer({ min: 0, max: 20 }),
      phase: constantFrom('goal' as const, 'deferred' as const),
    });
    holds(
      property(array(anyStep, { minLength: 1, maxLength: 20 }), (made) => {
        let clock = 1500;
        const steps = made.map(({ start, time, need, phase }, index) => {
          const before = index === 0 ? undefined : made[need % index] && need % index;
          clock = Math.max(clock, start);
          const begin = clock;
          clock += time;
          return step(`run action:${index}`, [begin, clock], {
            phase,
            needs: before === undefined ? [] : [`run action:${before}`],
          });
        });
        const found = timeline(bootResult({ steps }));
        let at = 0;
        for (const segment of found.critical) {
          assert.ok(Math.abs(segment.startMs - at) < 0.1, `${segment.name} begins where the one before ended`);
          assert.ok(segment.endMs >= segment.startMs);
          at = segment.endMs;
        }
        if (found.goalMs !== undefined) assert.ok(Math.abs(at - found.goalMs) < 0.1);
      }),
    );
  });
});

describe('whatever a result says', () => {
  const names = constantFrom(...milestoneNames);
  const clock = float({ min: -10, max: 1_000_000, noNaN: true });
  const span = record({ name: constantFrom('a', 'b'), startMs: clock, endMs: clock });
  const ran = record({
    at: clock,
    time: clock,
    status: constantFrom('done' as const, 'failed' as const, 'skipped' as const, 'interrupted' as const),
    phase: constantFrom('goal' as const, 'deferred' as const),
  });
  it('is drawn in every form', () => {
    holds(
      property(
        array(record({ name: names, atMs: clock }), { maxLength: 6 }),
        array(span, { maxLength: 4 }),
        array(ran, { maxLength: 6 }),
        constantFrom('converged' as const, 'degraded' as const, 'failed' as const),
        (milestones, spans, made, outcome) => {
          const steps = made.map(({ at, time, ...about }, index) =>
            step(`run action:${index}`, [at, at + time], about),
          );
          const { unit: _unit, ...byHand } = bootResult({ milestones, spans, steps, outcome });
          for (const result of [byHand, { ...byHand, unit: 'nodekiln-boot.service' }]) {
            const found = timeline(result);
            for (const width of [0, 60, 80, 200]) assert.ok(timelineTable(found, { width }).length > 0);
            assert.match(timelineSvg(found), /<\/svg>/);
            assert.ok(timelineTrace(found).traceEvents.length > 0);
            if (outcome === 'failed') assert.equal(found.reached, false);
          }
        },
      ),
    );
  });

  it('draws one that failed before it planned, two minutes after the machine began, or did nothing', () => {
    for (const about of [
      { outcome: 'failed' as const, steps: [], milestones: milestones({ process: 125_000 }), spans: [] },
      {
        outcome: 'failed' as const,
        steps: [],
        spans: [{ name: 'a', startMs: 124_999.9, endMs: 125_000 }],
        milestones: milestones({ kernel: 0, userspace: 1000, process: 125_000 }),
      },
      { outcome: 'failed' as const, steps: [], milestones: [], spans: [] },
      { unchanged: true, steps: [], spans: [], milestones: milestones({ userspace: 5000, process: 4000 }) },
      { steps: [step('run action:a', [10, 5])], spans: [], milestones: milestones({ process: 20 }) },
    ])
      assert.match(timelineTable(timeline(bootResult(about)), { width: 80 }), /, (?:all done|ended) after/);
  });

  const interrupted = { status: 'interrupted' } as const;
  const queued = step('start unit:kubelet.service', [1500, 1510]);
  for (const [what, steps, waitedFor, path] of [
    [
      'a unit before kubelet',
      [
        step('start unit:a.service', [1500, 1600]),
        step('ready unit:a.service', [1600, 9000], { ...interrupted, needs: ['start unit:a.service'] }),
      ],
      ['ready unit:a.service'],
      ['start unit:a.service', 'ready unit:a.service'],
    ],
    [
      'kubelet itself, whatever else ran then',
      [
        queued,
        step('ready unit:kubelet.service', [1510, 9000], { ...interrupted, needs: [queued.id] }),
        step('run action:a', [1400, 9000], interrupted),
      ],
      ['run action:a', 'ready unit:kubelet.service'],
      [queued.id, 'ready unit:kubelet.service'],
    ],
    [
      'several, the longest first',
      [step('import image:b', [2000, 9000], interrupted), step('run action:a', [1500, 9000], interrupted)],
      ['run action:a', 'import image:b'],
      ['run action:a'],
    ],
    ['nothing, in a step', [step('run action:a', [1500, 1600])], [], ['run action:a']],
    [
      'what may wait, behind the goal',
      [
        step('ready unit:kubelet.service', [1500, 1600]),
        step('import image:b', [1600, 9000], { ...interrupted, phase: 'deferred' }),
      ],
      ['import image:b'],
      ['ready unit:kubelet.service'],
    ],
    ['nothing yet', [], [], []],
  ] as const)
    it(`says of a boot without time left that it waited for ${what}`, () => {
      const found = timeline(bootResult({ outcome: 'failed', steps }));
      assert.deepEqual(found.waitedFor, waitedFor);
      assert.deepEqual([...new Set(found.critical.flatMap((segment) => segment.step ?? []))].sort(), [...path].sort());
      const text = timelineTable(found, { width: 100 });
      if (waitedFor.length > 0)
        assert.ok(text.startsWith(`failed, still waiting for ${waitedFor.join(', ')} after `), text);
      for (const id of waitedFor) assert.match(text, new RegExp(`${id} .* interrupted$`, 'm'));
      assert.match(text, /, ended after /);
    });

  it('does not call what failed a goal that was reached', () => {
    const steps = [step('ready unit:kubelet.service', [1500, 1600], { status: 'failed' })];
    const found = timeline(bootResult({ outcome: 'failed', steps }));
    assert.equal(found.reached, false);
    assert.match(timelineTable(found, { width: 80 }), /^failed, not beyond ready unit:kubelet.service after 1\.60 s/);
    assert.match(timelineSvg(found), /Boot failed/);
    assert.doesNotMatch(timelineSvg(found), /Goal reached|Kubelet healthy/);
    assert.equal(timeline(bootResult()).reached, true);
  });
});

describe('the origin', () => {
  it('is our own process when somebody ran it by hand', () => {
    const { unit: _unit, ...byHand } = bootResult();
    const found = timeline(byHand);
    assert.equal(found.origin, 'process');
    assert.ok(found.rows.every(({ label }) => label !== 'systemd before nodekiln'));
    assert.equal(found.goalMs, 1300);
  });

  it('is the kernel’s start of this machine', () => {
    assert.equal(timeline(bootResult()).origin, 'kernel');
  });
  it('is PID 1 in a container, whose clock is the host’s', () => {
    const far = 864_000_000;
    const found = timeline(
      bootResult({
        milestones: milestones({ kernel: 0, userspace: far, process: far + 300 }),
        spans: [],
        steps: [step('run action:a', [far + 400, far + 500])],
      }),
    );
    assert.equal(found.origin, 'userspace');
    assert.equal(found.goalMs, 500);
  });
  it('is our own process when the machine has been up for long', () => {
    const far = 864_000_000;
    const found = timeline(
      bootResult({ milestones: milestones({ kernel: 0, userspace: 1000, process: far }), spans: [], steps: [] }),
    );
    assert.equal(found.origin, 'process');
    assert.equal(found.endMs, 0);
  });
});

describe('rows', () => {
  it('hold writes of one batch together and name them', () => {
    const row = timeline(bootResult()).rows.find((candidate) => candidate.label === 'write 2 files');
    assert.deepEqual(row?.steps, ['write file:/etc/a', 'write file:/etc/b']);
    assert.equal(row.critical, true);
  });
  it('leave out what was never begun and keep what failed', () => {
    const steps = [
      step('run action:a', [1500, 1600], { status: 'failed' }),
      step('run action:b', [1600, 1600], { status: 'skipped' }),
    ];
    const labels = timeline(bootResult({ outcome: 'failed', steps })).rows.filter((row) => row.lane === 'goal');
    assert.deepEqual(
      labels.map(({ label, status }) => `${label} ${status}`),
      ['run action:a failed'],
    );
  });
});

describe('the picture', () => {
  it('is well-formed, of fixed width and without anything from outside', () => {
    const svg = timelineSvg(timeline(bootResult({ steps: [step('run action:<&">', [1500, 1600])] })));
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 1100 \d+"/);
    assert.doesNotMatch(svg, /href|url\(|@import|@font-face/);
    assert.match(svg, /prefers-color-scheme:dark/);
    assert.ok(!svg.includes('<&">'));
    assert.doesNotMatch(svg, /NaN|undefined/);
    const open = [...svg.matchAll(/<(svg|style|text|title|rect(?=[^>]*[^/]>))\b/g)].length;
    const closed = [...svg.matchAll(/<\/(svg|style|text|title|rect)>/g)].length;
    assert.equal(open, closed);
  });

  it('marks the critical path and the goal', () => {
    const svg = timelineSvg(timeline(bootResult()));
    assert.match(svg, /class="f-critical"/);
    assert.match(svg, /class="s-critical goal"/);
    assert.match(svg, /Kubelet healthy after 2\.70 s/);
  });

  it('never lets labels of milestones overlap', () => {
    const times = array(float({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: milestoneNames.length });
    holds(
      property(times, (all) => {
        const marks = all.map((time, index) => ({
          name: milestoneNames[index] ?? 'kernel',
          label: 'some label',
          atMs: time * 1000,
        }));
        const labels = layoutMilestones(marks, (ms) => 280 + ms * 0.65);
        assert.equal(labels.length, marks.length);
        for (const [index, one] of labels.entries()) {
          assert.ok(one.right <= 1100);
          for (const other of labels.slice(index + 1)) {
            if (one.level === other.level) assert.ok(one.right <= other.left || other.right <= one.left);
          }
        }
      }),
    );
  });

  it('has few, round ticks', () => {
    holds(
      property(integer({ min: 1, max: 10_000_000 }), (span) => {
        const tick = tickStep(span, 8);
        assert.ok(span / tick <= 8.0001);
        assert.ok(span / tick > 3);
        assert.match(tick.toExponential(), /^[125]e/);
      }),
    );
  });
});

describe('the trace', () => {
  it('has every row once, in microseconds, none overlapping on its thread', () => {
    const found = timeline(bootResult());
    const { traceEvents } = timelineTrace(found);
    const bars = traceEvents.filter((event) => event.ph === 'X');
    assert.equal(bars.length, found.rows.length);
    const goal = bars.find((event) => event.name === 'ready unit:kubelet.service');
    assert.deepEqual([goal?.ts, goal?.dur], [1_620_000, 1_080_000]);
    for (const one of bars) {
      for (const other of bars) {
        if (one === other || one.tid !== other.tid) continue;
        const apart =
          (one.ts ?? 0) + (one.dur ?? 0) <= (other.ts ?? 0) || (other.ts ?? 0) + (other.dur ?? 0) <= (one.ts ?? 0);
        assert.ok(apart, `${one.name} and ${other.name}`);
      }
    }
  });
});

describe('the table', () => {
  for (const width of [20, 40, 59, 60, 80, 200])
    it(`takes no more than ${width} columns, if the numbers leave room for names`, () => {
      const steps = [
        ...bootResult().steps,
        step('run action:of-a-name-that-is-longer-than-its-column-can-be', [2000, 2890], { status: 'failed' }),
        step('ready unit:waits.service', [2000, 2900], { status: 'interrupted' }),
      ];
      const [, , ...lines] = timelineTable(timeline(bootResult({ outcome: 'failed', steps })), { width }).split('\n');
      const rows = lines.slice(0, lines.indexOf(''));
      assert.ok(rows.length > 10);
      const most = Math.max(width, 46);
      assert.ok(
        rows.every((line) => line.length <= most),
        rows.join('\n'),
      );
      assert.equal(
        rows.some((line) => line.includes('█')),
        width >= 60,
      );
    });

  it('has one line per row, the critical ones marked, in the width given', () => {
    const found = timeline(bootResult());
    const lines = timelineTable(found, { width: 90 }).split('\n');
    assert.equal(lines.filter((line) => line.startsWith('* ')).length, found.rows.filter((row) => row.critical).length);
    assert.ok(lines.slice(1).every((line) => line.length <= 90));
    assert.match(
      lines[0] ?? '',
      /^converged, ready unit:kubelet\.service after 2\.70 s, all done after 2\.90 s \(from the kernel’s start\)$/,
    );
  });
});
