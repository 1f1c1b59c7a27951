/** Of `node:fs` what the shared sources use beside the disk: small things, at once. */
import { dirname } from '../../../model/path.ts';
import { about } from '../about.ts';
import { later, now } from '../crossing.ts';

export const constants = {
  O_RDONLY: 0,
  O_WRONLY: 0o1,
  O_RDWR: 0o2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_DIRECTORY: about.architecture === 'arm64' ? 0o40000 : 0o200000,
  O_NOFOLLOW: about.architecture === 'arm64' ? 0o100000 : 0o400000,
} as const;

const kinds = { isFile: 0o10, isDirectory: 0o04, isSymbolicLink: 0o12, isFIFO: 0o01, isSocket: 0o14 } as const;

export type Stats = Readonly<Record<keyof typeof kinds, () => boolean>> & {
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly ino: number;
  readonly dev: number;
  readonly nlink: number;
};

export function statsOf(text: string): Stats {
  const [mode = 0, size = 0, uid = 0, gid = 0, , ino = 0, dev = 0, nlink = 0] = text.split(' ').map(Number);
  const is = Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, () => mode >> 12 === kind]),
  ) as Record<keyof typeof kinds, () => boolean>;
  return { ...is, mode, size, uid, gid, ino, dev, nlink };
}

export function lstatSync(path: string, options?: { readonly throwIfNoEntry?: boolean }): Stats | undefined {
  const found = now<string | undefined>('look', path);
  if (found !== undefined) return statsOf(found);
  if (options?.throwIfNoEntry === false) return undefined;
  throw Object.assign(new Error(`ENOENT: no such file or directory, lstat '${path}'`), { code: 'ENOENT', path });
}

export function fstatSync(fd: number): Stats {
  return statsOf(now('fstat', fd));
}

export function statSync(
  path: string,
  options?: { readonly bigint?: boolean; readonly throwIfNoEntry?: boolean },
): Stats {
  if (options?.throwIfNoEntry === false && !existsSync(path)) return undefined as never;
  const found = lstatSync(realpathSync(path));
  if (!found) throw new Error(`${path} is gone`);
  return found;
}

export function realpathSync(path: string): string {
  return now('realpath', path);
}

export function existsSync(path: string): boolean {
  try {
    realpathSync(path);
    return true;
  } catch {
    return false;
  }
}

export function chmodSync(path: string, mode: number): void {
  now('chmod', path, mode);
}

export function copyFileSync(from: string, to: string): void {
  now('copyNow', from, to);
}

export function readFileSync(path: string, _encoding?: string): Uint8Array {
  const fd = now<number>('open', path, constants.O_RDONLY, 0);
  try {
    const pieces: Uint8Array[] = [];
    for (;;) {
      const piece = now<Uint8Array>('read', fd, 64 * 1024, -1);
      if (piece.length === 0) return Buffer.concat(pieces);
      pieces.push(piece);
    }
  } finally {
    now('close', fd);
  }
}

export function writeSync(fd: number, content: string | Uint8Array): number {
  return now('write', fd, content, -1);
}

export function writeFileSync(path: string, content: string | Uint8Array): void {
  const fd = now<number>('open', path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o666);
  try {
    let bytes = Buffer.from(content as string) as Uint8Array;
    while (bytes.length > 0) bytes = bytes.subarray(writeSync(fd, bytes));
  } finally {
    now('close', fd);
  }
}

export function mkdtempSync(prefix: string): string {
  for (;;) {
    const path = prefix + now<Uint8Array>('random', 6).toHex();
    try {
      now('mkdirNow', path, 0o700);
      return path;
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== 'EEXIST') throw thrown;
    }
  }
}

/** With `recursive`, of a folder of files. */
export function rmSync(path: string, _options?: object): void {
  for (const name of names(path)) now('unlinkNow', `${path}/${name}`);
  now('rmdirNow', path);
}

function names(path: string): string[] {
  const pairs: string[] = JSON.parse(now<string>('readdir', path));
  return pairs.filter((_, index) => index % 2 === 0);
}

export function mkdirSync(path: string, options: { readonly recursive?: boolean; readonly mode?: number } = {}): void {
  if (options.recursive === true && !existsSync(dirname(path))) mkdirSync(dirname(path), options);
  if (options.recursive === true && existsSync(path)) return;
  now('mkdirNow', path, options.mode ?? 0o777);
}

/** As promisify makes it: with how many bytes came. */
export function read(
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number | null,
  done: (error: unknown, result: { readonly bytesRead: number }) => void,
): void {
  later<Uint8Array>('read', fd, length, position ?? -1).then(
    (bytes) => {
      buffer.set(bytes, offset);
      done(null, { bytesRead: bytes.length });
    },
    (thrown: unknown) => done(thrown, { bytesRead: 0 }),
  );
}
