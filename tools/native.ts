/**
 * Builds the host program: `node tools/native.ts ENTRY OUT [arm64]`. TypeScript to one bundle (esbuild), the bundle to bytecode
 * (`native/cmd/compile`), both into a static executable (`go build`). What the sources take from Node comes from
 * `src/host/native/node`, which stands on the host program's own calls.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Metafile, type Plugin } from 'esbuild';
import type { Verb } from '../src/cli/verb.ts';
import { plainSchemas } from './schemas/plugin.ts';

const root = join(import.meta.dirname, '..');
const native = join(root, 'src/host/native');
const folder = join(root, 'native');

/** Modules of ours and of others that have another form in the host program. */
const replaced: Readonly<Record<string, string>> = {
  'src/disk/node-disk.ts': 'src/host/native/disk.ts',
  'src/model/bytes.ts': 'src/host/native/bytes.ts',
  'src/host/program.ts': 'src/host/native/program.ts',
  'src/host/linux/archives/decompress.ts': 'src/host/native/decompress.ts',
};
const packages: Readonly<Record<string, string>> = {
  'node:assert/strict': join(root, 'test/native/assert.ts'),
  'node:child_process': join(native, 'node/child_process.ts'),
  'node:crypto': join(native, 'node/crypto.ts'),
  'node:events': join(native, 'node/events.ts'),
  'node:fs': join(native, 'node/fs.ts'),
  'node:fs/promises': join(native, 'node/fs-promises.ts'),
  'node:http': join(native, 'node/http.ts'),
  'node:https': join(native, 'node/http.ts'),
  'node:net': join(native, 'node/net.ts'),
  'node:os': join(native, 'node/os.ts'),
  'node:path': join(root, 'src/model/path.ts'),
  'node:sqlite': join(native, 'node/sqlite.ts'),
  'node:timers/promises': join(native, 'node/timers-promises.ts'),
  'node:tls': join(native, 'node/tls.ts'),
  'node:tty': join(native, 'node/tty.ts'),
  'node:url': join(native, 'node/url.ts'),
  'node:util': join(native, 'node/util.ts'),
  'node:zlib': join(root, 'test/native/zlib.ts'),
  // Colours that tables have no use for.
  '@colors/colors/safe': join(native, 'nothing.ts'),
  // Signatures by identity are verified by sigstore's own library.
  crypto: join(native, 'node/crypto-whole.ts'),
  util: join(native, 'node/util.ts'),
  'dbus-native': join(native, 'dbus.ts'),
};

/** Verbs of the desk: they run on Node alone, and bring half of what hosts have no use for. */
const deskOnly =
  /\/src\/cli\/(?:bake|schema|manifest-import|manifest-export|tools-image-resolve|tools-image-publish)\.ts$/;

/** They are described as ever, and say where they run. */
const withoutDesk: Plugin = {
  name: 'without-desk',
  setup: (builder) => {
    builder.onLoad({ filter: deskOnly }, async ({ path }) => {
      const [[name, { spec }] = ['', {} as Verb]] = Object.entries((await import(path)) as Record<string, Verb>);
      const refusal = [
        'NK_UNSUPPORTED',
        `nodekiln ${spec.name} is not in the native host program`,
        { hint: 'Run it with the nodekiln that runs on Node.js: it has every verb.' },
      ];
      const values = refusal.map((value) => JSON.stringify(value)).join(', ');
      return {
        contents: `import { NodekilnError } from '../errors.ts';
export const ${name} = {
  spec: ${JSON.stringify(spec)},
  run: () => Promise.reject(new NodekilnError(${values})),
};`,
        resolveDir: dirname(path),
      };
    });
  },
};

const platform: Plugin = {
  name: 'platform',
  setup: (builder) => {
    builder.onResolve({ filter: /^node:|^crypto$|^util$|^dbus-native$|^@colors\// }, ({ path, importer }) => {
      const found = packages[path];
      return found === undefined
        ? { errors: [{ text: `${path} of ${importer} is not in the host program` }] }
        : { path: found };
    });
    builder.onResolve({ filter: /^\./ }, ({ path, resolveDir, importer }) => {
      const whole = join(resolveDir, path);
      const other = replaced[whole.slice(root.length + 1)];
      return other === undefined || importer === join(root, other) ? undefined : { path: join(root, other) };
    });
  },
};

/** The bundle of an entry, with a source map; what went into it. */
export async function bundle(entry: string, outfile: string): Promise<Metafile> {
  const { metafile } = await build({
    stdin: {
      // In this order.
      contents: [join(native, 'polyfills/all.ts'), join(native, 'polyfills/buffer-global.ts'), entry]
        .map((file) => `import ${JSON.stringify(file)};`)
        .join('\n'),
      resolveDir: root,
      sourcefile: 'entry.js',
    },
    outfile,
    absWorkingDir: root,
    bundle: true,
    plugins: [withoutDesk, plainSchemas, platform],
    metafile: true,
    alias: { yaml: join(root, 'node_modules/yaml/browser/index.js') },
    platform: 'neutral',
    mainFields: ['module', 'main'],
    format: 'iife',
    target: 'es2024',
    treeShaking: true,
    minify: true,
    keepNames: false,
    legalComments: 'none',
    sourcemap: 'external',
    sourcesContent: false,
    logLevel: 'warning',
  });
  return metafile;
}

/** Go's names, which are ours. */
type Architecture = 'amd64' | 'arm64';

/**
 * The program of hosts, `dist/nodekiln-native-ARCHITECTURE`, this machine's when none is said. Rebuilt only when a source changed;
 * its path.
 */
export async function buildHostProgram(
  architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64',
): Promise<string> {
  const output = join(root, 'dist', `nodekiln-native-${architecture}`);
  const digest = await sourceDigest();
  const stamp = `${output}.stamp`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return output;
  mkdirSync(join(root, 'dist'), { recursive: true });
  await buildNative('src/cli/main.ts', `${output}.${process.pid}`, architecture);
  renameSync(`${output}.${process.pid}`, output);
  writeFileSync(stamp, digest);
  return output;
}

const sources = [
  'src/**/*.{ts,json}',
  'native/**/*.go',
  'native/go.*',
  'tools/{native.ts,schemas/*.ts}',
  'package-lock.json',
];

async function sourceDigest(): Promise<string> {
  const files: string[] = [];
  for await (const file of glob(sources, { cwd: root })) if (!/[._]test\.(?:ts|go)$/.test(file)) files.push(file);
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

/** The machine's own Go, which the lab asks for, too. */
function go(args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  try {
    execFileSync('go', args, { cwd: folder, stdio: 'inherit', env: { ...process.env, CGO_ENABLED: '0', ...env } });
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
    throw new Error('the host program is built by Go, which is not on the PATH: install Go 1.26', { cause: thrown });
  }
}

async function buildNative(entry: string, out: string, arch: string): Promise<void> {
  // What is embedded lies elsewhere, so that two builds do not meet.
  const made = mkdtempSync(join(tmpdir(), 'nodekiln-native-'));
  try {
    const file = (name: string): string => join(made, name);
    await bundle(join(root, entry), file('program.js'));
    writeFileSync(file('program.map.gz'), gzipSync(readFileSync(file('program.js.map')), { level: 9 }));
    go(['run', './cmd/compile', file('program.js'), file('program.bin')]);
    const embedded = ['program.bin', 'program.map.gz'].map((name) => [join(folder, 'program', name), file(name)]);
    writeFileSync(file('overlay.json'), JSON.stringify({ Replace: Object.fromEntries(embedded) }));
    const flags = ['-trimpath', '-ldflags', '-s -w -buildid=', '-overlay', file('overlay.json')];
    go(['build', ...flags, '-o', resolve(out), '.'], { GOARCH: arch });
  } finally {
    rmSync(made, { recursive: true });
  }
}

if (import.meta.main) {
  const [entry, out, arch = 'amd64'] = process.argv.slice(2);
  if (entry === undefined || out === undefined) throw new Error('ENTRY OUT [arm64]');
  await buildNative(entry, out, arch);
}
