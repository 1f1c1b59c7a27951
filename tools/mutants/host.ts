/**
 * Runs test files again and again in one process, each time with another mutant switched on: the sources stay loaded, only
 * the test file itself is evaluated anew. What is loaded while a mutant is on, or was evaluated before any was, cannot be
 * judged here: the answer says so and the caller starts a process of its own.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { resolve } from 'node:path';
import { run } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

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

/** A failed test may leave something behind that ends soon. */
const graceMs = 300;

/** What instrumented code looks at. */
interface Switch {
  activeMutant?: string | undefined;
  hitCount?: number;
  hitLimit?: number | undefined;
  currentTestId?: string | undefined;
  mutantCoverage?: { static: Record<string, number>; perTest: Record<string, unknown> };
}

const state: Switch = {};
Object.assign(globalThis, { __stryker__: state, __testFileBegins__: begins });

const sources = new Map<string, string>();
/** Mutants that the sources ran while they were loaded. */
const atLoad = new Set<string>();
let turn = 0;
/** Whether the current test file has begun, that is: everything that it imports is loaded. */
let began = false;
let loadedLate = false;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return sources.has(found.url) ? { ...found, url: `${found.url}?turn=${turn}` } : found;
  },
  load(url, context, next) {
    const source = sources.get(url.replace(/\?turn=\d+$/, ''));
    if (source !== undefined) return { format: 'module', source, shortCircuit: true };
    if (began && url.startsWith('file:') && !url.includes('/node_modules/')) loadedLate = true;
    return next(url, context);
  },
});

function begins(): void {
  began = true;
  for (const mutant of Object.keys(state.mutantCoverage?.static ?? {})) atLoad.add(mutant);
  state.currentTestId = 'any';
}

async function answer({ file, mutant, hitLimit }: Question): Promise<Answer> {
  const url = pathToFileURL(resolve(file)).href;
  const first = !sources.has(url);
  if (first) {
    const text = stripTypeScriptTypes(readFileSync(file, 'utf8'));
    // Imports are evaluated before the first statement.
    sources.set(url, `globalThis.__testFileBegins__();${text}`);
    const before = await pass(file, {});
    if (before.outcome !== 'passed') return { ...before, outcome: 'elsewhere' };
  }
  if (mutant !== undefined && atLoad.has(mutant)) return { outcome: 'elsewhere' };
  loadedLate = false;
  const result = await pass(file, { ...(mutant !== undefined && { mutant }), ...(hitLimit && { hitLimit }) });
  return loadedLate ? { ...result, outcome: 'elsewhere' } : result;
}

async function pass(file: string, { mutant, hitLimit }: Omit<Question, 'file'>): Promise<Answer> {
  turn += 1;
  began = false;
  Object.assign(state, {
    activeMutant: mutant,
    hitCount: 0,
    hitLimit,
    currentTestId: undefined,
    mutantCoverage: undefined,
  });
  const enough = new AbortController();
  const firstFailure = Promise.withResolvers<string>();
  const ended = (async () => {
    for await (const event of run({ files: [file], isolation: 'none', signal: enough.signal })) {
      if (event.type === 'test:fail') {
        firstFailure.resolve(event.data.name);
        enough.abort();
      }
    }
    return 'ended' as const;
  })();
  // In one process a run ends when the process would: with nothing left to wait for. So we ourselves do not count.
  process.channel?.unref();
  const idle = once(process, 'beforeExit').then(() => {
    process.channel?.ref();
    return delay(graceMs, 'idle' as const);
  });
  const first = await Promise.race([firstFailure.promise.then((name) => ({ name })), ended, idle]);
  process.channel?.ref();
  process.exitCode = 0;
  if (first === 'ended') return { outcome: 'passed' };
  if (first === 'idle') return { outcome: 'failed', failure: 'a test that waits for ever', last: true };
  const clean = await Promise.race([ended, idle, delay(graceMs, 'busy' as const)]);
  return { outcome: 'failed', failure: first.name, ...(clean !== 'ended' && { last: true }) };
}

process.on('disconnect', () => process.exit(0));
process.on('message', (question: Question) => {
  void answer(question).then((result) => process.send?.(result));
});
