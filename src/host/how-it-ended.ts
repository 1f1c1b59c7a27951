/**
 * How the last process of a unit that ended did, as one note, or none when nobody knows: systemd says so in its `lines` of the
 * unit's log, also when another process runs by now, for which its `ExecMainStatus` is 0. `seen` is the last status other than 0
 * that was seen.
 */
export function howItEnded(lines: readonly string[], seen: number): string[] {
  const said = lines.flatMap((line) => /Main process exited, code=(\w+), status=(\d+)(?:\/(\S+))?/.exec(line) ?? []);
  const [code, status, name] = said.slice(-3);
  if (code === undefined) return seen === 0 ? [] : [`exit status ${seen}`];
  return [code === 'exited' ? `exit status ${status}` : `ended by SIG${name ?? status}`];
}
