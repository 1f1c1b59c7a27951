/**
 * The cache of versioned binaries: `/opt/bin/<tool>-<key>` (AgentBaker's layout) and an index that says what each file
 * is, where it came from and how it looked when it was sealed. Baking adds to it; activating places a file out of it
 * without consuming it, so that a second run, a downgrade and a rollback need no network.
 *
 * All effects go through the host's files port. In: absolute host paths, versions as text. Digests `sha256:<hex>`, sizes
 * in bytes, mtimes in nanoseconds as text (JSON has no 64-bit numbers).
 */
import { errnoOf, NodekilnError } from '../../errors.ts';
import type { Files, PlaceMethod } from '../../host/port.ts';
import { asArch } from '../../model/arch.ts';
import { cacheKey, formatVersion, parseVersion, satisfies } from '../../model/version.ts';
import { bytesOf, textOf } from '../../model/bytes.ts';
import { imageLockPath } from '../../model/state-paths.ts';
import { bakedBinaries, cacheEntry, cacheIndex, type CacheEntry, type WrittenIndex } from './schema.ts';

export type { CacheEntry } from './schema.ts';

export const cacheDirectory = '/opt/bin';
export const cacheIndexPath = '/opt/nodekiln/cache/index.json';
/** Of every cached binary: executable by all, owned by root, so that activation may share the inode. */
export const binaryAttributes = { mode: 0o755, uid: 0, gid: 0 } as const;

/** Every binary in the cache. */
export interface CacheIndex extends Omit<WrittenIndex, 'entries'> {
  entries: CacheEntry[];
  /** What of it cannot be read. Entries that the image's lock knows are here all the same, without a seal that holds. */
  damage?: string;
}

const emptyIndex: CacheIndex = { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'ArtifactCache', entries: [] };

/** `/opt/bin/kubelet-1.34.3`. */
export function cachedPath(tool: string, key: string): string {
  return `${cacheDirectory}/${tool}-${key}`;
}

/** Empty when nothing was ever cached. What is damaged costs only itself: see `CacheIndex.damage`. */
export async function readIndex(files: Files): Promise<CacheIndex> {
  const found = await readEntries(files);
  if (found === undefined) return emptyIndex;
  const { entries, damage } = found;
  if (damage === undefined) return { ...emptyIndex, entries };
  const lost = (await bakedEntries(files)).filter((baked) => !entries.some((entry) => sameSlot(entry, baked)));
  return { ...emptyIndex, entries: [...entries, ...lost], damage };
}

/** NK_ARTIFACT_UNREADABLE for an index of which not everything can be read. */
export function requireWhole({ damage }: CacheIndex): void {
  if (damage !== undefined)
    throw new NodekilnError('NK_ARTIFACT_UNREADABLE', damage, {
      hint: 'Bake the image again, or remove the index to go without the cache.',
    });
}

/** What a process or the machine has too little of for a moment. */
const passing = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'];

async function readEntries(files: Files): Promise<{ entries: CacheEntry[]; damage?: string } | undefined> {
  let entries: unknown[];
  try {
    const bytes = await files.read(cacheIndexPath);
    if (bytes === undefined) return undefined;
    entries = cacheIndex.parse(JSON.parse(textOf(bytes))).entries;
  } catch (thrown) {
    // Another time it can be read: nothing of it is lost, and nobody writes it anew.
    if (passing.includes(errnoOf(thrown) ?? '')) throw thrown;
    return { entries: [], damage: `the cache's index ${cacheIndexPath} is damaged` };
  }
  const read = entries.flatMap((entry) => {
    const parsed = cacheEntry.safeParse(entry);
    return parsed.success && isKeyed(parsed.data) ? [parsed.data] : [];
  });
  const lost = entries.length - read.length;
  if (lost === 0) return { entries: read };
  return {
    entries: read,
    damage: `${lost} of ${entries.length} entries of the cache's index ${cacheIndexPath} are damaged`,
  };
}

/** Whether its file is the one of its version. */
function isKeyed({ version, key }: CacheEntry): boolean {
  try {
    return cacheKey(parseVersion(version)) === key;
  } catch {
    return false;
  }
}

/** Entries as the image's lock has them: their files are hashed before they are used, because nothing sealed them. */
async function bakedEntries(files: Files): Promise<CacheEntry[]> {
  try {
    const lock = bakedBinaries.parse(JSON.parse(textOf(await files.read(imageLockPath)) ?? ''));
    return lock.binaries.flatMap(({ path, tool, version, digest, size }) => {
      const key = cacheKey(parseVersion(version));
      if (path !== cachedPath(tool, key)) return [];
      const source = { type: 'image', location: imageLockPath };
      return [{ tool, version, key, digest, size, source, seal: { size, mtimeNs: '' } }];
    });
  } catch {
    return [];
  }
}

/** Changes to one index follow each other, however many steps of a plan run at once. */
const lastChange = new WeakMap<Files, Promise<unknown>>();

/** Puts the entry in place of the one with the same tool and key. Durable when it returns. */
export async function writeEntry(files: Files, entry: CacheEntry): Promise<void> {
  await changeIndex(files, (entries) => [...entries.filter((other) => !sameSlot(other, entry)), entry]);
}

/** Removes a version's file and entry. False when it was not cached. */
export async function removeFromCache(files: Files, tool: string, version: string): Promise<boolean> {
  const slot = { tool, key: cacheKey(parseVersion(version)) };
  // An entry without a file is refused; a file without an entry would be there for ever.
  const gone = await files.remove([cachedPath(slot.tool, slot.key)]);
  const removed = await changeIndex(files, (entries) => entries.filter((other) => !sameSlot(other, slot)));
  return removed || gone.length > 0;
}

function sameSlot(left: { tool: string; key: string }, right: { tool: string; key: string }): boolean {
  return left.tool === right.tool && left.key === right.key;
}

async function changeIndex(files: Files, change: (entries: CacheEntry[]) => CacheEntry[]): Promise<boolean> {
  const before = lastChange.get(files) ?? Promise.resolve();
  const work = before.then(async () => {
    const index = await readIndex(files);
    if (index.damage !== undefined) await setIndexAside(files);
    const entries = change(index.entries).sort((a, b) => (`${a.tool} ${a.key}` < `${b.tool} ${b.key}` ? -1 : 1));
    const content = bytesOf(`${JSON.stringify({ ...emptyIndex, entries }, undefined, 2)}\n`);
    const [outcome] = await files.write([{ type: 'file', path: cacheIndexPath, content, mode: 0o644, uid: 0, gid: 0 }]);
    return outcome !== 'unchanged';
  });
  lastChange.set(
    files,
    work.catch(() => undefined),
  );
  return work;
}

/**
 * Sets an index aside that is damaged, and writes it anew with what of it can be had, each file hashed that nothing sealed.
 * What was damaged; undefined when nothing was.
 */
export async function mendIndex(files: Files): Promise<string | undefined> {
  const { entries, damage } = await readIndex(files);
  if (damage === undefined) return undefined;
  const sealed: CacheEntry[] = [];
  for (const entry of entries) {
    const verified = await verifyCached(files, entry);
    sealed.push(verified.ok ? verified.entry : entry);
  }
  await changeIndex(files, () => sealed);
  return damage;
}

async function setIndexAside(files: Files): Promise<void> {
  const aside = `${cacheIndexPath}.damaged`;
  await files.removeTree(aside);
  await files.move(cacheIndexPath, aside);
}

// ── looking up ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Which binary is wanted. */
export interface CacheRequest {
  readonly tool: string;
  /** A pinned revision or distribution is honoured. */
  readonly version: string;
  /** The host's; entries for another are passed over. */
  readonly architecture?: string;
}

/** The one that is exactly that, or why each other is not. */
export type CacheLookup =
  | { readonly found: true; readonly entry: CacheEntry }
  | { readonly found: false; readonly why: readonly string[] };

/** The entry that is exactly what was asked for, or what was seen and why each was passed over. Pure. */
export function findCached(index: CacheIndex, request: CacheRequest): CacheLookup {
  const wanted = parseVersion(request.version);
  const why: string[] = [];
  for (const entry of index.entries) {
    if (entry.tool !== request.tool) continue;
    const cached = parseVersion(entry.version);
    const file = cachedPath(entry.tool, entry.key);
    if (cacheKey(cached) !== cacheKey(wanted)) why.push(`${file} is another version`);
    else if (!satisfies(wanted, cached))
      why.push(`${file} is the build ${entry.version}, not ${formatVersion(wanted)}`);
    else if (!runsOn(entry, request.architecture))
      why.push(`${file} is for ${entry.architecture}, not ${request.architecture}`);
    else return { found: true, entry };
  }
  if (why.length === 0) why.push(`no version of ${request.tool} is cached`);
  return { found: false, why: [...why, ...(index.damage === undefined ? [] : [index.damage])] };
}

function runsOn(entry: CacheEntry, architecture: string | undefined): boolean {
  if (entry.architecture === undefined || architecture === undefined) return true;
  return entry.architecture === (asArch(architecture) ?? architecture);
}

export type Verification =
  /** `entry` has a new seal when the old one was broken and the content right; `writeEntry` keeps it. */
  | { readonly ok: true; readonly entry: CacheEntry; readonly rehashed: boolean }
  | { readonly ok: false; readonly why: string };

/** Regular, not empty, sealed as recorded, or else of the right digest. `rehash` trusts no seal. */
export async function verifyCached(
  files: Files,
  entry: CacheEntry,
  options: { rehash?: boolean } = {},
): Promise<Verification> {
  const path = cachedPath(entry.tool, entry.key);
  const stat = await files.stat(path);
  if (!stat) return { ok: false, why: `${path} is missing` };
  if (stat.type !== 'file') return { ok: false, why: `${path} is no regular file but a ${stat.type}` };
  if (stat.size === 0) return { ok: false, why: `${path} is empty` };
  if (stat.size !== entry.size) return { ok: false, why: `${path} has ${stat.size} bytes, not ${entry.size}` };
  const mtimeNs = String(stat.mtimeNs);
  const sealed = entry.seal.size === stat.size && entry.seal.mtimeNs === mtimeNs;
  if (sealed && !options.rehash) return { ok: true, entry, rehashed: false };
  const digest = await files.digest(path);
  if (digest !== entry.digest) return { ok: false, why: `${path} has the digest ${digest}, not ${entry.digest}` };
  return { ok: true, entry: sealed ? entry : { ...entry, seal: { size: stat.size, mtimeNs } }, rehashed: true };
}

/** Finds and verifies in one; a broken seal over right content is renewed. */
export async function openCached(
  files: Files,
  request: CacheRequest,
  options: { rehash?: boolean } = {},
): Promise<CacheLookup> {
  const lookup = findCached(await readIndex(files), request);
  if (!lookup.found) return lookup;
  const verified = await verifyCached(files, lookup.entry, options);
  if (!verified.ok) return { found: false, why: [verified.why] };
  if (verified.entry !== lookup.entry) await writeEntry(files, verified.entry);
  return { found: true, entry: verified.entry };
}

// ── activating ───────────────────────────────────────────────────────────────────────────────────────────────────

/** What activating came to. */
export interface Activation {
  readonly outcome: 'unchanged' | 'activated';
  readonly method: PlaceMethod;
}

/** Puts a verified entry at the target, which may be a symlink, running, or missing. The cache keeps its file. */
export async function activate(files: Files, activation: { entry: CacheEntry; target: string }): Promise<Activation> {
  const { entry, target } = activation;
  const method = await files.place(cachedPath(entry.tool, entry.key), target, binaryAttributes);
  return { outcome: method === 'unchanged' ? 'unchanged' : 'activated', method };
}

/**
 * The digest of what is at a target, without reading 100 MB when it is the cached file itself (hard link) under a seal
 * that holds; undefined when there is no regular file.
 */
export async function targetDigest(
  files: Files,
  target: string,
  entry: CacheEntry | undefined,
): Promise<string | undefined> {
  const stat = await files.stat(target);
  if (stat?.type !== 'file') return undefined;
  const cached = entry && (await files.stat(cachedPath(entry.tool, entry.key)));
  const same = cached && cached.inode === stat.inode && cached.device === stat.device;
  if (same && entry.seal.size === stat.size && entry.seal.mtimeNs === String(stat.mtimeNs)) return entry.digest;
  return files.digest(target);
}
