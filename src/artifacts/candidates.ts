/** What could be taken out of a package instead of a member that is not there, or cannot be taken. Pure. */
import type { ArchiveEntry } from '../host/port.ts';
import { basename } from '../model/path.ts';

/** Entries of a package that are looked through, the first ones. */
export const candidateEntries = 20_000;
const named = 10;

/** Lines for an error, and what to do when there is something to take. */
export interface Candidates {
  readonly lines: readonly string[];
  readonly hint?: string;
}

/** Files of a name or in a folder that was asked for first, then other programs; where a link that was asked for leads, before them. */
export function candidatesAmong(entries: readonly ArchiveEntry[], names: readonly string[]): Candidates {
  const wanted = new Set(names.map((name) => basename(name)));
  const files = entries.filter(({ type, size, name }) => type === 'file' && size > 0 && !names.includes(name));
  const namesakes = files.filter(
    ({ name }) => wanted.has(basename(name)) || names.some((folder) => folder !== '' && name.startsWith(`${folder}/`)),
  );
  const programs = files.filter(({ name, mode }) => (mode & 0o111) !== 0 && !wanted.has(basename(name)));
  const links = entries.flatMap(({ name, target }) =>
    names.includes(name) && target !== undefined ? [`${name} leads to ${target}`] : [],
  );
  const found = [...new Set([...namesakes, ...programs].map(({ name }) => name))];
  if (found.length === 0) return { lines: [...links, 'no member of it is a program'] };
  const more = found.length - named;
  return {
    lines: [
      ...links,
      ...found.slice(0, named).map((name) => `could be taken: ${name}`),
      ...(more > 0 ? [`and ${more} more`] : []),
    ],
    hint: 'Give `member` (`--member`) one of those named.',
  };
}
