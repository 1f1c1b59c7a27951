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

const secret = crypto.randomUUID();
const marks = new RegExp(`(\u001b${secret}\\d+m)`);

export function styler({ colours }: Pick<Output, 'colours'>): Styler {
  const mark = (rendition: number): string => `\u001b${secret}${rendition}m`;
  return (style, text) => {
    const [on, off] = renditions[style];
    return colours ? `${mark(on)}${text}${mark(off)}` : text;
  };
}

function besideMarks(text: string, show: (part: string) => string): string {
  const parts = text.split(marks);
  return parts.map((part, index) => (index % 2 === 1 ? part : show(part))).join('');
}

/** What comes from outside has one line, wherever it stands in what is said. */
export function oneLine(text: string): string {
  return besideMarks(text, visibleLine);
}

/** As it is written: JSON stays the same value. */
export function printed(text: string): string {
  return besideMarks(text, visible).replaceAll(`\u001b${secret}`, '\u001b[');
}
