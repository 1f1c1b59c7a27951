/**
 * The entry of the program. `boot` and `agent` are parsed by node:util alone, so that the way to a running kubelet loads
 * neither the command-line library nor a YAML parser; everything else, help and mistakes go through `command-line.ts`.
 *
 * Exit status: 0, or that of the error's class (docs/reference/exit-codes.md).
 */
import { existsSync } from 'node:fs';
import { parseArgs, styleText } from 'node:util';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import { envelopeLine, formatError, type Styler } from './output.ts';
import { createProgress } from './progress.ts';
import { commonOptions, type Answer, type Call, type Options, type Parsed, type Style, type Verb } from './verb.ts';
import { verbs } from './verbs.ts';

async function main(argv: readonly string[]): Promise<number> {
  let kind = 'Error';
  const json = argv.includes('--json');
  try {
    const parsed = await parse(argv);
    if ('text' in parsed) return await print(`${parsed.text}\n`, 0);
    kind = parsed.verb.spec.kind;
    return await call(parsed);
  } catch (thrown) {
    return await fail(asNodekilnError(thrown), { kind, json, thrown });
  }
}

async function parse(argv: readonly string[]): Promise<Parsed> {
  const name = argv[0];
  const fast = name === 'boot' || name === 'agent' ? parseFast(await verbs[name](), argv.slice(1)) : undefined;
  if (fast) return fast;
  const { parseCommandLine } = await import('./command-line.ts');
  return parseCommandLine(argv);
}

/** Undefined for anything but a plain, right command line: the slow way explains the rest. */
function parseFast(verb: Verb, args: readonly string[]): Parsed | undefined {
  if (args.includes('--help') || args.includes('-h')) return undefined;
  const { spec } = verb;
  const known = [...spec.options, ...commonOptions];
  const options: Record<string, { type: 'string' | 'boolean'; default?: string }> = {};
  for (const { flag, value, default: preset } of known) {
    options[flag.slice(2)] = {
      type: value === undefined ? 'boolean' : 'string',
      ...(preset !== undefined && { default: preset }),
    };
  }
  let values;
  try {
    ({ values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false }));
  } catch {
    return undefined;
  }
  const wrong = known.some(({ flag, required, choices }) => {
    const value = values[flag.slice(2)];
    return (
      (required === true && value === undefined) || (choices && typeof value === 'string' && !choices.includes(value))
    );
  });
  if (wrong) return undefined;
  return { verb, arguments: [], options: Object.fromEntries(Object.entries(values).filter(isPlain)) };
}

function isPlain(entry: [string, unknown]): entry is [string, string | boolean] {
  return typeof entry[1] === 'string' || typeof entry[1] === 'boolean';
}

async function call(parsed: Extract<Parsed, { verb: Verb }>): Promise<number> {
  const { verb, options } = parsed;
  const json = options['json'] === true;
  const abort = abortOnSignals();
  const progress = createProgress(process.stderr, { quiet: options['quiet'] === true, nowMs: () => performance.now() });
  const context: Call = {
    arguments: parsed.arguments,
    options,
    json,
    signal: abort.signal,
    onEvent: (event) => progress.onEvent(event),
    terminal: { width: process.stdout.columns ?? 100, style: styler(process.stdout) },
    emit(kind, answer) {
      progress.stop();
      void print(textOf(answer, { kind, json }), 0);
    },
  };
  try {
    checkRights(verb, options);
    checkSystemd(verb);
    const run = verb.run(context);
    const answer = await (verb.spec.endsItself === true ? run : Promise.race([run, rejectedBy(abort.signal)]));
    progress.stop();
    if (answer.streamed !== true) await print(textOf(answer, { kind: verb.spec.kind, json }), 0);
    if (!answer.error) return 0;
    if (!json) process.stderr.write(`${formatError(answer.error, styler(process.stderr))}\n`);
    return answer.error.exitStatus;
  } catch (thrown) {
    progress.stop();
    const error = abort.signal.aborted ? interrupted(thrown, abort.signal) : asNodekilnError(thrown);
    return await fail(error, { kind: verb.spec.kind, json, thrown });
  } finally {
    abort.release();
  }
}

/** Root rights are asked for before anything happens. */
function checkRights({ spec }: Verb, options: Options): void {
  const { elsewhere = '--root', root } = spec;
  const place = options[elsewhere.slice('--'.length)] ?? '/';
  const needed = root === 'always' || (root === 'host' && place === '/');
  if (!needed || process.geteuid?.() === 0) return;
  const hints = {
    '--root': 'Run it as root, or give --root to look at a folder of yours.',
    '--facts': 'Run it as root, or give --facts to plan for another machine.',
  };
  const possible = root === 'host' && spec.options.some((option) => option.flag === elsewhere);
  throw new NodekilnError('NK_NOT_ROOT', `nodekiln ${spec.name} needs root rights`, {
    hint: possible ? hints[elsewhere] : 'Run it as root.',
  });
}

/** As sd_booted(3): the folder is there from systemd's first moment, long before the bus. */
function checkSystemd({ spec }: Verb): void {
  if (spec.systemd !== true || existsSync('/run/systemd/system')) return;
  throw new NodekilnError('NK_NO_SYSTEMD', `nodekiln ${spec.name} needs a machine that runs systemd`, {
    hint: 'Run it on a host booted with systemd; `nodekiln bake` works on a root folder.',
  });
}

function textOf(answer: Answer, form: { kind: string; json: boolean }): string {
  if (form.json) return `${envelopeLine(form.kind, answer.data, answer.error)}\n`;
  return answer.text === '' ? '' : `${answer.text}\n`;
}

interface Failure {
  readonly kind: string;
  readonly json: boolean;
  readonly thrown: unknown;
}

async function fail(error: NodekilnError, { kind, json, thrown }: Failure): Promise<number> {
  const shown = error.code === 'NK_INTERNAL' ? explainDefect(error) : error;
  if (json) await print(`${envelopeLine(kind, undefined, shown)}\n`, 0);
  else process.stderr.write(`${formatError(shown, styler(process.stderr))}\n`);
  if (process.env['NODEKILN_DEBUG'] === '1') process.stderr.write(`${stackOf(thrown)}\n`);
  return shown.exitStatus;
}

function explainDefect(error: NodekilnError): NodekilnError {
  if (process.env['NODEKILN_DEBUG'] === '1') return error;
  return new NodekilnError(error.code, error.message, {
    hint: 'This is a defect of nodekiln. Run it again with NODEKILN_DEBUG=1 for the stack, and report both.',
    cause: error.cause,
    lines: error.lines,
    problems: error.problems,
    ...(error.place && { place: error.place }),
    ...(error.resource !== undefined && { resource: error.resource }),
  });
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause === undefined ? '' : `\ncaused by ${stackOf(thrown.cause)}`;
  return `${thrown.stack ?? thrown.message}${cause}`;
}

interface Abort {
  readonly signal: AbortSignal;
  release(): void;
}

/** The first signal asks for an orderly end; the second ends at once, which the journal is made for. */
function abortOnSignals(): Abort {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(new NodekilnError('NK_INTERRUPTED', 'stopped').exitStatus);
    controller.abort(new NodekilnError('NK_INTERRUPTED', `stopped by ${name}`));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    release() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(asNodekilnError(signal.reason)), { once: true });
  });
}

function interrupted(thrown: unknown, signal: AbortSignal): NodekilnError {
  if (thrown instanceof NodekilnError && thrown.code === 'NK_INTERRUPTED') return thrown;
  const reason: unknown = signal.reason;
  return reason instanceof NodekilnError
    ? new NodekilnError('NK_INTERRUPTED', reason.message, { cause: thrown })
    : new NodekilnError('NK_INTERRUPTED', 'stopped', { cause: thrown });
}

/** Colours where the stream is a terminal and NO_COLOR does not forbid them. */
function styler(stream: NodeJS.WriteStream): Styler {
  return (style: Style, text: string) => styleText(style, text, { stream });
}

/** Resolves when the text has left us; a reader that went away is no failure. */
function print(text: string, status: number): Promise<number> {
  if (text === '') return Promise.resolve(status);
  return new Promise((resolve) => process.stdout.write(text, () => resolve(status)));
}

process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
// What a moment leaves open (a connection that is just closing) must not keep us: everything durable is written by now.
void main(process.argv.slice(2)).then((status) => process.exit(status));
