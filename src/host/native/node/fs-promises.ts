/** Of `node:fs/promises` what the shared sources use beside the disk. */
import { later, now } from '../crossing.ts';
import { constants, statsOf, type Stats } from './fs.ts';

export { constants };

interface FileHandle {
  readonly fd: number;
  stat(): Promise<Stats>;
  readFile(): Promise<Uint8Array>;
  writeFile(content: string | Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export async function open(path: string, flags: number | 'r', mode = 0o666): Promise<FileHandle> {
  const fd = await later<number>('open', path, flags === 'r' ? constants.O_RDONLY : flags, mode);
  return {
    fd,
    stat: async () => statsOf(now('fstat', fd)),
    readFile: async () => {
      const pieces: Uint8Array[] = [];
      for (;;) {
        const piece = await later<Uint8Array>('read', fd, 64 * 1024, -1);
        if (piece.length === 0) return Buffer.concat(pieces);
        pieces.push(piece);
      }
    },
    writeFile: async (content) => {
      let bytes = Buffer.from(content as string) as Uint8Array;
      while (bytes.length > 0) bytes = bytes.subarray(await later<number>('write', fd, bytes, -1));
    },
    close: () => later('close', fd),
  };
}

export async function readFile(path: string): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

export async function writeFile(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC);
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}

export async function truncate(path: string, length = 0): Promise<void> {
  const fd = await later<number>('open', path, constants.O_RDWR, 0);
  try {
    await later('ftruncate', fd, length);
  } finally {
    now('close', fd);
  }
}

export async function chmod(path: string, mode: number): Promise<void> {
  now('chmod', path, mode);
}

export async function lstat(path: string): Promise<Stats> {
  return statsOf(await later('lstat', path));
}

export function unlink(path: string): Promise<void> {
  return later('unlink', path);
}
