/**
 * Parts of transfers that broke off, for the next run to go on with: what came, and what proves that the rest belongs to it.
 * Each lies in a folder of its own, claimed by one process at a time and let go when it ends, whatever ends it; what
 * nobody asks for again is given up. A part of a known digest is proved when it is whole. Any other needs the server's
 * validator and the bytes as they were written: after a loss of power only those that were synced at an orderly end.
 *
 * Without a place to keep them (a full or read-only disk) transfers begin anew. Milliseconds, bytes.
 */
import { NodekilnError } from '../../errors.ts';
import { readBootId } from '../../host/boot-id.ts';
import { createDigest, sha256 } from '../../host/digest.ts';
import type { Clock, ContinuedFile, Files, Program } from '../../host/port.ts';
import { bytesOf, textOf } from '../../model/bytes.ts';
import { join } from '../../model/path.ts';
import { partState, type PartState } from './schema-part.ts';

/** Where parts are kept, in our own file system, and whose they are. */
export interface PartsPlace {
  readonly folder: string;
  readonly owner: Program['owner'];
}

/** What a server said of the file that a part is of. */
export interface Known {
  readonly validator: string | undefined;
  /** Bytes of the whole. */
  readonly total: number | undefined;
}

/** A part in our hands; `keep`, `publish` or `discard` it. */
export interface Part {
  readonly staged: ContinuedFile;
  /** Of what is there already. */
  readonly known: Known;
  /** To be told before the first byte of a file is written. */
  note(known: Known): Promise<void>;
  /** For the next run, if it could go on with it. */
  keep(): Promise<void>;
  /** The whole file to its place, durably, 0644. */
  publish(to: string): Promise<void>;
  discard(): Promise<void>;
}

export interface PartWanted {
  readonly local: Files;
  readonly clock: Clock;
  readonly parts: PartsPlace;
  readonly url: string;
  readonly digest?: string;
}

const stateName = 'state.json';
const largestStateBytes = 64 * 1024;
const limits = { count: 16, bytes: 8 * 1024 ** 3, ageMs: 7 * 24 * 3_600_000 };
/** Written to by somebody a moment ago. */
const busyMs = 10 * 60_000;

/** What there is of a file, or an empty part; undefined where none can be kept. */
export async function openPart(wanted: PartWanted): Promise<Part | undefined> {
  try {
    return await open(wanted);
  } catch (thrown) {
    if (thrown instanceof NodekilnError && thrown.code === 'NK_FILE_WRITE') return undefined;
    throw thrown;
  }
}

async function open({ local, clock, parts, url, digest }: PartWanted): Promise<Part> {
  await local.write([{ type: 'directory', path: parts.folder, mode: 0o700, ...parts.owner }]);
  await prune(local, { folder: parts.folder, now: clock.now() });
  const address = sha256(url);
  const name = createDigest()
    .update(digest ?? url)
    .hex()
    .slice(0, 32);
  const folder = await local.claimFolder(parts.folder, name);
  const staged = await local.continue(folder, 'part');
  const boot = await readBootId(local);
  const before = await readState(local, folder);
  const known = { validator: undefined, total: undefined, ...(before?.address === address && before) };
  if (digest === undefined && !(await isAsWritten(staged, known.validator === undefined ? undefined : before, boot)))
    await staged.restart();
  let latest: PartState = { ...known, address, boot };

  const save = async (next: PartState): Promise<void> => {
    latest = next;
    const content = bytesOf(JSON.stringify(next));
    await local.write([{ type: 'file', path: join(folder, stateName), content, mode: 0o600, ...parts.owner }]);
  };
  const remove = async (): Promise<void> => {
    await staged.discard();
    await local.removeTree(folder);
  };
  return {
    staged,
    known: staged.size === 0 ? { validator: undefined, total: undefined } : known,
    note: ({ validator, total }) => save({ address, boot, validator, total }),
    keep: async () => {
      if (staged.size === 0 || (digest === undefined && latest.validator === undefined)) return remove();
      await save({ ...latest, kept: { size: staged.size, digest: await staged.digest() } });
      await staged.keep();
      await local.releaseFolder(folder);
    },
    publish: async (to) => {
      const attributes = { mode: 0o644, ...parts.owner };
      await staged.publish('whole', attributes);
      await local.place(join(folder, 'whole'), to, attributes);
      await local.removeTree(folder);
    },
    discard: remove,
  };
}

/** Undefined when there is none, or none that can be understood. */
async function readState(local: Files, folder: string): Promise<PartState | undefined> {
  try {
    const content = await local.read(join(folder, stateName), { maxBytes: largestStateBytes });
    return content && partState.parse(JSON.parse(textOf(content)));
  } catch {
    return undefined;
  }
}

async function isAsWritten(staged: ContinuedFile, before: PartState | undefined, boot: string): Promise<boolean> {
  if (before === undefined) return false;
  const { kept } = before;
  if (kept) return kept.size === staged.size && kept.digest === (await staged.digest());
  return boot !== '' && before.boot === boot;
}

/** The oldest go first, and those that nobody came back for. */
async function prune(local: Files, { folder, now }: { readonly folder: string; readonly now: number }): Promise<void> {
  const found: { readonly path: string; readonly ageMs: number; readonly size: number }[] = [];
  for (const { name, type } of await local.entries(folder)) {
    if (type !== 'directory') continue;
    const path = join(folder, name);
    const stat = (await local.stat(join(path, 'part'))) ?? (await local.stat(path));
    if (stat) found.push({ path, ageMs: now - Number(stat.mtimeNs / 1_000_000n), size: stat.size });
  }
  let bytes = 0;
  for (const [index, { path, ageMs, size }] of found.toSorted((a, b) => a.ageMs - b.ageMs).entries()) {
    bytes += size;
    const isMuch = index >= limits.count || bytes > limits.bytes;
    if (ageMs > limits.ageMs || (isMuch && ageMs > busyMs)) await local.removeTree(path);
  }
}
