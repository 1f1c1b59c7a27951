/**
 * Exact reads from a stream of chunks, in bounded memory: at most one chunk and what `take` was asked for are held.
 * Bytes that are missing at the end are NK_ARTIFACT_UNREADABLE.
 */
import { unreadable } from '../port/archives.ts';

/** Of a stream that is read once, from its first byte to its last. */
export class ByteReader {
  /** What is read, for messages. */
  readonly what: string;
  /** Bytes handed out so far. */
  position = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #buffer: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(chunks: AsyncIterable<Uint8Array>, what: string) {
    this.what = what;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Up to `count` bytes without consuming them; fewer only at the end. */
  async peek(count: number): Promise<Buffer> {
    while (this.#buffer.length < count && (await this.#more())) {
      // #more appended a chunk.
    }
    return this.#buffer.subarray(0, count);
  }

  /** Exactly `count` bytes. For headers: the caller bounds the count. */
  async take(count: number): Promise<Buffer> {
    const bytes = this.#buffer.length >= count ? this.#buffer.subarray(0, count) : await this.peek(count);
    if (bytes.length < count) throw this.#truncated();
    this.#consume(count);
    return bytes;
  }

  /** The next `count` bytes in chunks. One consumer at a time. */
  async *stream(count: number): AsyncGenerator<Buffer> {
    let left = count;
    while (left > 0) {
      if (this.#buffer.length === 0 && !(await this.#more())) throw this.#truncated();
      const chunk = this.#buffer.subarray(0, Math.min(left, this.#buffer.length));
      this.#consume(chunk.length);
      left -= chunk.length;
      yield chunk;
    }
  }

  async skip(count: number): Promise<void> {
    let left = count;
    while (left > 0) {
      if (this.#buffer.length === 0 && !(await this.#more())) throw this.#truncated();
      const step = Math.min(left, this.#buffer.length);
      this.#consume(step);
      left -= step;
    }
  }

  /** Everything that is left, in chunks. */
  async *rest(): AsyncGenerator<Buffer> {
    while (this.#buffer.length > 0 || (await this.#more())) {
      const chunk = this.#buffer;
      this.#consume(chunk.length);
      if (chunk.length > 0) yield chunk;
    }
  }

  async atEnd(): Promise<boolean> {
    return (await this.peek(1)).length === 0;
  }

  /** Lets go of the source. Idempotent. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#buffer = Buffer.alloc(0);
    await this.#chunks.return?.();
  }

  #consume(count: number): void {
    this.#buffer = this.#buffer.subarray(count);
    this.position += count;
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const next = await this.#chunks.next();
    if (next.done) {
      this.#ended = true;
      return false;
    }
    const chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    return true;
  }

  #truncated(): Error {
    return unreadable(this.what, `ends too early, at byte ${this.position + this.#buffer.length}`);
  }
}
