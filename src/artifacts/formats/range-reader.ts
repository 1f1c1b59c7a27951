/** Exact reads of pieces of a file; bytes that are missing at its end are NK_ARTIFACT_UNREADABLE. */
import type { OpenFile } from '../../host/port.ts';
import { unreadable } from './unreadable.ts';

/** Of one open file; whoever opened it closes it. */
export class RangeReader {
  readonly file: OpenFile;
  /** What messages call the file. */
  readonly what: string;

  constructor(file: OpenFile, what: string) {
    this.file = file;
    this.what = what;
  }

  get size(): number {
    return this.file.stat.size;
  }

  /** Exactly `length` bytes. For headers: the caller bounds the length. */
  async take(position: number, length: number): Promise<Uint8Array> {
    this.requireUpTo(position + length);
    const bytes = await this.file.read(position, length);
    if (bytes.length < length) throw this.#truncated(position + bytes.length);
    return bytes;
  }

  /** Up to `length` bytes; fewer only at the end of the file. */
  peek(position: number, length: number): Promise<Uint8Array> {
    return this.file.read(position, length);
  }

  /** The file must reach that far. */
  requireUpTo(position: number): void {
    if (position > this.size) throw this.#truncated(this.size);
  }

  #truncated(at: number): Error {
    return unreadable(this.what, `ends too early, at byte ${at}`);
  }
}
