/** A process on a machine in memory, as it sees itself. */
import type { Program } from '../port.ts';

export interface MemoryProgramOptions {
  readonly pid: number;
  readonly startedMs: number;
  readonly environment: Readonly<Record<string, string>>;
}

export function createMemoryProgram({ pid, startedMs, environment }: MemoryProgramOptions): Program {
  const unread = { colours: false, journal: false, write: () => Promise.resolve(undefined) };
  return {
    pid,
    owner: { uid: 0, gid: 0 },
    arguments: [],
    environment,
    workingDirectory: '/',
    executable: '/opt/nodekiln/bin/node',
    script: '/opt/nodekiln/bin/nodekiln',
    runtime: 'memory',
    architecture: 'amd64',
    processors: 2,
    startedMs,
    readInput: (path) => Promise.reject(Object.assign(new Error(`ENOENT: no such file, ${path}`), { code: 'ENOENT' })),
    stdout: unread,
    stderr: unread,
    onSignal: () => () => undefined,
    onIdle: () => undefined,
    saveMemory: () => undefined,
    exit: (status) => {
      throw new Error(`the process ended with status ${status}`);
    },
    endBy: (signal) => Promise.reject(new Error(`the process ended by ${signal}`)),
  };
}
