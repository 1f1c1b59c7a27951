/**
 * `./dev demo`: the main job on this machine, end to end and for real: bake a Debian root, boot it as a host of its own,
 * tend it, reboot it, and show where the time went. Ends by itself and removes what it made; exits non-zero, naming the
 * stage, when anything does not do what it says.
 */
import { parseArgs } from 'node:util';
import { runCluster } from './cluster.ts';
import { runDemo, StageFailure } from './demo.ts';
import { runImmutable } from './immutable.ts';
import { repeat } from './repeat.ts';
import { isSabotage, sabotages } from './sabotage.ts';

const usage = `usage: ./dev demo [--immutable | --cluster] [--keep] [--sabotage ${Object.keys(sabotages).join('|')}] [--repeat N [--load N]]

  --immutable a host with a read-only /usr instead, whose kubelet is a system extension
  --cluster   two hosts instead that join a real control plane and are tended from it
  --keep      leave the host up at the end and say how to enter and remove it
  --sabotage  break the named thing on purpose; the demo must fail at its stage
  --repeat    run it so often, and say how often it passed and how long it took
  --load      with so many processes beside it that do nothing but use a processor`;

const { values } = parseArgs({
  options: {
    immutable: { type: 'boolean' },
    cluster: { type: 'boolean' },
    keep: { type: 'boolean' },
    sabotage: { type: 'string' },
    repeat: { type: 'string' },
    load: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const times = Number(values.repeat ?? 1);
const load = Number(values.load ?? 0);
const wrong =
  (values.sabotage !== undefined && !isSabotage(values.sabotage)) ||
  !(Number.isInteger(times) && times >= 1 && Number.isInteger(load) && load >= 0) ||
  (values.load !== undefined && values.repeat === undefined) ||
  (values.cluster === true && (values.immutable === true || values.keep === true || values.sabotage !== undefined));
if (values.help === true || wrong) {
  console.log(usage);
  process.exit(values.help === true ? 0 : 2);
}

async function demo(say: (line: string) => void): Promise<void> {
  if (values.immutable === true) return runImmutable(say);
  if (values.cluster === true) return runCluster(say);
  return runDemo({
    keep: values.keep === true,
    ...(values.sabotage !== undefined && isSabotage(values.sabotage) && { sabotage: values.sabotage }),
    say,
  });
}

const started = performance.now();
if (values.repeat !== undefined) {
  process.exitCode = await repeat({ times, load, demo });
} else {
  try {
    await demo((line) => console.log(line));
    console.log(`\ndemo: everything did what it says, in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  } catch (error) {
    if (!(error instanceof StageFailure)) throw error;
    console.error(`\ndemo: stage ${error.stage} failed: ${error.message}`);
    process.exitCode = 1;
  }
}
