/** What sudo reads in a root, but for what is ours. */
import { parseSudoers, sudoersPath, type Sudoers } from '../desired/own-path.ts';
import type { Files } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import { dirname } from '../model/path.ts';

/** The vendor's file counts where the administrator has none (SUSE). */
const mainFiles = ['/etc/sudoers', '/usr/etc/sudoers'] as const;

/** Undefined for a root without sudo. */
export async function readSudoers(files: Files): Promise<Sudoers | undefined> {
  const main = (await Promise.all(mainFiles.map((path) => readText(files, path)))).find((text) => text !== undefined);
  if (main === undefined) return undefined;
  const folder = dirname(sudoersPath);
  const names = (await files.list(folder)).filter((name) => !/[.]|~$/.test(name));
  const paths = names.map((name) => `${folder}/${name}`).filter((path) => path !== sudoersPath);
  const included = await Promise.all(paths.map((path) => readText(files, path)));
  return parseSudoers([main, ...included.filter((text) => text !== undefined)]);
}

/** What is no file that can be read says nothing to sudo either. */
async function readText(files: Files, path: string): Promise<string | undefined> {
  return textOf(await files.read(path).catch(() => undefined));
}
