/** What systemd's journal gets of us, by logger of a machine in memory, and without it. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createMemoryNode } from '../../test/support/memory-node.ts';
import type { MemoryMachine, Program } from '../host/memory/machine.ts';
import { createJournal, withPriority, type Journal } from './journal.ts';

let machine: MemoryMachine;
/** What arrived, in order. */
let said: string[];
let journal: Journal;

const logger: Program = async ({ argv, options, clock }) => {
  await clock.sleep(5);
  said.push(`${argv.join(' ')}: ${String(options.input)}`);
  return {};
};
const warning = {
  text: 'error NK_TIMEOUT: late\n  {a}\n\nhint: wait\n',
  isWarning: true,
  fields: { NODEKILN_CODE: 'NK_TIMEOUT', NODEKILN_RESOURCE: undefined, NODEKILN_CONTROLLER: 'node\nPRIORITY=0' },
};

beforeEach(async () => {
  machine = await createMemoryNode();
  said = [];
  journal = createJournal({
    output: { write: async (text) => void said.push(text) },
    exec: async () => machine.open().exec,
    pid: 71,
  });
});

describe('the journal', () => {
  it('gets each line with its priority', () => {
    assert.equal(withPriority({ text: 'one\n\n  two\n', isWarning: false }), '<6>one\n\n<6>  two\n');
    assert.equal(withPriority({ text: '{"a":1}\n', isWarning: true }), '<4>{"a":1}\n');
  });

  it('gets an entry of all lines with its fields, and everything in order', async () => {
    machine.program('logger', logger);
    journal.say({ text: 'before\n', isWarning: false });
    journal.say(warning);
    journal.say({ text: 'after\n', isWarning: false });
    assert.deepEqual(said, [], 'nobody has waited');
    await journal.said();
    assert.deepEqual(said, [
      '<6>before\n',
      [
        'logger --journald: MESSAGE=error NK_TIMEOUT: late',
        'MESSAGE=  {a}',
        'MESSAGE=',
        'MESSAGE=hint: wait',
        'PRIORITY=4',
        'SYSLOG_IDENTIFIER=nodekiln',
        'OBJECT_PID=71',
        'NODEKILN_CODE=NK_TIMEOUT',
        'NODEKILN_CONTROLLER=node PRIORITY=0',
        '',
      ].join('\n'),
      '<6>after\n',
    ]);
  });

  const plain = withPriority(warning);
  const failing: Readonly<Record<string, () => void>> = {
    'is missing': () => undefined,
    fails: () => machine.program('logger', () => ({ status: 1 })),
    hangs: () => machine.program('logger', () => ({ durationMs: 60_000 })),
  };
  for (const [what, prepare] of Object.entries(failing))
    it(`gets the same text without fields where logger ${what}, which is not asked again`, async () => {
      prepare();
      journal.say(warning);
      await journal.said();
      machine.program('logger', logger);
      journal.say(warning);
      await journal.said();
      assert.deepEqual(said, [plain, plain]);
    });
});
