/** Who looks for commands in a root, and where, but for what is ours. */
import { parseCshLogin, parseSudoers, sudoersPath, type PathReaders, type Sudoers } from '../desired/own-path.ts';
import type { Files } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import { dirname } from '../model/path.ts';

/** The vendor's file counts where the administrator has none (SUSE). */
const mainFiles = ['/etc/sudoers', '/usr/etc/sudoers'] as const;
/** Fedora's tcsh reads the second for every shell; SUSE's come with the system. */
const cshFiles = ['/etc/csh.login', '/etc/csh.cshrc', '/usr/etc/csh.login', '/usr/etc/csh.cshrc'] as const;
const cshPrograms = [
  '/usr/bin/tcsh',
  '/bin/tcsh',
  '/usr/bin/csh',
  '/bin/csh',
  '/usr/bin/bsd-csh',
  '/bin/bsd-csh',
] as const;
const fishPrograms = ['/usr/bin/fish', '/bin/fish'] as const;

export async function readPathReaders(files: Files): Promise<PathReaders> {
  const [sudoers, csh, hasFish] = await Promise.all([
    readSudoers(files),
    readCsh(files),
    hasOneOf(files, fishPrograms),
  ]);
  return { ...(sudoers && { sudoers }), ...(csh && { csh }), ...(hasFish && { fish: true as const }) };
}

/** Undefined for a root without sudo. */
async function readSudoers(files: Files): Promise<Sudoers | undefined> {
  const main = (await Promise.all(mainFiles.map((path) => readText(files, path)))).find((text) => text !== undefined);
  if (main === undefined) return undefined;
  const folder = dirname(sudoersPath);
  const names = (await files.list(folder)).filter((name) => !/[.]|~$/.test(name));
  const paths = names.map((name) => `${folder}/${name}`).filter((path) => path !== sudoersPath);
  const included = await Promise.all(paths.map((path) => readText(files, path)));
  return parseSudoers([main, ...included.filter((text) => text !== undefined)]);
}

async function readCsh(files: Files): Promise<PathReaders['csh']> {
  if (!(await hasOneOf(files, cshPrograms))) return undefined;
  const texts = await Promise.all(cshFiles.map((path) => readText(files, path)));
  return texts.map((text) => parseCshLogin(text ?? '')).find((folder) => folder !== undefined);
}

async function hasOneOf(files: Files, paths: readonly string[]): Promise<boolean> {
  const found = await Promise.all(paths.map((path) => files.stat(path).catch(() => undefined)));
  return found.some((stat) => stat !== undefined);
}

/** What is no file that can be read says nothing to them either. */
async function readText(files: Files, path: string): Promise<string | undefined> {
  return textOf(await files.read(path).catch(() => undefined));
}
