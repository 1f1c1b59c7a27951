/** What is left of Node's `process` in the shared sources. */
import { about } from '../about.ts';
import { exit, now } from '../crossing.ts';
import { readFileSync } from '../node/fs.ts';
import { TextDecoder } from './text.ts';

const process = {
  pid: about.pid,
  env: { ...about.environment },
  argv: [about.executable, about.executable, ...about.arguments],
  arch: about.architecture === 'amd64' ? 'x64' : about.architecture,
  platform: 'linux',
  execPath: about.executable,
  version: 'v24.0.0',
  versions: { node: '24.0.0' },
  stdout: { write: (text: string) => writeAll(1, text) },
  stderr: { write: (text: string) => writeAll(2, text) },
  cwd: () => about.folder,
  geteuid: () => about.uid,
  getegid: () => about.gid,
  /** The kernel tells it without setting it. */
  umask: () =>
    Number.parseInt(
      /^Umask:\s*(\d+)$/m.exec(new TextDecoder().decode(readFileSync('/proc/self/status')))?.[1] ?? '22',
      8,
    ),
  getuid: () => about.uid,
  getgid: () => about.gid,
  kill: (pid: number, signal: string) => now('kill', pid, signal),
  hrtime: { bigint: () => BigInt(Math.round(now<number>('monotonic') * 1000)) * 1000n },
  exit: (status = 0) => exit(status),
};

function writeAll(fd: number, text: string): boolean {
  let bytes = now<Uint8Array>('utf8', text);
  while (bytes.length > 0) bytes = bytes.subarray(now<number>('write', fd, bytes, -1));
  return true;
}

Object.assign(globalThis, { process });
