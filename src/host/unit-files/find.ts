/**
 * Where systemd finds a unit's files: the search path of systemd.unit(5), the symlinks in it, templates for instances,
 * and drop-ins of the unit, its template, its prefixes (`foo-.service.d`) and its type (`service.d`).
 */
import type { Files } from '../port.ts';
import { parseUnitName, templateOf } from './names.ts';
import type { UnitFile } from './parse.ts';
import { parseUnitFile } from './parse.ts';
import { basename, dirname, join, resolve } from '../../model/path.ts';
import { textOf } from '../../model/bytes.ts';

export const configFolder = '/etc/systemd/system';
export const runtimeFolder = '/run/systemd/system';

/** Earlier folders hide later ones. */
export const searchPath: readonly string[] = [
  '/etc/systemd/system.control',
  '/run/systemd/system.control',
  '/run/systemd/transient',
  '/run/systemd/generator.early',
  configFolder,
  runtimeFolder,
  '/run/systemd/generator',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/generator.late',
];

export interface FoundUnit {
  /** The file the name leads to in the end; of a masked unit the file that masks it. */
  readonly path: string;
  readonly masked: boolean;
  /** The name of that file: another one when the name asked for is an alias. */
  readonly name: string;
  /** The first symlink on the way when it lies in the configuration folder and leads out of the search path. */
  readonly linkedFrom: string | undefined;
}

export async function findUnit(files: Files, name: string): Promise<FoundUnit | undefined> {
  for (const candidate of [name, templateOf(name)]) {
    if (candidate === undefined) continue;
    for (const folder of searchPath) {
      const found = await follow(files, join(folder, candidate));
      if (found) return found;
    }
  }
  return undefined;
}

async function follow(files: Files, start: string): Promise<FoundUnit | undefined> {
  let path = start;
  for (let hops = 0; hops < 16; hops += 1) {
    const stat = await files.stat(path);
    if (!stat) return undefined;
    if (stat.type === 'file') {
      const linkedFrom = path !== start && !inSearchPath(path) ? start : undefined;
      return { path, masked: stat.size === 0, name: basename(path), linkedFrom };
    }
    if (stat.type !== 'symlink' || stat.target === undefined) return undefined;
    const target = resolve(dirname(path), stat.target);
    if (target === '/dev/null') return { path: start, masked: true, name: basename(start), linkedFrom: undefined };
    path = target;
  }
  return undefined;
}

export function inSearchPath(path: string): boolean {
  return searchPath.includes(dirname(path));
}

/** The drop-ins of a unit, in the order systemd applies them: by file name, the first folder in the search path wins. */
export async function findDropIns(files: Files, name: string): Promise<string[]> {
  const byName = new Map<string, string>();
  for (const stem of dropInStems(name)) {
    const found = new Map<string, string>();
    for (const folder of searchPath) {
      const directory = join(folder, `${stem}.d`);
      for (const file of await files.list(directory)) {
        if (file.endsWith('.conf') && !found.has(file)) found.set(file, join(directory, file));
      }
    }
    for (const [file, path] of found) if (!byName.has(file)) byName.set(file, path);
  }
  const sorted = [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
  const masked = await Promise.all(sorted.map(async (path) => (await files.stat(path))?.target === '/dev/null'));
  return sorted.filter((_, index) => !masked[index]);
}

/** From the most specific to the least. */
function dropInStems(name: string): string[] {
  const parsed = parseUnitName(name);
  if (!parsed) return [name];
  const template = templateOf(name);
  const prefixes: string[] = [];
  for (let dash = parsed.prefix.lastIndexOf('-'); dash > 0; dash = parsed.prefix.lastIndexOf('-', dash - 1)) {
    prefixes.push(`${parsed.prefix.slice(0, dash + 1)}.${parsed.type}`);
  }
  return [name, ...(template === undefined ? [] : [template]), ...prefixes, parsed.type];
}

/** A unit's file and drop-ins read together; undefined when there is no readable unit file. */
export async function readUnitFile(
  files: Files,
  path: string,
  dropIns: readonly string[] = [],
): Promise<UnitFile | undefined> {
  const text = await files.read(path);
  if (text === undefined) return undefined;
  const extra = await Promise.all(dropIns.map((dropIn) => files.read(dropIn)));
  return parseUnitFile(textOf(text), ...extra.map((content) => textOf(content) ?? ''));
}
