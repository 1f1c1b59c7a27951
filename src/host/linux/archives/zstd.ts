/**
 * The frames of a zstd stream, told apart so that each can be decoded by itself: a stream may have several, and others between
 * them that are to be skipped (RFC 8878 §3). Blocks are passed on as they come; nothing is decoded here.
 */
import { unreadable } from '../../port/archives.ts';

export interface ZstdFrame {
  /** Bytes of its decoder's window. */
  readonly window: number;
  /** All of it. Read to its end before the next frame. */
  readonly content: AsyncIterable<Buffer>;
}

const magic = 0xfd2fb528;
/** The last four bits are anybody's. */
const skippable = 0x184d2a50;
const skippableMask = 0xfffffff0;

/** NK_ARTIFACT_UNREADABLE for what is no frame; one that is cut short is its decoder's to find. */
export async function* zstdFrames(input: AsyncIterable<Buffer>, what: string): AsyncGenerator<ZstdFrame> {
  const reader = createReader(input);
  try {
    for (let count = 0; ;) {
      const head = await reader.take(4);
      if (head.length === 0 && count > 0) return;
      const found = head.length < 4 ? 0 : head.readUInt32LE();
      if ((found & skippableMask) >>> 0 === skippable) {
        const size = await reader.take(4);
        if (size.length < 4 || !(await reader.skip(size.readUInt32LE())))
          throw unreadable(what, 'ends within a frame of its compression');
        continue;
      }
      if (found !== magic)
        throw unreadable(what, count > 0 ? 'has data after the end of its compressed part' : 'has no compressed data');
      count += 1;
      const { bytes, window, hasChecksum } = await frameHeader(reader);
      yield { window, content: frameContent(reader, Buffer.concat([head, bytes]), hasChecksum) };
    }
  } finally {
    await reader.close();
  }
}

interface FrameHeader {
  readonly bytes: Buffer;
  readonly window: number;
  readonly hasChecksum: boolean;
}

const dictionaryBytes = [0, 1, 2, 4] as const;
const sizeBytes = [0, 2, 4, 8] as const;

async function frameHeader(reader: Reader): Promise<FrameHeader> {
  const first = await reader.take(1);
  const descriptor = first[0] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionary = dictionaryBytes[(descriptor & 3) as 0 | 1 | 2 | 3];
  const flag = (descriptor >> 6) as 0 | 1 | 2 | 3;
  const size = flag === 0 && isSingle ? 1 : sizeBytes[flag];
  const rest = await reader.take((isSingle ? 0 : 1) + dictionary + size);
  const window = isSingle ? contentSize(rest.subarray(dictionary), flag) : windowOf(rest[0] ?? 0);
  return { bytes: Buffer.concat([first, rest]), window, hasChecksum: (descriptor & 4) !== 0 };
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** Little-endian; of two bytes 256 is not counted. */
function contentSize(bytes: Buffer, flag: number): number {
  const value = [...bytes].reduceRight((sum, byte) => sum * 256 + byte, 0);
  return flag === 1 ? value + 256 : value;
}

/** Header and blocks, with the checksum behind them. */
async function* frameContent(reader: Reader, head: Buffer, hasChecksum: boolean): AsyncGenerator<Buffer> {
  yield head;
  const blocks = createBlocks(hasChecksum ? 4 : 0);
  for (let chunk = await reader.chunk(); chunk; chunk = await reader.chunk()) {
    const length = blocks.lengthIn(chunk);
    reader.consume(length);
    yield chunk.subarray(0, length);
    if (blocks.isEnd()) return;
  }
}

interface Blocks {
  /** How many bytes of the next chunk belong to the frame. */
  lengthIn(chunk: Buffer): number;
  isEnd(): boolean;
}

/** `trailing`: bytes behind the last block. */
function createBlocks(trailing: number): Blocks {
  let left = 0;
  let isLast = false;
  let header = 0;
  let headerBytes = 0;
  const isEnd = (): boolean => isLast && left === 0;
  const begin = (): void => {
    isLast = (header & 1) !== 0;
    // A block of one repeated byte has only that.
    left = ((header >> 1) & 3) === 1 ? 1 : header >> 3;
    if (isLast) left += trailing;
    header = headerBytes = 0;
  };
  return {
    lengthIn: (chunk) => {
      let at = 0;
      while (at < chunk.length && !isEnd()) {
        if (left > 0) {
          const length = Math.min(left, chunk.length - at);
          at += length;
          left -= length;
          continue;
        }
        header |= (chunk[at] ?? 0) << (8 * headerBytes);
        at += 1;
        headerBytes += 1;
        if (headerBytes === 3) begin();
      }
      return at;
    },
    isEnd,
  };
}

interface Reader {
  /** What is there of the next bytes, not empty; undefined at the end. */
  chunk(): Promise<Buffer | undefined>;
  consume(length: number): void;
  /** So many bytes, fewer at the end. */
  take(length: number): Promise<Buffer>;
  /** False when there are not so many. */
  skip(length: number): Promise<boolean>;
  close(): Promise<void>;
}

function createReader(input: AsyncIterable<Buffer>): Reader {
  const source = input[Symbol.asyncIterator]();
  let current: Buffer = Buffer.alloc(0);
  const chunk = async (): Promise<Buffer | undefined> => {
    while (current.length === 0) {
      const next = await source.next();
      if (next.done) return undefined;
      current = next.value;
    }
    return current;
  };
  const consume = (length: number): void => {
    current = current.subarray(length);
  };
  const each = async (length: number, use: (part: Buffer) => void): Promise<number> => {
    let done = 0;
    while (done < length) {
      const next = await chunk();
      if (!next) break;
      const part = next.subarray(0, length - done);
      use(part);
      consume(part.length);
      done += part.length;
    }
    return done;
  };
  return {
    chunk,
    consume,
    take: async (length) => {
      const parts: Buffer[] = [];
      await each(length, (part) => parts.push(part));
      return Buffer.concat(parts);
    },
    skip: async (length) => (await each(length, () => undefined)) === length,
    close: async () => void (await source.return?.()),
  };
}
