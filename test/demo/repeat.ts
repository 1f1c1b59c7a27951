/** `./dev demo --repeat N --load N`: the demo many times, on a machine that has other things to do. */
import { spawn, type ChildProcess } from 'node:child_process';
import { StageFailure } from './demo.ts';

export interface RepeatOptions {
  readonly times: number;
  /** Processes beside it that only use a processor. */
  readonly load: number;
  readonly demo: (say: (line: string) => void) => Promise<void>;
}

/** The exit status: 0 when every run passed. What a failed run said is shown, of the others one line each. */
export async function repeat({ times, load, demo }: RepeatOptions): Promise<number> {
  const busy = Array.from({ length: load }, burn);
  const seconds: number[] = [];
  try {
    for (let run = 1; run <= times; run++) {
      const began = performance.now();
      const said: string[] = [];
      const failure = await failureOf(() => demo((line) => said.push(line)));
      const took = (performance.now() - began) / 1000;
      if (failure === undefined) seconds.push(took);
      else console.error(said.join('\n'));
      console.log(`demo ${run} of ${times}: ${failure ?? 'passed'} after ${took.toFixed(0)} s`);
    }
  } finally {
    for (const process of busy) process.kill('SIGKILL');
  }
  const sorted = seconds.toSorted((a, b) => a - b);
  const figures = sorted.map((each) => each.toFixed(0));
  const about = load === 0 ? '' : ` beside ${load} busy processes`;
  console.log(
    `demo: ${seconds.length} of ${times} passed${about}; seconds: least ${figures[0] ?? '-'}, median ${figures[Math.floor(figures.length / 2)] ?? '-'}, most ${figures.at(-1) ?? '-'}`,
  );
  return seconds.length === times ? 0 : 1;
}

/** What is printed of a run that did not pass. */
async function failureOf(run: () => Promise<void>): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    const stage = error instanceof StageFailure ? ` in ${error.stage}` : '';
    return `failed${stage}: ${error instanceof Error ? error.message : JSON.stringify(error)}`;
  }
}

/** Ends with us, whatever ends us. */
const program = `
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit();
  for (const end = performance.now() + 200; performance.now() < end; );
}, 0);`;

function burn(): ChildProcess {
  return spawn(process.execPath, ['--eval', program], { stdio: 'ignore' });
}
