/**
 * Paths of a host as paths of our own file system. Every path is walked component by component, with symlinks interpreted
 * as the host would see them: in a root folder, absolute targets start there and `..` never leads out of it.
 *
 * A link is followed only where nobody else could have put it: in a folder that other users may write to it is refused,
 * whatever it leads to (the rule of systemd-tmpfiles and of the kernel's protected_symlinks). Folders that others can
 * exchange while we walk are held open, and what lies in them is reached through `/proc/self/fd`: what is swapped meanwhile
 * leads nowhere. Of everything else the path is enough, unless it is too long for one system call.
 *
 * In: absolute host paths. Out: absolute paths without a symlink except, when asked for, the last component; missing
 * components are kept as they are written. Errors: NK_PATH_UNSAFE; system errors (ELOOP after 40 symlinks, like the kernel).
 */
import { errnoOf, NodekilnError } from '../errors.ts';
import { basename, dirname, join, normalize } from '../model/path.ts';
import { exposureOf, isFixed, isOthers, isWritableByMore, type Exposure, type Passed } from '../model/trust.ts';
import type { Descriptor, Disk, Look } from './disk.ts';
import { makeFolders } from './folders.ts';
import { exchanged, unsafe } from './unsafe.ts';

const maxSymlinks = 40;
/** Of a path in characters, so that with a name more it is no longer than a system call takes (PATH_MAX), in any script. */
const longestPath = 1000;

export interface PathResolver {
  readonly root: string;
  /** The entry itself, by its name: for who cannot hold anything. A symlink in the last component is not followed. */
  entry(path: string): Promise<string>;
  /** What the path leads to, by its name: every symlink is followed. */
  target(path: string): Promise<string>;
  /** What of the way to it somebody else can change, and it itself; undefined when nothing, or nothing is there. */
  exposure(path: string): Promise<Exposure | undefined>;
  /** Paths that nobody can lead elsewhere before they are released. */
  hold(): Places;
}

/** The paths of one operation. */
export interface Places {
  /** The entry itself. ENOENT where a folder is missing in one that others may write to. */
  entry(path: string): Promise<string>;
  /** What the path leads to. */
  target(path: string): Promise<string>;
  /** What it leads to, for reading. */
  open(path: string): Promise<Descriptor>;
  /** The entry itself, its folder made when missing; `touched` collects the folders to sync. NK_PATH_UNSAFE when that does not stay. */
  made(path: string, touched: Set<string>): Promise<string>;
  /** Folders have changed: they are looked up anew. */
  forget(): void;
  release(): Promise<void>;
  /** The error with names for people in place of what is held; NK_PATH_UNSAFE for what is missing in a folder that was made. */
  named(thrown: unknown): unknown;
}

/** Works with paths that are held that long. */
export async function holding<Result>(
  resolver: PathResolver,
  work: (places: Places) => Promise<Result>,
): Promise<Result> {
  const places = resolver.hold();
  try {
    return await work(places);
  } catch (thrown) {
    throw places.named(thrown);
  } finally {
    await places.release();
  }
}

export function createPathResolver(disk: Disk, root: string): PathResolver {
  const about: About = { disk, root };
  return {
    root,
    entry: (path) => entryIn(walks(about), path).then(({ name }) => name),
    target: (path) => walks(about)(normalise(path)).then(({ name }) => name),
    exposure: (path) => exposureIn(about, path),
    hold: () => holdPlaces(about),
  };
}

/** An absolute path without `.`, `..`, doubled or trailing slashes. */
export function normalise(path: string): string {
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new NodekilnError('NK_INTERNAL', `not an absolute path: ${JSON.stringify(path)}`);
  }
  const clean = normalize(path);
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}

interface About {
  readonly disk: Disk;
  readonly root: string;
}

/** How far a walk has come. */
interface Reached {
  /** By which name system calls reach it. */
  readonly real: string;
  /** Its own path in our own file system. */
  readonly name: string;
  readonly found: Look | undefined;
}

/** From the host's `/` on. */
type Walk = (path: string) => Promise<Reached>;

/** What a walk does beside walking. */
interface Walking {
  /** Holds on to what others can exchange. */
  readonly hold?: (at: Reached) => Promise<Reached>;
  /** Is told of each component. */
  readonly pass?: (above: Reached, next: Reached) => void;
  /** Makes a folder that is missing. */
  readonly make?: (at: Reached) => Promise<void>;
}

async function exposureIn(about: About, path: string): Promise<Exposure | undefined> {
  const { disk, root } = about;
  const way: Passed[] = [];
  const named = ({ name }: Reached, found: Look): Passed['entry'] => ({ ...found, path: inRoot(root, name) });
  const pass = (above: Reached, next: Reached): void => {
    if (above.found && next.found) way.push({ folder: named(above, above.found), entry: named(next, next.found) });
  };
  const { found } = await walks(about, { pass })(normalise(path));
  // Whose the root of the host is could have put anything there.
  const top = about.disk.look(root);
  const trusted = [disk.self, disk.self.sudoer, top].filter((each) => each !== undefined);
  if (!found) return undefined;
  const exposure = exposureOf(way, [disk.self, ...trusted]);
  return exposure && exposureOf(await Promise.all(way.map((each) => asMounted(about, each))), [disk.self, ...trusted]);
}

/** Where nobody writes, nobody does by its mode. */
async function asMounted({ disk, root }: About, { folder, entry }: Passed): Promise<Passed> {
  const mounted = async (named: Passed['entry']): Promise<Passed['entry']> =>
    isWritableByMore(named, disk.self) && (await disk.isReadOnly(join(root, named.path))) ? withoutWrite(named) : named;
  return { folder: await mounted(folder), entry: await mounted(entry) };
}

function withoutWrite<Of extends { readonly mode: number }>(entry: Of): Of {
  return { ...entry, mode: entry.mode & ~0o022 };
}

function holdPlaces(about: About): Places {
  const { disk } = about;
  const held: Held[] = [];
  const hold = async ({ real, name }: Reached, isMade = false): Promise<Reached> => {
    const descriptor = await disk.open(real, 'name');
    held.push({ descriptor, name, isMade });
    const found = await descriptor.stat();
    if (found.type === 'symlink') throw refused(about, name, found);
    return { real: `/proc/self/fd/${descriptor.fd}`, name, found };
  };
  const folders = new Map<string, Promise<Reached>>();
  /** Each folder is walked to once, however many entries lie in it. */
  const once = (path: string, walk: Walk): Promise<Reached> => {
    const known = folders.get(path);
    if (known) return known;
    const reached = walk(path);
    folders.set(path, reached);
    const drop = (): void => void folders.delete(path);
    reached.then(({ found }) => found ?? drop(), drop);
    return reached;
  };
  const finding = walks(about, { hold });
  return {
    entry: async (path) => (await entryIn((folder) => once(folder, finding), path)).real,
    target: async (path) => (await finding(normalise(path))).real,
    open: async (path) => (await openPlain(about, path)) ?? disk.open((await finding(normalise(path))).real, 'read'),
    made: async (path, touched) => {
      const make = async ({ real, name }: Reached): Promise<void> => {
        for (const changed of await makeFolders(disk, real, { name })) touched.add(changed);
      };
      const holdMade = (at: Reached): Promise<Reached> =>
        hold(at, true).catch((thrown: unknown) => {
          throw errnoOf(thrown) === 'ENOENT' ? exchanged(inRoot(about.root, at.name), thrown) : thrown;
        });
      const making = walks(about, { hold: holdMade, make });
      return (await entryIn((folder) => once(folder, making), path)).real;
    },
    forget: () => folders.clear(),
    release: async () => {
      await Promise.all(held.splice(0).map(({ descriptor }) => descriptor.close()));
    },
    named: (thrown) => {
      const gone = held.find(
        ({ descriptor, isMade }) => isMade && isMissingIn(`/proc/self/fd/${descriptor.fd}`, thrown),
      );
      for (const { descriptor, name } of held) rename(thrown, `/proc/self/fd/${descriptor.fd}`, name);
      return gone ? exchanged(inRoot(about.root, gone.name), thrown) : thrown;
    },
  };
}

interface Held {
  readonly descriptor: Descriptor;
  readonly name: string;
  /** To be written to. */
  readonly isMade: boolean;
}

function isMissingIn(folder: string, thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  if (errnoOf(thrown) !== 'ENOENT') return isMissingIn(folder, thrown.cause);
  const paths = ['path' in thrown ? thrown.path : undefined, 'dest' in thrown ? thrown.dest : undefined];
  return paths.some((path) => typeof path === 'string' && path.startsWith(`${folder}/`));
}

function rename(thrown: unknown, from: string, to: string): void {
  if (!(thrown instanceof Error)) return;
  const outOf = new RegExp(`${from}(?![0-9])`, 'g');
  thrown.message = thrown.message.replaceAll(outOf, () => to);
  if ('path' in thrown && typeof thrown.path === 'string') thrown.path = thrown.path.replace(outOf, () => to);
  rename(thrown.cause, from, to);
}

async function entryIn(walk: Walk, path: string): Promise<Reached> {
  const clean = normalise(path);
  if (clean === '/') return walk('/');
  const { real, name } = await walk(dirname(clean));
  return { real: join(real, basename(clean)), name: join(name, basename(clean)), found: undefined };
}

function walks(about: About, walking: Walking = {}): Walk {
  const { pass: _, ...onTheWay } = walking;
  return async (path) => {
    const plain = walking.pass ? undefined : plainFolder(about, path);
    if (plain === 'missing' && walking.hold && !walking.make) throw noEntry(about.root + path);
    if (plain && plain !== 'missing') return plain;
    const top: Reached = { real: '/', name: '/', found: about.disk.look('/') };
    // Where a root folder lies is walked as well: others may be able to exchange it.
    const base = about.root === '/' ? top : await walk(about, onTheWay, { base: top, path: about.root });
    return walk(about, walking, { base, path });
  };
}

/** What most paths lead through: folders that nobody else can exchange. Where one is missing, nobody else can make it. */
function plainFolder({ disk, root }: About, path: string): Reached | 'missing' | undefined {
  if (root.length + path.length > longestPath) return undefined;
  let name = '/';
  let found = disk.look(name);
  for (const part of (root + path).split('/')) {
    if (part === '') continue;
    name = name === '/' ? `/${part}` : `${name}/${part}`;
    const next = disk.look(name);
    if (found && !next && !isOthers(found, disk.self)) return 'missing';
    if (!found || next?.type !== 'directory' || !isFixed(found, next, disk.self)) return undefined;
    found = next;
  }
  return { real: name, name, found };
}

/** Most files are no links: one call tells. */
async function openPlain(about: About, path: string): Promise<Descriptor | undefined> {
  const clean = normalise(path);
  const folder = plainFolder(about, dirname(clean));
  if (folder === 'missing') throw noEntry(about.root + clean);
  if (!folder) return undefined;
  try {
    return await about.disk.open(join(folder.real, basename(clean)), 'read-entry');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ELOOP') return undefined;
    throw thrown;
  }
}

async function walk(
  about: About,
  walking: Walking,
  { base, path }: { readonly base: Reached; readonly path: string },
): Promise<Reached> {
  const pending = path.split('/');
  let stack = [base];
  let followed = 0;
  while (pending.length > 0) {
    const part = pending.shift() ?? '';
    const above = stack.at(-1) ?? base;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (stack.length > 1) stack.pop();
      continue;
    }
    const next = await step(about, walking, { above, part });
    walking.pass?.(above, next);
    if (next.found?.type !== 'symlink') {
      stack.push(next);
      continue;
    }
    followed += 1;
    if (followed > maxSymlinks) {
      throw Object.assign(new Error(`ELOOP: too many symbolic links, ${path}`), { code: 'ELOOP', path });
    }
    if (!(await mayFollow(about, { base, above, link: next }))) throw refused(about, next.name, next.found);
    const target = await about.disk.readlink(next.real);
    if (target.startsWith('/')) stack = [base];
    pending.unshift(...target.split('/'));
  }
  return stack.at(-1) ?? base;
}

/** One component further, as it is: a link is not followed. */
async function step(
  { disk, root }: About,
  { hold, make }: Walking,
  { above, part }: { readonly above: Reached; readonly part: string },
): Promise<Reached> {
  const at: Reached = { real: join(above.real, part), name: join(above.name, part), found: undefined };
  if (above.found?.type !== 'directory') return at;
  let found = disk.look(at.real);
  if (!found && make) {
    await make(at);
    found = disk.look(at.real);
  }
  if (!found) {
    // Others may put something there meanwhile: it is not looked for any more.
    if (hold && isOthers(above.found, disk.self)) throw make ? exchanged(inRoot(root, at.name)) : noEntry(at.name);
    return at;
  }
  const next = { ...at, found };
  const isLong = found.type === 'directory' && at.real.length > longestPath;
  if (!hold || found.type === 'symlink' || (isFixed(above.found, found, disk.self) && !isLong)) return next;
  return hold(next);
}

function noEntry(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, ${path}`), { code: 'ENOENT', path });
}

interface Following {
  readonly base: Reached;
  readonly above: Reached;
  readonly link: Reached;
}

/** Whose the top is could have put everything there anyway, and nothing leads out of it. */
async function mayFollow({ disk }: About, { base, above, link }: Following): Promise<boolean> {
  const [of, at, to] = [base.found, above.found, link.found];
  if (!of || !at || !to) return false;
  const fixedIn = (folder: Look): boolean => isFixed(folder, to, disk.self) || isFixed(folder, to, of);
  return fixedIn(at) || (fixedIn(withoutWrite(at)) && (await disk.isReadOnly(above.real)));
}

function refused({ root }: About, name: string, { uid }: Look): NodekilnError {
  return unsafe(inRoot(root, name), uid);
}

/** As the host calls it. */
function inRoot(root: string, name: string): string {
  return root === '/' ? name : name.slice(root.length) || '/';
}
