/**
 * Progress on stderr, or in the log of a verb that writes one. On a terminal: a live line of what runs, with the time it has been
 * running, below it one for each transfer with its bytes, rate and time left, above them a line for what failed or took long.
 * Elsewhere: one plain line per finished step, and one about each transfer every ten seconds. Nothing when quiet.
 */
import type { StepEvent } from '../telemetry/events.ts';
import type { LiveLine, LiveLines, Terminal } from '../host/port.ts';
import { formatDuration } from '../inspect/format.ts';
import { oneLine } from './printing.ts';

export interface ProgressStream {
  readonly terminal?: Terminal | undefined;
  write(text: string): unknown;
}

export interface Progress {
  onEvent(event: StepEvent): void;
  /** Takes the live line away; before anything else is printed. */
  stop(): void;
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const frameMs = 100;
/** Steps shorter than this are not worth a line on a terminal. */
const longMs = 200;

/** The summary, and one for what is said above. */
const otherRows = 2;

/** Between two lines about one transfer, where there is no terminal. */
const reportMs = 10_000;

export interface ProgressOptions {
  readonly quiet: boolean;
  readonly nowMs: () => number;
}

export function createProgress(stream: ProgressStream, options: ProgressOptions): Progress {
  if (options.quiet) return { onEvent: () => undefined, stop: () => undefined };
  const live = stream.terminal?.live;
  return live ? liveProgress(stream, live, options) : plainProgress(stream, options);
}

type EndedStep = Extract<StepEvent, { type: 'end' }>['record'];

function finishedLine(record: EndedStep): string {
  const details = record.details.length > 0 ? `: ${record.details.join(', ')}` : '';
  const error = record.error === undefined ? '' : `: ${record.error.message}`;
  const time = record.status === 'skipped' ? '' : ` (${formatDuration(record.endMs - record.startMs)})`;
  return oneLine(`${record.status.padEnd(7)} ${record.id}${time}${details}${error}`);
}

function plainProgress(stream: ProgressStream, { nowMs }: ProgressOptions): Progress {
  const said = new Map<string, number>();
  return {
    onEvent(event) {
      if (event.type === 'start') said.set(event.step, nowMs());
      if (event.type === 'progress' && event.transfer) {
        // A log is read later: long transfers say now and then that they go on.
        if (nowMs() - (said.get(event.step) ?? 0) < reportMs) return;
        said.set(event.step, nowMs());
        stream.write(`${oneLine(`fetch   ${event.step}: ${event.message}`)}\n`);
      }
      if (event.type !== 'end') return;
      said.delete(event.record.id);
      stream.write(`${finishedLine(event.record)}\n`);
    },
    stop: () => undefined,
  };
}

/** The lines come once they are loaded, which takes moments; what ended until then is said with them. */
function liveProgress(
  stream: ProgressStream,
  live: NonNullable<Terminal['live']>,
  { nowMs }: ProgressOptions,
): Progress {
  const running = new Map<string, { readonly sinceMs: number; message: string }>();
  const transfers = new Map<string, LiveLine>();
  const said: string[] = [];
  let finished = 0;
  let frame = 0;
  let lines: LiveLines | undefined;
  let summary: LiveLine | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;
  /** Of the lines that are shown or come next. */
  let ticket: object | undefined;

  const draw = (): void => {
    frame = (frame + 1) % frames.length;
    const steps = [...running]
      .filter(([id]) => !transfers.has(id))
      .map(([id, { sinceMs, message }]) => `${id} ${formatDuration(nowMs() - sinceMs)}${message && ` ${message}`}`);
    const also = steps.length === 0 ? '' : `: ${steps.join(', ')}`;
    summary?.set(oneLine(`${frames[frame]} ${finished} done, ${running.size} running${also}`));
  };
  const open = async (): Promise<void> => {
    const own = (ticket = {});
    const opened = await live();
    if (ticket !== own) return opened.close();
    lines = opened;
    for (const line of said.splice(0)) lines.say(line);
    summary = lines.add();
    draw();
    timer = setInterval(draw, frameMs);
  };
  const end = (record: EndedStep): void => {
    running.delete(record.id);
    transfers.get(record.id)?.remove();
    transfers.delete(record.id);
    finished += 1;
    if (record.status !== 'failed' && record.endMs - record.startMs < longMs) return;
    if (lines) lines.say(finishedLine(record));
    else said.push(finishedLine(record));
  };
  return {
    onEvent(event) {
      if (!ticket) void open();
      if (event.type === 'start') running.set(event.step, { sinceMs: nowMs(), message: '' });
      if (event.type === 'end') return end(event.record);
      if (event.type !== 'progress') return;
      const step = running.get(event.step);
      if (step) step.message = event.message;
      if (!step || !event.transfer || !lines) return;
      const rows = stream.terminal?.rows ?? 0;
      // Lines that leave the terminal at its top cannot be changed any more: the summary names the others.
      if (!transfers.has(event.step) && transfers.size >= rows - otherRows) return;
      const line = transfers.get(event.step) ?? lines.add();
      transfers.set(event.step, line);
      const { receivedBytes, totalBytes } = event.transfer;
      const share = totalBytes === undefined || totalBytes === 0 ? undefined : receivedBytes / totalBytes;
      const [amount = ''] = share === undefined ? event.message.split(',') : [`${Math.floor(share * 100)} %`];
      line.set(oneLine(`${event.message}  ${event.step}`), { share, short: oneLine(`${amount}  ${event.step}`) });
    },
    stop() {
      clearInterval(timer);
      lines?.close();
      for (const line of said.splice(0)) stream.write(`${line}\n`);
      [timer, lines, summary, ticket] = [undefined, undefined, undefined, undefined];
      transfers.clear();
    },
  };
}
