/** What a boot by hand does about the machine's own one that failed, and what `status` says then, on a machine in memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryNode, nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { lookAtJournal } from '../apply/journal.ts';
import { statusText } from '../cli/status.ts';
import { plainLook } from '../cli/table.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import { status } from '../inspect/status.ts';
import { bootHost } from './boot.ts';

const unit = 'nodekiln-boot.service';
const byUnit = { NODEKILN_UNIT: unit };
const broken = { name: 'a.service', content: '[Service]\nExecStart=/bin/a\n', state: 'started' };
const failing = nodeDocument({ units: [{ ...broken, importance: 'required' }] });
const degrading = nodeDocument({ units: [{ ...broken, importance: 'bestEffort' }] });

/** A machine whose own boot failed; `a.service` never starts. */
async function failedMachine(): Promise<MemoryMachine> {
  const machine = await createMemoryNode({ '10-node.json': failing });
  await machine.files.write([textFile(`/etc/systemd/system/${unit}`, '[Service]\nExecStart=/bin/false\n', 0o644)]);
  machine.units.behave(unit, { start: 'fail' });
  machine.units.behave('a.service', { start: 'fail' });
  const { units } = machine.open();
  await units.daemonReload();
  await units.start(unit).then(({ result }) => result);
  await bootHost(machine.open({ environment: byUnit }));
  return machine;
}

async function said(machine: MemoryMachine): Promise<string> {
  const host = machine.open();
  const journal = await lookAtJournal(host);
  try {
    return statusText(await status(host, journal), plainLook);
  } finally {
    journal?.close();
  }
}

interface Run {
  readonly document: string;
  readonly environment?: Readonly<Record<string, string>>;
}
const good = nodeDocument();

const cases: readonly (readonly [what: string, runs: readonly Run[], left: string, status: RegExp])[] = [
  ['nobody does anything', [], 'failed', /^last boot +failed, .*NK_UNIT_FAILED/m],
  ['a good one by hand', [{ document: good }], 'inactive', /^last boot +converged, /m],
  ['a degraded one by hand', [{ document: degrading }], 'inactive', /^last boot +degraded, /m],
  ['one by hand that fails as well', [{ document: failing }], 'failed', /^last boot +failed, .*NK_UNIT_FAILED/m],
  [
    'one that fails, and a good one',
    [{ document: failing }, { document: good }],
    'inactive',
    /^last boot +converged, /m,
  ],
  ['a good one twice', [{ document: good }, { document: good }], 'inactive', /^last boot +converged, /m],
  ['a good one of its own unit', [{ document: good, environment: byUnit }], 'failed', /^last boot +converged, /m],
];

describe('the machine’s own boot that failed', () => {
  for (const [what, runs, left, wanted] of cases)
    it(`is ${left} after ${what}`, async () => {
      const machine = await failedMachine();
      for (const { document, environment = {} } of runs) {
        await machine.files.write([textFile('/etc/nodekiln/conf.d/10-node.json', document)]);
        await bootHost(machine.open({ environment }));
      }
      assert.equal((await machine.units.get(unit)).activeState, left);
      assert.match(await said(machine), wanted);
    });
});
