/**
 * Checks that the port is the seam: what our own code asks of the runtime it asks through `src/host`, with `src/disk` below it.
 * Read off the bundle's metafile, so that what a package imports counts for whoever loads the package:
 *
 * - what boot, agent, plan and status load outside of host and disk imports no module of Node at all;
 * - nothing below `cli` imports files, processes, network or databases of Node.
 */
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { buildBundle } from './build.ts';

interface Inputs {
  readonly [path: string]: { readonly imports: readonly Import[] };
}

interface Import {
  readonly path: string;
  readonly external?: boolean;
}

const seam = /^src\/(host|disk)\//;
const main = 'src/cli/main.ts';
const verbs = 'src/cli/verbs.ts';
/** Those that another host program is to carry. */
const carried = ['boot', 'agent', 'plan', 'status'].map((verb) => `src/cli/${verb}.ts`);
const effects = /^(node:)?(fs|child_process|net|http|https|http2|tls|dgram|dns|sqlite)(\/|$)/;

const { inputs } = JSON.parse(await readFile(`${await buildBundle()}.meta.json`, 'utf8')) as { inputs: Inputs };

/** Everything of ours that these load, by `import()` too; `verbs.ts` leads to the named verbs alone. */
function loadedBy(roots: readonly string[], followed: (path: string) => boolean): Set<string> {
  const found = new Set<string>();
  const queue = [...roots];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    for (const { path: next, external } of inputs[path]?.imports ?? [])
      if (external !== true && isOurs(next) && (path !== verbs || followed(next))) queue.push(next);
  }
  return found;
}

function isOurs(path: string): boolean {
  return path.startsWith('src/');
}

/** Modules of Node that a file of ours imports, itself or by the packages it loads. */
function builtinsOf(file: string): Map<string, string> {
  const builtins = new Map<string, string>();
  const seen = new Set<string>();
  const queue = [file];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const { path: next, external } of inputs[path]?.imports ?? []) {
      if (external !== true && !isOurs(next)) queue.push(next);
      if (external === true && isBuiltin(next)) builtins.set(next, path);
    }
  }
  return builtins;
}

let broken = 0;
function check(files: Iterable<string>, rule: string, forbidden: (builtin: string) => boolean): void {
  for (const file of [...files].sort()) {
    if (seam.test(file)) continue;
    for (const [builtin, by] of builtinsOf(file)) {
      if (!forbidden(builtin)) continue;
      broken += 1;
      console.error(`${rule}: ${file} imports ${builtin}${by === file ? '' : ` by ${by}`}`);
    }
  }
}

const carriedFiles = loadedBy([main, ...carried], (path) => carried.includes(path));
const allFiles = loadedBy([main], () => true);
// A check that sees nothing would find nothing.
const seen = ['src/boot/boot.ts', 'src/agent/agent.ts', 'src/inspect/status.ts', 'src/apply/executor.ts'];
const missing = seen.filter((file) => !carriedFiles.has(file));
if (missing.length > 0 || builtinsOf('src/host/linux/host.ts').size === 0) {
  console.error(`the bundle is not seen as it is: ${missing.join(', ')}`);
  broken += 1;
}
check(carriedFiles, 'no-runtime', () => true);
check(
  [...allFiles].filter((file) => !file.startsWith('src/cli/')),
  'no-effects',
  (builtin) => effects.test(builtin),
);
if (broken > 0) process.exitCode = 1;
else
  console.log(
    `${carriedFiles.size} files of boot, agent, plan and status, ${allFiles.size} of all verbs, no module of Node`,
  );
