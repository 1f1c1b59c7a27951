/**
 * Text for systemd unit files. Behaviour from systemd.syntax(7), systemd.service(5) and systemd.exec(5). Pure.
 */

/** One word of a command line or of `Environment=`: quoted when it must be, `%` and `$` kept literal. */
export function unitWord(text: string): string {
  const literal = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return quote(literal);
}

/** An assignment in `Environment=`, in which `$` has no meaning. */
export function environmentLine(name: string, value: string): string {
  return `Environment=${quote(`${name}=${value.replaceAll('%', '%%')}`)}`;
}

function quote(text: string): string {
  if (text !== '' && /^[A-Za-z0-9_@%+=:,./$-]+$/.test(text)) return text;
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** `ExecStart=` with one argument a line. */
export function execStart(argv: readonly string[]): string {
  return `ExecStart=${argv.map(unitWord).join(' \\\n  ')}`;
}

/** Sections with their lines, empty ones left out. */
export function unitText(sections: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(sections)
    .filter(([, lines]) => lines.length > 0)
    .map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`)
    .join('\n');
}
