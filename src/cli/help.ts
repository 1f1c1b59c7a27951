/** The texts of the help, from the descriptions of the verbs; `width` is how many columns they may take. */
import { commonOptions, isRequired, optionWords, usageOf, type OptionSpec, type VerbSpec } from './verb.ts';
import { groups, verbs } from './verbs.ts';

const exitStatus = 'Exit status: 0, or the class of the error (docs/reference/exit-codes.md).';
const helpRow = ['-h, --help', 'print help'] as const;

/** Of the whole program: its verbs, those of a group as one. */
export async function overview(width: number): Promise<string> {
  const all = await Promise.all(Object.values(verbs).map((load) => load()));
  const rows = new Map<string, string>();
  for (const { spec } of all) {
    const [first = ''] = spec.name.split(' ');
    // The verb of one word stands for those below it.
    if (!rows.has(first)) rows.set(first, groups[first] ?? spec.summary);
  }
  rows.set('help [VERB…]', 'print the help of a verb');
  return sections([
    'Usage: nodekiln VERB [OPTION…]',
    'Bakes, boots and tends Kubernetes nodes from declarative documents.',
    `Options:\n${table([['-V, --version', 'print the version'], helpRow], width)}`,
    `Verbs:\n${table([...rows], width)}`,
    `The help of one verb: nodekiln VERB --help\n${exitStatus}`,
  ]);
}

/** Of verbs that begin with the same word. */
export async function groupHelp(group: string, width: number): Promise<string> {
  const names = Object.entries(verbs).filter(([name]) => name.startsWith(`${group} `));
  const all = await Promise.all(names.map(([, load]) => load()));
  const rows = all.map(({ spec }) => [spec.name.slice(group.length + 1), spec.summary] as const);
  return sections([
    `Usage: nodekiln ${group} VERB [OPTION…]`,
    wrap(sentence(groups[group] ?? ''), width),
    `Verbs:\n${table(rows, width)}`,
    `The help of one verb: nodekiln ${group} VERB --help`,
  ]);
}

export function verbHelp(spec: VerbSpec, width: number): string {
  const argumentRows = spec.arguments.map(({ name, about }) => [name, about] as const);
  const optionRows = [...spec.options, ...commonOptions].map(optionRow);
  return sections([
    `Usage: ${usageOf(spec)}`,
    wrap(sentence(spec.summary), width),
    wrap(spec.description ?? '', width),
    argumentRows.length === 0 ? '' : `Arguments:\n${table(argumentRows, width)}`,
    `Options:\n${table([...optionRows, helpRow], width)}`,
    `Examples:\n${spec.examples.map((example) => `  ${example}`).join('\n')}`,
    exitStatus,
  ]);
}

function optionRow(option: OptionSpec): readonly [string, string] {
  const { about, default: preset, choices } = option;
  const notes = [
    ...(choices ? [`one of ${choices.join(', ')}`] : []),
    ...(preset === undefined ? [] : [`${preset} unless told`]),
    ...(isRequired(option) ? ['required'] : []),
  ];
  return [optionWords(option), notes.length === 0 ? about : `${about} (${notes.join('; ')})`];
}

function sections(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n\n');
}

/** Two columns, the second wrapped; below the first where that leaves no room. */
function table(rows: readonly (readonly [string, string])[], width: number): string {
  const first = Math.max(...rows.map(([term]) => term.length)) + 4;
  if (width - first < 30)
    return rows.map(([term, about]) => [`  ${term}`, indented(wrap(about, width - 6))].join('\n')).join('\n');
  return rows
    .map(([term, about]) => {
      const lines = wrap(about, width - first).split('\n');
      return lines.map((line, index) => `${(index === 0 ? `  ${term}` : '').padEnd(first)}${line}`).join('\n');
    })
    .join('\n');
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '      ');
}

function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join('\n');
}

function sentence(summary: string): string {
  return summary === '' ? '' : `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}
