/**
 * Answers what tests ask, in the host program: `polyfills FILE` those of `polyfills.test.ts`, `signatures FILE` those of
 * `signatures.test.ts`; JSON from a file, and on stdout.
 */
import { readFileSync } from 'node:fs';
import { exit } from '../../src/host/native/crossing.ts';
import { answers, type Cases } from './polyfill-cases.ts';
import { verdicts, type Signed } from './signature-cases.ts';

const [mode, file = ''] = process.argv.slice(2);
const asked: unknown = JSON.parse(new TextDecoder().decode(readFileSync(file)));
const answer = mode === 'signatures' ? verdicts(asked as Signed) : answers(asked as Cases);
void answer.then((said) => {
  process.stdout.write(JSON.stringify(said));
  exit(0);
});
