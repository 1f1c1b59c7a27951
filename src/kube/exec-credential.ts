/**
 * Credentials that a program gives, as kubeconfigs name them (`users[].user.exec`, client.authentication.k8s.io v1 and
 * v1beta1). The program runs without a terminal, with a deadline, and is asked again when what it gave has expired or was
 * refused. What it prints is never quoted.
 *
 * Errors: NK_CLUSTER_CREDENTIAL_MISSING for a program that is not there, fails, takes too long or prints no credential.
 */
import { NodekilnError } from '../errors.ts';
import type { Exec } from '../host/port.ts';
import { fieldOf } from './objects.ts';
import { printedCredential } from './schema.ts';

/** How a kubeconfig says it. */
export interface ExecPlugin {
  /** An absolute path, or a name to be found in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly apiVersion: string;
  /** What is told the program of the cluster, when it asks for that. */
  readonly cluster: Readonly<Record<string, unknown>> | undefined;
  /** How to get the program, in the words of whoever wrote the kubeconfig; '' when it does not say. */
  readonly installHint: string;
}

/** What a program gave. */
export interface ExecCredential {
  readonly token?: string;
  /** PEM. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  /** Milliseconds since 1970; undefined: until it is refused. */
  readonly expiresAt: number | undefined;
}

export const execApiVersions: readonly string[] = [
  'client.authentication.k8s.io/v1',
  'client.authentication.k8s.io/v1beta1',
];

/** A cloud's program asks its metadata server, and that may be slow at boot. */
const timeoutMs = 60_000;
const maxOutput = 256 * 1024;

/** Runs the program once. */
export async function runExecPlugin(exec: Exec, plugin: ExecPlugin): Promise<ExecCredential> {
  const { command, args, env, apiVersion, cluster, installHint } = plugin;
  const missing = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_CLUSTER_CREDENTIAL_MISSING', `the credential program ${command} of the kubeconfig ${why}`, {
      ...(cause !== undefined && { cause }),
      hint: installHint === '' ? 'Run it by hand and see what it says.' : installHint,
    });
  const info = {
    apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(cluster && { cluster }) },
  };
  const { status, stdout } = await exec
    .run([command, ...args], {
      timeoutMs,
      maxOutput,
      env: { ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    })
    .catch((thrown: unknown) => {
      const code = thrown instanceof NodekilnError ? thrown.code : undefined;
      if (code === 'NK_TOOL_MISSING') throw missing('is not there', thrown);
      if (code === 'NK_TIMEOUT') throw missing(`gave nothing within ${timeoutMs / 1000} s`, thrown);
      throw thrown;
    });
  if (status !== 0) throw missing(`ended with status ${status}`);
  const parsed = printedCredential.safeParse(jsonOf(stdout));
  if (!parsed.success || parsed.data.kind !== 'ExecCredential') throw missing('printed no ExecCredential');
  if (parsed.data.apiVersion !== apiVersion)
    throw missing(`speaks another version than the kubeconfig says (${apiVersion})`);
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = parsed.data.status;
  if (!token && !(cert && key)) throw missing('printed neither a token nor a certificate with its key');
  if (token && /[^\x21-\x7e]/.test(token)) throw missing('printed a token with blanks or control characters');
  const expiresAt = expirationTimestamp ? Date.parse(expirationTimestamp) : undefined;
  if (Number.isNaN(expiresAt)) throw missing('printed an expirationTimestamp that is no time');
  return {
    ...(token && { token }),
    ...(cert && key && { clientCertificate: { cert, key } }),
    expiresAt,
  };
}

/** The plugin of a user's `exec`, or what is wrong with it as a clause that follows "the kubeconfig F". */
export function execPluginOf(
  exec: unknown,
  { folder, cluster }: { readonly folder: string; readonly cluster: Readonly<Record<string, unknown>> },
): ExecPlugin | string {
  const text = (key: string): string => {
    const value = fieldOf(exec, key);
    return typeof value === 'string' ? value : '';
  };
  const command = text('command');
  if (command === '') return 'gets its credentials with exec, and names no command';
  const apiVersion = text('apiVersion');
  if (!execApiVersions.includes(apiVersion))
    return `gets its credentials with exec in a version that is not known; known are ${execApiVersions.join(', ')}`;
  if (text('interactiveMode') === 'Always') return 'gets its credentials with exec and wants somebody at a terminal';
  const args = fieldOf(exec, 'args') ?? [];
  const list = fieldOf(exec, 'env') ?? [];
  if (!Array.isArray(args) || !args.every((one) => typeof one === 'string'))
    return 'has exec.args that are no list of strings';
  if (!Array.isArray(list)) return 'has exec.env that is no list';
  const env: Record<string, string> = {};
  for (const one of list) {
    const [name, value] = [fieldOf(one, 'name'), fieldOf(one, 'value') ?? ''];
    if (typeof name !== 'string' || name === '' || typeof value !== 'string')
      return 'has an entry of exec.env without a name, or with a value that is no string';
    env[name] = value;
  }
  return {
    // As client-go: a path is relative to the kubeconfig's folder, a name is looked for in PATH.
    command: command.includes('/') && !command.startsWith('/') ? `${folder}/${command}` : command,
    args,
    env,
    apiVersion,
    cluster: fieldOf(exec, 'provideClusterInfo') === true ? cluster : undefined,
    installHint: text('installHint').slice(0, 500),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
