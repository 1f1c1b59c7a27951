/**
 * Runs the real program as a process: `runCli({'node.yaml': '…'}, ['config', 'check', 'node.yaml'])` writes the files into
 * a folder of its own, runs there, and returns what was printed and what is in the folder afterwards.
 */
import { spawn } from 'node:child_process';
import { chmod, copyFile, glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { buildBundle, nodeBinary, nodeFlag } from '../tools/build.ts';

export interface RunOptions {
  /** Run as the user nobody, when we are root. */
  readonly asNobody?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the process once it has written something; to send it a signal. */
  readonly onOutput?: (child: { kill(signal: NodeJS.Signals): void }, stdout: string) => void;
  /** Called with the process when it was started. */
  readonly onStart?: (child: { kill(signal: NodeJS.Signals): void }) => void;
  /** Program and arguments put in front, such as `unshare --mount`. */
  readonly wrapper?: readonly string[];
}

export interface RunResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Text of every file in the folder, by name. */
  readonly files: Readonly<Record<string, string>>;
}

let program: Promise<{ node: string; bundle: string }> | undefined;

/** Node and bundle where every user can read them: the checkout may lie in a folder of root's alone. */
async function install(): Promise<{ node: string; bundle: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-cli-'));
  process.on('exit', () => void rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const [node, bundle] = [join(folder, 'node'), join(folder, 'nodekiln')];
  await copyFile(nodeBinary, node);
  await copyFile(await buildBundle(), bundle);
  await chmod(node, 0o755);
  await chmod(bundle, 0o755);
  return { node, bundle };
}

export async function runCli(
  files: Readonly<Record<string, string>>,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { node, bundle } = await (program ??= install());
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-run-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const asNobody = options.asNobody === true && process.geteuid?.() === 0;
    if (asNobody) await chmod(folder, 0o777);
    const argv = [
      ...(options.wrapper ?? []),
      ...(asNobody ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []),
      node,
      nodeFlag,
      bundle,
      ...args,
    ];
    const result = await run(argv, folder, options);
    return { ...result, files: await readAll(folder) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(argv: readonly string[], cwd: string, options: RunOptions): Promise<Omit<RunResult, 'files'>> {
  const [command = '', ...args] = argv;
  const env = { PATH: process.env['PATH'] ?? '', HOME: cwd, ...options.env };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    options.onStart?.(child);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      options.onOutput?.(child, stdout);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

async function readAll(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const entry of glob('**/*', { cwd: folder, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[relative(folder, path)] = await readFile(path, 'utf8');
  }
  return found;
}
