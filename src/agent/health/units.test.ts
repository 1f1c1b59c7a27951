/** The verdict over units, row by row of what systemd can say. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UnitStatus } from '../../host/port.ts';
import { runningUnit as loaded } from '../../../test/support/unit-status.ts';
import { judgeUnit, unitsCondition, type JudgedUnit } from './units.ts';

interface Row {
  readonly status: Partial<UnitStatus>;
  readonly changingMs?: number;
  readonly isTriggered?: boolean;
  /** Of one that is to run, of one that is to be stopped, and of one that is left as it is. */
  readonly started: string;
  readonly stopped: string;
  readonly left: string;
}

const rows: readonly Row[] = [
  { status: { loadState: 'not-found', activeState: 'inactive' }, started: 'is not loaded', stopped: '', left: '' },
  { status: {}, started: '', stopped: 'is active but should be stopped', left: '' },
  { status: { activeState: 'failed', subState: 'failed' }, started: 'has failed', stopped: '', left: '' },
  { status: { activeState: 'activating', subState: 'auto-restart' }, started: '', stopped: '', left: '' },
  {
    status: { activeState: 'activating', subState: 'start' },
    changingMs: 299_999,
    started: '~is activating',
    stopped: '~is activating',
    left: '~is activating',
  },
  {
    status: { activeState: 'deactivating', subState: 'stop' },
    changingMs: 300_000,
    started: 'is stuck in deactivating',
    stopped: 'is stuck in deactivating',
    left: 'is stuck in deactivating',
  },
  {
    status: { activeState: 'inactive', subState: 'dead' },
    started: 'is inactive but should run',
    stopped: '',
    left: '',
  },
  { status: { activeState: 'inactive', subState: 'dead', serviceType: 'oneshot' }, started: '', stopped: '', left: '' },
  { status: { activeState: 'inactive', subState: 'dead' }, isTriggered: true, started: '', stopped: '', left: '' },
  { status: { activeState: 'inactive', subState: 'other' }, started: 'is inactive (other)', stopped: '', left: '' },
  { status: { activeState: 'reloading', subState: 'reload' }, started: '', stopped: '', left: '' },
];

const judged = (
  wanted: Partial<JudgedUnit['wanted']>,
  row: Pick<Row, 'status' | 'changingMs' | 'isTriggered'>,
): string => {
  const { status, changingMs, isTriggered = false } = row;
  const verdict = judgeUnit(
    { wanted: { name: 'a.service', ...wanted }, status: { ...loaded, ...status }, changingMs, isTriggered },
    300_000,
  );
  if (verdict.verdict === 'healthy') return '';
  return `${verdict.verdict === 'progressing' ? '~' : ''}${verdict.why.replace('a.service ', '')}`;
};

describe('a unit', () => {
  for (const row of rows) {
    it(`that is ${JSON.stringify(row.status)}${row.isTriggered === true ? ', triggered' : ''}`, () => {
      assert.equal(judged({ state: 'started' }, row), row.started);
      assert.equal(judged({ state: 'stopped' }, row), row.stopped);
      assert.equal(judged({}, row), row.left);
    });
  }

  it('that is masked may be anything but running', () => {
    const masked = { enablement: 'masked' } as const;
    assert.equal(judged(masked, { status: { loadState: 'masked', activeState: 'inactive' } }), '');
    assert.equal(judged(masked, { status: { activeState: 'failed' } }), '');
    assert.equal(judged(masked, { status: {} }), 'is masked and runs');
  });
});

describe('the condition', () => {
  it('names what is wrong, sorted, and what is wrong before what changes', () => {
    const bad = (why: string) => ({ verdict: 'unhealthy', why }) as const;
    const changing = { verdict: 'progressing', why: 'c is activating' } as const;
    const fine = { verdict: 'healthy' } as const;
    const of = (...verdicts: Parameters<typeof unitsCondition>[0]): unknown => {
      const { status, reason, message } = unitsCondition(verdicts);
      return [status, reason, message];
    };
    assert.deepEqual(of(changing, bad('b has failed'), bad('a has failed'), fine), [
      'False',
      'UnhealthyUnits',
      'a has failed; b has failed',
    ]);
    assert.deepEqual(of(fine, changing), ['True', 'ProgressingUnits', 'c is activating']);
    assert.deepEqual(of(fine), ['True', 'AllUnitsHealthy', 'all units are as their documents ask']);
    assert.equal(unitsCondition([bad('x'.repeat(5000))]).message.length, 1000);
    assert.equal(unitsCondition([bad('a says \u001b[31m\r\n\u202e')]).message, String.raw`a says \u001b[31m\r\n\u202e`);
  });
});
