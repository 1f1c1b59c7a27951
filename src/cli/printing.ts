/**
 * The one way to stdout, stderr and the journal: whatever a text holds from outside, no more than text and our own colours
 * leaves us. Colours stand in texts as marks that nobody outside can know, so that what looks like one is shown, not obeyed.
 */
import type { Output } from '../host/port.ts';
import { visible, visibleLine } from '../model/printable.ts';
import type { Style } from './verb.ts';

export type Styler = (style: Style, text: string) => string;

/** Select Graphic Rendition: on and off. ECMA-48, 8.3.117. */
const renditions: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Made for the first colour: what makes it takes milliseconds to load. */
let marks: { readonly begin: string; readonly pattern: RegExp } | undefined;

function makeMarks(): NonNullable<typeof marks> {
  const begin = `\u001b${crypto.randomUUID()}`;
  return { begin, pattern: new RegExp(`(${begin}\\d+m)`) };
}

export function styler({ colours }: Pick<Output, 'colours'>): Styler {
  return (style, text) => {
    if (!colours) return text;
    const { begin } = (marks ??= makeMarks());
    const [on, off] = renditions[style];
    return `${begin}${on}m${text}${begin}${off}m`;
  };
}

function besideMarks(text: string, show: (part: string) => string): string {
  if (!marks) return show(text);
  const parts = text.split(marks.pattern);
  return parts.map((part, index) => (index % 2 === 1 ? part : show(part))).join('');
}

/** What comes from outside has one line, wherever it stands in what is said. */
export function oneLine(text: string): string {
  return besideMarks(text, visibleLine);
}

/** As it is written: JSON stays the same value. */
export function printed(text: string): string {
  const shown = besideMarks(text, visible);
  return marks ? shown.replaceAll(marks.begin, '\u001b[') : shown;
}
