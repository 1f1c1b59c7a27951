/**
 * Which containerd a host runs, and how somebody configured it before us. The version is that of the program that the unit
 * starts: dpkg says it where the program is a package’s, else its file, which takes a millisecond, else the program itself,
 * which takes thirty; in a root folder as a reader (docs/programs-of-a-root.md).
 */
import { parse } from 'smol-toml';
import { asNodekilnError } from '../errors.ts';
import { textOf } from '../model/bytes.ts';
import { containerdConfigPath, namesCredential, writtenByUs } from '../model/containerd-configuration.ts';
import type { Facts } from '../model/facts.ts';
import { basename, dirname, resolve } from '../model/path.ts';
import { generationsFolder } from '../model/state-paths.ts';
import { originalPaths } from './originals.ts';
import { statedVersion } from './elf/stated-version.ts';
import type { Files, Host } from './port.ts';
import { findDropIns, findUnit, readUnitFile } from './unit-files/find.ts';
import { matchesGlob } from './unit-files/glob.ts';

export async function readContainerd(
  host: Host,
): Promise<Pick<Facts, 'containerdVersion' | 'containerdReads' | 'containerdConfiguration'>> {
  const { program, config } = await startedBy(host.files);
  const [containerdVersion, containerdConfiguration] = await Promise.all([
    versionOf(host, program),
    foundConfiguration(host.files),
  ]);
  return {
    ...(containerdVersion !== undefined && { containerdVersion }),
    ...(config !== undefined && config !== containerdConfigPath && { containerdReads: config }),
    ...(containerdConfiguration && { containerdConfiguration }),
  };
}

// ── the program ──────────────────────────────────────────────────────────────────────────────────────────────────

interface Started {
  readonly program?: string;
  /** The configuration that it is told to read. */
  readonly config?: string;
}

/** `ExecStart=` of containerd.service with all its drop-ins. Values with variables say nothing. */
async function startedBy(files: Files): Promise<Started> {
  const [found, dropIns] = await Promise.all([
    findUnit(files, 'containerd.service'),
    findDropIns(files, 'containerd.service'),
  ]);
  if (!found || found.masked) return {};
  const command = (await readUnitFile(files, found.path, dropIns))?.value('Service', 'ExecStart') ?? '';
  const words = (command.match(/"[^"]*"|'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll(/^["']|["']$/g, ''));
  const program = words[0]?.replace(/^[@\-:+!|]+/, '');
  if (program === undefined || !/^(?:\/[^$%]*|[^/$%]+)$/.test(program)) return {};
  const at = words.findIndex((word) => /^--?(?:config|c)(?:=|$)/.test(word));
  const config =
    at < 0 ? undefined : words[at]?.includes('=') === true ? words[at].replace(/^[^=]*=/, '') : words[at + 1];
  return { program, ...(config?.startsWith('/') === true && !/[$%]/.test(config) && { config }) };
}

/** Of distributions, of Docker, of Microsoft. */
const packages = ['containerd', 'containerd.io', 'moby-containerd'] as const;
const askMs = 5_000;

async function versionOf(host: Host, started: string | undefined): Promise<string | undefined> {
  const installed = await installedPackages(host.files);
  const [first] = installed;
  const program = started === undefined ? undefined : await foundProgram(host.files, started);
  // Nothing says yet how it will be started.
  if (program === undefined) return started === undefined ? first?.version : undefined;
  for (const { name, version } of installed) if (await owns(host.files, name, program)) return version;
  if (!(await host.files.stat(program))) return undefined;
  return (await statedBy(host.files, program)) ?? printedBy(host, program);
}

/** Where systemd looks for a program that is named without its folder. */
const searchPath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

async function foundProgram(files: Files, started: string): Promise<string | undefined> {
  if (started.startsWith('/')) return started;
  for (const folder of searchPath) if (await files.stat(`${folder}/${started}`)) return `${folder}/${started}`;
  return undefined;
}

/** Without the revision of a package, as a distribution's note has it. */
const numbers = /^(?:\d+:)?v?(\d[^\s~+-]*)/;

async function statedBy(files: Files, program: string): Promise<string | undefined> {
  const file = await files.open(program);
  try {
    const stated = file && (await statedVersion(file));
    return numbers.exec(stated?.version ?? '')?.[1];
  } finally {
    await file?.close();
  }
}

async function printedBy({ exec, root }: Host, program: string): Promise<string | undefined> {
  try {
    const { stdout } = await exec.run([program, '--version'], { timeoutMs: askMs, confined: root !== '/' });
    return /^containerd \S+ v?(\d[^\s~+-]*)/m.exec(stdout)?.[1];
  } catch (thrown) {
    // One that cannot run, or does not end: that is told when it is started.
    if (['NK_TOOL_MISSING', 'NK_TIMEOUT'].includes(asNodekilnError(thrown).code)) return undefined;
    throw thrown;
  }
}

interface Installed {
  readonly name: string;
  readonly version: string;
}

/** From dpkg's database; none where packages are managed otherwise. */
async function installedPackages(files: Files): Promise<Installed[]> {
  const status = await text(files, '/var/lib/dpkg/status');
  return packages.flatMap((name) => {
    const start = status.startsWith(`Package: ${name}\n`) ? 0 : status.indexOf(`\nPackage: ${name}\n`);
    if (start < 0) return [];
    const end = status.indexOf('\n\n', start + 1);
    const entry = status.slice(start, end < 0 ? undefined : end);
    const version = /^Version: (?:\d+:)?([^\s~+-]+)/m.exec(entry)?.[1];
    return version !== undefined && /^Status: .* installed$/m.test(entry) ? [{ name, version }] : [];
  });
}

/** A list names what it has by the folders of before /usr was merged, or of after. */
async function owns(files: Files, name: string, program: string): Promise<boolean> {
  const list = (await text(files, `/var/lib/dpkg/info/${name}.list`)).split('\n');
  return (
    list.includes(program) ||
    list.includes(program.replace(/^\/usr(?=\/s?bin\/)/, '')) ||
    list.includes(`/usr${program}`)
  );
}

// ── its configuration ────────────────────────────────────────────────────────────────────────────────────────────

type Found = NonNullable<Facts['containerdConfiguration']>;
/** More than this no containerd is told. */
const maxFiles = 100;

/** What somebody else wrote, and what it imports, in the order in which containerd reads them; undefined when nobody did. */
async function foundConfiguration(files: Files): Promise<Found | undefined> {
  const saved = originalPaths(containerdConfigPath);
  const kept = (await files.stat(saved.about)) ? await files.read(saved.content) : undefined;
  const own = kept ?? (await files.read(containerdConfigPath));
  if (!own || (!kept && (await isOurs(files, textOf(own))))) return undefined;
  const found = new Map<string, Found[string]>();
  const pending: [path: string, content: string][] = [[containerdConfigPath, textOf(own)]];
  for (let next = pending.shift(); next && found.size < maxFiles; next = pending.shift()) {
    const [path, content] = next;
    if (found.has(path)) continue;
    const settings = parsed(content);
    found.set(path, settings);
    const imports = typeof settings === 'object' && Array.isArray(settings['imports']) ? settings['imports'] : [];
    for (const pattern of imports.filter((one) => typeof one === 'string'))
      for (const file of await matching(files, resolve(dirname(path), pattern)))
        pending.push([file, await text(files, file)]);
  }
  return Object.fromEntries(found);
}

/**
 * Ours by its first line, or, where the latest state that we were asked for names the file and not that line, because another
 * document of ours has it.
 */
async function isOurs(files: Files, content: string): Promise<boolean> {
  if (content.startsWith(writtenByUs)) return true;
  const numbers = (await files.list(generationsFolder)).map((name) => Number(/^(\d+)\.json$/.exec(name)?.[1] ?? -1));
  const latest = Math.max(-1, ...numbers);
  const generation = latest < 0 ? '' : await text(files, `${generationsFolder}/${latest}.json`);
  return (
    generation.includes(JSON.stringify(`file:${containerdConfigPath}`)) && !generation.includes(writtenByUs.trim())
  );
}

/** What cannot be read, in words. */
function parsed(content: string): Found[string] {
  try {
    return withoutSecrets(parse(content)) as Record<string, unknown>;
  } catch (thrown) {
    return thrown instanceof Error ? (thrown.message.split('\n')[0] ?? '') : String(thrown);
  }
}

/** Credentials are shown nowhere. */
function withoutSecrets(value: unknown, key = ''): unknown {
  if (typeof value === 'string') return namesCredential(key) ? { sensitive: value } : value;
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, key));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutSecrets(inner, name)]));
}

/** Files by a pattern in the last part, as containerd takes it. */
async function matching(files: Files, pattern: string): Promise<string[]> {
  const names = await files.list(dirname(pattern));
  return names.filter((name) => matchesGlob(basename(pattern), name)).map((name) => `${dirname(pattern)}/${name}`);
}

async function text(files: Files, path: string): Promise<string> {
  return textOf(await files.read(path)) ?? '';
}
