/**
 * Looks into an archive of container images (OCI layout or docker-archive tar, compressed or not) before containerd does:
 * its digest, its size, and for which systems its images are. One pass; nothing is unpacked. The formats:
 * OCI image-layout and image-index; docker image specification v1.2 (`manifest.json`).
 *
 * Errors: NK_ARTIFACT_MISSING, NK_ARTIFACT_UNREADABLE, NK_ARTIFACT_DIGEST, NK_ARTIFACT_ARCHITECTURE.
 */
import { NodekilnError } from '../errors.ts';
import { asArch } from '../model/arch.ts';
import { textOf } from '../model/bytes.ts';
import { defaultLimits } from './formats/limits.ts';
import { readPackage, withPackage } from './formats/open.ts';
import type { PackageHost } from './formats/open.ts';
import { unreadable } from './formats/unreadable.ts';
import { dockerManifest, index, manifest, platform } from './schema-image-archive.ts';

/** What an archive says about itself. */
export interface ContainerImageArchive {
  readonly digest: string;
  readonly size: number;
  /** One per image manifest; `linux/amd64`, with a variant where the image names one. */
  readonly platforms: readonly string[];
}

/** What must hold of it. */
export interface ContainerImageArchiveOptions {
  /** Of the archive. */
  readonly digest?: string;
  /** Refused when no image in the archive is for it. */
  readonly architecture?: string;
  readonly signal?: AbortSignal;
}

/** Manifests, indexes and configurations are small; layers are not read. */
const largestJson = 4 * 1024 * 1024;

/** `path`: in our own file system. */
export async function readContainerImageArchive(
  host: PackageHost,
  path: string,
  options: ContainerImageArchiveOptions = {},
): Promise<ContainerImageArchive> {
  const { signal } = options;
  // The archive is not unpacked by us: only what is read into memory needs a bound.
  const limits = { ...defaultLimits, totalBytes: 64 * 1024 ** 3, members: 1_000_000, headerBytes: 256 * 1024 ** 2 };
  const source = { path, what: path, format: 'tarball', limits, ...(signal && { signal }) } as const;
  return withPackage(host, source, async (opened) => {
    const { entries, fileDigest: digest } = await readPackage(host, opened, {
      keep: { only: 'json', upTo: largestJson },
      fileDigest: true,
    });
    if (options.digest !== undefined && digest !== options.digest)
      throw new NodekilnError('NK_ARTIFACT_DIGEST', `${path} has the digest ${digest}, wanted ${options.digest}`);
    const documents = new Map(
      entries.flatMap(({ name, content }) => (content ? [[name, json(content)] as const] : [])),
    );
    const platforms = platformsIn(documents, path);
    if (options.architecture !== undefined) requirePlatform(platforms, options.architecture, path);
    return { digest, size: opened.file.stat.size, platforms };
  });
}

/** Undefined when it only looks like JSON. */
function json(content: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(content)) as unknown;
  } catch {
    return undefined;
  }
}

function platformsIn(documents: ReadonlyMap<string, unknown>, path: string): string[] {
  const configs = new Map<string, unknown>();
  const blob = (digest: string): unknown => documents.get(`blobs/${digest.replace(':', '/')}`);
  const follow = (digest: string, depth: number): void => {
    const document = blob(digest);
    const nested = index.safeParse(document);
    if (nested.success) {
      if (depth > 4) throw unreadable(path, 'nests image indexes deeper than four levels');
      for (const { digest: inner } of nested.data.manifests) follow(inner, depth + 1);
      return;
    }
    const found = manifest.safeParse(document);
    if (found.success) configs.set(found.data.config.digest, blob(found.data.config.digest));
  };
  const docker = dockerManifest.safeParse(documents.get('manifest.json'));
  const layout = index.safeParse(documents.get('index.json'));
  if (layout.success) for (const { digest } of layout.data.manifests) follow(digest, 0);
  else if (docker.success) for (const { Config } of docker.data) configs.set(Config, documents.get(Config));
  else throw unreadable(path, 'is no archive of container images: it has neither index.json nor manifest.json');
  return [...configs.values()].flatMap((config) => {
    const parsed = platform.safeParse(config);
    // Attestations are manifests too; their configuration names no system, or an unknown one.
    if (!parsed.success || parsed.data.os === 'unknown') return [];
    const { os, architecture, variant } = parsed.data;
    return [[os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/')];
  });
}

function requirePlatform(platforms: readonly string[], architecture: string, path: string): void {
  const wanted = asArch(architecture) ?? architecture;
  const serves = platforms.some((text) => {
    const [os, arch] = text.split('/');
    return os === 'linux' && arch === wanted;
  });
  if (serves) return;
  throw new NodekilnError(
    'NK_ARTIFACT_ARCHITECTURE',
    `${path} holds images for ${platforms.join(', ') || 'no system'}, and the host is linux/${wanted}`,
    { resource: path, hint: 'Name an archive for the host’s architecture in the manifest.' },
  );
}
