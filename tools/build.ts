/**
 * Builds the one bundle that runs on hosts: `dist/nodekiln`, CommonJS with a shebang for the private Node beside it.
 * Rebuilt only when a source changed; returns its path.
 */
import { createHash } from 'node:crypto';
import { chmod, glob, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import { packParts } from './parts.ts';
import { plainSchemas } from './schemas/plugin.ts';

const root = join(import.meta.dirname, '..');
const output = join(root, 'dist', 'nodekiln');
const entry = 'src/cli/main.ts';
/** What every machine runs at every start: compiled with the program. */
const atEveryBoot = ['src/cli/boot.ts', 'src/boot/boot.ts'];

/** The pinned Node that runs the bundle here and is installed beside it on hosts. */
export const nodeBinary = join(
  root,
  'node_modules',
  `node-linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}`,
  'bin',
  'node',
);

/**
 * V8's background baseline compiler can wait for a garbage collection that a process on its way out never starts, and the
 * exit then waits for it for ever: seen in one of eight processes that were ended while they read much. A shebang has
 * room for one argument.
 */
export const nodeFlag = '--no-concurrent-sparkplug';

export async function buildBundle(): Promise<string> {
  const stamp = `${output}.stamp`;
  const digest = await sourceDigest();
  if ((await readFile(stamp, 'utf8').catch(() => '')) === digest) return output;
  const { build } = await import('esbuild');
  await mkdir(join(root, 'dist'), { recursive: true });
  const temporary = `${output}.${process.pid}`;
  const result = await build({
    entryPoints: [entry],
    outdir: join(root, 'dist'),
    write: false,
    // What it says of its inputs is the same wherever it was started.
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'esm',
    splitting: true,
    target: 'node24',
    minifySyntax: true,
    minifyWhitespace: true,
    // A quarter less to parse at every start; our errors say what they mean without the names of functions.
    minifyIdentifiers: true,
    legalComments: 'none',
    metafile: true,
    // The build for any runtime: the other one takes what it needs from Node.
    // Colours that tables have no use for, and that would bring half of Node; they are asked for only when they are set.
    external: ['@colors/colors/safe'],
    alias: { yaml: join(root, 'node_modules/yaml/browser/index.js') },
    logLevel: 'warning',
    plugins: [withoutIntrospection, plainSchemas],
  });
  await writeFile(
    temporary,
    `#!/opt/nodekiln/bin/node ${nodeFlag}\n${await packParts(result, { entry, atOnce: atEveryBoot })}`,
  );
  // The bundle has no file extension; without this the package around it would make Node read it as an ES module.
  await writeFile(join(root, 'dist', 'package.json'), '{ "type": "commonjs" }\n');
  await chmod(temporary, 0o755);
  await rename(temporary, output);
  await writeFile(`${output}.meta.json`, JSON.stringify(result.metafile));
  await writeFile(stamp, digest);
  return output;
}

/** The D-Bus library reads XML only to ask objects what they can; we know, and every start would parse 140 KB for it. */
const withoutIntrospection: Plugin = {
  name: 'without-introspection',
  setup(build) {
    build.onResolve({ filter: /^xml2js$/ }, () => ({ path: 'xml2js', namespace: 'left-out' }));
    build.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};' }));
  },
};

async function sourceDigest(): Promise<string> {
  const hash = createHash('sha256');
  const files: string[] = [];
  for await (const file of glob(
    ['src/**/*.ts', 'src/**/*.json', 'package-lock.json', 'tools/build.ts', 'tools/parts.ts', 'tools/schemas/*.ts'],
    {
      cwd: root,
    },
  )) {
    if (!file.endsWith('.test.ts')) files.push(file);
  }
  for (const file of files.sort()) hash.update(file).update(await readFile(join(root, file)));
  return hash.digest('hex');
}

if (import.meta.main) console.log(await buildBundle());
