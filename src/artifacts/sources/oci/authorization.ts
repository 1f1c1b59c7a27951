/**
 * An HTTP client that logs in to one registry when it is asked to: Basic, or Bearer with a token of the registry's token
 * service (distribution specification, "Token Authentication"). Tokens are kept until the registry refuses them.
 * Credentials go to the registry and to the token service that it names, nowhere else, and never into messages.
 */
import type { IncomingMessage } from 'node:http';
import { exactOptional, looseObject, string } from 'zod/mini';
import { NodekilnError } from '../../../errors.ts';
import { shownUrl } from '../http-client.ts';
import type { HttpClient, OpenOptions } from '../http-client.ts';
import { RetryableError } from '../retry.ts';
import type { CredentialStore, Credentials } from './credentials.ts';

export interface AuthorizationOptions {
  readonly client: Pick<HttpClient, 'open'>;
  readonly registry: string;
  readonly credentials: CredentialStore;
  /** The registry itself is spoken to without TLS: then its token service may be, too. */
  readonly plainHttp: boolean;
}

const maxTokenBytes = 1024 * 1024;
const tokenAnswer = looseObject({ token: exactOptional(string()), access_token: exactOptional(string()) });

export function authorizedClient(options: AuthorizationOptions): Pick<HttpClient, 'open'> {
  const { client, registry } = options;
  let authorization: string | undefined;

  const open = async (url: string, wanted: OpenOptions = {}): Promise<IncomingMessage> => {
    const attempt = (): Promise<IncomingMessage> =>
      client.open(url, { ...wanted, headers: { ...wanted.headers, ...(authorization && { authorization }) } });
    const first = await attempt();
    if (first.statusCode !== 401) return first;
    const challenge = parseChallenges(first.headers['www-authenticate'] ?? '');
    first.resume();
    const known = await options.credentials(registry);
    authorization = await answer(challenge, known, { ...options, signal: wanted.signal });
    const second = await attempt();
    if (second.statusCode !== 401) return second;
    second.resume();
    authorization = undefined;
    throw denied(registry, known ? 'does not accept the credentials' : 'wants credentials, and there are none');
  };
  return { open };
}

function denied(registry: string, why: string): NodekilnError {
  return new NodekilnError('NK_REGISTRY_DENIED', `the registry ${registry} ${why}`, { resource: registry });
}

interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** `Bearer realm="https://…",service="…",scope="…", Basic realm="…"`: RFC 9110 §11.6.1. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token =
    /\s*,?\s*(?:([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][A-Za-z0-9-]*)(?=\s|,|$))/y;
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, name, quoted, plain, scheme] = match;
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    else if (name !== undefined) {
      const current = challenges.at(-1);
      if (current) current.parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
    }
  }
  return challenges;
}

type AnswerOptions = AuthorizationOptions & { readonly signal: AbortSignal | undefined };

async function answer(
  challenges: readonly Challenge[],
  credentials: Credentials | undefined,
  options: AnswerOptions,
): Promise<string | undefined> {
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
  if (bearer) return `Bearer ${await fetchToken(bearer, credentials, options)}`;
  if (challenges.some(({ scheme }) => scheme === 'basic')) {
    if (credentials?.type === 'password') return basic(credentials);
    throw denied(options.registry, 'wants a user and password, and there are none');
  }
  throw denied(options.registry, 'wants a login of a kind that is not known here');
}

function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

async function fetchToken(
  { parameters }: Challenge,
  credentials: Credentials | undefined,
  { client, registry, plainHttp, signal }: AnswerOptions,
): Promise<string> {
  const realm = URL.canParse(parameters['realm'] ?? '') ? new URL(parameters['realm'] ?? '') : undefined;
  if (!realm || (realm.protocol !== 'https:' && !(plainHttp && realm.protocol === 'http:')))
    throw denied(registry, 'names no usable token service');
  const { service, scope } = parameters;
  const asked = { ...(service !== undefined && { service }), ...(scope !== undefined && { scope }) };
  const response =
    credentials?.type === 'token'
      ? await client.open(realm.href, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            ...asked,
            grant_type: 'refresh_token',
            client_id: 'nodekiln',
            refresh_token: credentials.token,
          }).toString(),
          signal,
        })
      : await client.open(withQuery(realm, asked), {
          headers: credentials ? { authorization: basic(credentials) } : {},
          signal,
        });
  const text = await readText(response);
  const status = response.statusCode ?? 0;
  if (status === 408 || status === 429 || status >= 500)
    throw new RetryableError(`${shownUrl(realm)} answered ${status}`);
  if (status !== 200) throw denied(registry, `got no token: ${shownUrl(realm)} answered ${status}`);
  const parsed = tokenAnswer.safeParse(parseJson(text));
  const token = parsed.success ? (parsed.data.token ?? parsed.data.access_token) : undefined;
  if (!token || /[\r\n]/.test(token))
    throw denied(registry, `got no token: ${shownUrl(realm)} answered something else`);
  return token;
}

function withQuery(url: URL, parameters: Readonly<Record<string, string>>): string {
  const target = new URL(url);
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
  return target.href;
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxTokenBytes) {
      response.destroy();
      break;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
