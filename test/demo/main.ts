/**
 * `./dev demo`: the main job on this machine, end to end and for real: bake a Debian root, boot it as a host of its own,
 * tend it, reboot it, and show where the time went. Ends by itself and removes what it made; exits non-zero, naming the
 * stage, when anything does not do what it says.
 */
import { parseArgs } from 'node:util';
import { runDemo, StageFailure } from './demo.ts';
import { runImmutable } from './immutable.ts';
import { isSabotage, sabotages } from './sabotage.ts';

const usage = `usage: ./dev demo [--immutable] [--keep] [--sabotage ${Object.keys(sabotages).join('|')}]

  --immutable a host with a read-only /usr instead, whose kubelet is a system extension
  --keep      leave the host up at the end and say how to enter and remove it
  --sabotage  break the named thing on purpose; the demo must fail at its stage`;

const { values } = parseArgs({
  options: {
    immutable: { type: 'boolean' },
    keep: { type: 'boolean' },
    sabotage: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help === true || (values.sabotage !== undefined && !isSabotage(values.sabotage))) {
  console.log(usage);
  process.exit(values.help === true ? 0 : 2);
}

const started = performance.now();
try {
  if (values.immutable === true) await runImmutable((line) => console.log(line));
  else
    await runDemo({
      keep: values.keep === true,
      ...(values.sabotage !== undefined && isSabotage(values.sabotage) && { sabotage: values.sabotage }),
      say: (line) => console.log(line),
    });
  console.log(`\ndemo: everything did what it says, in ${((performance.now() - started) / 1000).toFixed(0)} s`);
} catch (error) {
  if (!(error instanceof StageFailure)) throw error;
  console.error(`\ndemo: stage ${error.stage} failed: ${error.message}`);
  process.exitCode = 1;
}
