/** Opens the repository an address names: a registry, its mirrors before it, or a layout folder. */
import { count } from '../../../model/count.ts';
import { NodekilnError } from '../../../errors.ts';
import { isAbsolute, join } from '../../../model/path.ts';
import { parseReference, registryName, registryUrl } from '../../../model/reference.ts';
import type { FetchContext, RegistryMirror } from '../source.ts';
import { dockerCredentials } from './credentials.ts';
import { openLayout } from './layout.ts';
import { openRegistry, type RemoteRepository } from './registry.ts';
import type { Repository } from './repository.ts';

/** Of a mirror. */
const longestAnswerMs = 15_000;

/** A reference, and how its registry is spoken to. */
export interface RegistryAddress {
  /** `registry.example/team/kubelet:v1.34.3`; tag or digest may be missing where only tags are listed. */
  readonly reference: string;
  readonly plainHttp?: boolean;
}

/** The repository and the tag or digest in it; a digest wins over a tag. NK_DOCUMENT_INVALID. */
export function openReference(
  { reference, plainHttp = false }: RegistryAddress,
  context: FetchContext,
): { repository: Repository; tagOrDigest: string } {
  const { registry, repository, tag, digest } = parseReference(reference);
  const common = {
    repository,
    client: context.client,
    local: context.local,
    credentials: context.credentials ?? dockerCredentials(context),
    clock: context.clock,
    budgetMs: context.budgetMs,
    ...(context.parts && { parts: context.parts }),
    ...(context.impatience && { impatience: context.impatience }),
    ...(context.signal && { signal: context.signal }),
  };
  const mirrors = (context.mirrors ?? []).filter(({ host }) => registryName(host) === registry || host === '_default');
  // One that is away does not take the time of those that are asked after it.
  const answerMs = Math.min(longestAnswerMs, Math.ceil(context.budgetMs / (mirrors.length + 1)));
  const places = [
    ...mirrors.map((mirror) => openRegistry({ ...common, answerMs, ...mirrorAddress(mirror) })),
    openRegistry({ ...common, registry, plainHttp }),
  ];
  return { repository: firstOf(places), tagOrDigest: digest ?? tag ?? 'latest' };
}

/** As containerd reads `override_path`: the address already names the API's root. */
function mirrorAddress({ url, overridePath = false, client }: RegistryMirror) {
  const { protocol, host } = new URL(registryUrl(url));
  const base = registryUrl(url).replace(/\/+$/, '');
  const api = overridePath ? base : `${base}/v2`;
  return { registry: host, plainHttp: protocol === 'http:', api, ...(client && { client }) };
}

/** Folders are relative to the context's base. */
export function openLayoutFolder(path: string, context: FetchContext): Promise<Repository> {
  return openLayout(context, isAbsolute(path) ? path : join(context.base, path), context.signal);
}

/**
 * What one place cannot give the next is asked for; one that does not answer is asked last from then on. When none can, the
 * code of the registry itself, with every address and why.
 */
function firstOf(places: readonly RemoteRepository[]): Repository {
  const last = places.at(-1);
  if (!last) throw new NodekilnError('NK_INTERNAL', 'no registry to open');
  if (places.length === 1) return last;
  const away = new Set<RemoteRepository>();
  const any = async <T>(
    ask: (repository: Repository) => Promise<T>,
    nameOf: (repository: Repository) => string,
  ): Promise<T> => {
    const failures: Failure[] = [];
    for (const place of [...places].sort((a, b) => Number(away.has(a)) - Number(away.has(b)))) {
      try {
        return await ask(place);
      } catch (thrown) {
        if (!(thrown instanceof NodekilnError) || thrown.code === 'NK_INTERRUPTED') throw thrown;
        if (thrown.code === 'NK_SOURCE_UNAVAILABLE' || thrown.code === 'NK_TIMEOUT') away.add(place);
        failures.push({ address: place.address, what: nameOf(place), isLast: place === last, error: thrown });
      }
    }
    throw nowhere(failures);
  };
  return {
    name: last.name,
    reference: (tagOrDigest) => last.reference(tagOrDigest),
    manifest: (reference) =>
      any(
        (repository) => repository.manifest(reference),
        (repository) => repository.reference(reference),
      ),
    blob: (descriptor, options) =>
      any(
        (repository) => repository.blob(descriptor, options),
        (repository) => repository.reference(descriptor.digest),
      ),
    tags: () =>
      any(
        (repository) => repository.tags(),
        ({ name }) => name,
      ),
    referrers: (digest) =>
      any(
        (repository) => repository.referrers(digest),
        (repository) => repository.reference(digest),
      ),
  };
}

/** Why one place could not give it. */
interface Failure {
  readonly address: string;
  /** What it was asked for, by its own name. */
  readonly what: string;
  readonly isLast: boolean;
  readonly error: NodekilnError;
}

function nowhere(failures: readonly Failure[]): NodekilnError {
  const last = failures.find(({ isLast }) => isLast);
  if (!last) throw new NodekilnError('NK_INTERNAL', 'no registry was asked');
  const tried = failures.map(({ address, what, error: { code, message } }) => {
    const prefix = `${what}: `;
    const why = message.startsWith(prefix) ? message.slice(prefix.length) : message;
    if (code === 'NK_ARTIFACT_MISSING') return `${address}: it has none (${why})`;
    if (code === 'NK_SOURCE_UNAVAILABLE' || code === 'NK_TIMEOUT') return `${address}: unavailable (${why})`;
    return `${address}: ${why}`;
  });
  const { what, error } = last;
  return new NodekilnError(
    error.code,
    `${what} was had from none of ${count(tried.length, 'address', 'addresses')}: ${tried.join('; ')}`,
    {
      cause: error,
      resource: what,
      hint: error.hint,
    },
  );
}
