/** What a terminal shows of what was written to it: the little of ECMA-48 that moves a cursor, erases and colours. */
const escape = '\u001b';
const sequence = new RegExp(String.raw`${escape}\[(\??([\d;]*)[A-Za-z])|([^])`, 'gu');

export interface Screen {
  readonly lines: readonly string[];
  /** Lines that were too long, and went on in the next one. */
  readonly wrapped: number;
}

/** Lines as they stand, each to its last letter. */
export function screenOf(written: string): string[] {
  return [...screen(written, Infinity).lines];
}

/** On a terminal of so many columns; letters are one wide. */
export function screen(written: string, columns: number): Screen {
  const lines: string[][] = [[]];
  let [row, column, wrapped] = [0, 0, 0];
  for (const [, code, count = '', letter = ''] of written.matchAll(sequence)) {
    const line = (lines[row] ??= []);
    if (code !== undefined) {
      const number = Number(count || '1');
      if (code.endsWith('A')) row = Math.max(0, row - number);
      if (code.endsWith('B')) row += number;
      if (code.endsWith('G')) column = number - 1;
      if (code.endsWith('K')) line.splice(count === '2' ? 0 : column);
      if (code.endsWith('J')) {
        line.splice(column);
        lines.splice(row + 1);
      }
    } else if (letter === '\n') [row, column] = [row + 1, 0];
    else if (letter === '\r') column = 0;
    else {
      if (column >= columns) [row, column, wrapped] = [row + 1, 0, wrapped + 1];
      const here = (lines[row] ??= []);
      while (here.length < column) here.push(' ');
      here[column] = letter;
      column += 1;
    }
  }
  return { lines: Array.from({ length: lines.length }, (_line, at) => (lines[at] ?? []).join('').trimEnd()), wrapped };
}
