/** Which units start at boot, and which are masked, by the links in /etc/systemd/system. Reads only. */
import type { Files } from '../host/port.ts';

const unitFolder = '/etc/systemd/system';

/** Names linked into `*.wants`, `*.requires` and `*.upholds` folders, sorted. */
export async function enabledUnits(files: Files): Promise<string[]> {
  const pulling = (await unitFolders(files)).filter((name) => /\.(wants|requires|upholds)$/.test(name));
  const names = await Promise.all(pulling.map((folder) => files.list(folder)));
  // A hidden name is no unit's: a killed process left it.
  return [...new Set(names.flat())].filter((name) => !name.startsWith('.')).sort();
}

/** The folder of unit files, and those in it: of drop-ins and of links. */
export async function unitFolders(files: Files): Promise<string[]> {
  const inner = (await files.list(unitFolder)).filter((name) => /\.(wants|requires|upholds|d)$/.test(name));
  return ['/etc', '/etc/systemd', unitFolder, ...inner.map((name) => `${unitFolder}/${name}`)];
}

/** Names that lead to /dev/null, sorted. */
export async function maskedUnits(files: Files): Promise<string[]> {
  const names = await files.list(unitFolder);
  const masked = await Promise.all(
    names.map(async (name) => (await files.stat(`${unitFolder}/${name}`))?.target === '/dev/null'),
  );
  return names.filter((_name, index) => masked[index]);
}
