/** Lines that change in place at the end of a terminal, by cli-progress. Loaded only where somebody watches. */
import { clearScreenDown } from 'node:readline';
import cliProgress from 'cli-progress';
import stringWidth from 'string-width';
import type { LiveLines } from './port.ts';

/** A terminal as Node has it. */
export type TerminalStream = NodeJS.WritableStream & { readonly columns: number };

const barColumns = 20;
const framesPerSecond = 10;
/** With fewer a bar and its numbers leave no room for what they are about. */
const narrowColumns = 60;

interface Shown {
  readonly text: string;
  readonly short?: string | undefined;
  readonly hasBar: boolean;
}

export function createLiveLines(stream: TerminalStream): LiveLines {
  const bars = new cliProgress.MultiBar({
    stream,
    format: (options, { progress }, { text, short, hasBar }: Shown) => {
      const room = stream.columns - 1;
      if (stream.columns < narrowColumns && short !== undefined) return cut(short, room);
      const bar = hasBar ? `${cliProgress.Format.BarFormat(progress, options)} ` : '';
      return cut(`${bar}${text}`, room);
    },
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: barColumns,
    fps: framesPerSecond,
    // A line that moves up is drawn there, too.
    forceRedraw: true,
    clearOnComplete: true,
    // What a signal could leave behind is never changed: the cursor, the wrapping of lines.
    hideCursor: false,
    linewrap: true,
  });
  let saying = false;
  // What is said takes the place of these lines, and may be longer than they are.
  bars.on('redraw-pre', () => {
    if (saying) clearScreenDown(stream);
    saying = false;
  });
  return {
    add() {
      const bar = bars.create(1, 0, { text: '', hasBar: false } satisfies Shown);
      return {
        set: (text, { share, short } = {}) =>
          bar.update(share ?? 0, { text, short, hasBar: share !== undefined } satisfies Shown),
        remove: () => void bars.remove(bar),
      };
    },
    say(line) {
      saying = true;
      bars.log(`${line}\n`);
    },
    close() {
      // What was said last may still wait for the next frame.
      bars.update();
      bars.stop();
    },
  };
}

/** So that it takes one line, whatever its letters are. */
function cut(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  let shown = '';
  for (const letter of text) {
    if (stringWidth(shown + letter) >= columns) break;
    shown += letter;
  }
  return `${shown}…`;
}
