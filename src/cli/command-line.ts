/**
 * The command line: argv in, the verb with its arguments and options out, or the text of the help. Only the verb that is
 * called is loaded. Mistakes are NK_USAGE with what was probably meant. Pure but for loading.
 */
import { nearest } from '../config/words.ts';
import { NodekilnError } from '../errors.ts';
import { version } from '../model/program.ts';
import {
  commonOptions,
  isRequired,
  optionWords,
  usageOf,
  type Options,
  type OptionValue,
  type OptionSpec,
  type Parsed,
  type VerbSpec,
} from './verb.ts';
import { groups, isVerb, verbs } from './verbs.ts';

/** `width`: columns that help may take. */
export async function parseCommandLine(argv: readonly string[], width: number): Promise<Parsed> {
  const [first, ...rest] = argv;
  const asked = argv.find((word) => !commonOptions.some(({ flag }) => flag === word));
  if (asked === '-V' || asked === '--version')
    return argv.includes('--json') ? parseCommandLine(['version', '--json'], width) : { text: version };
  if (first === 'help') return parseCommandLine(isHelp(rest[0] ?? '--help') ? ['--help'] : [...rest, '--help'], width);
  const { words, args } = await wordsOfVerb(argv);
  const name = words.join(' ');
  const wantsHelp = optionsEnd(args).some(isHelp);
  if (isVerb(name)) {
    const verb = await verbs[name]();
    if (wantsHelp) return { text: (await import('./help.ts')).verbHelp(verb.spec, width) };
    return { verb, ...parseArguments(verb.spec, args) };
  }
  if (words.length > 0 && !wantsHelp)
    throw new NodekilnError('NK_USAGE', `${name} needs a verb`, { hint: `Run nodekiln ${name} --help.` });
  // Nothing at all asks for help; options alone want something, and do not say what.
  if (words.length === 0 && args.length > 0 && !wantsHelp)
    throw new NodekilnError('NK_USAGE', `${args.join(' ')}: a verb is missing`, { hint: 'Run nodekiln --help.' });
  const { overview, groupHelp } = await import('./help.ts');
  return { text: words.length === 0 ? await overview(width) : await groupHelp(name, width) };
}

const isHelp = (word: string): boolean => word === '--help' || word === '-h';

/** What may be options: everything before `--`. */
function optionsEnd(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--');
  return end < 0 ? args : args.slice(0, end);
}

interface WordsOfVerb {
  /** A verb, a group alone, or nothing. */
  readonly words: readonly string[];
  /** Everything else, in its order. */
  readonly args: readonly string[];
}

/**
 * Verbs are one word, or one of a group and one of its own; a verb of one word may have others below it. Options may stand
 * before the verb and between its words: which of them take a value is known of all verbs together, which are loaded then.
 */
async function wordsOfVerb(argv: readonly string[]): Promise<WordsOfVerb> {
  const queue = [...argv];
  const args = await leadingOptions(queue);
  const first = queue.shift();
  if (first === undefined) return { words: [], args };
  if (!isVerb(first) && !Object.hasOwn(groups, first)) throw unknownVerb(first, firstWords());
  if (!isVerb(first)) args.push(...(await leadingOptions(queue)));
  const [second] = queue;
  if (second !== undefined && isVerb(`${first} ${second}`))
    return { words: [first, second], args: [...args, ...queue.slice(1)] };
  if (isVerb(first) || second === undefined) return { words: [first], args: [...args, ...queue] };
  throw unknownVerb(second, below(first), first);
}

/** The second words of verbs that begin with this one. */
function below(first: string): string[] {
  return Object.keys(verbs).flatMap((each) => (each.startsWith(`${first} `) ? (each.split(' ')[1] ?? []) : []));
}

const firstWords = (): string[] => Object.keys(verbs).map((name) => name.split(' ')[0] ?? '');

/** Takes the options off the queue that stand before its first word. */
async function leadingOptions(queue: string[]): Promise<string[]> {
  const taken: string[] = [];
  for (let [word] = queue; word?.startsWith('-') === true; [word] = queue) {
    const rest = queue.slice(1);
    if (!isHelp(word)) takeOption(word, rest, { known: await everyOption(), verb: undefined });
    taken.push(...queue.splice(0, queue.length - rest.length));
  }
  return taken;
}

/** Of all verbs by flag: one flag takes a value everywhere or nowhere. */
async function everyOption(): Promise<ReadonlyMap<string, OptionSpec>> {
  const all = await Promise.all(Object.values(verbs).map((load) => load()));
  const help: OptionSpec = { flag: '--help', about: 'print help' };
  const options = [...all.flatMap(({ spec }) => spec.options), ...commonOptions, help];
  return new Map(options.map((option) => [option.flag, option]));
}

/** Arguments and options of a verb, from the words behind its name. Every option is there, undefined when it was not given. */
export function parseArguments(spec: VerbSpec, args: readonly string[]): { arguments: string[]; options: Options } {
  const known = new Map([...spec.options, ...commonOptions].map((option) => [option.flag as string, option]));
  const values = new Map<string, OptionValue>();
  const words: string[] = [];
  const queue = [...args];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === '--') {
      words.push(...queue.splice(0));
    } else if (word === '-' || !word.startsWith('-')) {
      words.push(word);
    } else {
      const { flag, value } = takeOption(word, queue, { known, verb: spec.name });
      values.set(flag, known.get(flag)?.many === true ? [...listed(values.get(flag)), String(value)] : value);
    }
  }
  checkWords(spec, words);
  refuseMissing(spec, { words, values });
  const options = [...known.values()].map((option) => [option.flag.slice(2), valueOf(option, values)] as const);
  return { arguments: words, options: Object.fromEntries(options) };
}

interface KnownOptions {
  readonly known: ReadonlyMap<string, OptionSpec>;
  /** Whose they are; undefined before it is known. */
  readonly verb: string | undefined;
}

/** `--root DIR`, `--root=DIR`, `--json`; the value comes off the queue. */
function takeOption(
  word: string,
  queue: string[],
  { known, verb }: KnownOptions,
): { flag: string; value: string | boolean } {
  const [, flag = word, inline] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
  const option = known.get(flag);
  if (!option) throw unknownOption(flag, { known, verb });
  if (option.value === undefined) {
    if (inline === undefined) return { flag, value: true };
    throw new NodekilnError('NK_USAGE', `option ${flag} takes no value`, { hint: meant(undefined, verb) });
  }
  const value = inline ?? queue.shift();
  // `--root --json`: the next option is not the value of this one.
  if (value === undefined || (inline === undefined && value.startsWith('--')))
    throw new NodekilnError('NK_USAGE', `option ${flag} needs a value: ${optionWords(option)}`, {
      hint: meant(undefined, verb),
    });
  // A variable of a script that is not set, mostly: nothing is named by it.
  if (value === '') throw emptyWord(`option ${flag}`, optionWords(option), verb);
  if (option.choices && !option.choices.includes(value))
    throw new NodekilnError('NK_USAGE', `option ${flag} ${value} is none of ${option.choices.join(', ')}`, {
      hint: meant(nearest(value, option.choices), verb),
    });
  return { flag, value };
}

function emptyWord(what: string, words: string, verb: string | undefined): NodekilnError {
  return new NodekilnError('NK_USAGE', `${what} is empty: ${words}`, { hint: meant(undefined, verb) });
}

const listed = (value: OptionValue | undefined): readonly string[] => (typeof value === 'object' ? value : []);

function valueOf(option: OptionSpec, values: ReadonlyMap<string, OptionValue>): OptionValue | undefined {
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
      .filter((option) => isRequired(option) && !values.has(option.flag))
      .map((option) => `option ${optionWords(option)}`),
  ];
  if (missing.length === 0) return;
  throw new NodekilnError('NK_USAGE', `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing`, {
    hint: `Run nodekiln ${spec.name} --help.`,
  });
}

function checkWords(spec: VerbSpec, words: readonly string[]): void {
  const empty = words.indexOf('');
  const named = spec.arguments[Math.min(empty, spec.arguments.length - 1)];
  if (empty >= 0 && named) throw emptyWord(`argument ${named.name}`, usageOf(spec), spec.name);
  if (spec.arguments.some(({ many }) => many === true) || words.length <= spec.arguments.length) return;
  const others = below(spec.name);
  const [first] = words;
  if (first !== undefined && spec.arguments.length === 0 && others.length > 0)
    throw unknownVerb(first, others, spec.name);
  throw new NodekilnError(
    'NK_USAGE',
    `too many arguments for ${spec.name}: ${words.slice(spec.arguments.length).map(visible).join(' ')}`,
    { hint: meant(undefined, spec.name) },
  );
}

/** `conf` of `config`, where it begins one alone. */
function begunBy(word: string, known: readonly string[]): string | undefined {
  const [only, ...others] = new Set(known.filter((name) => name.startsWith(word)));
  return others.length === 0 ? only : undefined;
}

const visible = (word: string): string => word || '""';

/** `group`: what stands before it, and has verbs below. */
function unknownVerb(word: string, known: readonly string[], group?: string): NodekilnError {
  const name = word === '' ? undefined : (nearest(word, known) ?? begunBy(word, known));
  const whose = group === undefined ? '' : ` of ${group}`;
  return new NodekilnError('NK_USAGE', `unknown verb ${visible(word)}${whose}`, {
    hint: meant(name && [group, name].filter(Boolean).join(' '), group),
  });
}

/** `json` of `-j`, where one alone begins so; what other programs call `-v` and `-H`. */
function shortFor(word: string, { known, verb }: KnownOptions): string | undefined {
  if (!/^-[A-Za-z]$/.test(word)) return undefined;
  const letter = word.slice(1).toLowerCase();
  const names = [...known.keys()].map((flag) => flag.replace(/^-+/, ''));
  return begunBy(letter, verb === undefined ? ['version', 'help'] : names) ?? begunBy(letter, names);
}

function unknownOption(word: string, { known, verb }: KnownOptions): NodekilnError {
  const names = [...known.keys()].map((flag) => flag.replace(/^-+/, ''));
  const name = shortFor(word, { known, verb }) ?? nearest(word.replace(/^-+/, ''), names);
  const whose = verb === undefined ? '' : ` of ${verb}`;
  return new NodekilnError('NK_USAGE', `unknown option ${word}${whose}`, { hint: meant(name && `--${name}`, verb) });
}

/** The word that was meant, or the help that says which there are. */
function meant(word: string | undefined, verb: string | undefined): string {
  return word === undefined
    ? `Run ${['nodekiln', verb, '--help'].filter(Boolean).join(' ')}.`
    : `Did you mean ${word}?`;
}
