/**
 * Unit files as systemd.syntax(7) defines them: sections of `Key=value` lines; an empty value takes earlier ones back;
 * a trailing backslash continues a line; `#` and `;` start comments. Unknown lines are passed over, as systemd does.
 */
export interface UnitFile {
  /** All values of a key, later files after earlier ones; empty when there are none. */
  values(section: string, key: string): readonly string[];
  /** The last value. */
  value(section: string, key: string): string | undefined;
  /** All values split at white space, as dependencies are written. */
  words(section: string, key: string): readonly string[];
}

/** Parses a unit file followed by its drop-ins, in this order. */
export function parseUnitFile(...texts: readonly string[]): UnitFile {
  const entries = new Map<string, string[]>();
  for (const text of texts) collect(text, entries);
  const values = (section: string, key: string): readonly string[] => entries.get(`${section}.${key}`) ?? [];
  return {
    values,
    value: (section, key) => values(section, key).at(-1),
    words: (section, key) => values(section, key).flatMap((value) => value.split(/\s+/).filter((word) => word !== '')),
  };
}

function collect(text: string, entries: Map<string, string[]>): void {
  let section = '';
  for (const line of joinedLines(text)) {
    const header = /^\[(.+)\]$/.exec(line);
    if (header?.[1] !== undefined) {
      section = header[1];
      continue;
    }
    const equals = line.indexOf('=');
    if (equals <= 0) continue;
    const key = `${section}.${line.slice(0, equals).trim()}`;
    const value = line.slice(equals + 1).trim();
    if (value === '') entries.set(key, []);
    else entries.set(key, [...(entries.get(key) ?? []), value]);
  }
}

function joinedLines(text: string): string[] {
  const lines: string[] = [];
  let pending = '';
  // As systemd ends lines.
  for (const raw of text.split(/[\r\n\0]/)) {
    const line = raw.trim();
    if (line.startsWith('#') || line.startsWith(';')) continue;
    if (line.endsWith('\\')) {
      pending += `${line.slice(0, -1)} `;
      continue;
    }
    if (pending + line !== '') lines.push(pending + line);
    pending = '';
  }
  if (pending !== '') lines.push(pending.trim());
  return lines;
}
