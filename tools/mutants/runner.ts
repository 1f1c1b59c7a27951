/**
 * Stryker's test runner `nearest`. The test files run in the order in which they have noticed most in their time, so that
 * most mutants are noticed by the first; and as long as nothing speaks against it, in one process that keeps the sources
 * loaded (`host.ts`): some hundredths of a second instead of a whole one. Everything else is Stryker's TAP runner, a process
 * for each file: the first run with its coverage, and tests that do not bear the company.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { commonTokens, declareFactoryPlugin, PluginKind, tokens } from '@stryker-mutator/api/plugin';
import type { Injector, PluginContext } from '@stryker-mutator/api/plugin';
import {
  type MutantRunOptions,
  type MutantRunResult,
  MutantRunStatus,
  type TestRunner,
} from '@stryker-mutator/api/test-runner';
import { createTapTestRunnerFactory, strykerValidationSchema as schema } from '@stryker-mutator/tap-runner';
import type { Answer, Question } from './host.ts';

/** So often a run without a mutant shows that none has left anything behind. */
const killsPerControl = 20;

/** A test file that has used so much of a processor does not end. On a machine that others load it may wait long for it. */
const mostProcessorMs = 10_000;

/** What a process has used of processors; more than enough of one that is gone. Source: proc_pid_stat(5), in ticks of 10 ms. */
async function processorMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is a name, which may hold blanks.
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return system === undefined ? Infinity : (Number(user) + Number(system)) * 10;
}

/** The process that keeps the sources loaded; started when needed. */
class Host {
  #child: ChildProcess | undefined;

  /** `undefined`: no answer in time. */
  async ask(question: Question, timeoutMs: number): Promise<Answer | undefined> {
    this.#child ??= fork(join(import.meta.dirname, 'host.ts'), {
      stdio: 'ignore',
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    const child = this.#child;
    const over = new AbortController();
    const answered = Promise.race([once(child, 'message'), once(child, 'exit').then(() => ['gone'])]);
    child.send(question);
    const [answer] = (await Promise.race([answered, endless(child.pid ?? 0, timeoutMs, over.signal)])) as readonly [
      Answer | 'gone' | undefined,
    ];
    over.abort();
    if (answer === undefined || answer === 'gone' || answer.last) this.end();
    return answer === 'gone' ? { outcome: 'elsewhere' } : answer;
  }

  end(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }
}

/** Comes when the process has used too much, or after the time. */
async function endless(pid: number, timeoutMs: number, signal: AbortSignal): Promise<readonly undefined[]> {
  const [began, used] = [performance.now(), await processorMs(pid)];
  while (performance.now() < began + timeoutMs && (await processorMs(pid)) < used + mostProcessorMs)
    if (await delay(500, false, { signal }).catch(() => true)) break;
  return [undefined];
}

/** What each test file has noticed so far in one source, for the time it took. */
class Experience {
  readonly #known = new Map<string, { kills: number; milliseconds: number }>();

  #of(file: string): { kills: number; milliseconds: number } {
    // Somebody new has a chance: as if one had been noticed in a fifth of a second.
    const known = this.#known.get(file) ?? { kills: 1, milliseconds: 200 };
    this.#known.set(file, known);
    return known;
  }

  add(file: string, noticed: boolean, milliseconds: number): void {
    const known = this.#of(file);
    known.milliseconds += milliseconds;
    if (noticed) known.kills += 1;
  }

  /** Those first that notice most in their time, the others as they stand. */
  sorted(files: readonly string[]): string[] {
    const worth = (file: string): number => this.#of(file).kills / this.#of(file).milliseconds;
    return files.toSorted((a, b) => worth(b) - worth(a));
  }
}

/** One process per test file throughout, when set. */
export const slowly = 'NODEKILN_MUTANTS_SLOWLY';

function createRunner(injector: Injector<PluginContext>): TestRunner {
  const tap = createTapTestRunnerFactory()(injector);
  const { testFiles } = injector.resolve(commonTokens.options)['tap'] as { readonly testFiles: readonly string[] };
  const experiences = new Map<string, Experience>();
  const host = new Host();
  let kills = 0;

  async function mutantRun(options: MutantRunOptions): Promise<MutantRunResult> {
    const { activeMutant, hitLimit, timeout, testFilter } = options;
    const experience = experiences.get(activeMutant.fileName) ?? new Experience();
    experiences.set(activeMutant.fileName, experience);
    const files = experience.sorted(testFiles.filter((file) => testFilter?.includes(file) ?? true));
    for (const file of files) {
      const began = performance.now();
      // Stryker ends the whole runner when it does not answer in its time.
      const answer = process.env[slowly]
        ? { outcome: 'elsewhere' as const }
        : await host.ask({ file, mutant: activeMutant.id, ...(hitLimit && { hitLimit }) }, timeout * 0.8);
      experience.add(file, answer?.outcome !== 'passed', performance.now() - began);
      if (answer === undefined) return { status: MutantRunStatus.Timeout };
      if (answer.outcome === 'failed') {
        kills += 1;
        if (kills % killsPerControl === 0) await control(file);
        return { status: MutantRunStatus.Killed, killedBy: [file], failureMessage: answer.failure ?? '', nrOfTests: 1 };
      }
      if (answer.outcome === 'passed') continue;
      const result = await tap.mutantRun({ ...options, testFilter: [file] });
      if (result.status !== MutantRunStatus.Survived) return result;
    }
    return { status: MutantRunStatus.Survived, nrOfTests: files.length };
  }

  /** A source that remembers what a mutant did would make later ones look noticed. */
  async function control(file: string): Promise<void> {
    const answer = await host.ask({ file }, 60_000);
    if (answer?.outcome !== 'failed') return;
    throw new Error(`${file} fails without a mutant after others were on: name its room as one with a memory`);
  }

  return {
    capabilities: () => tap.capabilities(),
    init: () => tap.init(),
    dryRun: (options) => tap.dryRun({ ...options, testFiles: [...testFiles] }),
    mutantRun,
    async dispose() {
      host.end();
    },
  };
}
createRunner.inject = tokens(commonTokens.injector);

export const strykerPlugins = [declareFactoryPlugin(PluginKind.TestRunner, 'nearest', createRunner)];
export const strykerValidationSchema: unknown = schema;
