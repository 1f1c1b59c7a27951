/**
 * Credentials of registries, from where Docker, podman and ORAS keep them: `$DOCKER_CONFIG/config.json`, else
 * `~/.docker/config.json`; entries in the file, or a `docker-credential-<name>` program. Nothing here is ever logged or
 * given as an argument of a program.
 *
 * Errors: NK_DOCUMENT_SYNTAX (a damaged file), NK_REGISTRY_DENIED (a credential program failed).
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { exactOptional, looseObject, record, string } from 'zod/mini';
import { NodekilnError, errnoOf } from '../../../errors.ts';

/** `token`: a refresh token for the registry's token service. */
export type Credentials =
  | { readonly type: 'password'; readonly username: string; readonly password: string }
  | { readonly type: 'token'; readonly token: string };

/** The credentials for a registry's host, or undefined: anonymous. */
export type CredentialStore = (registry: string) => Promise<Credentials | undefined>;

const auth = looseObject({
  auth: exactOptional(string()),
  username: exactOptional(string()),
  password: exactOptional(string()),
  identitytoken: exactOptional(string()),
});
const dockerConfig = looseObject({
  auths: exactOptional(record(string(), auth)),
  credsStore: exactOptional(string()),
  credHelpers: exactOptional(record(string(), string())),
});
const helperAnswer = looseObject({ Username: string(), Secret: string() });

const helperTimeoutMs = 20_000;

/** `folder` stands in for `$DOCKER_CONFIG`. The file is read once, on first use. */
export function dockerCredentials(folder: string | undefined = process.env['DOCKER_CONFIG']): CredentialStore {
  const path = join(folder ?? join(homedir(), '.docker'), 'config.json');
  let config: ReturnType<typeof readConfig> | undefined;
  return async (registry) => {
    const { auths = {}, credHelpers = {}, credsStore } = await (config ??= readConfig(path));
    const helper = credHelpers[registry] ?? credsStore;
    if (helper !== undefined) return askHelper(helper, registry);
    const entry = Object.entries(auths).find(([key]) => hostOf(key) === registry)?.[1];
    if (!entry) return undefined;
    if (entry.identitytoken) return { type: 'token', token: entry.identitytoken };
    return entry.auth ? decodeAuth(entry.auth, registry, path) : plainAuth(entry);
  };
}

async function readConfig(path: string) {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return {};
    throw thrown;
  }
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
  const text = Buffer.from(encoded, 'base64').toString('utf8').replace(/\0+$/, '');
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

/** The credential helpers' protocol: the host on stdin, JSON on stdout, `credentials not found` when there are none. */
async function askHelper(name: string, registry: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string): NodekilnError =>
    new NodekilnError('NK_REGISTRY_DENIED', `${program} gave no credentials for ${registry}: ${why}`, {
      hint: 'Run it by hand, or remove it from the Docker configuration.',
    });
  if (!/^[A-Za-z0-9._-]+$/.test(name)) throw failed('its name is not one');
  const { status, stdout } = await runHelper(program, registry).catch((thrown: unknown) => {
    throw failed(errnoOf(thrown) === 'ENOENT' ? 'it is not installed' : 'it cannot be run');
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

function runHelper(program: string, input: string): Promise<{ status: number; stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const late = setTimeout(() => child.kill('SIGKILL'), helperTimeoutMs);
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.once('error', (error) => {
      clearTimeout(late);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(late);
      resolve({ status: code ?? 1, stdout });
    });
    // A program that ends without reading is no error of its own.
    child.stdin.once('error', () => undefined);
    child.stdin.end(input);
  });
}
