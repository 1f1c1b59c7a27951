/**
 * The command line through `commander`: argv in, the verb with its arguments and options out, or the text of the help.
 * Mistakes are NK_USAGE with what was probably meant.
 */
import { Argument, Command, CommanderError, Option } from 'commander';
import { NodekilnError } from '../errors.ts';
import { version } from '../model/program.ts';
import { commonOptions, type Options, type OptionSpec, type Parsed, type Verb } from './verb.ts';
import { groups, verbs } from './verbs.ts';

export async function parseCommandLine(argv: readonly string[]): Promise<Parsed> {
  const all = await Promise.all(Object.values(verbs).map((load) => load()));
  let found: Parsed | undefined;
  let printed = '';
  const settle = (parsed: Parsed): void => {
    found = parsed;
  };
  const program = commandTree(all, settle);
  for (const command of everyCommand(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => (printed += text),
      writeErr: () => undefined,
      getOutHelpWidth: () => Math.min(process.stdout.columns ?? 100, 110),
    });
  }
  if (argv.length === 0) return { text: program.helpInformation().trimEnd() };
  try {
    await program.parseAsync(withoutHelpVerb(argv), { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return { text: printed.trimEnd() };
    throw usageError(thrown, argv);
  }
  if (!found) throw new NodekilnError('NK_INTERNAL', 'the command line names no verb');
  if ('options' in found) refuseSwallowed(found.options);
  return found;
}

/** `help config check` is `config check --help`: the library's own help verb knows one word. */
function withoutHelpVerb(argv: readonly string[]): string[] {
  const [first, second = '', ...rest] = argv;
  if (first !== 'help' || second === '' || second.startsWith('-')) return [...argv];
  const known = [...Object.keys(verbs), ...Object.keys(groups)].some((name) => name.split(' ')[0] === second);
  return known ? [second, ...rest, '--help'] : [second];
}

/** The whole tree of commands, of which help and reference page are made too. */
export function commandTree(all: readonly Verb[], settle: (parsed: Parsed) => void = () => undefined): Command {
  const program = new Command('nodekiln')
    .description('Bakes, boots and tends Kubernetes nodes from declarative documents.')
    .usage('VERB [OPTION…]')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [VERB…]', 'print the help of a verb')
    .configureHelp({ subcommandTerm: (command) => command.name(), showGlobalOptions: false })
    .showSuggestionAfterError(true)
    // `--version` after a verb is the verb's own.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nThe help of one verb: nodekiln VERB --help\nExit status: 0, or the class of the error (docs/reference/exit-codes.md).',
    );
  const parents = new Map<string, Command>();
  for (const verb of all) {
    const words = verb.spec.name.split(' ');
    const [group = '', leaf] = words;
    if (leaf === undefined) {
      program.addCommand(verbCommand(verb, group, settle));
      continue;
    }
    let parent = parents.get(group);
    if (!parent) {
      parent = new Command(group)
        .description(groups[group] ?? '')
        .usage('VERB [OPTION…]')
        .helpOption('-h, --help', 'print help')
        .helpCommand(false);
      parent.copyInheritedSettings(program);
      parents.set(group, parent);
      program.addCommand(parent);
    }
    parent.addCommand(verbCommand(verb, leaf, settle));
  }
  return program;
}

function verbCommand(verb: Verb, name: string, settle: (parsed: Parsed) => void): Command {
  const { spec } = verb;
  const command = new Command(name)
    .summary(spec.summary)
    .description(
      spec.description === undefined ? sentence(spec.summary) : `${sentence(spec.summary)}\n\n${spec.description}`,
    )
    .helpOption('-h, --help', 'print help')
    .addHelpText(
      'after',
      `\nExamples:\n${spec.examples.map((example) => `  ${example}`).join('\n')}\n\nExit status: 0, or the class of the error (docs/reference/exit-codes.md).`,
    );
  for (const { name: argument, about, required, many } of spec.arguments) {
    const text = many === true ? `${argument}...` : argument;
    command.addArgument(new Argument(required ? `<${text}>` : `[${text}]`, about));
  }
  for (const option of [...spec.options, ...commonOptions]) command.addOption(commanderOption(option));
  command.action((...given: unknown[]) => {
    const values: Options = command.opts();
    const args = given.slice(0, spec.arguments.length).flat();
    settle({
      verb,
      arguments: args.filter((value) => typeof value === 'string'),
      options: byFlag(spec.options, values),
    });
  });
  return command;
}

function commanderOption({ flag, value, about, default: preset, choices, required }: OptionSpec): Option {
  const option = new Option(value === undefined ? flag : `${flag} <${value}>`, about);
  if (preset !== undefined) option.default(preset);
  if (choices) option.choices([...choices]);
  if (required === true) option.makeOptionMandatory();
  return option;
}

/** `--root --json`: the next option was taken for the value of the one before. */
function refuseSwallowed(options: Options): void {
  const swallowed = Object.entries(options).find(([, value]) => typeof value === 'string' && value.startsWith('--'));
  if (swallowed) throw new NodekilnError('NK_USAGE', `option --${swallowed[0]} needs a value`);
}

/** `sharedOnly` back to `shared-only`: options are called as they are written. */
function byFlag(specs: readonly OptionSpec[], values: Options): Options {
  return Object.fromEntries(
    [...specs, ...commonOptions].map(({ flag, value }) => {
      const option = new Option(value === undefined ? flag : `${flag} <${value}>`);
      return [flag.slice(2), values[option.attributeName()]];
    }),
  );
}

function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* everyCommand(child);
}

function usageError(error: CommanderError, argv: readonly string[]): NodekilnError {
  if (error.code === 'commander.help') {
    return new NodekilnError('NK_USAGE', `${argv.join(' ')} needs a verb`, {
      hint: `Run nodekiln ${argv[0] ?? ''} --help.`,
    });
  }
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const meant = /\(Did you mean (?:one of )?(.+)\?\)/.exec(rest.join(' '))?.[1];
  const message = first.replace(/^unknown command/, 'unknown verb').replaceAll("'", '');
  return new NodekilnError('NK_USAGE', message, meant === undefined ? {} : { hint: `Did you mean ${meant}?` });
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}
