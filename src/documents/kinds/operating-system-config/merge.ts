/**
 * What a document and its extensions say together: files for one host, and units, whose entries of one name are one unit.
 * Pure.
 */
import type { Path } from '../../../config/paths.ts';
import { fileLists, unitLists } from './rules.ts';
import type { OperatingSystemConfig, OscFile, OscUnit } from './schema.ts';

/** An item, and where it stands in the document. */
export interface Placed<Item> {
  readonly path: Path;
  readonly item: Item;
}

/** Those of all hosts. */
export function allFiles({ spec, status }: OperatingSystemConfig): Placed<OscFile>[] {
  return placed([spec.files, status?.extensionFiles], fileLists);
}

/** Those of the host: its own, and those that name none. */
export function filesFor(document: OperatingSystemConfig, hostName: string): Placed<OscFile>[] {
  const own = hostName.toLowerCase();
  return allFiles(document).filter(({ item }) => item.hostName === undefined || item.hostName === own);
}

/** One unit: what the first entry says, what later ones override, and drop-ins and files of all. */
export interface MergedUnit extends Pick<OscUnit, 'name' | 'command' | 'enable' | 'content'> {
  /** By name; of two the later. */
  readonly dropIns: ReadonlyMap<string, string>;
  readonly filePaths: readonly string[];
}

/** In the order in which their names first stand in the document. */
export function unitsOf({ spec, status }: OperatingSystemConfig): Placed<MergedUnit>[] {
  const merged = new Map<string, Placed<MergedUnit>>();
  for (const { path, item } of placed([spec.units, status?.extensionUnits], unitLists)) {
    const before = merged.get(item.name);
    const { dropIns = [], filePaths = [], ...said } = item;
    const over = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined && value !== ''));
    merged.set(item.name, {
      path: before?.path ?? path,
      item: {
        ...before?.item,
        ...over,
        name: item.name,
        dropIns: new Map([
          ...(before?.item.dropIns ?? []),
          ...dropIns.map(({ name, content }) => [name, content] as const),
        ]),
        filePaths: [...new Set([...(before?.item.filePaths ?? []), ...filePaths])],
      },
    });
  }
  return [...merged.values()];
}

function placed<Item>(items: readonly (readonly Item[] | undefined)[], lists: readonly Path[]): Placed<Item>[] {
  return items.flatMap((list = [], at) => list.map((item, index) => ({ path: [...(lists[at] ?? []), index], item })));
}
