/**
 * Puts fetched extensions in force, all or none: masks first, then links, one `systemd-sysext refresh`, then the tools'
 * links. When the refresh fails, links and masks are as before and a second refresh brings back what was merged.
 *
 * A record is written before the first change, so that a killed run is taken up, and what it left can be removed.
 * NK_EXTENSION_MERGE.
 */
import { NodekilnError } from '../../errors.ts';
import type { Files, FileWrite, Host } from '../../host/port.ts';
import type { ExtensionRecord } from '../../model/steps.ts';
import type { ActionOf, PerformContext } from '../performer.ts';
import { mergedNames } from './apply.ts';
import { imagesFolder, readRecord, removeRecords, writeRecords } from './records.ts';

const timeoutMs = 120_000;

interface Turn {
  readonly name: string;
  /** Undefined when it is taken away. */
  readonly next: ExtensionRecord | undefined;
  readonly previous: ExtensionRecord | undefined;
}

/** Merges what the action names and takes away what it removes; how, and what happens to a failure, is said above. */
export async function performMerge(context: PerformContext, action: ActionOf<'merge-extensions'>): Promise<void> {
  const { host } = context;
  const { files } = host;
  const turns = await turnsOf(files, action);
  const masks = await missing(
    files,
    turns.flatMap(({ next }) => next?.masks ?? []),
  );
  const links = await linksOf(files, turns);

  await writeRecords(files, 'record', turns.map(unsettled));
  await files.write(masks.map((path) => ({ type: 'symlink', path, target: '/dev/null' })));
  await relink(
    files,
    links.map(({ path, next }) => ({ path, target: next })),
  );
  if (host.units.mode === 'live') {
    try {
      await refresh(host, context.signal);
      await requireMerged(files, turns);
    } catch (thrown) {
      await relink(
        files,
        links.map(({ path, before }) => ({ path, target: before })),
      );
      // Before the masks go: until then what they cover is still merged.
      const restored = await refresh(host, undefined).then(
        () => true,
        () => false,
      );
      await files.remove(masks);
      const settled = turns.flatMap(({ previous }) => (previous ? [previous] : []));
      await writeRecords(files, 'record', settled);
      await removeRecords(
        files,
        'record',
        turns.filter(({ previous }) => !previous).map(({ name }) => name),
      );
      context.detail(
        restored ? 'the extensions of before are merged again' : 'the extensions of before cannot be merged either',
      );
      throw thrown;
    }
  }
  await linkTools(files, turns);
  await removeOwn(
    files,
    dropped(turns, ({ masks: list }) => list),
    '/dev/null',
  );
  await writeRecords(
    files,
    'record',
    turns.flatMap(({ next }) => (next ? [{ ...next, settled: true }] : [])),
  );
  await removeRecords(
    files,
    'record',
    turns.filter(({ next }) => !next).map(({ name }) => name),
  );
  await removeRecords(
    files,
    'candidate',
    turns.map(({ name }) => name),
  );
  await forgetImages(files, turns);
  const shown = turns.map(({ name, next }) => `${name}: ${next ? `${next.link} leads to ${next.file}` : 'removed'}`);
  for (const line of shown) context.detail(line);
}

async function turnsOf(files: Files, { extensions, remove }: ActionOf<'merge-extensions'>): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (const id of extensions) {
    const name = id.slice('extension:'.length);
    const next = await readRecord(files, name, 'candidate');
    if (!next) throw new NodekilnError('NK_INTERNAL', `nothing was fetched for ${id}`);
    turns.push({ name, next, previous: await readRecord(files, name, 'record') });
  }
  for (const name of remove) turns.push({ name, next: undefined, previous: await readRecord(files, name, 'record') });
  return turns;
}

/** Until it is settled the record holds what either state left. */
function unsettled({ name, next, previous }: Turn): ExtensionRecord {
  const base = next ?? previous;
  if (!base) throw new NodekilnError('NK_INTERNAL', `nothing is known of the extension ${name}`);
  const both = (list: (record: ExtensionRecord) => readonly string[]): string[] => [
    ...new Set([...(next ? list(next) : []), ...(previous ? list(previous) : [])]),
  ];
  return { ...base, masks: both(({ masks }) => masks), tools: both(({ tools }) => tools), settled: false };
}

async function missing(files: Files, paths: readonly string[]): Promise<string[]> {
  const absent = await Promise.all(paths.map(async (path) => ((await files.stat(path)) ? [] : [path])));
  return absent.flat();
}

interface Link {
  readonly path: string;
  readonly before: string | undefined;
  readonly next: string | undefined;
}

/** An extension of this name that is no link of ours stays, and is an error. */
async function linksOf(files: Files, turns: readonly Turn[]): Promise<Link[]> {
  const links: Link[] = [];
  for (const { name, next, previous } of turns) {
    for (const path of [`/etc/extensions/${name}`, `/etc/extensions/${name}.raw`]) {
      const there = await files.stat(path);
      const wanted = next?.link === path ? next.file : undefined;
      if (!there && wanted === undefined) continue;
      const ours = previous?.link === path;
      if (there && (there.type !== 'symlink' || (!ours && there.target !== wanted))) {
        throw new NodekilnError('NK_PLAN_CONFLICT', `${path} is there already and not from us`, {
          resource: `extension:${name}`,
          hint: 'Remove it, or give the extension of the document another name.',
        });
      }
      links.push({ path, before: there?.target, next: wanted });
    }
  }
  return links;
}

async function relink(files: Files, links: readonly { path: string; target: string | undefined }[]): Promise<void> {
  const writes = links.flatMap(({ path, target }): FileWrite[] =>
    target === undefined ? [] : [{ type: 'symlink', path, target }],
  );
  await files.write(writes);
  await files.remove(links.filter(({ target }) => target === undefined).map(({ path }) => path));
}

/** systemd 255 and later reload their manager themselves unless told; ours comes once, after everything is in place. */
async function refresh(host: Host, signal: AbortSignal | undefined): Promise<void> {
  const options = { timeoutMs, ...(signal && { signal }) };
  let result = await host.exec.run(['systemd-sysext', '--no-reload', 'refresh'], options);
  if (result.status !== 0 && /unrecognized option/.test(result.stderr))
    result = await host.exec.run(['systemd-sysext', 'refresh'], options);
  if (result.status === 0) return;
  throw new NodekilnError('NK_EXTENSION_MERGE', `systemd-sysext refresh ended with status ${result.status}`, {
    lines: result.stderr.trim().split('\n').slice(-10),
  });
}

/** systemd passes over an extension that it finds no fit, and ends with success. */
async function requireMerged(files: Files, turns: readonly Turn[]): Promise<void> {
  const names = await mergedNames(files);
  const absent = turns.filter(({ name, next }) => next !== undefined && !names.includes(name)).map(({ name }) => name);
  if (absent.length === 0) return;
  throw new NodekilnError('NK_EXTENSION_MERGE', `systemd-sysext refresh did not merge ${absent.join(', ')}`, {
    lines: [`merged: ${names.join(', ') || 'nothing'}`],
  });
}

async function linkTools(files: Files, turns: readonly Turn[]): Promise<void> {
  const tools = turns.flatMap(({ next }) => next?.tools ?? []);
  await files.write(tools.map((tool) => ({ type: 'symlink', path: `/opt/bin/${tool}`, target: `/usr/bin/${tool}` })));
  const kept = new Set(tools);
  for (const tool of dropped(turns, (record) => record.tools))
    if (!kept.has(tool)) await removeOwn(files, [`/opt/bin/${tool}`], `/usr/bin/${tool}`);
}

/** What the previous records list and no next one does. */
function dropped(turns: readonly Turn[], list: (record: ExtensionRecord) => readonly string[]): string[] {
  const kept = new Set(turns.flatMap(({ next }) => (next ? list(next) : [])));
  return turns.flatMap(({ previous }) => (previous ? list(previous) : [])).filter((item) => !kept.has(item));
}

/** Only links that still lead where ours did. */
async function removeOwn(files: Files, paths: readonly string[], target: string): Promise<void> {
  const stats = await Promise.all(paths.map((path) => files.stat(path)));
  await files.remove(paths.filter((_, index) => stats[index]?.target === target));
}

/** Of each extension the image in force and the one before stay, for a way back without a network. */
async function forgetImages(files: Files, turns: readonly Turn[]): Promise<void> {
  // What a killed run was looking into.
  await files.sweep([imagesFolder]);
  const all = await files.list(imagesFolder);
  const names = all.filter((name) => name.endsWith('.raw'));
  const folders = all.filter((name) => /-tarball-(x86-64|arm64)$/.test(name));
  for (const { name, next, previous } of turns) {
    const kept = next ? [next.file, previous?.file] : [];
    const own = names.filter((file) => file.startsWith(`${name}-v`) || file.startsWith(`${name}-fetched-`));
    await files.remove(own.map((file) => `${imagesFolder}/${file}`).filter((path) => !kept.includes(path)));
    for (const folder of folders.filter((file) => file.startsWith(`${name}-v`))) {
      const path = `${imagesFolder}/${folder}`;
      if (!kept.includes(path)) await files.removeTree(path);
    }
  }
}
