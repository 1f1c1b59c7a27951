/** Lines that change in place at the end of a terminal, by cli-progress. Loaded only where somebody watches. */
import cliProgress from 'cli-progress';
import stringWidth from 'string-width';
import type { LiveLines } from './port.ts';

/** A terminal as Node has it. */
export type TerminalStream = NodeJS.WritableStream & { readonly columns: number };

const barColumns = 20;
const framesPerSecond = 10;

export function createLiveLines(stream: TerminalStream): LiveLines {
  const bars = new cliProgress.MultiBar({
    stream,
    format: (options, { progress }, { text, hasBar }: { text: string; hasBar: boolean }) => {
      const bar = hasBar ? `${cliProgress.Format.BarFormat(progress, options)} ` : '';
      return cut(`${bar}${text}`, stream.columns - 1);
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
  return {
    add() {
      const bar = bars.create(1, 0, { text: '', hasBar: false });
      return {
        set: (text, share) => bar.update(share ?? 0, { text, hasBar: share !== undefined }),
        remove: () => void bars.remove(bar),
      };
    },
    say: (line) => bars.log(`${line}\n`),
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
