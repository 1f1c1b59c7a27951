/** The whole host program: what it is made of, how large it is, how it starts beside Node, and that it says the same. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readSync, closeSync, rmSync, statSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cached } from '../lab/cache.ts';
import { debianPackage } from '../lab/debian.ts';
import { buildBundle, nodeBinary, nodeFlag } from '../../tools/build.ts';
import { buildHostProgram, bundle } from '../../tools/native.ts';

const root = join(import.meta.dirname, '../..');
const demo = join(root, 'examples/demo/node.yaml');
const own = process.arch === 'arm64' ? 'arm64' : 'amd64';
const machines = { amd64: 0x3e, arm64: 0xb7 } as const;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function end(command: readonly string[], args: readonly string[]): Ended {
  const [file = '', ...first] = command;
  const { status, stdout, stderr } = spawnSync(file, [...first, ...args], { encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}

/** Its first bytes, program headers included. */
function headOf(file: string): Buffer {
  const [head, fd] = [Buffer.alloc(4096), openSync(file, 'r')];
  readSync(fd, head);
  closeSync(fd);
  return head;
}

/** Types of the segments of a 64-bit ELF file. */
function segmentsOf(head: Buffer): number[] {
  const [at, size, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => head.readUInt32LE(at + index * size));
}

describe('the host program', () => {
  const native: string[] = [];
  const node: string[] = [nodeBinary, nodeFlag];
  before(async () => {
    native.push(await buildHostProgram());
    node.push(await buildBundle());
  });

  for (const architecture of ['amd64', 'arm64'] as const)
    test(`is one static file of at most 20 MB for ${architecture}`, async () => {
      const file = await buildHostProgram(architecture);
      const head = headOf(file);
      assert.equal(head.readUInt16LE(18), machines[architecture]);
      // PT_DYNAMIC, PT_INTERP.
      assert.deepEqual(
        segmentsOf(head).filter((type) => type === 2 || type === 3),
        [],
      );
      assert.ok(statSync(file).size <= 20e6, `${statSync(file).size} bytes`);
    });

  test('holds no schema library', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodekiln-native-'));
    after(() => rmSync(folder, { recursive: true }));
    const { inputs } = await bundle(join(root, 'src/cli/main.ts'), join(folder, 'program.js'));
    const names = Object.keys(inputs);
    assert.ok(names.some((name) => name.endsWith('dist/schemas.mjs')) && names.length > 500, `${names.length}`);
    assert.deepEqual(
      names.filter((name) => /node_modules\/zod|^original:|tools-image\/publish|src\/bake\/bake\.ts/.test(name)),
      [],
    );
  });

  const same: readonly (readonly string[])[] = [
    ['help'],
    ['help', 'boot'],
    ['boot', '--no-such-option'],
    ['config', 'check', demo],
    ['config', 'check', demo, '--json'],
    ['config', 'dump', demo, '--json'],
    ['config', 'check', join(root, 'package.json')],
    ['config', 'check', '/none-such.yaml', '--json'],
    ['artifact', 'compare', '1.34.3', '1.35.0-rc.1'],
    ['status', '--root', '/var/tmp', '--json'],
  ];
  for (const args of same)
    test(`says what Node says: ${args.join(' ').replaceAll(root, '')}`, () => {
      const expected = end(node, args);
      assert.ok(expected.stdout + expected.stderr !== '');
      assert.deepEqual(end(native, args), expected);
    });

  for (const verb of [
    'bake',
    'schema',
    'manifest import',
    'manifest export',
    'tools-image resolve',
    'tools-image publish',
  ])
    test(`says that ${verb} runs elsewhere, and how it is called`, () => {
      const words = verb.split(' ');
      const needed: Readonly<Record<string, readonly string[]>> = {
        bake: ['--root', '/none-such', 'image.yaml'],
        schema: ['NodeConfig'],
        'manifest import': ['agentbaker', 'x.json'],
        'manifest export': ['agentbaker', 'x.yaml'],
        'tools-image resolve': ['--cluster-version', '1.31'],
        'tools-image publish': ['x.yaml'],
      };
      const { status, stdout } = end(native, [...words, ...(needed[verb] ?? []), '--json']);
      const { error } = JSON.parse(stdout) as { error: Readonly<Record<string, string>> };
      assert.deepEqual([error['code'], status], ['NK_UNSUPPORTED', 17]);
      assert.match(error['message'] ?? '', new RegExp(`^nodekiln ${verb} is not in the native host program$`));
      assert.match(error['hint'] ?? '', /runs on Node\.js/);
      assert.deepEqual(end(native, ['help', ...words]), end(node, ['help', ...words]));
    });

  test('starts with less work than Node does', () => {
    const args = ['config', 'check', demo];
    const rounds = Array.from({ length: 7 }, () => [native, node].map((command) => childCpu(command, args)));
    const [ours = 1, theirs = 0] = [0, 1].map((which) => median(rounds.map((round) => round[which] ?? 0)));
    assert.ok(ours < theirs, `${ours} ms of CPU beside ${theirs} ms`);
  });

  test('runs on arm64', { skip: own === 'arm64' }, async () => {
    const emulator = await cached('tools/qemu-aarch64', async (folder) => {
      const { path } = await debianPackage('bookworm', 'qemu-user-static');
      // Those of the other architectures are some hundred megabytes.
      execFileSync('dpkg-deb', ['--extract', path, join(folder, 'all')]);
      renameSync(join(folder, 'all/usr/bin/qemu-aarch64-static'), join(folder, 'qemu-aarch64-static'));
      rmSync(join(folder, 'all'), { recursive: true });
    });
    const arm = [join(emulator, 'qemu-aarch64-static'), await buildHostProgram('arm64')];
    for (const args of [
      ['config', 'check', demo],
      ['config', 'dump', demo, '--json'],
    ])
      assert.deepEqual(end(arm, args), end(node, args));
    assert.match(end(arm, ['version']).stdout, /arm64/);
  });
});

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
}

/** Milliseconds of CPU of a program and its threads, as bash counts them. */
function childCpu(command: readonly string[], args: readonly string[]): number {
  const { stderr } = spawnSync(
    'bash',
    ['-c', 'TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>&1', '-', ...command, ...args],
    {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
    },
  );
  const [user = 0, system = 0] = stderr.trim().split(' ').map(Number);
  return (user + system) * 1000;
}
