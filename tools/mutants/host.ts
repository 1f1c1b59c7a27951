/**
 * Runs test files again and again in one process, each time with another mutant switched on. The sources stay loaded and only
 * the test file itself is evaluated anew; for a mutant in what runs while modules are loaded, they all are. Packages stay
 * loaded always. A test file that does not pass here without a mutant cannot be judged here: the answer says so and the
 * caller starts a process of its own.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { resolve } from 'node:path';
import { run } from 'node:test';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { configureGlobal } from 'fast-check';

/** What the runner asks. `mutant` absent: the tests as they are. */
export interface Question {
  readonly file: string;
  readonly mutant?: string;
  readonly hitLimit?: number;
}
export interface Answer {
  readonly outcome: 'passed' | 'failed' | 'elsewhere';
  readonly failure?: string;
  /** Something goes on here that nobody will end: ask another process next. */
  readonly last?: true;
}

// The same cases for every mutant; and that there is one that fails is enough, however large.
configureGlobal({ seed: 1, endOnFailure: true });

/** A failed test may leave something behind that ends soon. */
const graceMs = 300;
/** Modules that were evaluated stay in memory. */
const mostBytes = 1024 ** 3;

/** What instrumented code looks at. */
interface Switch {
  activeMutant?: string | undefined;
  hitCount?: number;
  hitLimit?: number | undefined;
  currentTestId?: string | undefined;
  mutantCoverage?: { static: Record<string, number>; perTest: Record<string, Record<string, number>> };
}

const state: Switch = {};
Object.assign(globalThis, { __stryker__: state, __testFileBegins__: begins });

/** Test files by address, with their text. */
const tests = new Map<string, string>();
/** Mutants that ran while modules were loaded. */
const atLoad = new Set<string>();
let turn = 0;
/** Whether the sources are evaluated anew in this turn. */
let afresh = false;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const isOurs = found.url.startsWith('file:') && !found.url.includes('/node_modules/');
    return tests.has(found.url) || (afresh && isOurs) ? { ...found, url: `${found.url}?turn=${turn}` } : found;
  },
  load(url, context, next) {
    const source = tests.get(url.replace(/\?turn=\d+$/, ''));
    return source === undefined ? next(url, context) : { format: 'module', source, shortCircuit: true };
  },
});

/** Everything that the test file imports is loaded. */
function begins(): void {
  state.currentTestId = 'any';
}

async function answer({ file, mutant, hitLimit }: Question): Promise<Answer> {
  const url = pathToFileURL(resolve(file)).href;
  if (!tests.has(url)) {
    const text = stripTypeScriptTypes(readFileSync(file, 'utf8'));
    // Imports are evaluated before the first statement.
    tests.set(url, `globalThis.__testFileBegins__();${text}`);
    // What is loaded late, by an import() in a test, runs in the first pass and no more in the second.
    const first = await pass(file, { anew: false });
    const { static: loading = {}, perTest: cold = {} } = state.mutantCoverage ?? {};
    const second = await pass(file, { anew: false });
    if (first.outcome !== 'passed' || second.outcome !== 'passed') return { outcome: 'elsewhere' };
    const warm = state.mutantCoverage?.perTest['any'] ?? {};
    for (const id of Object.keys(loading)) atLoad.add(id);
    for (const id of Object.keys(cold['any'] ?? {})) if (!(id in warm)) atLoad.add(id);
  }
  const anew = mutant !== undefined && atLoad.has(mutant);
  const result = await pass(file, { mutant, hitLimit, anew });
  return process.memoryUsage.rss() > mostBytes ? { ...result, last: true } : result;
}

interface Pass {
  readonly mutant?: string | undefined;
  readonly hitLimit?: number | undefined;
  readonly anew: boolean;
}

async function pass(file: string, { mutant, hitLimit, anew }: Pass): Promise<Answer> {
  turn += 1;
  afresh = anew;
  Object.assign(state, {
    activeMutant: mutant,
    hitCount: 0,
    hitLimit,
    currentTestId: undefined,
    mutantCoverage: undefined,
  });
  const enough = new AbortController();
  const over = new AbortController();
  const firstFailure = Promise.withResolvers<string>();
  // In one process a run ends when the process would: with nothing left to wait for. So we ourselves do not count.
  process.channel?.unref();
  const ended = (async () => {
    for await (const event of run({ files: [file], isolation: 'none', signal: enough.signal })) {
      if (event.type === 'test:fail') {
        firstFailure.resolve(event.data.name);
        enough.abort();
      }
    }
    return 'ended' as const;
  })();
  const idle = idleAfter(over.signal);
  const first = await Promise.race([firstFailure.promise.then((name) => ({ name })), ended, idle]);
  const last =
    typeof first === 'string'
      ? first
      : await Promise.race([ended, idle, delay(graceMs, 'busy' as const, { ref: false, signal: over.signal })]);
  over.abort();
  process.channel?.ref();
  // A turn of the loop, or the process would end with the run.
  await setImmediate();
  process.exitCode = 0;
  if (first === 'ended') return { outcome: 'passed' };
  const failure = first === 'idle' ? 'a test that waits for ever' : first.name;
  return { outcome: 'failed', failure, ...(last !== 'ended' && { last: true }) };
}

/** Nothing is left to wait for, and the run has not ended of it. */
async function idleAfter(signal: AbortSignal): Promise<'idle'> {
  try {
    await once(process, 'beforeExit', { signal });
    process.channel?.ref();
    return await delay(graceMs, 'idle' as const, { signal });
  } catch {
    return 'idle';
  }
}

process.on('disconnect', () => process.exit(0));
process.on('message', (question: Question) => {
  void answer(question).then((result) => process.send?.(result));
});
