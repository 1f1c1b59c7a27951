/**
 * The versions of programs: what their files state, and how they print it. At bake it is read, checked against the version
 * the manifest names, and locked; a printed line is from then on compared as a fixed string, because a pattern for 1.34.1
 * also finds 1.34.10. Programs are asked in a sandbox alone.
 *
 * Errors: NK_ARTIFACT_VERSION when a program prints another version than it is named for.
 */
import { cacheKey, parseVersion } from '../model/version.ts';
import { errnoOf, NodekilnError } from '../errors.ts';
import { statedVersion, type StatedVersion } from '../host/elf/stated-version.ts';
import type { Exec, Files, Host } from '../host/port.ts';
import type { PrintedVersion } from './image-lock.ts';

interface Manner {
  readonly arguments: readonly string[];
  /** The line, with the version in its first group. */
  readonly line: RegExp;
}

const manners: Readonly<Record<string, Manner>> = {
  containerd: { arguments: ['--version'], line: /^containerd \S+ v?(\S+) \S*$/m },
  'containerd-shim-runc-v2': { arguments: ['-v'], line: /^\s*Version:\s+v?(\S+)$/m },
  crictl: { arguments: ['--version'], line: /^crictl version v?(\S+)$/m },
  ctr: { arguments: ['--version'], line: /^ctr \S+ v?(\S+)$/m },
  helm: { arguments: ['version', '--short'], line: /^v(\S+?)(?:\+g[0-9a-f]+)?$/m },
  kubeadm: { arguments: ['version', '--output=short'], line: /^v(\S+)$/m },
  kubectl: { arguments: ['version', '--client'], line: /^Client Version: v(\S+)$/m },
  kubelet: { arguments: ['--version'], line: /^Kubernetes v(\S+)$/m },
  nerdctl: { arguments: ['--version'], line: /^nerdctl version (\S+)$/m },
  node: { arguments: ['--version'], line: /^v(\S+)$/m },
  nodekiln: { arguments: ['version'], line: /^nodekiln (\S+) .*$/m },
  oras: { arguments: ['version'], line: /^Version:\s+(\S+)$/m },
  runc: { arguments: ['--version'], line: /^runc version v?(\S+)$/m },
};

/** How any other program may print its version. */
const usualArguments = [['--version'], ['version']] as const;

const versionTimeoutMs = 20_000;

export interface Program {
  readonly path: string;
  readonly tool: string;
  /** The version it must have; any for our own program, whose versions are digests. */
  readonly version: string | undefined;
}

export interface VersionAnswer {
  /** What its file states. */
  readonly states?: StatedVersion;
  /** What it prints, where its file states nothing. */
  readonly prints?: PrintedVersion;
  /** Why there is neither. */
  readonly why?: string;
}

/**
 * The version of a program: read from its file where that states the one that it is named for, otherwise asked of the
 * program itself in a sandbox. NK_ARTIFACT_VERSION when it prints another.
 */
export async function readVersion(host: Pick<Host, 'exec' | 'files'>, program: Program): Promise<VersionAnswer> {
  const states = await statedBy(host.files, program.path);
  const { version, tool } = program;
  if (states && (version === undefined || sameVersion(states.version, version))) return { states };
  const manner = manners[tool];
  const answer = manner ? await printedBy(host.exec, program, manner) : await printedSomehow(host.exec, program);
  if (answer.prints || !states) return answer;
  return { why: `its file states ${states.version} (${states.from}), it is named for ${version}, and ${answer.why}` };
}

async function statedBy(files: Files, path: string): Promise<StatedVersion | undefined> {
  const file = await files.open(path);
  try {
    return file && (await statedVersion(file));
  } finally {
    await file?.close();
  }
}

/** What a program’s file states differs from what was locked; undefined when it does not. */
export async function statesProblem(files: Files, path: string, wanted: StatedVersion): Promise<string | undefined> {
  const states = await statedBy(files, path);
  return states?.version === wanted.version
    ? undefined
    : `states ${states?.version ?? 'no version'}, not ${wanted.version} (${wanted.from})`;
}

async function printedBy(exec: Exec, { path, version }: Program, manner: Manner): Promise<VersionAnswer> {
  const said = await output(exec, [path, ...manner.arguments]);
  if (said.failure !== undefined) return { why: said.failure };
  const match = manner.line.exec(said.text);
  const [line, printed] = [match?.[0], match?.[1]];
  if (line === undefined || printed === undefined)
    return { why: `${path} ${manner.arguments.join(' ')} prints no version` };
  if (version !== undefined && !sameVersion(printed, version)) {
    throw new NodekilnError('NK_ARTIFACT_VERSION', `${path} prints “${line}”, and is named for ${version}`, {
      resource: path,
    });
  }
  return { prints: { arguments: [...manner.arguments], line } };
}

/** A line with the version that it is named for; how others are to be read is not known. */
async function printedSomehow(exec: Exec, { path, version }: Program): Promise<VersionAnswer> {
  const reasons: string[] = [];
  for (const usual of usualArguments) {
    const { text, failure } = await output(exec, [path, ...usual]);
    const line = text.split('\n').find((each) => wordsOf(each).some((word) => isNamed(word, version)));
    if (line !== undefined && line.length <= 200) return { prints: { arguments: [...usual], line } };
    reasons.push(failure ?? `${path} ${usual.join(' ')} prints no line with ${version ?? 'a version'}`);
  }
  return { why: reasons.join('; ') };
}

function wordsOf(line: string): string[] {
  return line.match(/v?\d+(?:\.\d+)+[0-9A-Za-z.+~-]*/g) ?? [];
}

function isNamed(word: string, version: string | undefined): boolean {
  return version === undefined || sameVersion(word.replace(/[.]+$/, ''), version);
}

/** True when the program prints exactly this line; otherwise what it printed, or why it printed nothing. */
export async function printsLine(exec: Exec, path: string, wanted: PrintedVersion): Promise<true | string> {
  const said = await output(exec, [path, ...wanted.arguments]);
  if (said.failure !== undefined) return said.failure;
  const lines = said.text.split('\n');
  if (lines.includes(wanted.line)) return true;
  return `prints “${(lines.find((line) => line.trim() !== '') ?? '').slice(0, 200)}”, not “${wanted.line}”`;
}

async function output(exec: Exec, argv: readonly string[]): Promise<{ text: string; failure?: string }> {
  try {
    const { status, stdout, stderr } = await exec.run(argv, { timeoutMs: versionTimeoutMs, confined: true });
    if (status === 0) return { text: stdout };
    const last = stderr.trim().split('\n').at(-1) ?? '';
    return { text: '', failure: `${argv.join(' ')} ended with exit status ${status}${last && `: ${last}`}` };
  } catch (thrown) {
    const code = thrown instanceof NodekilnError ? thrown.code : undefined;
    const cannotRun = code === 'NK_TIMEOUT' || code === 'NK_TOOL_MISSING' || errnoOf(thrown) !== undefined;
    if (!cannotRun || !(thrown instanceof Error)) throw thrown;
    return { text: '', failure: thrown.message };
  }
}

function sameVersion(printed: string, wanted: string): boolean {
  try {
    return cacheKey(parseVersion(printed)) === cacheKey(parseVersion(wanted));
  } catch {
    return false;
  }
}
