/**
 * What must hold between the fields of an OperatingSystemConfig. Looked at before anything is known to be of its type, so
 * that one run shows every problem of a document. Pure.
 */
import { isMap, valueAt, type Path } from '../../../config/paths.ts';
import type { Issue } from '../../../config/problems.ts';
import { named, nearest } from '../../../config/words.ts';
import { registryFolderOf } from '../../../desired/containerd.ts';
import { containerdConfigPath } from '../../../model/containerd-configuration.ts';
import { aboveOf } from '../../../model/path.ts';
import { registryName } from '../../../model/reference.ts';

/** Where files and units stand, in the order in which they count. */
export const fileLists: readonly Path[] = [
  ['spec', 'files'],
  ['status', 'extensionFiles'],
];
export const unitLists: readonly Path[] = [
  ['spec', 'units'],
  ['status', 'extensionUnits'],
];

export const unitFolder = '/etc/systemd/system';

interface Item {
  readonly path: Path;
  readonly value: Record<string, unknown>;
}

/** Issues as the schema would report them: the path and what is wrong there. */
export function brokenRules(document: unknown): Issue[] {
  const [files, units] = [itemsOf(document, fileLists), itemsOf(document, unitLists)];
  return [
    ...secondFiles(files),
    ...filesBelowFiles(files),
    ...unitFiles(files, units),
    ...unknownFilePaths(files, units),
    ...ofContainerd(document, files),
    ...ofUserData(document, files),
  ];
}

function itemsOf(document: unknown, lists: readonly Path[]): Item[] {
  return lists.flatMap((list) => {
    const items = valueAt(document, list);
    if (!Array.isArray(items)) return [];
    return items.flatMap((value: unknown, index) => (isMap(value) ? [{ path: [...list, index], value }] : []));
  });
}

function issue(path: Path, message: string): Issue {
  return { code: 'custom', path, message };
}

/** One path is one file, unless each of its files names another host. */
function secondFiles(files: readonly Item[]): Issue[] {
  const hosts = new Map<string, Set<unknown>>();
  return files.flatMap(({ path, value }) => {
    const { path: name, hostName } = value;
    if (typeof name !== 'string') return [];
    const before = hosts.get(name);
    hosts.set(name, new Set([...(before ?? []), hostName]));
    if (!before) return [];
    const onlyOther = hostName !== undefined && !before.has(undefined) && !before.has(hostName);
    if (onlyOther) return [];
    return [
      issue([...path, 'path'], `names ${named(name)} a second time; only files for different hosts share a path`),
    ];
  });
}

function filesBelowFiles(files: readonly Item[]): Issue[] {
  const everywhere = new Set(files.flatMap(({ value }) => (value['hostName'] === undefined ? [value['path']] : [])));
  const above = aboveOf((folder) => (everywhere.has(folder) ? folder : undefined));
  return files.flatMap(({ path, value }) => {
    if (typeof value['path'] !== 'string') return [];
    const [parent] = above(value['path']);
    return parent === undefined ? [] : [issue([...path, 'path'], `lies below ${named(parent)}, which is a file here`)];
  });
}

/** A unit says what its unit file holds; a file of the same path would say it again. */
function unitFiles(files: readonly Item[], units: readonly Item[]): Issue[] {
  const written = new Set<unknown>();
  for (const { value } of units) {
    const { name, content, dropIns } = value;
    if (typeof content === 'string' && content !== '') written.add(`${unitFolder}/${String(name)}`);
    for (const dropIn of Array.isArray(dropIns) ? dropIns : [])
      if (isMap(dropIn)) written.add(`${unitFolder}/${String(name)}.d/${String(dropIn['name'])}`);
  }
  return files.flatMap(({ path, value }) =>
    written.has(value['path']) ? [issue([...path, 'path'], 'is written from a unit of this document')] : [],
  );
}

function unknownFilePaths(files: readonly Item[], units: readonly Item[]): Issue[] {
  const known = new Set(files.flatMap(({ value }) => (typeof value['path'] === 'string' ? [value['path']] : [])));
  return units.flatMap(({ path, value }) => {
    const paths = Array.isArray(value['filePaths']) ? value['filePaths'] : [];
    return paths.flatMap((name: unknown, index) => {
      if (typeof name !== 'string' || name === '' || known.has(name)) return [];
      const near = nearest(name, known);
      const hint = near === undefined ? '' : `; did you mean "${near}"?`;
      return [issue([...path, 'filePaths', index], `names ${named(name)}, which is no file of this document${hint}`)];
    });
  });
}

const registries: Path = ['spec', 'criConfig', 'containerd', 'registries'];

function ofContainerd(document: unknown, files: readonly Item[]): Issue[] {
  if (valueAt(document, registries.slice(0, -1)) === undefined) return [];
  const list = itemsOf(document, [registries]);
  const upstreams = new Set<unknown>();
  const second = list.flatMap(({ path, value: { upstream } }) => {
    const name = registryName(String(upstream));
    const again = upstreams.has(name);
    upstreams.add(name);
    return again ? [issue([...path, 'upstream'], `names ${named(String(upstream))} a second time in this list`)] : [];
  });
  const written = new Set<unknown>([
    containerdConfigPath,
    ...list.map(({ value }) => `${registryFolderOf(String(value['upstream']))}/hosts.toml`),
  ]);
  const twice = files.flatMap(({ path, value }) =>
    written.has(value['path']) ? [issue([...path, 'path'], 'is written from spec.criConfig of this document')] : [],
  );
  return [...second, ...twice];
}

/** User data is a script: it has neither a runtime to configure nor one to take images with. */
function ofUserData(document: unknown, files: readonly Item[]): Issue[] {
  if (valueAt(document, ['spec', 'purpose']) !== 'provision') return [];
  const containerd = valueAt(document, registries.slice(0, -1)) === undefined ? [] : [registries.slice(0, -1)];
  const images = files.flatMap(({ path, value: { content } }) =>
    isMap(content) && content['imageRef'] !== undefined ? [[...path, 'content', 'imageRef']] : [],
  );
  return [...containerd, ...images].map((path) => issue(path, 'cannot stand in a document of purpose provision'));
}
