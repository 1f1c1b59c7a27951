/**
 * Mutants of the pure rooms. StrykerJS changes one expression at a time and runs the tests that reach it; what no test
 * notices survived.
 */
import { glob, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { MutantResult } from '@stryker-mutator/api/core';
import { Stryker } from '@stryker-mutator/core';
import { nodeBinary } from '../build.ts';
import { withoutBehaviour } from './messages.ts';
import { digestOfFile, digestOfVerdict } from './rests-on.ts';
import type { Room } from './rooms.ts';

const root = join(import.meta.dirname, '..', '..');

/** What became of the mutants of one source file. */
export interface FileResult {
  /** Of the source and of the tests that reach it (`rests-on.ts`): as long as it is the same, so is the rest. */
  readonly digest: string;
  /** Noticed by a test that fails, or that no longer ends. */
  readonly killed: number;
  /** Text for people and checks of types, not mutated. */
  readonly messages: number;
  /** Each `12:5 ConditionalExpression → true`. */
  readonly survived: readonly string[];
  /** By a comment in the source: the mutant and the reason. */
  readonly ignored: readonly string[];
  /** Test files that reach the file. */
  readonly tests: readonly string[];
}

/** The files of patterns in their order; a pattern that begins with `!` takes files out. */
async function filesOf(patterns: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const pattern of patterns.filter((one) => !one.startsWith('!'))) {
    const found: string[] = [];
    for await (const file of glob(pattern, { cwd: root })) found.push(file);
    files.push(...found.sort().filter((file) => !files.includes(file)));
  }
  return files.filter((file) => !patterns.includes(`!${file}`));
}

export async function sourcesOf(room: Room): Promise<string[]> {
  return (await filesOf(room.sources)).filter((file) => !file.endsWith('.test.ts'));
}

export async function digestOf(source: string, tests: readonly string[]): Promise<string> {
  return digestOfVerdict(await Promise.all([source, ...tests].map(digestOfFile)));
}

/** Runs the mutants of these files of a room against the room's tests. */
export async function mutate(room: Room, files: readonly string[]): Promise<Map<string, FileResult>> {
  const scratch = await mkdtemp(join(tmpdir(), 'nodekiln-mutants-'));
  const testFiles = await filesOf(room.tests);
  // As Stryker copies them now; they may be edited while it runs.
  const digests = new Map<string, string>();
  for (const file of [...files, ...testFiles]) digests.set(file, await digestOfFile(file));
  // Stryker starts `node`; its processes read their modules from one cache of compiled code.
  process.env['PATH'] = `${dirname(nodeBinary)}${delimiter}${process.env['PATH'] ?? ''}`;
  process.env['NODE_COMPILE_CACHE'] = join(scratch, 'compiled');
  const options: Readonly<Record<string, unknown>> = {
    mutate: [...files],
    testRunner: 'nearest',
    plugins: ['messages.ts', 'runner.ts'].map((file) => join(import.meta.dirname, file)),
    ignorers: ['messages'],
    coverageAnalysis: 'perTest',
    concurrency: 2,
    tap: {
      testFiles,
      nodeArgs: [
        '--disable-warning=ExperimentalWarning',
        '--require={{hookFile}}',
        '--test',
        '--test-isolation=none',
        '--test-reporter=tap',
      ],
      forceBail: true,
    },
    ignorePatterns: [
      '/examples/demo/artifacts',
      '/dist',
      '/docs',
      '/bench',
      '/packaging',
      '/test/e2e',
      '/test/demo',
      '/test/faults',
    ],
    disableTypeChecks: false,
    tempDirName: join(scratch, 'sandbox'),
    cleanTempDir: 'always',
    reporters: [process.stdout.isTTY ? 'progress' : 'progress-append-only'],
    logLevel: 'warn',
    // What does not end ends at its limit of hits; this is for machines that others load.
    timeoutMS: 40_000,
    warnings: { unknownOptions: true, preprocessorErrors: true, unserializableOptions: true, slow: false },
    allowConsoleColors: process.stdout.isTTY,
  };
  try {
    const mutants = await new Stryker(options).runMutationTest();
    const results = new Map<string, FileResult>();
    for (const file of files) {
      const own = mutants.filter(({ fileName }) => fileName === file || fileName === join(root, file));
      results.set(file, resultOf(file, own, digests));
    }
    return results;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function resultOf(file: string, mutants: readonly MutantResult[], digests: ReadonlyMap<string, string>): FileResult {
  const tests = [...new Set(mutants.flatMap(({ coveredBy }) => coveredBy ?? []))].sort();
  const isMessage = ({ status, statusReason }: MutantResult): boolean =>
    status === 'Ignored' && withoutBehaviour.has(statusReason ?? '');
  const listed = mutants
    .filter((mutant) => !isMessage(mutant))
    .toSorted(
      (a, b) => a.location.start.line - b.location.start.line || a.location.start.column - b.location.start.column,
    );
  return {
    digest: digestOfVerdict([file, ...tests].map((one) => digests.get(one) ?? '')),
    killed: listed.filter(({ status }) => status === 'Killed' || status === 'Timeout' || status === 'RuntimeError')
      .length,
    messages: mutants.filter(isMessage).length,
    survived: listed.filter(({ status }) => status === 'Survived' || status === 'NoCoverage').map(describe),
    ignored: listed
      .filter(({ status }) => status === 'Ignored')
      .map((mutant) => `${describe(mutant)}: ${mutant.statusReason ?? ''}`),
    tests,
  };
}

function describe({ location, mutatorName, replacement }: MutantResult): string {
  const text = (replacement ?? '').replaceAll(/\s+/g, ' ');
  const { line, column } = location.start;
  return `${line + 1}:${column + 1} ${mutatorName} → ${text.length > 80 ? `${text.slice(0, 79)}…` : text}`;
}
