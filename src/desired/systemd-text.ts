/**
 * Text for systemd: unit files, files of environment, sysctl.d, modules-load.d. Each format is written here and nowhere else,
 * so that systemd reads back every value as it was given. Behaviour from systemd.syntax(7), systemd.service(5), systemd.exec(5),
 * sysctl.d(5); `test/lab/systemd-text.test.ts` asks systemd itself. Pure.
 */

/** One word of a command line: quoted when it must be, `%` and `$` kept literal. */
export function unitWord(text: string): string {
  return quote(text.replaceAll('%', '%%').replaceAll('$', '$$$$'));
}

/** An assignment in `Environment=`, in which `$` has no meaning. */
export function environmentLine(name: string, value: string): string {
  return `Environment=${quote(`${name}=${value.replaceAll('%', '%%')}`)}`;
}

function quote(text: string): string {
  if (text !== '' && /^[A-Za-z0-9_@%+=:,./$-]+$/.test(text)) return text;
  return `"${text.replaceAll(/[\\"]/g, String.raw`\$&`).replaceAll(/\p{Cc}/gu, controlEscape)}"`;
}

/** No control character stands as it is, so none ends a line; above DEL they are two bytes in UTF-8, which `\x` would not be. */
function controlEscape(character: string): string {
  if (character === '\n') return String.raw`\n`;
  const hex = character.charCodeAt(0).toString(16);
  return hex.length > 2 || character > '\u007f' ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`;
}

/**
 * `ExecStart=` with one argument a line, and after them variables of which each may stand for several words. The program is a
 * path, in which systemd replaces `%` alone (`programProblem` says what it takes).
 */
export function execStart([program = '', ...words]: readonly string[], variables: readonly string[] = []): string {
  const argv = [quote(program.replaceAll('%', '%%')), ...words.map(unitWord)].join(' \\\n  ');
  return `ExecStart=${[argv, ...variables.map((name) => `$${name}`)].join(' ')}`;
}

/** Why systemd does not start a program at this path; undefined when it does. */
export function programProblem(path: string): string | undefined {
  const [wrong] = /["'\\$]/.exec(path) ?? [];
  return wrong === undefined ? undefined : `systemd starts no program whose path has ${wrong} in it`;
}

/** Sections with their lines, empty ones left out. */
export function unitText(sections: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(sections)
    .filter(([, lines]) => lines.length > 0)
    .map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`)
    .join('\n');
}

/** A file for `EnvironmentFile=`. */
export function environmentFile(variables: Readonly<Record<string, string>>): string {
  return linesOf(Object.entries(variables).map(([name, value]) => `${name}=${environmentValue(value)}`));
}

/** What a shell would replace in double quotes is escaped there; all else stands for itself, ends of lines too. */
function environmentValue(value: string): string {
  if (/^(?:[A-Za-z0-9_@%+=:,./-][A-Za-z0-9_@%+=:,./ -]*)?(?<! )$/.test(value)) return value;
  return `"${value.replaceAll(/["\\`$]/g, String.raw`\$&`)}"`;
}

/** A file of sysctl.d; one that may fail has a mark. Keys and values have one line. */
export function sysctlText(
  settings: readonly { readonly key: string; readonly value: string; readonly mayFail: boolean }[],
): string {
  return linesOf(settings.map(({ key, value, mayFail }) => `${mayFail ? '-' : ''}${key} = ${value}`));
}

/** A file of modules-load.d. */
export function modulesText(names: readonly string[]): string {
  return linesOf(names);
}

function linesOf(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
