/**
 * What a verb of the command line is: a description (of which help, argument parsing and docs/reference/cli.md are made)
 * and one call. A verb returns data and the text for people; `main.ts` prints one of the two.
 */
import type { NodekilnError } from '../errors.ts';
import type { StepEvent } from '../telemetry/events.ts';
import type { JournalFields } from './journal.ts';

export interface OptionSpec {
  /** `--root` */
  readonly flag: `--${string}`;
  /** `DIR` when it takes a value. */
  readonly value?: string;
  readonly about: string;
  readonly default?: string;
  readonly choices?: readonly string[];
  readonly required?: boolean;
  /** May be given several times. */
  readonly many?: true;
}

export interface ArgumentSpec {
  /** `FILE` */
  readonly name: string;
  readonly about: string;
  readonly required: boolean;
  readonly many?: boolean;
}

/** `DOCUMENT…`, in brackets when it may be left out. */
export function argumentWord({ name, required, many }: ArgumentSpec): string {
  const word = many === true ? `${name}…` : name;
  return required ? word : `[${word}]`;
}

/** Without it the verb does nothing. */
export const isRequired = ({ required, default: preset }: OptionSpec): boolean =>
  required === true && preset === undefined;

/** `--root DIR` */
export const optionWords = ({ flag, value }: OptionSpec): string => (value === undefined ? flag : `${flag} ${value}`);

/** `nodekiln bake --root DIR [OPTION…] MANIFEST`: options that may be left out in one word. */
export function usageOf({ name, options, arguments: words }: Pick<VerbSpec, 'name' | 'options' | 'arguments'>): string {
  const required = options.filter(isRequired).map(optionWords);
  return ['nodekiln', name, ...required, '[OPTION…]', ...words.map(argumentWord)].join(' ');
}

export interface VerbSpec {
  /** `boot`, `config check` */
  readonly name: string;
  /** One line: what it does. */
  readonly summary: string;
  /** Further sentences of the help. */
  readonly description?: string;
  readonly arguments: readonly ArgumentSpec[];
  /** Beside those every verb has. */
  readonly options: readonly OptionSpec[];
  readonly examples: readonly string[];
  /** `kind` of the JSON output. */
  readonly kind: string;
  /** `always`, or only on this host, without `elsewhere`: then it is refused to other users before anything happens. */
  readonly root: 'always' | 'host' | 'never';
  /** The option that makes it work on something else than this host. Default: `--root`. */
  readonly elsewhere?: '--root' | '--facts';
  /** Works on the running machine only: refused where systemd does not run, before anything happens. */
  readonly systemd?: true;
  /** What it says is a log: its steps stand in it, in their order, unless a person looks on. */
  readonly isLog?: true;
  /** Ends in its own order when asked to stop; other verbs only look and are left where they are. */
  readonly endsItself?: true;
}

export interface Verb {
  readonly spec: VerbSpec;
  run(call: Call): Promise<Answer>;
}

/** The parsed command line and the way to the outside. */
export interface Call {
  readonly arguments: readonly string[];
  readonly options: Options;
  readonly json: boolean;
  readonly signal: AbortSignal;
  readonly onEvent: (event: StepEvent) => void;
  readonly terminal: Terminal;
  /** One object of a stream: a line of JSON with `--json`, else the text. */
  emit(kind: string, answer: Answer): void;
}

export type Options = Readonly<Record<string, OptionValue | undefined>>;

/** A list where an option may be given several times. */
export type OptionValue = string | boolean | readonly string[];

export interface Terminal {
  /** Columns of stdout; 100 where it is no terminal. */
  readonly width: number;
  /** Columns that tables may take; undefined where they may take what they need. */
  readonly fit: number | undefined;
  /** `--wide`: everything in full. */
  readonly wide: boolean;
  /** `util.styleText`, where stdout shows colours. */
  readonly style: (style: Style, text: string) => string;
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

export interface Answer {
  readonly data: unknown;
  /** For people; without a newline at the end. Nothing is printed when it is empty. */
  readonly text: string;
  /** The verb did its work and it came out badly: printed after the data, and the exit status is its. */
  readonly error?: NodekilnError;
  /** What was said already by `emit`; no last object. */
  readonly streamed?: boolean;
  /** Of one that is emitted, for the journal. Default: when it has an error. */
  readonly isWarning?: boolean;
  /** What it is found by in the journal. Absent: it is not worth an entry of its own. */
  readonly fields?: JournalFields;
}

/** A command line that was understood; without a verb there is only text to print. */
export type Parsed =
  | { readonly verb: Verb; readonly arguments: readonly string[]; readonly options: Options }
  | { readonly text: string };

/** Options that every verb has. */
export const commonOptions: readonly OptionSpec[] = [
  { flag: '--json', about: 'print one JSON object on stdout (streams: one per line) instead of text' },
  { flag: '--quiet', about: 'no progress on stderr' },
  { flag: '--wide', about: 'tables with everything in full, however narrow the terminal is' },
];

export const rootOption: OptionSpec = {
  flag: '--root',
  value: 'DIR',
  about: 'work on this root folder instead of the machine',
  default: '/',
};

/** The value of an option that takes one. */
export function textOption(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

export function flagOption(options: Options, name: string): boolean {
  return options[name] === true;
}

/** The values of an option that may be given several times. */
export function listOption(options: Options, name: string): readonly string[] {
  const value = options[name];
  return typeof value === 'object' ? value : [];
}
