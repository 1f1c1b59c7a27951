/** Lines of a stream, as its pieces come. */
import { concatBytes, textOf } from '../model/bytes.ts';

const newline = 0x0a;

/**
 * Each line without its end. What follows the last line's end is no line: it was cut off. Throws a RangeError beyond
 * `maxBytes` in one line; at most that much is held.
 */
export async function* linesOf(pieces: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces) {
    let from = 0;
    for (;;) {
      const end = piece.indexOf(newline, from);
      const part = piece.subarray(from, end === -1 ? undefined : end);
      size += part.length;
      if (size > maxBytes) throw new RangeError(`a line is longer than ${maxBytes} bytes`);
      parts.push(part);
      if (end === -1) break;
      yield textOf(concatBytes(parts));
      [parts, size, from] = [[], 0, end + 1];
    }
  }
}
