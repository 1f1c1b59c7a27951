/**
 * Progress on stderr. On a terminal: one live line of what runs, with the time it has been running, above it a line for
 * what failed or took long. Elsewhere: one plain line per finished step. Nothing when quiet.
 */
import type { ProgressEvent } from '../apply/executor.ts';
import { formatDuration, shorten } from '../inspect/format.ts';

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Progress {
  onEvent(event: ProgressEvent): void;
  /** Takes the live line away; before anything else is printed. */
  stop(): void;
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const frameMs = 100;
/** Steps shorter than this are not worth a line on a terminal. */
const longMs = 200;

export interface ProgressOptions {
  readonly quiet: boolean;
  readonly nowMs: () => number;
}

export function createProgress(stream: ProgressStream, options: ProgressOptions): Progress {
  if (options.quiet) return { onEvent: () => undefined, stop: () => undefined };
  return stream.isTTY === true ? liveProgress(stream, options) : plainProgress(stream);
}

type EndedStep = Extract<ProgressEvent, { type: 'end' }>['record'];

function finishedLine(record: EndedStep): string {
  const details = record.details.length > 0 ? `: ${record.details.join(', ')}` : '';
  const error = record.error === undefined ? '' : `: ${record.error.message}`;
  const time = record.status === 'skipped' ? '' : ` (${formatDuration(record.endMs - record.startMs)})`;
  return `${record.status.padEnd(7)} ${record.id}${time}${details}${error}`;
}

function plainProgress(stream: ProgressStream): Progress {
  return {
    onEvent(event) {
      if (event.type === 'end') stream.write(`${finishedLine(event.record)}\n`);
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
    const line = `${frames[frame]} ${finished} done, ${running.size} running: ${steps.join(', ')}`;
    stream.write(`\r\u001b[K${shorten(line, Math.max(20, (stream.columns ?? 80) - 1))}`);
    shown = true;
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    onEvent(event) {
      timer ??= setInterval(draw, frameMs).unref();
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
