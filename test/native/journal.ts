/**
 * Writes two generations into the journal of a root folder: `journal FOLDER`. Runs on Node and in the host program. One line of
 * JSON for what it finds, then one for each generation as soon as it stands; `NODEKILN_FAULT` ends it in between.
 */
import { openJournal } from '../../src/apply/journal.ts';
import { withFaults } from '../../src/host/faults.ts';
import { createLinuxHost } from '../../src/host/linux/host.ts';
import { program } from '../../src/host/program.ts';
import type { FileResource } from '../../src/model/resources.ts';

const path = '/etc/words';

function words(text: string): FileResource {
  return {
    kind: 'file',
    id: `file:${path}`,
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: [],
    path,
    entry: { type: 'file', content: { text }, mode: '0644', uid: 0, gid: 0 },
  };
}

async function main(root = ''): Promise<void> {
  const host = withFaults(createLinuxHost({ root }));
  const journal = await openJournal(host);
  const say = (line: unknown): Promise<unknown> => program.stdout.write(`${JSON.stringify(line)}\n`);
  const found = journal.currentGeneration()?.number ?? 0;
  const [resource] = journal.claims().boot ?? [];
  const touched = journal.touched().get(`file:${path}`);
  await say({ found, damage: journal.damage, resource, definitions: touched?.definitions.length });
  for (const next of [found + 1, found + 2]) {
    const desired = words(`generation ${next}`);
    const change = { type: 'create', facets: ['presence'], details: [], source: 'boot', desired, touched } as const;
    const number = await journal.begin({
      source: 'boot',
      claims: { boot: [desired] },
      changes: [{ ...change, id: desired.id, observed: { kind: 'file', entry: { type: 'absent' } } }],
      starting: [],
      nowMs: next,
    });
    await say({ begun: number });
    journal.markDone(desired.id);
    journal.markGeneration(number, 'applied');
    journal.setNote('number', number);
    journal.flush();
  }
  await journal.prune();
  journal.close();
  await host.close();
}

void main(...program.arguments).then(() => program.exit(0));
