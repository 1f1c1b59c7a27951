/**
 * Progress on stderr. On a terminal: one live line of what runs, with the time it has been running, above it a line for
 * what failed or took long. Elsewhere: one plain line per finished step, and one about each transfer every ten seconds.
 * Nothing when quiet.
 */
import type { StepEvent } from '../telemetry/events.ts';
import { formatDuration, shorten } from '../inspect/format.ts';
import { oneLine } from './printing.ts';

export interface ProgressStream {
  readonly terminal?: { readonly columns: number } | undefined;
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

/** Between two lines about one transfer, where there is no terminal. */
const reportMs = 10_000;

export interface ProgressOptions {
  readonly quiet: boolean;
  readonly nowMs: () => number;
}

export function createProgress(stream: ProgressStream, options: ProgressOptions): Progress {
  if (options.quiet) return { onEvent: () => undefined, stop: () => undefined };
  return stream.terminal ? liveProgress(stream, options) : plainProgress(stream, options);
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

function liveProgress(stream: ProgressStream, { nowMs }: ProgressOptions): Progress {
  const running = new Map<string, { sinceMs: number; message: string }>();
  let finished = 0;
  let frame = 0;
  let shown = false;
  const erase = (): void => {
    if (shown) stream.write('\r\u001b[K');
    shown = false;
  };
  const draw = (): void => {
    frame = (frame + 1) % frames.length;
    const steps = [...running].map(
      ([id, { sinceMs, message }]) => `${id} ${formatDuration(nowMs() - sinceMs)}${message && ` ${message}`}`,
    );
    if (steps.length === 0) return erase();
    const line = oneLine(`${frames[frame]} ${finished} done, ${running.size} running: ${steps.join(', ')}`);
    stream.write(`\r\u001b[K${shorten(line, Math.max(20, (stream.terminal?.columns ?? 80) - 1))}`);
    shown = true;
  };
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    onEvent(event) {
      timer ??= setInterval(draw, frameMs);
      switch (event.type) {
        case 'start':
          running.set(event.step, { sinceMs: nowMs(), message: '' });
          return;
        case 'progress': {
          const step = running.get(event.step);
          if (step) running.set(event.step, { ...step, message: event.message });
          return;
        }
        case 'end': {
          const { record } = event;
          running.delete(record.id);
          finished += 1;
          if (record.status !== 'failed' && record.endMs - record.startMs < longMs) return;
          erase();
          stream.write(`${finishedLine(record)}\n`);
        }
      }
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
      erase();
    },
  };
}
