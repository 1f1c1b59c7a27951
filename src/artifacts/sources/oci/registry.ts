/**
 * One repository of a registry, by the OCI distribution specification v1.1: manifests by tag and digest, blobs with
 * resumption, tags in pages, referrers. Everything is verified by digest and size; HTTPS unless plain HTTP is asked for.
 *
 * Errors: NK_ARTIFACT_MISSING, NK_ARTIFACT_DIGEST, NK_ARTIFACT_UNREADABLE, NK_REGISTRY_DENIED, NK_TAGS_UNAVAILABLE,
 * NK_SOURCE_UNAVAILABLE, NK_TIMEOUT, NK_INTERRUPTED.
 */
import { NodekilnError } from '../../../errors.ts';
import { join } from '../../../model/path.ts';
import { sha256 } from '../../../host/digest.ts';
import { isWhole } from '../../../host/place-in-file.ts';
import { NetError } from '../../../host/port.ts';
import type { Clock, Files, HttpHeaders, HttpResponse } from '../../../host/port.ts';
import { textOf } from '../../../model/bytes.ts';
import { retryAfterMs } from '../../../model/retry-after.ts';
import { registryHost } from '../../../model/reference.ts';
import { download } from '../download.ts';
import { shownUrl } from '../http-client.ts';
import type { PartsPlace } from '../parts.ts';
import { RetryableError, retry, type Impatience } from '../retry.ts';
import { authorizedClient } from './authorization.ts';
import type { RegistryClient } from './authorization.ts';
import type { CredentialStore } from './credentials.ts';
import { indexTypes, manifestTypes, maxManifestBytes, parseManifest } from './model.ts';
import type { Descriptor, RawManifest } from './model.ts';
import type { BlobOptions, Repository } from './repository.ts';
import { tagPage } from './schema.ts';

/** Which repository, and how it is spoken to. */
export interface RegistryOptions {
  /** `registry.example:5000` */
  readonly registry: string;
  readonly repository: string;
  readonly client: RegistryClient;
  /** Where blobs land. */
  readonly local: Files;
  /** Where parts of them are kept. */
  readonly parts?: PartsPlace;
  readonly credentials: CredentialStore;
  readonly plainHttp: boolean;
  /** Root of the API; `https://<registry>/v2` unless told. */
  readonly api?: string;
  readonly clock: Clock;
  /** For each request, retries included. */
  readonly budgetMs: number;
  /** The same for small answers, where others may be asked instead; `budgetMs` unless told. */
  readonly answerMs?: number;
  readonly impatience?: Impatience;
  readonly signal?: AbortSignal;
}

const accept = [...manifestTypes, ...indexTypes].join(', ');
const tagsPerPage = 1_000;
const maxPages = 1_000;

/** A repository that is asked for over the network. */
export interface RemoteRepository extends Repository {
  /** Root of the API that is asked, without secrets: `https://registry.example/v2`. */
  readonly address: string;
}

/** Asks nothing before it is asked. */
export function openRegistry(options: RegistryOptions): RemoteRepository {
  const { registry, repository, local, parts, clock, budgetMs, answerMs = budgetMs, signal, impatience } = options;
  const client = authorizedClient(options);
  const name = `${registry}/${repository}`;
  const root = options.api ?? `${options.plainHttp ? 'http' : 'https'}://${registryHost(registry)}/v2`;
  const api = `${root}/${repository}`;
  const reference = (tagOrDigest: string): string => `${name}${tagOrDigest.includes(':') ? '@' : ':'}${tagOrDigest}`;

  /** One small answer; `refusal` says what a status means, or nothing for the usual. */
  const get: Get = (url, what, { headers, refusal } = {}) =>
    retry({ clock, budgetMs: answerMs, what, signal, impatience }, async (_, remainingMs) => {
      const asked = {
        timeoutMs: Math.max(1, remainingMs),
        maxBytes: maxManifestBytes,
        ...(headers && { headers }),
        ...(signal && { signal }),
      };
      const response = await client.request(url, asked).catch((thrown: unknown) => {
        throw requestError(thrown, what, answerMs);
      });
      if (isWhole(response.status)) return response;
      throw refusal?.(response.status) ?? usualRefusal(response, what, clock.now());
    });

  const manifest = async (tagOrDigest: string): Promise<RawManifest> => {
    const what = reference(tagOrDigest);
    const { body, headers } = await get(`${api}/manifests/${tagOrDigest}`, what, { headers: { accept } });
    const digest = sha256(body);
    const stated = headers['docker-content-digest'];
    const wanted = tagOrDigest.includes(':') ? tagOrDigest : undefined;
    for (const other of [wanted, stated]) {
      if (other === undefined || !other.startsWith('sha256:') || other === digest) continue;
      throw new NodekilnError('NK_ARTIFACT_DIGEST', `the manifest of ${what} has the digest ${digest}, not ${other}`, {
        resource: what,
      });
    }
    return { digest, mediaType: headers['content-type'] ?? '', content: body };
  };

  return {
    address: shownUrl(root),
    name,
    reference,
    manifest,
    blob: async ({ digest, size }, { folder, onProgress }: BlobOptions) => {
      const { path } = await download({
        client,
        local,
        clock,
        budgetMs,
        url: `${api}/blobs/${digest}`,
        to: join(folder, `${digest.replace(':', '-')}.blob`),
        digest,
        size,
        ...(parts && { parts }),
        ...(impatience && { impatience }),
        ...(onProgress && { onProgress }),
        ...(signal && { signal }),
      });
      return { path, temporary: true };
    },
    tags: () => listTags(`${api}/tags/list?n=${tagsPerPage}`, name, get),
    referrers: (digest) => listReferrers({ api, name, digest, get, manifest }),
  };
}

type Refusal = (status: number) => Error | undefined;
type Get = (
  url: string,
  what: string,
  request?: { readonly headers?: HttpHeaders; readonly refusal?: Refusal },
) => Promise<HttpResponse>;

function requestError(thrown: unknown, what: string, budgetMs: number): unknown {
  if (!(thrown instanceof NodekilnError)) return thrown;
  if (thrown.code === 'NK_TIMEOUT')
    return new NodekilnError('NK_TIMEOUT', `${what} did not answer within ${budgetMs} ms`, { cause: thrown });
  if (!(thrown instanceof NetError) || thrown.failure !== 'too-large') return thrown;
  return new NodekilnError('NK_ARTIFACT_UNREADABLE', `${what} answers more than ${maxManifestBytes} bytes`, {
    resource: what,
  });
}

function usualRefusal({ status, headers, body }: HttpResponse, what: string, now: number): Error {
  const said = `the registry answered ${status}${errorCodes(body)}`;
  if (status === 404) return new NodekilnError('NK_ARTIFACT_MISSING', `${what}: ${said}`, { resource: what });
  if (status === 401 || status === 403)
    return new NodekilnError('NK_REGISTRY_DENIED', `${what}: ${said}`, { resource: what });
  if (status === 408 || status === 429 || status >= 500)
    return new RetryableError(said, { waitMs: retryAfterMs(headers, now) });
  return new NodekilnError('NK_SOURCE_UNAVAILABLE', `${what}: ${said}`, { resource: what });
}

/** ` (MANIFEST_UNKNOWN)`: the specification's codes; a server's free text is not shown. */
function errorCodes(body: Uint8Array): string {
  const codes = [...textOf(body).matchAll(/"code"\s*:\s*"([A-Z_]{1,40})"/g)].map(([, code]) => code);
  return codes.length === 0 ? '' : ` (${codes.join(', ')})`;
}

// ── tags and referrers ───────────────────────────────────────────────────────────────────────────────────────────

function unlistable(name: string, status: number): NodekilnError | undefined {
  if (![401, 403, 405, 501].includes(status)) return undefined;
  return new NodekilnError(
    'NK_TAGS_UNAVAILABLE',
    `the registry does not list the tags of ${name} (it answered ${status})`,
    {
      resource: name,
    },
  );
}

async function listTags(first: string, name: string, get: Get): Promise<string[]> {
  const tags: string[] = [];
  const asked = new Set<string>();
  let next: string | undefined = first;
  while (next !== undefined) {
    const url: string = next;
    if (asked.has(url)) throw unfollowed(name);
    if (asked.size === maxPages)
      throw new NodekilnError('NK_TAGS_UNAVAILABLE', `${name} has more than ${maxPages} pages of tags`, {
        resource: name,
      });
    const isFirst = asked.size === 0;
    asked.add(url);
    const { body, headers } = await get(url, name, { refusal: (status) => unlistable(name, status) }).catch(
      (thrown: unknown) => {
        if (!(thrown instanceof NodekilnError)) throw thrown;
        // The repository is there; what is missing is the rest of its list.
        if (thrown.code === 'NK_ARTIFACT_MISSING' && !isFirst) throw unfollowed(name, thrown);
        if (thrown.code !== 'NK_REGISTRY_DENIED') throw thrown;
        throw new NodekilnError('NK_TAGS_UNAVAILABLE', `the registry does not list the tags of ${name} for us`, {
          cause: thrown,
          resource: name,
        });
      },
    );
    const parsed = tagPage.safeParse(parseJson(body));
    if (!parsed.success)
      throw new NodekilnError('NK_TAGS_UNAVAILABLE', `${shownUrl(url)} answers no list of tags`, { resource: name });
    tags.push(...(parsed.data.tags ?? []));
    next = nextPage(headers['link'], { url, name });
  }
  return tags;
}

function unfollowed(name: string, cause?: unknown): NodekilnError {
  return new NodekilnError('NK_TAGS_UNAVAILABLE', `the next page of the tags of ${name} cannot be followed`, {
    resource: name,
    ...(cause !== undefined && { cause }),
  });
}

/** `</v2/…?last=x&n=100>; rel="next", …`: RFC 8288. */
const links = /<([^>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]+))?)*)\s*(?:,|$)/g;
const isNext = /;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=[\s;]|$))/i;

/**
 * Asked of the same registry whatever scheme and host it is announced with, and whatever stands before the list in its
 * path: one behind a proxy does not know its own.
 * NK_TAGS_UNAVAILABLE for one that leads nowhere: what is there so far is not the whole.
 */
function nextPage(
  link: string | undefined,
  { url: current, name }: { readonly url: string; readonly name: string },
): string | undefined {
  const { target, isSaid } = nextLink(link);
  if (!isSaid) return undefined;
  const announced = target === undefined ? null : URL.parse(target, current);
  if (!announced) throw unfollowed(name);
  const next = new URL(current);
  if (!announced.pathname.endsWith('/tags/list')) next.pathname = announced.pathname;
  next.search = announced.search;
  return next.href;
}

function nextLink(link = ''): { readonly target?: string; readonly isSaid: boolean } {
  for (const [, target = '', parameters = ''] of link.matchAll(links))
    if (isNext.test(parameters)) return { target, isSaid: true };
  // Not as anybody writes it, but not the last page either.
  return { isSaid: /\brel\s*=\s*"?[^";,]*\bnext\b/i.test(link.replaceAll(links, '')) };
}

/** The referrers API, else its fallback: an index under the tag `sha256-<hex>`. */
async function listReferrers(options: {
  api: string;
  name: string;
  digest: string;
  get: Get;
  manifest: Repository['manifest'];
}): Promise<Descriptor[]> {
  const { api, name, digest, get, manifest } = options;
  const what = `${name}@${digest}`;
  const answered = await get(`${api}/referrers/${digest}`, what).catch(ignoreMissing);
  const raw =
    answered === undefined
      ? await manifest(digest.replace(':', '-')).catch(ignoreMissing)
      : { digest, mediaType: answered.headers['content-type'] ?? '', content: answered.body };
  if (!raw) return [];
  const parsed = parseManifest(raw, what);
  return parsed.type === 'index' ? parsed.index.manifests : [];
}

function ignoreMissing(thrown: unknown): undefined {
  if (thrown instanceof NodekilnError && thrown.code === 'NK_ARTIFACT_MISSING') return undefined;
  throw thrown;
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(body));
  } catch {
    return undefined;
  }
}
