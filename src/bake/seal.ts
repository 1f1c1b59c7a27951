/**
 * Sealing: takes out of a root, or off the running machine, whatever belongs to one machine only, so that what is captured
 * starts as many machines. containerd and kubelet neither run nor start by themselves; every cached binary is read in full
 * once more and its seal renewed. What is removed is the table of image/trace-table.ts. Sealing again finds nothing to do.
 *
 * `/etc/machine-id` becomes an empty file: systemd then makes an id at the next start and keeps it, but does not take that
 * start for the very first. `uninitialized` in it, or no file at all, would (machine-id(5), First Boot Semantics): presets
 * would be applied and units start that the manifest left off.
 *
 * Errors: NK_UNSUPPORTED (a machine that was booted beyond what can be shared), NK_ARTIFACT_DIGEST (a damaged cache; nothing
 * was removed then), NK_STATE_LOCKED, NK_FILE_WRITE.
 */
import {
  cachedPath,
  readIndex,
  requireWhole,
  verifyCached,
  writeEntry,
  type CacheEntry,
} from '../artifacts/cache/cache.ts';
import { lookAtJournal, openExistingJournal, type Journal } from '../apply/journal.ts';
import { takeHostLock } from '../apply/host-lock.ts';
import { sshHostKeysUnit, sshHostKeysUnitName } from '../desired/own-units.ts';
import { sha256 } from '../host/digest.ts';
import { bytesOf, equalBytes } from '../model/bytes.ts';
import { NodekilnError } from '../errors.ts';
import { withFaults } from '../host/faults.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Files, Host } from '../host/port.ts';
import { isAbsolute, normalize } from '../model/path.ts';
import type { ImageLock } from '../image/image-lock.ts';
import { traces } from '../image/trace-table.ts';
import { findLogs, findTrace, isKept, machineIdPath, machineIdProblem, walk } from '../image/traces.ts';
import { readImageLock, writeImageLock } from './image-lock.ts';
import { restoreResolver } from './resolver.ts';

export interface SealOptions {
  /** The root folder; the running machine when it is `/`. */
  readonly root: string;
  /** Say what would be done and change nothing. */
  readonly dryRun?: boolean;
  /** Paths that stay, with all that is in them. */
  readonly keep?: readonly string[];
}

export interface SealReport {
  readonly root: string;
  readonly dryRun: boolean;
  /** False when everything was sealed already. */
  readonly changed: boolean;
  readonly stopped: readonly string[];
  readonly disabled: readonly string[];
  readonly removed: readonly {
    readonly id: string;
    readonly title: string;
    readonly why: string;
    readonly paths: readonly string[];
  }[];
  /** Files that keep their place and lose their content. */
  readonly emptied: readonly string[];
  /** Files put into place. */
  readonly written: readonly string[];
  /** Cached binaries: how many were read in full, and whose seal had to be renewed. */
  readonly cache: { readonly verified: number; readonly renewed: readonly string[] };
}

/** Kept from starting by themselves: they are configured at the first boot. */
const runtimeUnits = ['kubelet.service', 'containerd.service'];
/** Would write again, while the machine goes down, what was just removed. */
const writers = ['nodekiln-agent.service', ...runtimeUnits, 'systemd-random-seed.service'];
const lockWaitMs = 10_000;

export async function sealImage(options: SealOptions): Promise<SealReport> {
  const host = withFaults(createLinuxHost({ root: options.root }));
  try {
    if (host.program.owner.uid !== 0) throw new NodekilnError('NK_NOT_ROOT', 'sealing needs root rights');
    return await sealHost(host, options);
  } finally {
    await host.close();
  }
}

export async function sealHost(
  host: Host,
  { dryRun = false, keep = [] }: Omit<SealOptions, 'root'>,
): Promise<SealReport> {
  refuseRelative(keep);
  const lock = dryRun ? undefined : await takeHostLock(host, { waitMs: lockWaitMs });
  const journal = dryRun ? await lookAtJournal(host) : await openExistingJournal(host);
  try {
    return await sealLocked({ host, journal, dryRun, keep });
  } finally {
    journal?.close();
    lock?.release();
  }
}

interface Work {
  readonly host: Host;
  readonly journal: Journal | undefined;
  readonly dryRun: boolean;
  readonly keep: readonly string[];
}

function refuseRelative(keep: readonly string[]): void {
  for (const path of keep) {
    if (isAbsolute(path) && normalize(path) === path && !path.endsWith('/')) continue;
    throw new NodekilnError('NK_USAGE', `${JSON.stringify(path)} is no path to keep`, {
      hint: 'Give it as it is in the root: absolute, without . and .. and without a slash at its end.',
    });
  }
}

async function sealLocked(work: Work): Promise<SealReport> {
  const { host, journal, dryRun, keep } = work;
  refuseNodes(journal);
  if (!dryRun) await restoreResolver(host.files);
  const cache = await verifyCache(host.files);
  const units = await quietUnits(work);
  const imageLock = await readImageLock(host.files);
  const kept = new Set([...keep, ...keptPaths(imageLock, journal)]);
  const removed = await removeTraces(work, kept);
  const emptied = await emptyFiles(work, { removed: removed.flatMap(({ paths }) => paths), kept });
  const written = await makeHostKeysAtBoot(work);
  if (!dryRun) {
    for (const entry of cache.renewed) await writeEntry(host.files, entry);
    if (journal?.note('agent') !== undefined) journal.setNote('agent', null);
    if (imageLock) await writeImageLock(host.files, await sealedLock(work, imageLock, written));
  }
  const report = {
    root: host.root,
    dryRun,
    ...units,
    removed,
    emptied,
    written,
    cache: { verified: cache.verified, renewed: cache.renewed.map(({ tool, key }) => cachedPath(tool, key)) },
  };
  const changed = [units.stopped, units.disabled, removed, emptied, written, cache.renewed].some(
    (list) => list.length > 0,
  );
  return { ...report, changed };
}

/** What belongs to one node must not be captured, and is not ours to take away here: its tokens may be anywhere. */
function refuseNodes(journal: Journal | undefined): void {
  const claims = Object.entries(journal?.claims() ?? {});
  const ofNode = claims.flatMap(([source, resources]) =>
    source === 'image' ? [] : (resources ?? []).filter(({ scope }) => scope === 'node'),
  );
  const [first] = ofNode;
  if (!first) return;
  throw new NodekilnError('NK_UNSUPPORTED', `this machine was made a node already: ${first.id} belongs to it alone`, {
    resource: first.id,
    hint: 'Capture a machine that went no further than `nodekiln boot --until shared`.',
    lines: ofNode.slice(0, 20).map(({ id }) => id),
  });
}

// ── cache ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Every cached binary by its whole content, before anything is touched. */
async function verifyCache(files: Files): Promise<{ verified: number; renewed: CacheEntry[] }> {
  const index = await readIndex(files);
  requireWhole(index);
  const { entries } = index;
  const renewed: CacheEntry[] = [];
  const problems: string[] = [];
  for (const entry of entries) {
    const verified = await verifyCached(files, entry, { rehash: true });
    if (!verified.ok) problems.push(verified.why);
    else if (verified.entry !== entry) renewed.push(verified.entry);
  }
  if (problems.length > 0) {
    throw new NodekilnError('NK_ARTIFACT_DIGEST', 'the cache is damaged; nothing was sealed', {
      hint: 'Bake again: it replaces what is damaged.',
      problems: problems.map((message) => ({ message })),
    });
  }
  return { verified: entries.length, renewed };
}

// ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function quietUnits({ host, dryRun }: Work): Promise<Pick<SealReport, 'stopped' | 'disabled'>> {
  const { units } = host;
  const stopped: string[] = [];
  for (const name of units.mode === 'live' ? writers : []) {
    const { activeState } = await units.get(name);
    if (activeState === 'inactive' || activeState === 'failed') continue;
    stopped.push(name);
    if (!dryRun) await (await units.stop(name)).result;
  }
  const disabled: string[] = [];
  for (const name of runtimeUnits) {
    if (!(await units.enablement(name)).startsWith('enabled')) continue;
    disabled.push(name);
    if (!dryRun) await units.setEnablement('disable', [name]);
  }
  return { stopped, disabled };
}

// ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What documents put there on purpose stays. */
function keptPaths(lock: ImageLock | undefined, journal: Journal | undefined): Set<string> {
  const claimed = Object.values(journal?.claims() ?? {}).flatMap((resources) =>
    (resources ?? []).flatMap((resource) => (resource.kind === 'file' ? [resource.path] : [])),
  );
  return new Set([...claimed, ...(lock?.files.map(({ path }) => path) ?? [])]);
}

async function removeTraces({ host, dryRun }: Work, kept: ReadonlySet<string>): Promise<SealReport['removed']> {
  const removed = [];
  for (const trace of traces) {
    if (trace.offlineOnly === true && host.root === '/') continue;
    const paths = await findTrace(host.files, trace, kept);
    if (paths.length === 0) continue;
    removed.push({ id: trace.id, title: trace.title, why: trace.why, paths });
    if (!dryRun) await removeTrees(host.files, paths);
  }
  return removed;
}

async function removeTrees(files: Files, paths: readonly string[]): Promise<void> {
  const all: string[] = [...paths];
  for (const path of paths) {
    if ((await files.stat(path))?.type === 'directory') await walk(files, path, (inner) => void all.push(inner));
  }
  await files.remove(all);
}

async function emptyFiles(
  { host, dryRun }: Work,
  { removed, kept }: { readonly removed: readonly string[]; readonly kept: ReadonlySet<string> },
): Promise<string[]> {
  const { files } = host;
  const logs = await findLogs(files, removed, kept);
  const writes = logs.map(({ path, stat }) => ({ path, mode: stat.mode, uid: stat.uid, gid: stat.gid }));
  if (!isKept(machineIdPath, kept) && (await machineIdProblem(files)) !== undefined)
    writes.push({ path: machineIdPath, mode: 0o444, uid: 0, gid: 0 });
  const content = new Uint8Array();
  if (!dryRun) await files.write(writes.map((write) => ({ type: 'file', content, ...write })));
  return writes.map(({ path }) => path);
}

// ── host keys ────────────────────────────────────────────────────────────────────────────────────────────────────

const unitPath = `/etc/systemd/system/${sshHostKeysUnitName}`;
/** What makes host keys where distributions or clouds do it themselves. */
const keyMakers = [
  '/usr/bin/cloud-init',
  '/usr/lib/systemd/system/sshd-keygen.target',
  '/usr/lib/systemd/system/sshd-keygen@.service',
  '/usr/lib/systemd/system/sshdgenkeys.service',
  '/usr/lib/systemd/system/regenerate_ssh_host_keys.service',
];

/** An SSH server without host keys does not start: where nobody else makes them, a unit of ours does. */
async function makeHostKeysAtBoot({ host, dryRun }: Work): Promise<string[]> {
  const { files, units } = host;
  const there = await Promise.all(['/usr/sbin/sshd', '/usr/bin/ssh-keygen'].map((path) => files.stat(path)));
  if (there.includes(undefined)) return [];
  const makers = await Promise.all(keyMakers.map((path) => files.stat(path)));
  if (makers.some((maker) => maker !== undefined)) return [];
  const content = bytesOf(sshHostKeysUnit());
  const present = await files.read(unitPath);
  if (present && equalBytes(present, content) && (await units.enablement(sshHostKeysUnitName)) === 'enabled') return [];
  if (!dryRun) {
    await files.write([{ type: 'file', path: unitPath, content, mode: 0o644, uid: 0, gid: 0 }]);
    if (units.mode === 'live') await units.daemonReload();
    await units.setEnablement('enable', [sshHostKeysUnitName]);
  }
  return [unitPath];
}

// ── the image's lock ─────────────────────────────────────────────────────────────────────────────────────────────

/** Units that sealing or a half boot decided over as they stand now, and the unit that is new. */
async function sealedLock(
  { host, journal, keep }: Work,
  lock: ImageLock,
  written: readonly string[],
): Promise<ImageLock> {
  const claimed = Object.values(journal?.claims() ?? {}).flatMap((resources) =>
    (resources ?? []).flatMap((resource) => (resource.kind === 'unit' ? [resource.name] : [])),
  );
  const ours = new Set([...claimed, ...runtimeUnits, sshHostKeysUnitName]);
  const names = new Set([...lock.units.map(({ name }) => name), ...ours]);
  const units = await Promise.all(
    [...names].map(async (name) => {
      const state = lock.units.find((unit) => unit.name === name)?.state ?? '';
      return { name, state: ours.has(name) ? await host.units.enablement(name) : state };
    }),
  );
  const others = lock.files.filter(({ path }) => path !== unitPath);
  const own = lock.files.some(({ path }) => path === unitPath) || written.includes(unitPath);
  const { kept: _, ...rest } = lock;
  return {
    ...rest,
    ...(keep.length > 0 && { kept: [...new Set(keep)].sort() }),
    units: units.filter(({ state }) => state !== ''),
    files: own
      ? [...others, { path: unitPath, digest: sha256(sshHostKeysUnit()), mode: '0644', uid: 0, gid: 0 }]
      : others,
  };
}
