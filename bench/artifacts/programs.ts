/** Programs under measurement: how long they take from outside, and how much memory their process tree has at most. */
import { spawn } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';

/** Milliseconds from starting the program to its end. Throws when it fails. */
export async function timed(argv: readonly string[]): Promise<number> {
  const started = performance.now();
  await finished(start(argv), argv);
  return performance.now() - started;
}

const sampleMs = 4;

/** The largest sum of resident memory of the program and its descendants, in bytes, by looking every few milliseconds. */
export async function peakMemory(argv: readonly string[]): Promise<number> {
  const child = start(argv);
  let peak = 0;
  const state = { running: true };
  const ended = finished(child, argv).finally(() => (state.running = false));
  while (state.running) {
    peak = Math.max(peak, await treeBytes(child.pid ?? 0));
    await new Promise((resolve) => setTimeout(resolve, sampleMs));
  }
  await ended;
  return peak;
}

function start(argv: readonly string[]) {
  const [program = '', ...args] = argv;
  return spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function finished(child: ReturnType<typeof start>, argv: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    child.once('error', reject);
    child.once('close', (status) => {
      if (status === 0) resolve();
      else reject(new Error(`${argv.join(' ')} ended with ${status}:\n${said}`));
    });
  });
}

const pageBytes = 4096;

async function treeBytes(root: number): Promise<number> {
  const children = new Map<number, number[]>();
  const resident = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    // A process may end while we look.
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
    resident.set(pid, Number(fields[21] ?? 0) * pageBytes);
  }
  const sum = (pid: number): number =>
    (resident.get(pid) ?? 0) + (children.get(pid) ?? []).reduce((total, child) => total + sum(child), 0);
  return sum(root);
}
