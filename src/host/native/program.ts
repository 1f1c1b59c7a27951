/** Our own process, by the host program. */
import { outputFailure } from '../output-failure.ts';
import { readInput } from '../read-input.ts';
import type { EndSignal, Output, Program } from '../port.ts';
import { about } from './about.ts';
import { begin, exit, later, now, onIdle } from './crossing.ts';
import { fstatSync } from './node/fs.ts';

/** In the place of Node's in the host program. */
export const program: Program = {
  pid: about.pid,
  owner: { uid: about.uid, gid: about.gid },
  arguments: about.arguments,
  environment: about.environment,
  workingDirectory: about.folder,
  executable: about.executable,
  script: undefined,
  runtime: 'native',
  architecture: about.architecture,
  processors: about.processors,
  startedMs: about.startedMs,
  readInput: (path) => readInput(path),
  stdout: outputOn(1),
  stderr: outputOn(2),
  onSignal: (listener) => {
    const listening = begin('signals', [now<number>('hear', JSON.stringify(endSignals))], (signal: EndSignal) =>
      listener(signal),
    );
    listening.ref(false);
    listening.done.catch(() => undefined);
    return () => listening.cancel();
  },
  onIdle,
  saveMemory: (yes) => now('saveMemory', yes),
  exit: (status) => exit(status),
  endBy: (signal) => {
    now('endBy', signal);
    // It comes when the system next schedules us.
    return new Promise(() => setInterval(() => undefined, 1000));
  },
};

const endSignals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const satisfies readonly EndSignal[];

function outputOn(fd: number): Output {
  const size = (): readonly number[] | undefined => now<string | undefined>('terminal', fd)?.split(' ').map(Number);
  /** One after the other. */
  let before: Promise<Error | undefined> = Promise.resolve(undefined);
  return {
    get terminal() {
      const [columns = 0, rows = 0] = size() ?? [];
      return columns === 0 ? undefined : { columns, rows };
    },
    get colours() {
      const forced = about.environment['FORCE_COLOR'];
      if (forced !== undefined) return forced !== '0';
      return size() !== undefined && about.environment['NO_COLOR'] === undefined;
    },
    get journal() {
      const wanted = about.environment['JOURNAL_STREAM'];
      if (wanted === undefined) return false;
      const { dev, ino } = fstatSync(fd);
      return wanted === `${dev}:${ino}`;
    },
    write: (text) =>
      (before = before.then(() => writeAll(fd, now('utf8', text.toWellFormed()))).then(() => undefined, outputFailure)),
  };
}

async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await later<number>('write', fd, bytes.subarray(done), -1);
}
