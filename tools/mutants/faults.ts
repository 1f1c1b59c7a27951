/**
 * Named faults in what has effects: each a patch in `test/faults/` that breaks one rule, with the test that must notice.
 * A fault counts as noticed when the test passes without the patch and fails with it. Everything happens in copies of the
 * sources; the checkout is never touched.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, glob, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { nodeBinary } from '../build.ts';
import { isRule, type Rule } from '../../test/faults/rules.ts';

const root = join(import.meta.dirname, '..', '..');

/** A test that runs longer than this with a fault has noticed it: without one it must end in time. */
const deadlineMs = 300_000;

export interface Fault {
  /** The patch's file name without its end. */
  readonly name: string;
  readonly rule: Rule;
  /** Test file that must fail. */
  readonly test: string;
  readonly patch: string;
  /** Files that the patch changes. */
  readonly sources: readonly string[];
}

export type Verdict = 'noticed' | 'survived' | 'does not apply' | 'test fails without it';

/** Head lines `rule: …` and `test: …`, then a diff as git writes it. */
export async function readFaults(): Promise<Fault[]> {
  const faults: Fault[] = [];
  for await (const file of glob('test/faults/*.patch', { cwd: root })) {
    const text = await readFile(join(root, file), 'utf8');
    const head = (key: string): string => new RegExp(`^${key}: (.+)$`, 'm').exec(text)?.[1]?.trim() ?? '';
    const rule = head('rule');
    if (!isRule(rule)) throw new Error(`${file}: rule: ${rule || 'missing'} is none of test/faults/rules.ts`);
    const sources = [...text.matchAll(/^\+\+\+ b\/(\S+)$/gm)].map(([, path = '']) => path);
    if (sources.length === 0) throw new Error(`${file} changes nothing`);
    faults.push({ name: basename(file, '.patch'), rule, test: head('test'), patch: join(root, file), sources });
  }
  return faults.sort((a, b) => a.name.localeCompare(b.name));
}

/** As long as patch, test and patched sources are the same, the verdict is. */
export async function faultDigest(fault: Fault): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [fault.patch, ...[fault.test, ...fault.sources].map((path) => join(root, path))])
    hash.update(await readFile(file).catch(() => '')).update('\0');
  return hash.digest('hex').slice(0, 16);
}

export interface FaultRun {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Faults that the time did not suffice for. */
  readonly left: readonly string[];
}

/** Two at a time, each in a copy of its own. */
export async function runFaults(
  faults: readonly Fault[],
  deadline: number,
  progress: (line: string) => void,
): Promise<FaultRun> {
  const verdicts = new Map<string, Verdict>();
  const queue = [...faults];
  /** Whether a test passes as it is; asked once. */
  const sound = new Map<string, Promise<boolean>>();
  const scratch = await mkdtemp(join(tmpdir(), 'nodekiln-faults-'));
  const work = async (copy: string): Promise<void> => {
    await copySources(copy);
    for (let fault = queue.shift(); fault; fault = queue.shift()) {
      if (performance.now() > deadline) {
        queue.unshift(fault);
        return;
      }
      const { test } = fault;
      if (!sound.has(test)) sound.set(test, passes(copy, test));
      const verdict = (await sound.get(test)) ? await tryFault(copy, fault) : 'test fails without it';
      verdicts.set(fault.name, verdict);
      progress(`${fault.name}: ${verdict}`);
    }
  };
  try {
    await Promise.all(['a', 'b'].map((name) => work(join(scratch, name))));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return { verdicts, left: queue.map(({ name }) => name) };
}

async function tryFault(copy: string, { patch, test }: Fault): Promise<Verdict> {
  if ((await run(copy, ['git', 'apply', patch])).status !== 0) return 'does not apply';
  const verdict = (await passes(copy, test)) ? 'survived' : 'noticed';
  const undone = await run(copy, ['git', 'apply', '--reverse', patch]);
  if (undone.status !== 0) throw new Error(`${patch} cannot be taken back: ${undone.output}`);
  return verdict;
}

async function copySources(to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const listed = await run(root, ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']);
  for (const file of listed.output.split('\0').filter((path) => path !== '')) {
    await mkdir(dirname(join(to, file)), { recursive: true });
    await cp(join(root, file), join(to, file), { verbatimSymlinks: true, force: true }).catch((error: unknown) => {
      // Deleted in the checkout and not yet committed.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    });
  }
  await symlink(join(root, 'node_modules'), join(to, 'node_modules'));
}

/** Ends at the first test that fails. */
async function passes(copy: string, test: string): Promise<boolean> {
  const command = [
    nodeBinary,
    '--disable-warning=ExperimentalWarning',
    '--test',
    '--test-timeout=45000',
    '--test-reporter=tap',
    test,
  ];
  const { status } = await run(copy, command, (text) => /^\s*not ok /m.test(text));
  return status === 0;
}

/** What a fault made spin would spin on after us: their groups are their own. */
const running = new Set<() => void>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const end of running) end();
    process.kill(process.pid, signal);
  });
}

/** `status` is that of a killed program, when `enough` says so or the time is over. */
function run(
  cwd: string,
  [command = '', ...args]: readonly string[],
  enough: (text: string) => boolean = () => false,
): Promise<{ status: number; output: string }> {
  return new Promise((resolve, reject) => {
    // Not the checkout's repository, wherever the copy lies; a process group of its own, so that nothing stays behind.
    const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(cwd), NODE_TEST_CONTEXT: undefined };
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const end = (): void => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    };
    running.add(end);
    const timer = setTimeout(end, deadlineMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (enough(text)) end();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      running.delete(end);
      resolve({ status: code ?? 137, output });
    });
  });
}
