/**
 * Tables for people: columns aligned to their widest cell, two spaces apart. On a terminal they fit its width: the widest
 * columns give, and what is cut off is told by `…`; `--wide` shows all. Digests are as long as tells two apart, but for
 * `--wide`. Loaded by verbs that print tables, which boot and agent do not.
 */
import CliTable from 'cli-table3';
import stringWidth from 'string-width';
import { digestShown } from '../inspect/format.ts';
import { oneLine } from './printing.ts';
import type { Terminal } from './verb.ts';

/** How it is to look. */
export type Look = Pick<Terminal, 'style' | 'fit' | 'wide'>;

export const plainLook: Look = { style: (_style, text) => text, fit: undefined, wide: true };

export interface Column {
  readonly title: string;
  readonly align?: 'right';
  /** Never cut: what people copy. */
  readonly whole?: true;
}

const gap = '  ';
/** A column that gives keeps so many cells, or those of its title. */
const narrowest = 8;

/** Nothing at all for no rows. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  look: Look = plainLook,
): string {
  if (rows.length === 0) return '';
  const shown = rows.map((row) =>
    columns.map(({ whole }, index) =>
      cellOf(look.wide || whole === true ? (row[index] ?? '') : shortDigests(row[index] ?? '')),
    ),
  );
  const widths = fitted(
    columns,
    columns.map(({ title }, index) =>
      Math.max(...[title, ...shown.map((row) => row[index] ?? '')].map((cell) => stringWidth(cell))),
    ),
    look.wide ? undefined : look.fit,
  );
  const layout = new CliTable({
    chars: borders,
    colWidths: widths,
    colAligns: columns.map(({ align }) => align ?? 'left'),
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  layout.push(
    columns.map(({ title }) => title),
    ...shown,
  );
  const [titles = '', ...lines] = layout
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  return [look.style('dim', titles), ...lines].join('\n');
}

const borders = {
  ...Object.fromEntries(
    ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'].map((name) => [
      name,
      '',
    ]),
  ),
  ...Object.fromEntries(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'].map((name) => [name, ''])),
  middle: gap,
};

/** A cell is one line, whatever is in it, and a tab is no column. */
function cellOf(text: string): string {
  return oneLine(text).replaceAll('\t', String.raw`\t`);
}

function shortDigests(text: string): string {
  return text.replaceAll(/\bsha(?:256|512):[0-9a-f]{64,128}\b/g, (digest) => `${digest.slice(0, digestShown)}…`);
}

/** The widest of those that may give narrow down together, until all of them fit. */
function fitted(columns: readonly Column[], natural: readonly number[], fit: number | undefined): number[] {
  const widths = [...natural];
  if (fit === undefined) return widths;
  const least = columns.map(({ title, whole }, index) =>
    whole === true ? (natural[index] ?? 0) : Math.min(natural[index] ?? 0, Math.max(narrowest, stringWidth(title))),
  );
  let over = widths.reduce((sum, width) => sum + width, 0) + gap.length * (widths.length - 1) - fit;
  for (; over > 0; over--) {
    const giving = widths.map((width, index) => (width > (least[index] ?? 0) ? width : 0));
    const widest = giving.indexOf(Math.max(...giving));
    if ((giving[widest] ?? 0) === 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}
