/**
 * Where standard output leads to systemd's journal: lines with their priority, and entries with fields, by which they are found
 * (`journalctl NODEKILN_CODE=…`). Fields go over a datagram socket, which Node has no means for, so `logger` of util-linux says
 * them: a process for an entry of a few milliseconds, while nobody waits. What comes meanwhile is said after it. Where logger is
 * missing or fails, the same text goes to standard output, and so does all that follows.
 */
import type { Exec, Output } from '../host/port.ts';
import { visibleLine } from '../model/printable.ts';

/** Names of `systemd.journal-fields(7)`: upper case, digits, underscores. */
export type JournalFields = Readonly<Record<string, string | undefined>>;

export interface JournalEntry {
  /** Ends with a newline. */
  readonly text: string;
  readonly isWarning: boolean;
  /** Without any it is told by its text and priority alone. */
  readonly fields?: JournalFields;
}

export interface JournalOptions {
  readonly output: Pick<Output, 'write'>;
  /** Asked for when the first entry has fields. */
  readonly exec: () => Promise<Exec>;
  /** Ours: logger is gone when the journal asks whose the entry is. */
  readonly pid: number;
}

export interface Journal {
  /** Returns at once. */
  say(entry: JournalEntry): void;
  /** When all of it has left us. */
  said(): Promise<void>;
}

const program = ['logger', '--journald'] as const;
const timeoutMs = 2000;
/** That of what systemd itself says of our standard output. */
const identifier = 'nodekiln';

export function createJournal({ output, exec, pid }: JournalOptions): Journal {
  let hasFields = true;
  let last = Promise.resolve();
  const sayWithFields = async (entry: JournalEntry): Promise<boolean> => {
    if (!hasFields || entry.fields === undefined) return false;
    try {
      const { status } = await (await exec()).run(program, { timeoutMs, input: entryText(entry, pid) });
      hasFields = status === 0;
    } catch {
      hasFields = false;
    }
    return hasFields;
  };
  return {
    say(entry) {
      last = last.then(async () => {
        if (!(await sayWithFields(entry))) await output.write(withPriority(entry));
      });
    },
    said: () => last,
  };
}

/** Each line with its priority (sd-daemon(3)): a warning where something came out badly, else information. */
export function withPriority({ text, isWarning }: JournalEntry): string {
  return text.replaceAll(/^(?=.)/gm, `<${priorityOf(isWarning)}>`);
}

function priorityOf(isWarning: boolean): number {
  return isWarning ? 4 : 6;
}

/** As logger reads it: a field a line; `MESSAGE` once for each line of the text. */
function entryText({ text, isWarning, fields = {} }: JournalEntry, pid: number): string {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => ['MESSAGE', line] as const);
  const about = {
    PRIORITY: String(priorityOf(isWarning)),
    SYSLOG_IDENTIFIER: identifier,
    OBJECT_PID: String(pid),
    ...fields,
  };
  return [...lines, ...Object.entries(about)]
    .flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${visibleLine(value.replaceAll(/[\0\n]+/g, ' '))}\n`],
    )
    .join('');
}
