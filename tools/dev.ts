/** `./dev VERB`: what developers call. Each verb installs what it needs and ends with a plain verdict. */
import { spawn } from 'node:child_process';
import { glob, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { samples } from '../test/support/sample.ts';
import { buildBundle, nodeBinary, nodeFlag } from './build.ts';
import { buildHostProgram } from './native.ts';
import { writeProgramArchive, writeProgramArtifact } from './program-artifact.ts';

const root = join(import.meta.dirname, '..');
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);

interface Verb {
  readonly about: string;
  run(args: readonly string[]): Promise<number>;
}

export const verbs: Readonly<Record<string, Verb>> = {
  demo: {
    about: 'bake, boot and tend a real host on this machine, with progress (root)',
    run: (args) => node(['test/demo/main.ts', ...args]),
  },
  test: {
    about: 'every test that needs no cluster',
    run: (args) =>
      test(['{src,tools,packaging,bench,test/lab,test/support,test/conformance}/**/*.test.ts'], {
        args,
        processes: 2,
        timeoutMs: 600_000,
      }),
  },
  e2e: {
    about:
      'the end-to-end cases on lab hosts, with the sabotage and crash suites; --sample: a part of the long ones (root)',
    run: async (args) => {
      if (args.includes('--sample')) {
        process.env['NODEKILN_SAMPLE'] = '1';
        for (const [name, { points }] of await samples()) console.log(`e2e: of ${name} ${points} points of each sort`);
      }
      return test(['test/e2e/**/*.test.ts'], {
        args: args.filter((arg) => arg !== '--sample'),
        processes: 1,
        timeoutMs: 1_800_000,
      });
    },
  },
  bench: { about: 'measure: ./dev bench boot', run: bench },
  mutants: {
    about: 'whether tests notice mutants of the pure rooms and named faults: ./dev mutants [--changed]',
    run: (args) => node(['tools/mutants.ts', ...args]),
  },
  lint: { about: 'format, lint, types, import rules, unused code', run: lint },
  floors: {
    about: 'draw the rooms of src/ and their imports: docs/floors.svg',
    run: (args) => node(['tools/floors.ts', ...args]),
  },
  build: {
    about:
      'build the bundle that runs on hosts, and what unbaked machines install it from: an OCI artifact and an archive',
    run: async () => {
      const nodekiln = await buildBundle();
      const parts = { node: nodeBinary, nodekiln };
      const artifact = await writeProgramArtifact(join(root, 'build'), parts);
      const archive = await writeProgramArchive(join(root, 'build'), parts);
      console.log([nodekiln, artifact.folder, artifact.digest, archive.file, archive.digest].join('\n'));
      return 0;
    },
  },
  native: {
    about: 'build the native host program for both architectures; ./dev native test: whether it holds what it must',
    run: async ([what, ...args]) => {
      if (what === 'test') return test(['test/native/**/*.test.ts'], { args, processes: 2, timeoutMs: 600_000 });
      for (const architecture of ['amd64', 'arm64'] as const) {
        const file = await buildHostProgram(architecture);
        console.log(`${file} ${((await stat(file)).size / 1e6).toFixed(1)} MB`);
      }
      return 0;
    },
  },
  docs: { about: 'write the generated reference pages', run: (args) => node(['tools/docs.ts', ...args]) },
  nodekiln: {
    about: 'the command-line tool of this checkout, built when needed',
    run: async (args) => run(nodeBinary, [nodeFlag, await buildBundle(), ...args], process.cwd()),
  },
};

async function main([name = 'help', ...args]: readonly string[]): Promise<number> {
  const verb = verbs[name];
  if (verb) return verb.run(args);
  const list = Object.entries(verbs).map(([key, { about }]) => `  ${key.padEnd(10)}${about}`);
  console.error(`usage: ./dev VERB …\n\n${list.join('\n')}`);
  return name === 'help' || name === '--help' ? 0 : 2;
}

/**
 * One process per file. Files that drive real hosts run one after the other: two at a time share two cores badly. The time
 * is for one test or hook that names none: long enough for whatever a bare machine builds first, so that only what hangs
 * is ended, and `test-end.ts` ends the process that it hangs in. Not `--test-force-exit`: results of files that ended well
 * get lost with it.
 */
async function test(
  patterns: readonly string[],
  { args, processes, timeoutMs }: { args: readonly string[]; processes: number; timeoutMs: number },
): Promise<number> {
  const wanted = args.filter((arg) => !arg.startsWith('-'));
  const files: string[] = [];
  for await (const file of glob([...patterns], { cwd: root }))
    if (wanted.length === 0 || wanted.some((part) => file.includes(part))) files.push(file);
  await buildBundle();
  // Each file is a process of its own; they read the same modules.
  process.env['NODE_COMPILE_CACHE'] = join(root, 'dist', 'compiled');
  return run(
    nodeBinary,
    [
      '--disable-warning=ExperimentalWarning',
      `--import=${join(root, 'tools', 'test-end.ts')}`,
      '--test',
      `--test-concurrency=${processes}`,
      `--test-timeout=${timeoutMs}`,
      '--test-reporter=spec',
      ...args.filter((arg) => arg.startsWith('-')),
      ...inOrder(files),
    ],
    root,
  );
}

/** Those that wait for real hosts and programs first: the others go on beside them, and none is left to run alone at the end. */
function inOrder(files: readonly string[]): string[] {
  const waits = ['test/lab/', 'src/bake/', 'src/cli/', 'test/', 'src/artifacts/'];
  const rank = (file: string): number => {
    const at = waits.findIndex((folder) => file.startsWith(folder));
    return at < 0 ? waits.length : at;
  };
  return files.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

async function bench(args: readonly string[]): Promise<number> {
  const [what = ''] = args;
  const known: string[] = [];
  for await (const file of glob('bench/*.ts', { cwd: root })) known.push(file.slice('bench/'.length, -'.ts'.length));
  if (known.includes(what)) return node([`bench/${what}.ts`, ...args.slice(1)]);
  console.error(`usage: ./dev bench ${known.sort().join('|')}`);
  return 2;
}

async function lint(): Promise<number> {
  const checks: readonly (readonly [string, readonly string[]])[] = [
    ['oxfmt', ['--check', 'src', 'test', 'tools', 'bench', 'packaging', 'examples']],
    ['oxlint', ['--type-aware', '--deny-warnings', 'src', 'test', 'tools', 'bench', 'packaging', 'examples']],
    ['../typescript7/bin/tsc', ['-p', '.']],
    ['knip', ['--no-progress']],
  ];
  let failed = 0;
  for (const [tool, toolArgs] of checks) {
    console.log(`lint: ${tool}`);
    if ((await run(bin(tool), toolArgs, root)) !== 0) failed += 1;
  }
  const rules = [
    ['import rules', 'tools/imports.ts'],
    ['kinds of resources', 'tools/kind-names.ts'],
    ['assertions of tests', 'tools/assertions.ts'],
    ['the port as the seam', 'tools/seam.ts'],
    ['the picture of the floors', 'tools/floors.ts', '--check'],
  ] as const;
  for (const [what, ...script] of rules) {
    console.log(`lint: ${what}`);
    if ((await node(script)) !== 0) failed += 1;
  }
  console.log(failed === 0 ? 'lint: clean' : `lint: ${failed} of ${checks.length + rules.length} checks failed`);
  return failed === 0 ? 0 : 1;
}

function node(nodeArgs: readonly string[]): Promise<number> {
  return run(
    nodeBinary,
    ['--disable-warning=ExperimentalWarning', join(root, nodeArgs[0] ?? ''), ...nodeArgs.slice(1)],
    process.cwd(),
  );
}

function run(command: string, commandArgs: readonly string[], cwd: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, commandArgs, { cwd, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
