/** Opens the repository an address names: a registry, its mirrors before it, or a layout folder. */
import { NodekilnError } from '../../../errors.ts';
import { isAbsolute, join } from '../../../model/path.ts';
import { parseReference } from '../../reference.ts';
import type { FetchContext, RegistryMirror } from '../source.ts';
import { dockerCredentials } from './credentials.ts';
import { openLayout } from './layout.ts';
import { openRegistry } from './registry.ts';
import type { Repository } from './repository.ts';

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
    ...(context.signal && { signal: context.signal }),
  };
  const mirrors = (context.mirrors ?? []).filter(({ host }) => host === registry || host === '_default');
  const places = [
    ...mirrors.map((mirror) => openRegistry({ ...common, ...mirrorAddress(mirror) })),
    openRegistry({ ...common, registry, plainHttp }),
  ];
  return { repository: firstOf(places), tagOrDigest: digest ?? tag ?? 'latest' };
}

/** As containerd reads `override_path`: the address already names the API's root. */
function mirrorAddress({ url, overridePath = false, client }: RegistryMirror) {
  const { protocol, host } = new URL(url);
  const base = url.replace(/\/+$/, '');
  const api = overridePath ? base : `${base}/v2`;
  return { registry: host, plainHttp: protocol === 'http:', api, ...(client && { client }) };
}

/** Folders are relative to the context's base. */
export function openLayoutFolder(path: string, context: FetchContext): Promise<Repository> {
  return openLayout(context, isAbsolute(path) ? path : join(context.base, path), context.signal);
}

/** What one place cannot give the next is asked for; the last one's error tells why none could. */
function firstOf([first, ...others]: readonly Repository[]): Repository {
  if (!first) throw new NodekilnError('NK_INTERNAL', 'no registry to open');
  if (others.length === 0) return first;
  const rest = firstOf(others);
  const either = async <T>(ask: (repository: Repository) => Promise<T>): Promise<T> => {
    try {
      return await ask(first);
    } catch (thrown) {
      if (!(thrown instanceof NodekilnError) || thrown.code === 'NK_INTERRUPTED') throw thrown;
      return ask(rest);
    }
  };
  return {
    name: rest.name,
    reference: (tagOrDigest) => rest.reference(tagOrDigest),
    manifest: (reference) => either((repository) => repository.manifest(reference)),
    blob: (descriptor, options) => either((repository) => repository.blob(descriptor, options)),
    tags: () => either((repository) => repository.tags()),
    referrers: (digest) => either((repository) => repository.referrers(digest)),
  };
}
