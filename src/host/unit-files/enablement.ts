/**
 * Enabling, disabling and masking by symlinks in /etc/systemd/system, as `systemctl --root` does it (systemd's
 * src/shared/install.c is the reference; a test compares the two). Works on any `Files`, so that root folders and
 * machines in memory share it.
 *
 * Errors: NK_UNIT_MISSING for names without a unit file, NK_UNIT_FAILED when systemd would refuse (masked, an alias, a
 * file in the way).
 */
import { NodekilnError } from '../../errors.ts';
import type { Enablement, Files, FileWrite, UnitFileChange } from '../port.ts';
import type { FoundUnit } from './find.ts';
import { configFolder, findDropIns, findUnit, readUnitFile, runtimeFolder, searchPath } from './find.ts';
import { expandSpecifiers, isTemplate, parseUnitName, withInstance } from './names.ts';
import { basename, dirname, join, resolve } from '../../model/path.ts';

/** `[Install]` of one unit, its specifiers expanded. */
interface Install {
  readonly name: string;
  readonly found: FoundUnit;
  readonly aliases: readonly string[];
  /** Folder suffix to units: `wants` to `multi-user.target`. */
  readonly pulledBy: readonly (readonly [suffix: string, unit: string])[];
  readonly also: readonly string[];
  readonly defaultInstance: string | undefined;
}

const pullKeys = [
  ['WantedBy', 'wants'],
  ['RequiredBy', 'requires'],
  ['UpheldBy', 'upholds'],
] as const;

/** The word of `systemctl is-enabled`; '' when there is no unit file. */
export async function readEnablement(files: Files, name: string): Promise<string> {
  const found = await findUnit(files, name);
  if (!found) return '';
  if (found.masked) return found.path.startsWith('/run/') ? 'masked-runtime' : 'masked';
  const isInstance = (parseUnitName(name)?.instance ?? '') !== '';
  if (found.name !== name && !isInstance) return 'alias';
  if (found.path.startsWith('/run/systemd/generator')) return 'generated';
  if (found.path.startsWith('/run/systemd/transient/')) return 'transient';
  const install = await readInstall(files, name, found);
  const enabled = await enabledIn(files, install);
  if (enabled === configFolder) return 'enabled';
  if (enabled === runtimeFolder) return 'enabled-runtime';
  if (enabled !== undefined && isInstance) return 'static';
  if (found.linkedFrom !== undefined) return found.linkedFrom.startsWith('/run/') ? 'linked-runtime' : 'linked';
  if (install.aliases.length > 0 || install.pulledBy.length > 0) return 'disabled';
  return install.also.length > 0 ? 'indirect' : 'static';
}

export async function changeEnablement(
  files: Files,
  change: Enablement,
  names: readonly string[],
): Promise<UnitFileChange[]> {
  switch (change) {
    case 'enable':
      return enable(files, names);
    case 'disable':
      return disable(files, names);
    case 'mask':
      return mask(files, names);
    case 'unmask':
      return unmask(files, names);
  }
}

async function enable(files: Files, names: readonly string[]): Promise<UnitFileChange[]> {
  const installs = await withAlso(files, names, 'enable');
  const links = new Map<string, string>();
  for (const install of installs) for (const [path, target] of wantedLinks(install)) links.set(path, target);
  return writeLinks(files, links);
}

async function disable(files: Files, names: readonly string[]): Promise<UnitFileChange[]> {
  const installs = await withAlso(files, names, 'disable');
  // What is masked is left as it is, also by the name that an alias stands for, and an instance of a masked template.
  const gone = new Set<string>();
  for (const { name } of installs) if ((await findUnit(files, name))?.masked !== true) gone.add(name);
  const doomed: string[] = [];
  // An alias that goes away may itself be what other links lead to.
  for (let before = -1; before !== gone.size;) {
    before = gone.size;
    for (const link of await linksIn(files, configFolder)) {
      if (doomed.includes(link.path)) continue;
      // A mask stays, but that of an instance goes with its template.
      if (link.target === '/dev/null' && !hasTemplateIn(basename(link.path), gone)) continue;
      if (!belongsTo(link, gone)) continue;
      doomed.push(link.path);
      if (link.folder === configFolder) gone.add(basename(link.path));
    }
  }
  const emptied = [...new Set(doomed.map((path) => dirname(path)))].filter((folder) => folder !== configFolder);
  await files.remove([...doomed, ...emptied]);
  return doomed.map((path) => ({ type: 'unlink', path, source: '' }));
}

/** By its own name or by what it leads to; a template stands for all its instances. */
function belongsTo(link: UnitLink, names: ReadonlySet<string>): boolean {
  const parts = [basename(link.path), basename(link.target)];
  return parts.some((part) => {
    if (names.has(part)) return isTemplate(part) ? isTemplateLink(link, part, names) : true;
    return hasTemplateIn(part, names);
  });
}

function hasTemplateIn(name: string, names: ReadonlySet<string>): boolean {
  const parsed = parseUnitName(name);
  return parsed?.instance ? names.has(`${parsed.prefix}@.${parsed.type}`) : false;
}

/** A link named after one instance goes with that instance or with the template, not with another instance. */
function isTemplateLink(link: UnitLink, template: string, names: ReadonlySet<string>): boolean {
  return names.has(template) || names.has(basename(link.path));
}

async function mask(files: Files, names: readonly string[]): Promise<UnitFileChange[]> {
  for (const name of names) {
    if (!parseUnitName(name)) throw invalidName(name);
    const found = await files.stat(join(configFolder, name));
    if (found && found.target !== '/dev/null') {
      throw new NodekilnError('NK_UNIT_FAILED', `cannot mask ${name}: ${configFolder}/${name} is in the way`, {
        hint: 'Remove that file first.',
        resource: `unit:${name}`,
      });
    }
  }
  return writeLinks(files, new Map(names.map((name) => [join(configFolder, name), '/dev/null'])));
}

async function unmask(files: Files, names: readonly string[]): Promise<UnitFileChange[]> {
  const masks: string[] = [];
  for (const name of names) {
    const path = join(configFolder, name);
    const found = await files.stat(path);
    if (found?.target === '/dev/null' || (found?.type === 'file' && found.size === 0)) masks.push(path);
  }
  await files.remove(masks);
  return masks.map((path) => ({ type: 'unlink', path, source: '' }));
}

async function writeLinks(files: Files, links: ReadonlyMap<string, string>): Promise<UnitFileChange[]> {
  const writes: FileWrite[] = [...links].map(([path, target]) => ({ type: 'symlink', path, target }));
  const outcomes = await files.write(writes);
  return [...links]
    .filter((_, index) => outcomes[index] !== 'unchanged')
    .map(([path, source]) => ({ type: 'symlink', path, source }));
}

/** The units named and all they name by `Also=`. */
async function withAlso(files: Files, names: readonly string[], verb: 'enable' | 'disable'): Promise<Install[]> {
  const installs = new Map<string, Install>();
  const pending = [...names];
  while (pending.length > 0) {
    const name = pending.shift() ?? '';
    if (installs.has(name)) continue;
    if (!parseUnitName(name)) throw invalidName(name);
    const found = await findUnit(files, name);
    if (!found) {
      if (verb === 'disable') {
        // Links to a file that is gone are removed all the same.
        installs.set(name, withoutInstall(name));
        continue;
      }
      throw new NodekilnError('NK_UNIT_MISSING', `cannot ${verb} ${name}: there is no such unit file`, {
        resource: `unit:${name}`,
      });
    }
    // A masked unit that another only names by `Also=` is passed over.
    if (verb === 'enable' && found.masked && !names.includes(name)) continue;
    if (verb === 'enable') await refuseToEnable(files, name, found);
    const install = await readInstall(files, ownName(name, found), found);
    installs.set(name, install);
    pending.push(...install.also);
  }
  return [...installs.values()];
}

/** An alias among the vendor's files stands for the unit; an instance keeps its name. */
function ownName(name: string, found: FoundUnit): string {
  return (parseUnitName(name)?.instance ?? '') === '' ? found.name : name;
}

async function refuseToEnable(files: Files, name: string, found: FoundUnit): Promise<void> {
  const own = ownName(name, found);
  const masked = found.masked || (own !== name && (await findUnit(files, own))?.masked === true);
  if (masked) {
    throw new NodekilnError('NK_UNIT_FAILED', `cannot enable ${name}: ${own === name ? 'it' : own} is masked`, {
      hint: `Unmask it first: \`systemctl unmask ${own}\`.`,
      resource: `unit:${name}`,
    });
  }
  const isOwnLink = (await files.stat(join(configFolder, name)))?.type === 'symlink';
  if (own !== name && isOwnLink) {
    throw new NodekilnError('NK_UNIT_FAILED', `cannot enable ${name}: it is an alias of ${found.name}`, {
      hint: `Name ${found.name} instead.`,
      resource: `unit:${name}`,
    });
  }
}

function withoutInstall(name: string, found?: FoundUnit): Install {
  const nowhere: FoundUnit = { path: '', name, masked: false, linkedFrom: undefined };
  return { name, found: found ?? nowhere, aliases: [], pulledBy: [], also: [], defaultInstance: undefined };
}

async function readInstall(files: Files, name: string, found: FoundUnit): Promise<Install> {
  if (found.masked) return withoutInstall(name, found);
  const file = await readUnitFile(files, found.path, await findDropIns(files, name));
  if (!file) return withoutInstall(name, found);
  const defaultInstance = file.value('Install', 'DefaultInstance');
  const named = isTemplate(name) && defaultInstance !== undefined ? withInstance(name, defaultInstance) : name;
  const words = (key: string): string[] => file.words('Install', key).map((word) => expandSpecifiers(word, named));
  return {
    name,
    found,
    defaultInstance,
    aliases: words('Alias'),
    pulledBy: pullKeys.flatMap(([key, suffix]) => words(key).map((unit) => [suffix, unit] as const)),
    also: words('Also'),
  };
}

/** Path to target of every link that enables the unit. */
function wantedLinks({ name, found, aliases, pulledBy, defaultInstance }: Install): [string, string][] {
  const links: [string, string][] = [];
  for (const alias of aliases) {
    if (parseUnitName(alias)?.type !== parseUnitName(name)?.type) continue;
    const path = join(configFolder, alias);
    if (path !== found.path) links.push([path, found.path]);
  }
  const bare = isTemplate(name);
  for (const [suffix, unit] of pulledBy) {
    if (bare && defaultInstance === undefined && !isTemplate(unit)) {
      throw new NodekilnError('NK_UNIT_FAILED', `cannot enable ${name}: it is a template without a default instance`, {
        hint: `Name an instance, such as ${withInstance(name, 'NAME')}.`,
        resource: `unit:${name}`,
      });
    }
    const linkName = bare && defaultInstance !== undefined ? withInstance(name, defaultInstance) : name;
    links.push([join(configFolder, `${unit}.${suffix}`, linkName), found.path]);
  }
  return links;
}

interface UnitLink {
  /** The search path folder it was found in or below. */
  readonly folder: string;
  readonly path: string;
  /** Absolute. */
  readonly target: string;
  /** Directly in the folder and leading to a file of the same name: that links a unit file, it does not enable it. */
  readonly sameName: boolean;
}

/** Every symlink that enables something, in one folder of the search path. */
async function linksIn(files: Files, folder: string): Promise<UnitLink[]> {
  const links: UnitLink[] = [];
  for (const entry of await files.list(folder)) {
    const path = join(folder, entry);
    if (/\.(wants|requires|upholds)$/.test(entry)) {
      for (const name of await files.list(path)) await addLink(join(path, name), false);
    } else if (parseUnitName(entry)) {
      await addLink(path, true);
    }
  }
  return links;

  async function addLink(path: string, direct: boolean): Promise<void> {
    const stat = await files.stat(path);
    if (stat?.target === undefined) return;
    const target = resolve(dirname(path), stat.target);
    links.push({ folder, path, target, sameName: direct && basename(path) === basename(target) });
  }
}

/** The first folder of the search path where the unit is enabled. */
async function enabledIn(files: Files, install: Install): Promise<string | undefined> {
  const names = new Set([install.name, install.found.name]);
  let enabled: string | undefined;
  for (const folder of searchPath) {
    const links = await linksIn(files, folder);
    const hit = links.some(
      (link) => !isHidden(link.path) && !link.sameName && link.target !== '/dev/null' && enables(link, install, names),
    );
    if (!hit) continue;
    if (folder === configFolder || folder === runtimeFolder) return folder;
    enabled ??= folder;
  }
  return enabled;
}

/** No unit's name: a link under a temporary name, that a killed process left. systemd does not follow it either. */
function isHidden(path: string): boolean {
  return basename(path).startsWith('.');
}

function enables(link: UnitLink, install: Install, names: ReadonlySet<string>): boolean {
  const source = basename(link.path);
  if (source === install.name) return true;
  if (isTemplate(install.name) || parseUnitName(install.name)?.instance === undefined) {
    return names.has(basename(link.target));
  }
  return false;
}

function invalidName(name: string): NodekilnError {
  return new NodekilnError('NK_UNIT_FAILED', `${JSON.stringify(name)} is not a unit name`, {
    hint: 'Unit names end in their type, such as `.service`.',
  });
}
