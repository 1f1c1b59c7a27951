/**
 * Looking for what one machine leaves in its root and no other may find there (see trace-table.ts), and for logs that are
 * emptied. `seal` removes what is found, `verify` tells it. Everything is read through the host's files.
 */
import type { FileStat, Files } from '../host/port.ts';
import { matchesGlob } from '../host/unit-files/glob.ts';
import { basename, isAbsolute, join, normalize } from '../model/path.ts';
import { textOf } from '../model/bytes.ts';
import type { Trace } from './trace-table.ts';

export const machineIdPath = '/etc/machine-id';

/** Logs that programs expect to be there keep their owner and mode, and lose their content. */
export const emptiedLogs = '/var/log';

/**
 * What of a trace is there: paths, sorted; folders as a whole, but for what stays in them. `kept` are paths that stay with
 * all that is in them: a document asks for them, or a person.
 */
export async function findTrace(files: Files, trace: Trace, kept: ReadonlySet<string>): Promise<string[]> {
  const homes = await homesOf(files);
  const patterns = trace.patterns.flatMap((pattern) =>
    pattern.startsWith('~/') ? homes.map((home) => join(home, pattern.slice(2))) : [pattern],
  );
  const found = await Promise.all(patterns.map((pattern) => expand(files, pattern)));
  const paths = [...new Set(found.flat())].filter((path) => !(trace.except?.test(basename(path)) ?? false));
  const around = await Promise.all(paths.map((path) => aroundKept(files, path, kept)));
  const usable = await Promise.all(
    around.flat().map(async (path) =>
      // A link to the machine id says nothing of its own.
      path !== '/var/lib/dbus/machine-id' || (await files.stat(path))?.type === 'file' ? [path] : [],
    ),
  );
  return [...new Set(usable.flat())].sort();
}

/** Where `~` is: the usual places, also those of systems that keep all that changes below /var, and each account’s own. */
async function homesOf(files: Files): Promise<string[]> {
  const accounts = await files.read('/etc/passwd').catch(() => undefined);
  const own = (textOf(accounts) ?? '').split('\n').map((line) => line.split(':')[5] ?? '');
  const plain = own.filter((home) => isAbsolute(home) && normalize(home) === home && !/[*?[\]]/.test(home));
  return [...new Set(['/root', '/home/*', '/var/roothome', '/var/home/*', ...plain])];
}

/** Whether it stays: by itself, or with a folder that does. */
export function isKept(path: string, kept: ReadonlySet<string>): boolean {
  return [...kept].some((other) => path === other || path.startsWith(`${other}/`));
}

/** The path; or what is in it and does not stay, when something in it does. */
async function aroundKept(files: Files, path: string, kept: ReadonlySet<string>): Promise<string[]> {
  if (isKept(path, kept)) return [];
  if (![...kept].some((other) => other.startsWith(`${path}/`))) return [path];
  if ((await files.stat(path))?.type !== 'directory') return [path];
  const inside = (await files.list(path)).map((name) => aroundKept(files, join(path, name), kept));
  return (await Promise.all(inside)).flat();
}

/** How `/etc/machine-id` differs from an empty file; undefined when it does not. */
export async function machineIdProblem(files: Files): Promise<string | undefined> {
  const stat = await files.stat(machineIdPath);
  if (!stat)
    return `${machineIdPath} is missing: systemd would take the next start for the very first and apply presets`;
  if (stat.type !== 'file') return `${machineIdPath} is a ${stat.type}`;
  if (stat.size === 0) return undefined;
  const text = textOf(await files.read(machineIdPath))?.trim();
  return text === 'uninitialized'
    ? `${machineIdPath} says uninitialized: systemd would take the next start for the very first and apply presets`
    : `${machineIdPath} holds an id`;
}

/** Logs that are to be emptied: regular files with content, that neither go nor stay as they are. */
export async function findLogs(
  files: Files,
  removed: readonly string[],
  kept: ReadonlySet<string> = new Set(),
): Promise<{ path: string; stat: FileStat }[]> {
  const logs: { path: string; stat: FileStat }[] = [];
  await walk(files, emptiedLogs, (path, stat) => {
    const gone = removed.some((other) => path === other || path.startsWith(`${other}/`));
    if (stat.type === 'file' && stat.size > 0 && !gone && !isKept(path, kept)) logs.push({ path, stat });
  });
  return logs;
}

/** Everything in and below a folder, children after their folder. */
export async function walk(files: Files, folder: string, visit: (path: string, stat: FileStat) => void): Promise<void> {
  for (const name of await files.list(folder)) {
    const path = join(folder, name);
    const stat = await files.stat(path);
    if (!stat) continue;
    visit(path, stat);
    if (stat.type === 'directory') await walk(files, path, visit);
  }
}

async function expand(files: Files, pattern: string): Promise<string[]> {
  let paths = ['/'];
  const parts = pattern.split('/').slice(1);
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    const next: string[] = [];
    for (const path of paths) {
      if (part === '**' && !last) {
        next.push(path);
        if ((await files.stat(path))?.type === 'directory')
          await walk(files, path, (inner, stat) => {
            if (stat.type === 'directory') next.push(inner);
          });
      } else if (part.includes('*') || part.includes('[')) {
        if ((await files.stat(path))?.type !== 'directory') continue;
        for (const name of await files.list(path))
          if (matchesGlob(part === '**' ? '*' : part, name)) next.push(join(path, name));
      } else if (!last || (await files.stat(join(path, part)))) next.push(join(path, part));
    }
    paths = next;
  }
  return paths;
}
