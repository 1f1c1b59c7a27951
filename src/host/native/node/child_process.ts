/** Of `node:child_process` what the shared sources use: programs that are given their input at once. */
import { errnoOf } from '../../../errors.ts';
import { begin, bufferOf, later, now } from '../crossing.ts';
import { EventEmitter } from './events.ts';

interface SpawnOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly stdio?: readonly (string | number)[];
  readonly detached?: boolean;
}

class Readable extends EventEmitter {
  destroyed = false;
  onDestroy: () => void = () => undefined;
  destroy(): void {
    this.destroyed = true;
    this.onDestroy();
  }
}

class Writable extends EventEmitter {
  readonly #id: number;
  constructor(id: number) {
    super();
    this.#id = id;
  }
  end(input: string | Uint8Array = ''): this {
    later('childInput', this.#id, input).catch((thrown: unknown) => this.emit('error', thrown));
    return this;
  }
}

export class ChildProcess extends EventEmitter {
  readonly pid: number | undefined;
  exitCode: number | null = null;
  signalCode: string | null = null;
  readonly stdin: Writable | null = null;
  readonly stdout = new Readable();
  readonly stderr = new Readable();

  constructor(argv: readonly string[], { env = process.env, cwd = '', stdio = [] }: SpawnOptions) {
    super();
    const [input = 'pipe'] = stdio;
    const environment = Object.entries(env).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    );
    try {
      const asked = JSON.stringify({ argv, folder: cwd, env: environment });
      const [id = 0, pid] = now<string>('spawn', asked, input === 'ignore' ? 'null' : String(input))
        .split(' ')
        .map(Number);
      this.pid = pid;
      if (input === 'pipe') this.stdin = new Writable(id);
      this.#wait(id);
    } catch (thrown) {
      // Whoever asks listens by then.
      queueMicrotask(() => this.emit('error', thrown));
    }
  }

  #wait(id: number): void {
    const waiting = begin<undefined>('childWait', [id], (what: string, first: number | Uint8Array, second: string) => {
      if (what === 'exit') {
        if (second === '') this.exitCode = first as number;
        else this.signalCode = second;
        this.emit('exit', this.exitCode, this.signalCode);
      } else {
        const stream = what === 'stdout' ? this.stdout : this.stderr;
        if (!stream.destroyed) stream.emit('data', bufferOf(first as Uint8Array));
      }
    });
    waiting.done.then(
      () => this.emit('close', this.exitCode, this.signalCode),
      (thrown: unknown) => {
        if (errnoOf(thrown) !== 'ABORT_ERR') this.emit('error', thrown);
      },
    );
    for (const stream of [this.stdout, this.stderr])
      stream.onDestroy = () => {
        if (this.stdout.destroyed && this.stderr.destroyed) waiting.cancel();
      };
  }

  kill(signal = 'SIGTERM'): boolean {
    if (this.pid === undefined) return false;
    now('kill', this.pid, signal);
    return true;
  }
}

export function spawn(file: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return new ChildProcess([file, ...args], options);
}
