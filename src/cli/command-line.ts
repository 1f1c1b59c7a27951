/**
 * The command line: argv in, the verb with its arguments and options out, or the text of the help. Only the verb that is
 * called is loaded. Mistakes are NK_USAGE with what was probably meant. Pure but for loading.
 */
import { nearest } from '../config/words.ts';
import { NodekilnError } from '../errors.ts';
import { version } from '../model/program.ts';
import { commonOptions, type Options, type OptionSpec, type Parsed, type VerbSpec } from './verb.ts';
import { groups, isVerb, verbs } from './verbs.ts';

/** `width`: columns that help may take. */
export async function parseCommandLine(argv: readonly string[], width: number): Promise<Parsed> {
  const [first, ...rest] = argv;
  if (first === '-V' || first === '--version')
    return rest.includes('--json') ? parseCommandLine(['version', ...rest], width) : { text: version };
  // `nodekiln --json status`: what every verb has may stand before it.
  if (first !== undefined && rest.length > 0 && commonOptions.some(({ flag }) => flag === first)) {
    const end = rest.indexOf('--');
    return parseCommandLine(rest.toSpliced(end < 0 ? rest.length : end, 0, first), width);
  }
  if (first === undefined || isHelp(first)) return { text: await (await import('./help.ts')).overview(width) };
  if (first === 'help') return parseCommandLine(isHelp(rest[0] ?? '--help') ? ['--help'] : [...rest, '--help'], width);
  if (first.startsWith('-')) throw unknownOption(first, ['--help', '--version']);
  const { name, args } = findVerb(first, rest);
  if (name === undefined) return { text: await (await import('./help.ts')).groupHelp(first, width) };
  const verb = await verbs[name]();
  const given = optionsEnd(args);
  if (given.some(isHelp)) return { text: (await import('./help.ts')).verbHelp(verb.spec, width) };
  return { verb, ...parseArguments(verb.spec, args) };
}

const isHelp = (word: string): boolean => word === '--help' || word === '-h';

/** What may be options: everything before `--`. */
function optionsEnd(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--');
  return end < 0 ? args : args.slice(0, end);
}

interface Found {
  /** Undefined when the help of the group is wanted. */
  readonly name: keyof typeof verbs | undefined;
  readonly args: readonly string[];
}

/** Verbs are one word, or one of a group and one of its own; a verb of one word may have others below it. */
function findVerb(first: string, rest: readonly string[]): Found {
  const both = `${first} ${rest[0] ?? ''}`;
  if (isVerb(both)) return { name: both, args: rest.slice(1) };
  if (isVerb(first)) return { name: first, args: rest };
  if (!Object.hasOwn(groups, first))
    throw unknownVerb(
      first,
      Object.keys(verbs).map((name) => name.split(' ')[0] ?? ''),
    );
  const [second, ...args] = rest;
  if (second === undefined) {
    throw new NodekilnError('NK_USAGE', `${first} needs a verb`, { hint: `Run nodekiln ${first} --help.` });
  }
  if (isHelp(second)) return { name: undefined, args };
  if (second.startsWith('-')) throw unknownOption(second, ['--help']);
  throw unknownVerb(
    second,
    Object.keys(verbs).flatMap((each) => (each.startsWith(`${first} `) ? (each.split(' ')[1] ?? []) : [])),
  );
}

/** Arguments and options of a verb, from the words behind its name. Every option is there, undefined when it was not given. */
export function parseArguments(spec: VerbSpec, args: readonly string[]): { arguments: string[]; options: Options } {
  const known = new Map([...spec.options, ...commonOptions].map((option) => [option.flag as string, option]));
  const values = new Map<string, string | boolean>();
  const words: string[] = [];
  const queue = [...args];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === '--') {
      words.push(...queue.splice(0));
    } else if (word === '-' || !word.startsWith('-')) {
      words.push(word);
    } else {
      const { flag, value } = takeOption(word, queue, known);
      values.set(flag, value);
    }
  }
  checkWords(spec, words);
  refuseMissing(spec, { words, values });
  const options = [...known.values()].map((option) => [option.flag.slice(2), valueOf(option, values)] as const);
  return { arguments: words, options: Object.fromEntries(options) };
}

/** `--root DIR`, `--root=DIR`, `--json`; the value comes off the queue. */
function takeOption(
  word: string,
  queue: string[],
  known: ReadonlyMap<string, OptionSpec>,
): { flag: string; value: string | boolean } {
  const [, flag = word, inline] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
  const option = known.get(flag);
  if (!option) throw unknownOption(flag, known.keys());
  if (option.value === undefined) {
    if (inline === undefined) return { flag, value: true };
    throw new NodekilnError('NK_USAGE', `option ${flag} takes no value`);
  }
  const value = inline ?? queue.shift();
  // `--root --json`: the next option is not the value of this one.
  if (value === undefined || (inline === undefined && value.startsWith('--')))
    throw new NodekilnError('NK_USAGE', `option ${flag} needs a value: ${flag} ${option.value}`);
  if (option.choices && !option.choices.includes(value))
    throw new NodekilnError('NK_USAGE', `option ${flag} ${value} is none of ${option.choices.join(', ')}`);
  return { flag, value };
}

function valueOf(option: OptionSpec, values: ReadonlyMap<string, string | boolean>): string | boolean | undefined {
  return values.get(option.flag) ?? option.default;
}

interface Given {
  readonly words: readonly string[];
  readonly values: ReadonlyMap<string, unknown>;
}

/** All that is missing at once. */
function refuseMissing(spec: VerbSpec, { words, values }: Given): void {
  const missing = [
    ...spec.arguments
      .filter(({ required }, index) => required && words[index] === undefined)
      .map(({ name }) => `argument ${name}`),
    ...spec.options
      .filter(({ required, flag, default: preset }) => required === true && !values.has(flag) && preset === undefined)
      .map(({ flag, value }) => `option ${[flag, value].join(' ').trim()}`),
  ];
  if (missing.length === 0) return;
  throw new NodekilnError('NK_USAGE', `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing`, {
    hint: `Run nodekiln ${spec.name} --help.`,
  });
}

function checkWords(spec: VerbSpec, words: readonly string[]): void {
  if (spec.arguments.some(({ many }) => many === true) || words.length <= spec.arguments.length) return;
  throw new NodekilnError(
    'NK_USAGE',
    `too many arguments for ${spec.name}: ${words.slice(spec.arguments.length).join(' ')}`,
  );
}

function unknownVerb(word: string, known: Iterable<string>): NodekilnError {
  const meant = nearest(word, known);
  return new NodekilnError(
    'NK_USAGE',
    `unknown verb ${word}`,
    meant === undefined ? {} : { hint: `Did you mean ${meant}?` },
  );
}

function unknownOption(word: string, known: Iterable<string>): NodekilnError {
  const names = [...known].map((flag) => flag.replace(/^-+/, ''));
  const meant = nearest(word.replace(/^-+/, ''), names);
  return new NodekilnError(
    'NK_USAGE',
    `unknown option ${word}`,
    meant === undefined ? {} : { hint: `Did you mean --${meant}?` },
  );
}
