/** The program as it is built, started as a user starts it: for tests of what it leaves behind and of what it shows. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { buildBundle, nodeBinary, nodeFlag } from '../../tools/build.ts';

interface Start {
  /** The working directory. */
  readonly cwd: string;
  /** Beside PATH: nothing else of the test's own environment is there. */
  readonly env?: Readonly<Record<string, string>>;
  /** It has a terminal of this size; `also`: said to the shell on it before. */
  readonly terminal?: { readonly columns: number; readonly rows: number; readonly also?: string };
  /** With everything that it has written, at every writing. */
  readonly onText?: (text: string) => void;
}

interface Started {
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Its exit status or signal, and what it wrote on both outputs. */
  readonly ended: Promise<{ readonly end: number | NodeJS.Signals | null; readonly text: string }>;
}

let bundle: Promise<string> | undefined;

export async function startProgram(args: readonly string[], start: Start): Promise<Started> {
  const { cwd, env = {}, terminal, onText } = start;
  const words = [nodeBinary, nodeFlag, await (bundle ??= buildBundle()), ...args];
  const [command = '', ...rest] = terminal ? onTerminal(words, terminal) : words;
  const child = spawn(command, rest, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
      onText?.(text);
    });
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  return {
    kill: (signal) => void child.kill(signal),
    ended: closed.then(([status, by]) => ({ end: by ?? status, text })),
  };
}

function onTerminal(words: readonly string[], { columns, rows, also = '' }: NonNullable<Start['terminal']>): string[] {
  return ['script', '-qefc', `stty cols ${columns} rows ${rows}; ${also} exec ${words.join(' ')}`, '/dev/null'];
}
