/**
 * OCI references, and how version texts become tags. Source: the distribution specification's grammar; Docker's short
 * names (`nginx`, `a:b`) are refused because they silently mean another registry. Pure.
 */
import { NodekilnError } from '../errors.ts';
import { addressBytes } from './ip-address.ts';
import { holdsSecret, shownAddress } from './shown-address.ts';
import { cacheKey, parseVersion } from './version.ts';

/** A reference of an OCI artifact in its parts. */
export interface Reference {
  /** `mcr.microsoft.com`, `host.io:443`, `localhost:5000`. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const repositoryPart = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const grammar = new RegExp(
  `^((?:[A-Za-z0-9-]+\\.)+[A-Za-z0-9-]+(?::\\d{1,5})?|localhost(?::\\d{1,5})?|[A-Za-z0-9-]+:\\d{1,5}|\\[[0-9A-Fa-f:]+\\](?::\\d{1,5})?)/(${repositoryPart}(?:/${repositoryPart})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$`,
);

const hub = 'docker.io';
/** Under which names Docker Hub is known beside its short one. */
const hubHosts: ReadonlySet<string> = new Set(['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']);

/** The one name of a registry that has several: `docker.io` of all that Docker Hub answers to. */
export function registryName(host: string): string {
  return hubHosts.has(host) ? hub : host;
}

const namedHost = /^([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[([0-9A-Fa-f:.]+)\])(?::(\d{1,5}))?$/;

/** Whether it names a registry as references do: a host or an address (IPv6 in brackets), with a port or without. */
export function isRegistry(text: string): boolean {
  const [whole, , address, port] = namedHost.exec(text) ?? [];
  if (whole === undefined || (address !== undefined && addressBytes(address)?.length !== 16)) return false;
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
}

/** Of an address of a server: with the host that serves Docker Hub in the place of its short name, which serves nothing. */
export function registryUrl(url: string): string {
  return url.replace(/^(https?:\/\/)docker\.io(?=[:/?]|$)/i, (_all, scheme: string) => `${scheme}${registryHost(hub)}`);
}

/** The host that serves a registry: Docker's short name of its own is not one. */
export function registryHost(registry: string): string {
  return registry === hub ? 'registry-1.docker.io' : registry;
}

/** Under which keys logins of a registry are kept: those of Docker Hub from before it had a name. */
export function loginKeys(registry: string): readonly string[] {
  return registry === hub ? ['https://index.docker.io/v1/', hub, ...hubHosts] : [registry];
}

/**
 * A reference with registry and repository, and a tag or a digest; undefined for anything else, addresses included. What
 * Docker Hub itself keeps is below `library`: `docker.io/busybox:1` is `docker.io/library/busybox:1`.
 */
export function asReference(text: string): Reference | undefined {
  const [, host = '', path = '', tag, digest] = grammar.exec(text) ?? [];
  if (tag === undefined && digest === undefined) return undefined;
  const registry = registryName(host);
  const repository = registry === hub && !path.includes('/') ? `library/${path}` : path;
  return { registry, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/** NK_DOCUMENT_INVALID for what is no full reference. */
export function parseReference(text: string): Reference {
  const reference = asReference(text);
  if (reference) return reference;
  throw new NodekilnError(
    'NK_DOCUMENT_INVALID',
    `${holdsSecret(text) ? shownAddress(text) : JSON.stringify(text)} is no OCI reference`,
    {
      hint: 'Write registry, repository and a tag or digest: registry.example/team/kubelet:v1.34.3.',
    },
  );
}

/** The reference as text, tag and digest included. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** What kubelet's runtime looks an image up by in its store: its digest where there is one, else its tag. */
export function storedName(reference: string): string {
  const { tag, digest, ...repository } = parseReference(reference);
  if (digest !== undefined) return formatReference({ ...repository, digest });
  return formatReference({ ...repository, ...(tag !== undefined && { tag }) });
}

/** The tag a mirror keeps a version under: `v1.34.0` of `1.34.0` and of `v1.34.0`, `~` written as `-`. */
export function mirrorTag(version: string): string {
  return `v${cacheKey(parseVersion(version))}`;
}
