/**
 * The last log lines of a unit, from journalctl: what its processes said and what systemd said about it since it was
 * started, with the runs that systemd restarted it from. An entry belongs to the start by its time or by its invocation; neither alone
 * will do, because the journal stamps entries with the time it woke up, up to a moment before the start that caused them,
 * and what a process says just before it ends can come without its invocation.
 *
 * Never fails: log lines explain a failure, they must not become one.
 */
import { NodekilnError } from '../../errors.ts';
import type { Exec } from '../port.ts';

export interface UnitLogQuery {
  readonly name: string;
  readonly lines: number;
  readonly invocationId: string;
  /** Realtime microseconds of the start; 0 when there was none. */
  readonly sinceUsec: number;
  /** How often systemd restarted it by itself since it was started: so many runs before this one belong to the start. */
  readonly restarts: number;
}

const timeoutMs = 5000;
const maxOutput = 4 * 1024 * 1024;
/** How long before its cause an entry may be stamped. */
const earlierUsec = 200_000;
const fields = 'MESSAGE,_SYSTEMD_INVOCATION_ID,INVOCATION_ID';

export async function readUnitLog(exec: Exec, query: UnitLogQuery): Promise<string[]> {
  const { name, lines, sinceUsec } = query;
  if (sinceUsec === 0) return [];
  const format = ['-o', 'json', `--output-fields=${fields}`, '--no-pager', '-q'];
  // Not together with --since: of both, journalctl 252 at times leaves out the newest entries.
  const argv = ['journalctl', '-u', name, '-n', String(lines), ...format];
  try {
    // The last words may still be on their way to the journal.
    await exec.run(['journalctl', '--sync'], { timeoutMs });
    const { stdout } = await exec.run(argv, { timeoutMs, maxOutput });
    return selectLines(stdout, query);
  } catch (thrown) {
    if (thrown instanceof NodekilnError && ['NK_TOOL_MISSING', 'NK_TIMEOUT'].includes(thrown.code)) return [];
    throw thrown;
  }
}

/** journalctl's JSON lines as text, only those of the start asked for. */
export function selectLines(json: string, { lines, invocationId, sinceUsec, restarts }: UnitLogQuery): string[] {
  const entries = json.split('\n').flatMap((line) => entryOf(line) ?? []);
  const before = [...new Set(entries.map(({ invocation }) => invocation))].filter(
    (invocation) => invocation !== undefined && invocation !== invocationId,
  );
  const runs = new Set([...(restarts === 0 ? [] : before.slice(-restarts)), invocationId]);
  const starts = entries.filter(({ invocation }) => runs.has(invocation)).map(({ usec }) => usec);
  const fromUsec = restarts === 0 ? sinceUsec : Math.min(sinceUsec, ...starts);
  return entries
    .filter(
      ({ invocation, usec }) =>
        runs.has(invocation) || (invocation === undefined && usec >= fromUsec - earlierUsec) || usec >= fromUsec,
    )
    .flatMap(({ message }) => message.split('\n'))
    .filter((message) => message !== '')
    .slice(-lines);
}

interface Entry {
  readonly invocation: unknown;
  readonly usec: number;
  readonly message: string;
}

function entryOf(line: string): Entry | undefined {
  const entry = parseEntry(line);
  if (!entry) return undefined;
  const invocation = entry['_SYSTEMD_INVOCATION_ID'] ?? entry['INVOCATION_ID'];
  return { invocation, usec: Number(entry['__REALTIME_TIMESTAMP']), message: messageText(entry['MESSAGE']) };
}

function parseEntry(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? { ...entry } : undefined;
  } catch {
    // An empty line, or the first one when the output was longer than is kept.
    return undefined;
  }
}

/** Text that is not plain UTF-8 comes as an array of bytes. */
function messageText(message: unknown): string {
  if (typeof message === 'string') return message;
  return Array.isArray(message) ? Buffer.from(message).toString('utf8') : '';
}
