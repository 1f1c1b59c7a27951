/**
 * `./dev bench artifacts`: what it costs to take a program out of a package, to activate it, and to fetch it, against the
 * usual programs on the same machine in the same run. docs/benchmarks.md says what each number means.
 *
 * The tables go to standard output (`--json`: everything measured), progress to standard error. Needs root.
 */
import { cp, mkdir, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { extensionCase } from './artifacts/extensions.ts';
import { bakeCase, verifyCase, type ImageCase, type ImageOptions } from './artifacts/images.ts';
import { packages, memberBytes, memberPath, type Compression, type Package } from './artifacts/packages.ts';
import { peakMemory, timed } from './artifacts/programs.ts';
import { describeMachine, load } from './lib/machine.ts';
import { ratioOfMedians, summarize } from './lib/statistics.ts';
import { markdownTable } from './lib/table.ts';
import { activate, openCached } from '../src/artifacts/cache/cache.ts';
import { addToCache } from '../src/artifacts/cache/fill.ts';
import { createLinuxHost } from '../src/host/linux/host.ts';
import { cached, cacheFolder } from '../test/lab/cache.ts';
import { findGo, goBuild } from '../test/lab/go.ts';
import { artifacts } from '../test/lab/packages.ts';
import { unpackRoot } from '../test/lab/root.ts';
import { run } from '../test/lab/run.ts';
import { findProgram } from '../test/lab/prerequisites.ts';
import { artifact, digestOf, startRegistry } from '../test/servers/registry.ts';
import { buildBundle, nodeBinary, nodeFlag } from '../tools/build.ts';

const usage = `usage: ./dev bench artifacts [--quick] [--runs N] [--only extract|activate|fetch|extension|verify|bake] [--json]

  --runs N   measurements of each kind, taken in turns (default 9; --quick 3)
  --json     everything measured, as JSON, instead of the tables`;

/** Targets of the project; see docs/benchmarks.md. */
const targets = { floorRatio: 1.3, peakBytes: 130 * 1024 ** 2 } as const;

interface Contestant {
  readonly name: string;
  readonly run: () => Promise<number>;
}

/** One thing done by several: ours first. Milliseconds, in the order they were taken. */
interface Comparison {
  readonly what: string;
  readonly results: Readonly<Record<string, readonly number[]>>;
  readonly peakBytes?: Readonly<Record<string, number>>;
  readonly remark?: string;
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    runs: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
const parts = ['extract', 'activate', 'fetch', 'extension', 'verify', 'bake'] as const;
const runs = Number(values.runs ?? (values.quick === true ? 3 : 9));
const wanted = parts.filter((part) => values.only === undefined || values.only === part);
if (values.help === true || !Number.isInteger(runs) || runs < 1 || wanted.length === 0) {
  console.log(usage);
  process.exit(values.help === true ? 0 : 2);
}

const started = performance.now();
const ours = 'nodekiln';
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
};

const [machine, loadBefore] = [await describeMachine(), load()];
const bundle = await buildBundle();
await mkdir(join(cacheFolder(), 'bench'), { recursive: true });
const folder = await mkdtemp(join(cacheFolder(), 'bench/run-'));
try {
  const measured = {
    machine,
    loadBefore,
    extract: wanted.includes('extract') ? await measureExtraction() : [],
    activate: wanted.includes('activate') ? await measureActivation() : [],
    fetch: wanted.includes('fetch') ? await measureFetching() : [],
    images: [
      ...(wanted.includes('extension') ? await measureImage(withOras) : []),
      ...(wanted.includes('verify') ? await measureImage(verifyCase) : []),
      ...(wanted.includes('bake') ? await measureImage(bakeCase) : []),
    ],
    loadAfter: load(),
  };
  console.log(values.json === true ? JSON.stringify(measured, undefined, 2) : asText(measured));
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Takes turns, so that what else the machine does falls on all alike. The first turn is not counted. */
async function compare(
  what: string,
  contestants: readonly Contestant[],
  more: Pick<Comparison, 'peakBytes' | 'remark'> = {},
): Promise<Comparison> {
  say(what);
  const results: Record<string, number[]> = Object.fromEntries(contestants.map(({ name }) => [name, []]));
  for (let turn = 0; turn <= runs; turn++) {
    const order = turn % 2 === 0 ? contestants : contestants.toReversed();
    for (const { name, run: once } of order) {
      const ms = await once();
      if (turn > 0) results[name]?.push(ms);
    }
  }
  return { what, results, ...more };
}

// ── extracting ───────────────────────────────────────────────────────────────────────────────────────────────────

async function measureExtraction(): Promise<Comparison[]> {
  const { list, member, archive } = await packages(say);
  const out = join(folder, 'kubelet');
  const comparisons: Comparison[] = [];
  for (const item of list) {
    const argv = extractArgv(item, out);
    const contestants = await Promise.all(
      Object.entries(argv).map(async ([name, command]): Promise<Contestant> => ({
        name,
        run: async () => {
          await unlink(out).catch(() => undefined);
          return timed(command);
        },
      })),
    );
    const floor: Contestant = {
      name: 'floor',
      // Each by itself: decompressing to nowhere, the digest of the program, writing it durably.
      run: async () => {
        await unlink(out).catch(() => undefined);
        return (
          (await timed(['sh', '-c', `${decompressor(item.compression)} <${archive[item.compression]} >/dev/null`])) +
          (await timed(['sha256sum', member])) +
          (await timed(['dd', `if=${member}`, `of=${out}`, 'bs=1M', 'conv=fsync', 'status=none']))
        );
      },
    };
    const peakBytes: Record<string, number> = {};
    for (const [name, command] of Object.entries(argv)) peakBytes[name] = await peakMemory(command);
    comparisons.push(await compare(`${item.form}, ${item.compression}`, [...contestants, floor], { peakBytes }));
    await checkResult(out, member);
  }
  return comparisons;
}

/** Whoever was last wrote the program as it is. */
async function checkResult(out: string, member: string): Promise<void> {
  const [left, right] = await Promise.all([readFile(out), readFile(member)]);
  if (!left.equals(right)) throw new Error(`${out} is not the program`);
}

function extractArgv({ form, path }: Package, out: string): Record<string, string[]> {
  const sh = (script: string): string[] => ['bash', '-o', 'pipefail', '-c', script];
  const stream =
    form === 'deb'
      ? `dpkg-deb --fsys-tarfile ${path} | tar -xO ./${memberPath}`
      : `rpm2cpio ${path} | cpio --quiet -i --to-stdout ./${memberPath}`;
  const libarchive =
    form === 'deb'
      ? `bsdtar -xOf ${path} 'data.tar*' | bsdtar -xOf - ./${memberPath}`
      : `bsdtar -xOf ${path} ./${memberPath}`;
  return {
    [ours]: [nodeBinary, nodeFlag, bundle, 'artifact', 'extract', path, '--member', memberPath, '--to', out],
    'pipe, digest only': sh(`${stream} | sha256sum`),
    'pipe, written too': sh(`${stream} | tee ${out} | sha256sum && sync ${out}`),
    'bsdtar, written too': sh(`${libarchive} | tee ${out} | sha256sum && sync ${out}`),
  };
}

function decompressor(compression: Compression): string {
  return { none: 'cat', gzip: 'gzip -dc', zstd: 'zstd -dc -q', xz: 'xz -dc -T0', bzip2: 'bzip2 -dc' }[compression];
}

// ── activating ───────────────────────────────────────────────────────────────────────────────────────────────────

async function measureActivation(): Promise<Comparison[]> {
  const root = join(folder, 'root');
  await unpackRoot('trixie', root, say);
  const { dir, kubelet, kubectl } = await artifacts(say);
  const tools = [
    { tool: 'kubelet', version: '1.34.3', path: join(dir, kubelet.deb.file) },
    { tool: 'kubectl', version: kubectl.trixie.version, path: join(dir, kubectl.trixie.file) },
  ];
  const host = createLinuxHost({ root });
  try {
    for (const { tool, version, path } of tools)
      await addToCache(host, { tool, version, source: { format: 'deb', path } });
    const ourWay = async (rehash: boolean): Promise<number> => {
      for (const { tool } of tools) await unlink(join(root, 'opt/bin', tool)).catch(() => undefined);
      const before = performance.now();
      for (const { tool, version } of tools) {
        const lookup = await openCached(host.files, { tool, version }, { rehash });
        if (!lookup.found) throw new Error(lookup.why.join('; '));
        await activate(host.files, { entry: lookup.entry, target: `/opt/bin/${tool}` });
      }
      return performance.now() - before;
    };
    const install = ['dpkg', `--root=${root}`, '--force-depends', '--install', ...tools.map(({ path }) => path)];
    const remove = ['dpkg', `--root=${root}`, '--purge', ...tools.map(({ tool }) => tool)];
    return [
      await compare(
        'kubelet and kubectl',
        [
          { name: ours, run: () => ourWay(false) },
          { name: 'nodekiln, hashed in full', run: () => ourWay(true) },
          {
            name: 'dpkg -i',
            run: async () => {
              const ms = await timed(install);
              await run(remove);
              return ms;
            },
          },
        ],
        { remark: 'ours within a running process: lookup, seal or digest, durable placing of both' },
      ),
    ];
  } finally {
    await host.close();
  }
}

// ── fetching ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function measureFetching(): Promise<Comparison[]> {
  const { member } = await packages(say);
  const content = await readFile(member);
  const registry = await startRegistry();
  try {
    await registry.push({ repository: 'team/kubelet', tag: 'v1', ...artifact({ kubelet: content }) });
    const out = join(folder, 'fetched');
    const reference = `${registry.host}/team/kubelet:v1`;
    const blob = `http://${registry.host}/v2/team/kubelet/blobs/${digestOf(content)}`;
    const fetch = ['artifact', 'fetch', reference, '--plain-http', '--quiet', '--to', join(out, 'kubelet')];
    const commands: Record<string, string[]> = {
      [ours]: [nodeBinary, nodeFlag, bundle, ...fetch],
      'curl, digest and sync': [
        'sh',
        '-c',
        `curl -sf ${blob} | tee ${join(out, 'kubelet')} | sha256sum && sync ${join(out, 'kubelet')}`,
      ],
      curl: ['curl', '-sf', '-o', join(out, 'kubelet'), blob],
    };
    const oras = await findOras();
    if (oras === undefined) say('there is no oras here, and none can be built');
    else commands['oras pull'] = [oras, 'pull', '--plain-http', '--no-tty', '-o', out, reference];
    const peakBytes: Record<string, number> = {};
    for (const [name, command] of Object.entries(commands)) {
      await emptyFolder(out);
      peakBytes[name] = await peakMemory(command);
    }
    const contestants = Object.entries(commands).map(([name, command]): Contestant => ({
      name,
      run: async () => {
        await emptyFolder(out);
        return timed(command);
      },
    }));
    return [await compare(`${memberBytes / 1e6} MB from a registry on loopback`, contestants, { peakBytes })];
  } finally {
    await registry.close();
  }
}

async function measureImage(prepare: (options: ImageOptions) => Promise<ImageCase>): Promise<Comparison[]> {
  const { what, contestants, remark, close } = await prepare({ bundle, folder });
  try {
    return [await compare(what, contestants, { remark })];
  } finally {
    await close();
  }
}

async function withOras(options: ImageOptions): Promise<ImageCase> {
  return extensionCase({ ...options, oras: await findOras(), rounds: runs });
}

async function emptyFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path);
}

/** Built from its module in the Go proxy, once; undefined where there is no Go. */
async function findOras(): Promise<string | undefined> {
  const found = findProgram('oras');
  const go = await findGo();
  if (found !== undefined || go === undefined) return found;
  const dir = await cached('bench/oras-1.2.3', async (into) => {
    say('building oras, once');
    const module = join(into, 'module');
    await mkdir(into, { recursive: true });
    await writeFile(join(into, 'go.mod'), 'module bench\n\ngo 1.22\n');
    const { stdout } = await run([go, 'mod', 'download', '-json', 'oras.land/oras@v1.2.3'], { cwd: into });
    await cp((JSON.parse(stdout) as { Dir: string }).Dir, module, { recursive: true });
    await goBuild({ what: 'oras', module, packages: { oras: './cmd/oras' }, ldflags: ['-s', '-w'], output: into }, say);
    await rm(module, { recursive: true });
  });
  return findProgram(join(dir, 'oras'));
}

// ── the tables ───────────────────────────────────────────────────────────────────────────────────────────────────

interface Measured {
  readonly machine: Awaited<ReturnType<typeof describeMachine>>;
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly extract: readonly Comparison[];
  readonly activate: readonly Comparison[];
  readonly fetch: readonly Comparison[];
  readonly images: readonly Comparison[];
}

function asText({
  machine: about,
  loadBefore: before,
  loadAfter,
  extract,
  activate: activation,
  fetch,
  images,
}: Measured): string {
  return [
    `${new Date().toISOString().slice(0, 10)}, ${about.cores} cores (${about.processor}), ${(about.memoryBytes / 2 ** 30).toFixed(0)} GiB, Linux ${about.kernel}; load ${before.toFixed(1)} before, ${loadAfter.toFixed(1)} after; ${runs} runs of each in turns`,
    ...section(`One program of ${memberBytes / 1e6} MB out of a package, with its digest`, extract),
    ...section('Activation', activation),
    ...section('Fetching', fetch),
    ...section('Images', images),
    ...verdicts(extract),
  ].join('\n');
}

function section(title: string, comparisons: readonly Comparison[]): string[] {
  if (comparisons.length === 0) return [];
  const rows = comparisons.flatMap(({ what, results, peakBytes }) =>
    Object.entries(results).map(([name, row], index) => {
      const { median, p10, p90 } = summarize(row);
      const { ratio, low, high } = ratioOfMedians(results[ours] ?? [], row);
      const peak = peakBytes?.[name];
      return [
        index === 0 ? what : '',
        name,
        `${format(median)} ms`,
        `${format(p10)} to ${format(p90)}`,
        name === ours ? '' : `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`,
        peak === undefined ? '' : `${(peak / 1024 ** 2).toFixed(0)} MB`,
      ];
    }),
  );
  const remarks = comparisons.flatMap(({ remark }) => (remark === undefined ? [] : ['', remark]));
  return [
    '',
    title,
    '',
    markdownTable(['', 'who', 'median', 'p10 to p90', 'ours / theirs (95 %)', 'peak of the tree'], rows),
    ...remarks,
  ];
}

function format(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0);
}

function verdicts(comparisons: readonly Comparison[]): string[] {
  return comparisons.flatMap(({ what, results, peakBytes }) => {
    const against = (name: string): number => ratioOfMedians(results[ours] ?? [], results[name] ?? []).ratio;
    const peak = peakBytes?.[ours] ?? 0;
    const checks: string[] = [];
    if (/gzip|zstd/.test(what))
      checks.push(`ahead of the pipe: ${against('pipe, written too') < 1 ? 'met' : 'missed'}`);
    if (/gzip|zstd/.test(what))
      checks.push(
        `within ${targets.floorRatio} of the floor: ${against('floor') <= targets.floorRatio ? 'met' : 'missed'}`,
      );
    checks.push(`under 130 MB: ${peak < targets.peakBytes ? 'met' : 'missed'}`);
    return ['', `${what}: ${checks.join('; ')}`];
  });
}
