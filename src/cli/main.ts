/**
 * The entry of the program: what was asked for is parsed, called and printed. Nothing is loaded but the verb that is called.
 *
 * Exit status: 0, or that of the error's class (docs/reference/exit-codes.md). Who was told to stop by a signal ends by it, and
 * after Ctrl-C also who had done everything by then: a shell's loop stops.
 */
import { asNodekilnError, NodekilnError, whyRefused } from '../errors.ts';
import type { EndSignal, Exec, Output } from '../host/port.ts';
import { program } from '../host/program.ts';
import { parseCommandLine } from './command-line.ts';
import { createJournal, withPriority } from './journal.ts';
import { envelopeLine, formatError } from './output.ts';
import { printed, styler } from './printing.ts';
import { createProgress } from './progress.ts';
import type { Answer, Call, Options, Parsed, Verb } from './verb.ts';

const { stdout, stderr } = program;
/** Longer lines of help are hard to read. */
const widestHelp = 110;
const settleMs = 250;

/** The exit status, or the signal to end by. */
async function main(argv: readonly string[]): Promise<number | EndSignal> {
  let kind = 'Error';
  const json = argv.includes('--json');
  try {
    const parsed = await parseCommandLine(argv, Math.min(columnsOf(stdout), widestHelp));
    if ('text' in parsed) return await print(`${parsed.text}\n`);
    kind = parsed.verb.spec.kind;
    return await call(parsed);
  } catch (thrown) {
    return await fail(asNodekilnError(thrown), { kind, json, thrown });
  }
}

async function call(parsed: Extract<Parsed, { verb: Verb }>): Promise<number | EndSignal> {
  const { verb, options } = parsed;
  const json = options['json'] === true;
  const abort = abortOnSignals();
  const steps = verb.spec.isLog === true && !json && !stdout.terminal ? stdout : stderr;
  const progress = createProgress(steps, { quiet: options['quiet'] === true, nowMs: () => performance.now() });
  const journal = stdout.journal ? createJournal({ output: stdout, exec: programs, pid: program.pid }) : undefined;
  const context: Call = {
    arguments: parsed.arguments,
    options,
    json,
    signal: abort.signal,
    onEvent: (event) => progress.onEvent(event),
    terminal: {
      width: columnsOf(stdout),
      fit: stdout.terminal?.columns,
      wide: options['wide'] === true,
      style: styler(stdout),
    },
    emit(kind, answer) {
      progress.stop();
      const text = textOf(answer, { kind, json });
      // A log goes on, whoever reads it.
      if (!journal) return void stdout.write(printed(text));
      const { error, isWarning = error !== undefined, fields } = answer;
      journal.say({ text: printed(text), isWarning, ...(fields && { fields }) });
    },
  };
  let run: Promise<Answer> | undefined;
  try {
    checkRights(verb, options);
    await checkSystemd(verb);
    run = verb.run(context);
    const answer = await (verb.spec.endsItself === true ? run : Promise.race([run, rejectedBy(abort.signal)]));
    progress.stop();
    const status = answer.streamed === true ? 0 : await print(textOf(answer, { kind: verb.spec.kind, json }));
    if (!answer.error) return answer.streamed !== true && abort.by() === 'SIGINT' ? 'SIGINT' : status;
    if (!json) await complain(answer.error);
    return abort.by() ?? answer.error.exitStatus;
  } catch (thrown) {
    progress.stop();
    if (abort.signal.aborted && run) await settled(run);
    const error = abort.signal.aborted ? interrupted(thrown, abort.signal) : asNodekilnError(thrown);
    const status = await fail(error, { kind: verb.spec.kind, json, thrown });
    return abort.by() ?? status;
  } finally {
    await journal?.said();
    abort.release();
  }
}

async function programs(): Promise<Exec> {
  const { createLinuxExec } = await import('../host/linux/exec.ts');
  return createLinuxExec();
}

/** Root rights are asked for before anything happens. */
function checkRights({ spec }: Verb, options: Options): void {
  const { elsewhere = '--root', root } = spec;
  const place = options[elsewhere.slice('--'.length)] ?? '/';
  const needed = root === 'always' || (root === 'host' && place === '/');
  if (!needed || program.owner.uid === 0) return;
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
async function checkSystemd({ spec }: Verb): Promise<void> {
  if (spec.systemd !== true) return;
  const { createLinuxFiles } = await import('../host/linux/files.ts');
  if (await createLinuxFiles('/').stat('/run/systemd/system')) return;
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
  if (!json || (await print(`${envelopeLine(kind, undefined, shown)}\n`)) !== 0) await complain(shown);
  if (isDebugging()) await stderr.write(printed(`${stackOf(thrown)}\n`));
  return shown.exitStatus;
}

async function complain(error: NodekilnError): Promise<void> {
  const text = printed(`${formatError(error, styler(stderr))}\n`);
  await stderr.write(stderr.journal ? withPriority({ text, isWarning: true }) : text);
}

function explainDefect(error: NodekilnError): NodekilnError {
  if (isDebugging()) return error;
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
  /** What asked for the end; undefined when nothing did. */
  by(): EndSignal | undefined;
  release(): void;
}

/** The first signal asks for an orderly end; the second ends at once, which the journal is made for. */
function abortOnSignals(): Abort {
  const controller = new AbortController();
  let first: EndSignal | undefined;
  const release = program.onSignal((name) => {
    if (first !== undefined) return void program.endBy(name);
    first = name;
    controller.abort(new NodekilnError('NK_INTERRUPTED', `stopped by ${name}`));
  });
  return { signal: controller.signal, by: () => first, release };
}

/** A file that is being written gets its name, or goes: that takes moments. What waits for others is left. */
async function settled(run: Promise<unknown>): Promise<void> {
  const end = run.then(
    () => undefined,
    () => undefined,
  );
  await Promise.race([end, new Promise((resolve) => setTimeout(resolve, settleMs))]);
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

function columnsOf({ terminal }: Output): number {
  return terminal?.columns ?? 100;
}

function isDebugging(): boolean {
  return program.environment['NODEKILN_DEBUG'] === '1';
}

/** The exit status: what is asked for and cannot be written is no success, and is told where people look. */
async function print(text: string): Promise<number> {
  const cause = text === '' ? undefined : await stdout.write(printed(text));
  if (!cause) return 0;
  const message = `the result cannot be written to standard output: ${whyRefused(cause)}`;
  const error = new NodekilnError('NK_FILE_WRITE', message, { cause });
  await complain(error);
  return error.exitStatus;
}

// A promise that nobody keeps any more is no success.
program.onIdle(() => {
  const error = new NodekilnError('NK_INTERNAL', 'what is waited for can never come');
  const json = program.arguments.includes('--json');
  void fail(error, { kind: 'Error', json, thrown: error }).then((status) => program.exit(status));
});
// What a moment leaves open (a connection that is just closing) must not keep us: everything durable is written by now.
void main(program.arguments).then((end) => (typeof end === 'string' ? program.endBy(end) : program.exit(end)));
