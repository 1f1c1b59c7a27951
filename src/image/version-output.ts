/**
 * How programs print their version. At bake the line is read, checked against the version the manifest names, and locked;
 * from then on it is compared as a fixed string, because a pattern for 1.34.1 also finds 1.34.10.
 *
 * Errors: NK_ARTIFACT_VERSION when a program prints another version than it is named for.
 */
import { cacheKey, parseVersion } from '../model/version.ts';
import { errnoOf, NodekilnError } from '../errors.ts';
import type { Exec } from '../host/port.ts';
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

export const versionTimeoutMs = 30_000;

export interface Program {
  readonly path: string;
  readonly tool: string;
  /** The version it must print; any for our own program, whose versions are digests. */
  readonly version: string | undefined;
}

export interface VersionAnswer {
  readonly prints?: PrintedVersion;
  /** Why there is none. */
  readonly why?: string;
}

/** Asks a program for its version, as it will be asked when the image is verified. */
export async function readVersion(exec: Exec, { path, tool, version }: Program): Promise<VersionAnswer> {
  const manner = manners[tool];
  if (!manner) return { why: `how ${tool} prints its version is not known` };
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
    const { status, stdout, stderr } = await exec.run(argv, { timeoutMs: versionTimeoutMs });
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
