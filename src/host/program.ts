/** Our own process, by Node. Every verb starts with this: what only some of them ask for is loaded when they do. */
import { fstatSync, realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { asArch } from '../model/arch.ts';
import { outputFailure } from './output-failure.ts';
import type { EndSignal, LiveLines, Output, Program } from './port.ts';

/** Opened by who writes first. */
const outputs: { stdout?: Output; stderr?: Output } = {};

export const program: Program = {
  pid: process.pid,
  owner: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
  arguments: process.argv.slice(2),
  environment: process.env,
  get workingDirectory() {
    return process.cwd();
  },
  executable: process.execPath,
  get script() {
    return process.argv[1] === undefined ? undefined : realpathSync(process.argv[1]);
  },
  runtime: `Node ${process.versions.node}`,
  architecture: asArch(process.arch) ?? process.arch,
  get processors() {
    return availableParallelism();
  },
  get startedMs() {
    return Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now();
  },
  readInput: async (path) => (await import('./read-input.ts')).readInput(path),
  get stdout() {
    return (outputs.stdout ??= outputOn(process.stdout, 1));
  },
  get stderr() {
    return (outputs.stderr ??= outputOn(process.stderr, 2));
  },
  onSignal: (listener) => {
    const tell = (signal: NodeJS.Signals): void => {
      if (isEnd(signal)) listener(signal);
    };
    for (const signal of endSignals) process.on(signal, tell);
    return () => {
      for (const signal of endSignals) process.off(signal, tell);
    };
  },
  onIdle: (listener) => void process.once('beforeExit', () => listener()),
  saveMemory: (yes) =>
    process.getBuiltinModule('node:v8').setFlagsFromString(yes ? '--optimize-for-size' : '--no-optimize-for-size'),
  exit: (status) => process.exit(status),
  endBy: (signal) => {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // It comes when the system next schedules us.
    return new Promise(() => setInterval(() => undefined, 1000));
  },
};

const endSignals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const satisfies readonly EndSignal[];

function isEnd(signal: string): signal is EndSignal {
  return endSignals.some((known) => known === signal);
}

function outputOn(stream: NodeJS.WriteStream, descriptor: number): Output {
  // Who writes is told.
  stream.on('error', () => undefined);
  return {
    get terminal() {
      if (!stream.isTTY) return undefined;
      const live = async (): Promise<LiveLines> => (await import('./live-lines.ts')).createLiveLines(stream);
      const { columns, rows } = stream;
      return { columns, rows, ...(!isDumb() && { live }) };
    },
    get colours() {
      const forced = process.env['FORCE_COLOR'];
      if (forced !== undefined) return forced !== '0';
      return stream.isTTY && stream.hasColors();
    },
    get journal() {
      return isJournal(descriptor);
    },
    write: (text) => new Promise((resolve) => void stream.write(text, (error) => resolve(outputFailure(error)))),
  };
}

/** It takes text alone (terminfo(5), `dumb`), or nobody says what it can. */
function isDumb(): boolean {
  return ['', 'dumb', 'unknown'].includes(process.env['TERM'] ?? '');
}

/** As systemd says it: device and inode of the socket that leads there. */
function isJournal(descriptor: number): boolean {
  const wanted = process.env['JOURNAL_STREAM'];
  if (wanted === undefined) return false;
  try {
    const { dev, ino } = fstatSync(descriptor);
    return wanted === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
