/** Answers what `polyfills.test.ts` asks, in the host program: `polyfills CASES`, a file of JSON; JSON on stdout. */
import { exit } from '../../src/host/native/crossing.ts';
import { readFileSync } from 'node:fs';
import { answers } from './polyfill-cases.ts';

const file = process.argv[2] ?? '';
void answers(JSON.parse(new TextDecoder().decode(readFileSync(file)))).then((said) => {
  process.stdout.write(JSON.stringify(said));
  exit(0);
});
