/**
 * Adds a binary to the cache: takes it out of its package as a stream, checks that it is what was asked for (version,
 * architecture, digest), refuses a second build under one key, seals it and records it. Also puts a member of a package
 * straight at a target, for sources that are not the cache.
 *
 * In: a package in our own file system (at bake beside the manifest, at boot on the host). Errors: those of extract.ts,
 * NK_ARTIFACT_NO_PROGRAM, NK_ARTIFACT_VERSION, NK_ARTIFACT_ARCHITECTURE, NK_CACHE_CONFLICT.
 */
import { NodekilnError } from '../../errors.ts';
import type { Files, Host, StagedFile } from '../../host/port.ts';
import { asArch } from '../../model/arch.ts';
import { binaryAttributes, cachedPath, readIndex, verifyCached, writeEntry } from './cache.ts';
import type { CacheEntry } from './cache.ts';
import { elfArchitecture, elfHeadBytes } from '../../host/elf/elf.ts';
import { machineName, programForm, type ProgramForm } from '../elf/program.ts';
import { extractMember } from '../extract.ts';
import type { Extracted, ExtractOptions } from '../extract.ts';
import type { FormatName } from '../formats/format.ts';
import type { PackageHost } from '../formats/open.ts';
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

/** A binary that shall be in the cache, and what it is taken from. */
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

/** What is in the cache now. */
export interface Added {
  readonly outcome: 'added' | 'unchanged';
  readonly entry: CacheEntry;
}

/** The host whose cache it is, and the packages of our own file system. */
export type CacheHost = PackageHost & Pick<Host, 'files'>;

/** One build under work at a time per key, so that two of them cannot pass the conflict check together. */
const busy = new WeakMap<Files, Map<string, Promise<unknown>>>();

/** Takes the binary out of its package into the cache; `unchanged` when it is there, whole, already. Errors above. */
export async function addToCache(host: CacheHost, request: AddRequest): Promise<Added> {
  const { files } = host;
  const key = cacheKey(parseVersion(request.version));
  const path = cachedPath(request.tool, key);
  const running = busy.get(files) ?? new Map<string, Promise<unknown>>();
  busy.set(files, running);
  const work = (running.get(path) ?? Promise.resolve()).then(() => add(host, request, { key, path }));
  running.set(
    path,
    work.catch(() => undefined),
  );
  return work;
}

async function add(host: CacheHost, request: AddRequest, slot: { key: string; path: string }): Promise<Added> {
  const { files } = host;
  const existing = (await readIndex(files)).entries.find(
    (entry) => entry.tool === request.tool && entry.key === slot.key,
  );
  if (existing && (await isIntact(files, existing, request))) return { outcome: 'unchanged', entry: existing };
  let architecture: CacheEntry['architecture'];
  const extracted = await materialise(host, slot.path, {
    ...request,
    check: async (result, staged) => {
      architecture = await architectureOf(staged);
      await request.check?.(result, staged);
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

/** What is no program at all, and what is one for another processor. */
async function checkForm(request: MaterialiseOptions, staged: StagedFile, member: string): Promise<void> {
  requireProgram(await programForm(staged, staged.size), request, member);
}

/** NK_ARTIFACT_NO_PROGRAM, NK_ARTIFACT_ARCHITECTURE. */
export function requireProgram(
  form: ProgramForm,
  request: Pick<MaterialiseOptions, 'tool' | 'architecture'> & {
    readonly source: { readonly path: string; readonly location?: string };
  },
  member = '',
): void {
  const { path, location = path } = request.source;
  if (form.type === 'none') {
    throw new NodekilnError(
      'NK_ARTIFACT_NO_PROGRAM',
      `${request.tool} from ${location}${member === '' ? '' : ` (${member})`} is no program: it ${form.why}`,
      { resource: location },
    );
  }
  if (form.type === 'script' || request.architecture === undefined) return;
  const [actual, wanted] = [form.architecture, asArch(request.architecture) ?? request.architecture];
  if (actual === wanted) return;
  throw new NodekilnError(
    'NK_ARTIFACT_ARCHITECTURE',
    `${request.tool} in ${request.source.path} is for ${machineName(actual)}, and the host is ${wanted}`,
    { resource: request.source.path },
  );
}

async function architectureOf(staged: StagedFile): Promise<string | undefined> {
  return elfArchitecture(await staged.read(0, elfHeadBytes));
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

/** A binary that shall be at a place, and what it is taken from. */
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

/** Puts the binary of a package at a host path, 0755 root:root, whole or not at all. */
export async function materialise(
  host: CacheHost,
  destination: string,
  options: MaterialiseOptions,
): Promise<Extracted> {
  const { source } = options;
  return extractMember(host, {
    source: source.path,
    ...(source.format && { format: source.format }),
    member: source.member ?? usualMembers(options.tool),
    ...(source.packageDigest !== undefined && { packageDigest: source.packageDigest }),
    ...(source.digest !== undefined && { digest: source.digest }),
    files: host.files,
    to: destination,
    mode: binaryAttributes.mode,
    owner: binaryAttributes,
    ...(options.signal && { signal: options.signal }),
    check: async (extracted, staged) => {
      checkVersion(options, extracted);
      await checkForm(options, staged, extracted.member);
      await options.check?.(extracted, staged);
    },
  });
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
