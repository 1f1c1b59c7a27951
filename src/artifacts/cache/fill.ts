/**
 * Adds a binary to the cache: takes it out of its package as a stream, checks that it is what was asked for (version,
 * architecture, digest), refuses a second build under one key, seals it and records it. Also puts a member of a package
 * straight at a target, for sources that are not the cache.
 *
 * In: a package in our own file system (at bake beside the manifest, at boot on the host). Errors: those of extract.ts,
 * NK_ARTIFACT_VERSION, NK_ARTIFACT_ARCHITECTURE, NK_CACHE_CONFLICT.
 */
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodekilnError } from '../../errors.ts';
import type { Files } from '../../host/port.ts';
import { asArch } from '../../model/arch.ts';
import { binaryAttributes, cachedPath, readIndex, verifyCached, writeEntry } from './cache.ts';
import type { CacheEntry } from './cache.ts';
import { elfArchitecture } from '../elf/elf.ts';
import { extractMember } from '../extract.ts';
import type { Extracted, ExtractOptions } from '../extract.ts';
import type { FormatName } from '../formats/format.ts';
import { cacheKey, formatVersion, parseVersion, satisfies } from '../../model/version.ts';

/** A package or plain file to take one binary from. */
export interface PackageFile {
  readonly format?: FormatName;
  /** In our own file system. */
  readonly path: string;
  /** Where it came from, for the index; the path unless told. */
  readonly location?: string;
  /** The places where the tool usually lies in packages of this form are tried when absent. */
  readonly member?: string;
  /** Of the package itself. */
  readonly packageDigest?: string;
  /** Of the binary inside. */
  readonly digest?: string;
}

export interface AddRequest {
  readonly tool: string;
  readonly version: string;
  readonly source: PackageFile;
  /** Refused when the binary is for another. */
  readonly architecture?: string;
  readonly signal?: AbortSignal;
  /** A further check of the binary in its temporary place; what it throws refuses it. */
  readonly check?: NonNullable<ExtractOptions['check']>;
}

export interface Added {
  readonly outcome: 'added' | 'unchanged';
  readonly entry: CacheEntry;
}

/** One build under work at a time per key, so that two of them cannot pass the conflict check together. */
const busy = new WeakMap<Files, Map<string, Promise<unknown>>>();

export async function addToCache(files: Files, request: AddRequest): Promise<Added> {
  const key = cacheKey(parseVersion(request.version));
  const path = cachedPath(request.tool, key);
  const running = busy.get(files) ?? new Map<string, Promise<unknown>>();
  busy.set(files, running);
  const work = (running.get(path) ?? Promise.resolve()).then(() => add(files, request, { key, path }));
  running.set(
    path,
    work.catch(() => undefined),
  );
  return work;
}

async function add(files: Files, request: AddRequest, slot: { key: string; path: string }): Promise<Added> {
  const existing = (await readIndex(files)).entries.find(
    (entry) => entry.tool === request.tool && entry.key === slot.key,
  );
  if (existing && (await isIntact(files, existing, request))) return { outcome: 'unchanged', entry: existing };
  let architecture: CacheEntry['architecture'];
  const extracted = await materialise(files, slot.path, {
    ...request,
    check: async (result, temporary) => {
      architecture = await architectureOf(temporary);
      await request.check?.(result, temporary);
      await checkConflict(files, existing, { path: slot.path, digest: result.digest });
    },
  });
  const stat = await files.stat(slot.path);
  if (!stat) throw new NodekilnError('NK_FILE_WRITE', `${slot.path} vanished while it was being cached`);
  const { source } = request;
  const stated = extracted.package;
  const entry: CacheEntry = {
    tool: request.tool,
    version: formatVersion(parseVersion(stated.version ?? request.version)),
    key: slot.key,
    digest: extracted.digest,
    size: extracted.size,
    ...(architecture !== undefined && { architecture }),
    source: {
      type: extracted.format,
      location: source.location ?? source.path,
      packageDigest: extracted.packageDigest,
      packageSize: extracted.packageSize,
      ...(stated.version !== undefined && { revision: stated.version }),
      ...(stated.name !== undefined && { package: stated.name }),
      ...(extracted.member !== '' && { member: extracted.member }),
    },
    seal: { size: stat.size, mtimeNs: String(stat.mtimeNs) },
  };
  const same = existing?.digest === entry.digest;
  await writeEntry(files, entry);
  return { outcome: same ? 'unchanged' : 'added', entry };
}

/** Already there, as its seal says, from the very package or with the very digest that the request names. */
async function isIntact(files: Files, entry: CacheEntry, request: AddRequest): Promise<boolean> {
  const { digest, packageDigest } = request.source;
  if (digest === undefined && packageDigest === undefined) return false;
  if (digest !== undefined && digest !== entry.digest) return false;
  if (packageDigest !== undefined && packageDigest !== entry.source.packageDigest) return false;
  if (!satisfies(parseVersion(request.version), parseVersion(entry.version))) return false;
  const verified = await verifyCached(files, entry);
  return verified.ok && !verified.rehashed;
}

function checkVersion(request: MaterialiseOptions, extracted: Extracted): void {
  const stated = extracted.package.version;
  if (
    stated === undefined ||
    request.version === undefined ||
    satisfies(parseVersion(request.version), parseVersion(stated))
  )
    return;
  throw new NodekilnError(
    'NK_ARTIFACT_VERSION',
    `${request.source.path} is ${extracted.package.name ?? request.tool} ${stated}, and ${request.tool} ${request.version} was asked for`,
    { resource: request.source.path },
  );
}

async function checkArchitecture(request: MaterialiseOptions, path: string): Promise<void> {
  if (request.architecture === undefined) return;
  const [actual, wanted] = [await architectureOf(path), asArch(request.architecture) ?? request.architecture];
  if (actual === undefined || actual === wanted) return;
  throw new NodekilnError(
    'NK_ARTIFACT_ARCHITECTURE',
    `${request.tool} in ${request.source.path} is for ${actual}, and the host is ${wanted}`,
    { resource: request.source.path },
  );
}

async function architectureOf(path: string): Promise<string | undefined> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(20), 0, 20, 0);
    return elfArchitecture(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

async function checkConflict(
  files: Files,
  existing: CacheEntry | undefined,
  extracted: Pick<Extracted, 'path' | 'digest'>,
): Promise<void> {
  if (!existing || existing.digest === extracted.digest) return;
  // A damaged file is replaced by what the manifest asks for now.
  if (!(await verifyCached(files, existing)).ok) return;
  throw new NodekilnError(
    'NK_CACHE_CONFLICT',
    `${extracted.path} is cached already from ${existing.source.location} (${existing.version}, ${existing.digest}), and another build of it would replace it (${extracted.digest})`,
    { resource: extracted.path },
  );
}

// ── from a package to a place in the host ────────────────────────────────────────────────────────────────────────

export interface MaterialiseOptions {
  readonly tool: string;
  /** Refused when the package states another. */
  readonly version?: string;
  /** Refused when the binary is for another. */
  readonly architecture?: string;
  readonly source: PackageFile;
  readonly signal?: AbortSignal;
  readonly check?: NonNullable<ExtractOptions['check']>;
}

/** Puts the binary of a package at a host path, 0755 root:root, whole or not at all; streamed where the host's files lie in a file system. */
export async function materialise(files: Files, destination: string, options: MaterialiseOptions): Promise<Extracted> {
  const { source } = options;
  const common = {
    source: source.path,
    ...(source.format && { format: source.format }),
    member: source.member ?? usualMembers(options.tool),
    ...(source.packageDigest !== undefined && { packageDigest: source.packageDigest }),
    ...(source.digest !== undefined && { digest: source.digest }),
    mode: binaryAttributes.mode,
    // Only root can give files away, and only as root does it matter.
    ...(process.getuid?.() === 0 && { owner: binaryAttributes }),
    ...(options.signal && { signal: options.signal }),
    check: async (extracted: Extracted, temporary: string): Promise<void> => {
      checkVersion(options, extracted);
      await checkArchitecture(options, temporary);
      await options.check?.(extracted, temporary);
    },
  };
  if (files.realPath) {
    const folder = destination.slice(0, destination.lastIndexOf('/'));
    if (!(await files.stat(folder)))
      await files.write([{ type: 'directory', path: folder, mode: 0o755, uid: 0, gid: 0 }]);
    const extracted = await extractMember({ ...common, to: await files.realPath(destination) });
    return { ...extracted, path: destination };
  }
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-'));
  try {
    const extracted = await extractMember({ ...common, to: join(folder, 'member') });
    await files.write([
      { type: 'file', path: destination, content: await readFile(extracted.path), ...binaryAttributes },
    ]);
    return { ...extracted, path: destination };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Where packages keep a tool: distributions' packages, plain tarballs, Kubernetes' node and server tarballs. */
export function usualMembers(tool: string): string[] {
  return [
    `usr/bin/${tool}`,
    `usr/local/bin/${tool}`,
    tool,
    `bin/${tool}`,
    `kubernetes/node/bin/${tool}`,
    `kubernetes/server/bin/${tool}`,
  ];
}
