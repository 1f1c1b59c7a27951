/**
 * Fault points for crash tests. Every effect of this process is a point, counted from 1 in the order they begin: calls of
 * the host that change something, and inside them each folder, file and name that changes; the journal's writes.
 *
 * With `NODEKILN_FAULT=before:N` or `after:N` in its environment the process kills itself with SIGKILL before or after
 * its N-th effect, having said on standard error which; with `count:FILE` it writes the effects to FILE, one per line,
 * when it closes the host. Without the variable nothing is counted.
 */
import { writeFileSync, writeSync } from 'node:fs';

type Mode =
  | { readonly type: 'kill'; readonly when: 'before' | 'after'; readonly at: number }
  | { readonly type: 'count'; readonly file: string };

const mode = parse(process.env['NODEKILN_FAULT']);
const effects: string[] = [];
const ignored = (): void => undefined;

export const faultsWanted = mode !== undefined;

/** Marks the begin of an effect; what it returns is called at the end. */
export function faultPoint(effect: string): () => void {
  if (!mode) return ignored;
  effects.push(effect);
  const mine = effects.length;
  if (mode.type !== 'kill' || mine !== mode.at) return ignored;
  const die = (): void => {
    writeSync(2, `fault: killed ${mode.when} effect ${mine}: ${effect}\n`);
    process.kill(process.pid, 'SIGKILL');
  };
  if (mode.when === 'after') return die;
  die();
  return ignored;
}

/** Writes what was counted, where that was asked for. */
export function writeEffects(): void {
  if (mode?.type === 'count') writeFileSync(mode.file, effects.map((effect) => `${effect}\n`).join(''));
}

function parse(setting: string | undefined): Mode | undefined {
  const kill = /^(before|after):(\d+)$/.exec(setting ?? '');
  if (kill) return { type: 'kill', when: kill[1] === 'before' ? 'before' : 'after', at: Number(kill[2]) };
  const count = /^count:(.+)$/.exec(setting ?? '');
  return count?.[1] === undefined ? undefined : { type: 'count', file: count[1] };
}
