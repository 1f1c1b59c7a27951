/**
 * An HTTP client that logs in to one registry when it is asked to: Basic, or Bearer with a token of the registry's token
 * service (distribution specification, "Token Authentication"). Tokens are kept until the registry refuses them.
 * Credentials go to the registry's own origin and to the token service that it names itself, nowhere else, and never into
 * messages: where a redirect leads elsewhere, nobody there is answered.
 */
import { NodekilnError } from '../../../errors.ts';
import { isWhole } from '../../../host/place-in-file.ts';
import type { HttpHeaders, HttpResponse } from '../../../host/port.ts';
import { toBase64, bytesOf, textOf } from '../../../model/bytes.ts';
import { shownUrl } from '../http-client.ts';
import type { AnswerOf, HttpClient } from '../http-client.ts';
import { RetryableError } from '../retry.ts';
import type { CredentialStore, Credentials } from './credentials.ts';
import { tokenAnswer } from './schema.ts';

/** The registry, and who may be said to ask. */
export interface AuthorizationOptions {
  readonly client: RegistryClient;
  readonly registry: string;
  readonly credentials: CredentialStore;
  /** The registry itself is spoken to without TLS: then its token service may be, too. */
  readonly plainHttp: boolean;
}

const maxTokenBytes = 1024 * 1024;

/** What registries are asked with. */
export type RegistryClient = Pick<HttpClient, 'request' | 'download'>;

/** A client for one registry: NK_REGISTRY_DENIED when it wants a login that is missing or not accepted. */
export function authorizedClient(options: AuthorizationOptions): RegistryClient {
  const { client, registry } = options;
  let authorization: string | undefined;

  /** Asks, and once more with a login when the registry wants one. */
  const loggedIn = async <Answer extends AnswerOf<Pick<HttpResponse, 'status' | 'headers'>>>(
    url: string,
    asked: { readonly headers?: HttpHeaders; readonly timeoutMs: number; readonly signal?: AbortSignal },
    ask: (headers: HttpHeaders) => Promise<Answer>,
  ): Promise<Answer> => {
    const attempt = (): Promise<Answer> => ask({ ...asked.headers, ...(authorization && { authorization }) });
    const first = await attempt();
    if (first.status !== 401) return first;
    refuseElsewhere(registry, url, first.origin);
    const challenge = parseChallenges(first.headers['www-authenticate'] ?? '');
    const known = await options.credentials(registry);
    authorization = await answer(challenge, known, { ...options, timeoutMs: asked.timeoutMs, signal: asked.signal });
    const second = await attempt();
    if (second.status !== 401) return second;
    refuseElsewhere(registry, url, second.origin);
    authorization = undefined;
    throw denied(registry, known ? 'does not accept the credentials' : 'wants credentials, and there are none');
  };
  return {
    request: (url, request) => loggedIn(url, request, (headers) => client.request(url, { ...request, headers })),
    download: (url, download) => loggedIn(url, download, (headers) => client.download(url, { ...download, headers })),
  };
}

/** NK_REGISTRY_DENIED where it is not who was asked that wants a login. */
function refuseElsewhere(registry: string, url: string, origin: string): void {
  if (origin === new URL(url).origin) return;
  throw new NodekilnError(
    'NK_REGISTRY_DENIED',
    `the registry ${registry} leads to ${origin}, which wants a login of its own`,
    {
      hint: `Credentials of ${registry} are never given to others: let it lead to addresses that need none.`,
      resource: registry,
    },
  );
}

function denied(registry: string, why: string): NodekilnError {
  return new NodekilnError('NK_REGISTRY_DENIED', `the registry ${registry} ${why}`, { resource: registry });
}

interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** `Bearer realm="https://…",service="…",scope="…", Basic realm="…", Negotiate YII=`: RFC 9110 §11.6.1. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token =
    /[\s,]*(?:([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][A-Za-z0-9-]*)(?=\s|,|$)(?:[ \t]+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$)))?)/y;
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

type AnswerOptions = AuthorizationOptions & { readonly timeoutMs: number; readonly signal: AbortSignal | undefined };

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
  return `Basic ${toBase64(bytesOf(`${username}:${password}`))}`;
}

async function fetchToken(
  { parameters }: Challenge,
  credentials: Credentials | undefined,
  { client, registry, plainHttp, timeoutMs, signal }: AnswerOptions,
): Promise<string> {
  const realm = URL.canParse(parameters['realm'] ?? '') ? new URL(parameters['realm'] ?? '') : undefined;
  if (!realm || (realm.protocol !== 'https:' && !(plainHttp && realm.protocol === 'http:')))
    throw denied(registry, 'names no usable token service');
  const { service, scope } = parameters;
  const asked = { ...(service !== undefined && { service }), ...(scope !== undefined && { scope }) };
  const common = { timeoutMs, maxBytes: maxTokenBytes, ...(signal && { signal }) };
  const { status, body } =
    credentials?.type === 'token'
      ? await client.request(realm.href, {
          ...common,
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            ...asked,
            grant_type: 'refresh_token',
            client_id: 'nodekiln',
            refresh_token: credentials.token,
          }).toString(),
        })
      : await client.request(withQuery(realm, asked), {
          ...common,
          headers: credentials ? { authorization: basic(credentials) } : {},
        });
  if (status === 408 || status === 429 || status >= 500)
    throw new RetryableError(`${shownUrl(realm)} answered ${status}`);
  if (!isWhole(status)) throw denied(registry, `got no token: ${shownUrl(realm)} answered ${status}`);
  const parsed = tokenAnswer.safeParse(parseJson(textOf(body)));
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
