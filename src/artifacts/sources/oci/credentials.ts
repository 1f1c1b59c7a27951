/**
 * Credentials of registries, from where Docker, podman and ORAS keep them: `$DOCKER_CONFIG/config.json`, else
 * `~/.docker/config.json`; entries in the file, or a `docker-credential-<name>` program. Nothing here is ever logged or
 * given as an argument of a program.
 *
 * Errors: NK_DOCUMENT_SYNTAX (a damaged file), NK_REGISTRY_DENIED (a credential program failed).
 */
import { NodekilnError } from '../../../errors.ts';
import type { ExecResult, Host } from '../../../host/port.ts';
import { fromBase64, textOf } from '../../../model/bytes.ts';
import { join, resolve } from '../../../model/path.ts';
import { loginKeys, registryName } from '../../../model/reference.ts';
import { dockerConfig, helperAnswer } from './schema.ts';

/** `token`: a refresh token for the registry's token service. */
export type Credentials =
  | { readonly type: 'password'; readonly username: string; readonly password: string }
  | { readonly type: 'token'; readonly token: string };

/** The credentials for a registry's host, or undefined: anonymous. */
export type CredentialStore = (registry: string) => Promise<Credentials | undefined>;

const helperTimeoutMs = 20_000;

type CredentialHost = Pick<Host, 'local' | 'localExec' | 'program'>;

/** `folder` stands in for `$DOCKER_CONFIG`. The file is read once, on first use. */
export function dockerCredentials(
  host: CredentialHost,
  folder: string | undefined = host.program.environment['DOCKER_CONFIG'],
): CredentialStore {
  const { environment, workingDirectory } = host.program;
  const home = environment['HOME'] ?? '/root';
  const path = resolve(workingDirectory, folder ?? join(home, '.docker'), 'config.json');
  let config: ReturnType<typeof readConfig> | undefined;
  return async (registry) => {
    const { auths = {}, credHelpers = {}, credsStore } = await (config ??= readConfig(host, path));
    const keys = loginKeys(registryName(registry));
    const helper = keys.map((key) => credHelpers[key] ?? credHelpers[hostOf(key)]).find((one) => one) ?? credsStore;
    if (helper !== undefined) return askHelpers(host, helper, keys);
    const hosts = new Set(keys.map(hostOf));
    const entry = Object.entries(auths).find(([key]) => hosts.has(hostOf(key)))?.[1];
    if (!entry) return undefined;
    if (entry.identitytoken) return { type: 'token', token: entry.identitytoken };
    return entry.auth ? decodeAuth(entry.auth, registry, path) : plainAuth(entry);
  };
}

async function readConfig({ local }: CredentialHost, path: string) {
  const text = textOf(await local.read(path));
  if (text === undefined) return {};
  // Whatever is wrong with the file is not shown: it holds passwords.
  const parsed = dockerConfig.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${path} is no Docker configuration`, {
    place: { file: path },
    hint: 'Log in again with a container tool, or correct the file.',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Keys are hosts or, from old logins, addresses: `https://index.docker.io/v1/`. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/')[0] ?? '';
}

function decodeAuth(encoded: string, registry: string, path: string): Credentials {
  const text = textOf(fromBase64(encoded)).replace(/\0+$/, '');
  const colon = text.indexOf(':');
  if (colon > 0) return { type: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) };
  throw new NodekilnError('NK_DOCUMENT_SYNTAX', `the entry of ${registry} in ${path} cannot be read`, {
    place: { file: path },
    hint: 'Log in again with a container tool.',
  });
}

function plainAuth({ username, password }: { username?: string; password?: string }): Credentials | undefined {
  return username && password !== undefined ? { type: 'password', username, password } : undefined;
}

/** By the first key that it knows. */
async function askHelpers(
  host: CredentialHost,
  name: string,
  keys: readonly string[],
): Promise<Credentials | undefined> {
  for (const key of keys) {
    const found = await askHelper(host, name, key);
    if (found) return found;
  }
  return undefined;
}

/** The credential helpers' protocol: the host on stdin, JSON on stdout, `credentials not found` when there are none. */
async function askHelper(host: CredentialHost, name: string, registry: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string): NodekilnError =>
    new NodekilnError('NK_REGISTRY_DENIED', `${program} gave no credentials for ${registry}: ${why}`, {
      hint: 'Run it by hand, or remove it from the Docker configuration.',
    });
  if (!/^[A-Za-z0-9._-]+$/.test(name)) throw failed('its name is not one');
  const { status, stdout } = await runHelper(host, program, registry).catch((thrown: unknown) => {
    const missing = thrown instanceof NodekilnError && thrown.code === 'NK_TOOL_MISSING';
    throw failed(missing ? 'it is not installed' : 'it cannot be run');
  });
  if (status !== 0) {
    if (/not found/i.test(stdout)) return undefined;
    throw failed(`it ended with status ${status}`);
  }
  const answer = helperAnswer.safeParse(parseJson(stdout));
  if (!answer.success) throw failed('it answered something else');
  const { Username: username, Secret: secret } = answer.data;
  if (username === '') return undefined;
  return username === '<token>' ? { type: 'token', token: secret } : { type: 'password', username, password: secret };
}

/** With all variables: helpers find agents, profiles and folders by them. */
function runHelper({ localExec, program: ours }: CredentialHost, program: string, input: string): Promise<ExecResult> {
  const env = Object.fromEntries(
    Object.entries(ours.environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  );
  return localExec.run([program, 'get'], { timeoutMs: helperTimeoutMs, env, input });
}
