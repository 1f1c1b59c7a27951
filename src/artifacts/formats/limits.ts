/** Bounds on what an archive may make us do, and the account that enforces them. Sizes in bytes. */
import { unreadable } from './unreadable.ts';

export interface Limits {
  /** Of the member asked for. */
  readonly memberBytes: number;
  /** Of everything that comes out of decompression. */
  readonly totalBytes: number;
  /** Entries in the archive. */
  readonly members: number;
  /** Of one header: a long name, a package's metadata. */
  readonly headerBytes: number;
}

export const defaultLimits: Limits = {
  memberBytes: 2 * 1024 ** 3,
  totalBytes: 4 * 1024 ** 3,
  members: 200_000,
  headerBytes: 32 * 1024 ** 2,
};

export class Account {
  readonly limits: Limits;
  readonly #what: string;
  #bytes = 0;
  #members = 0;

  constructor(limits: Limits, what: string) {
    this.limits = limits;
    this.#what = what;
  }

  countMember(): void {
    if (++this.#members > this.limits.members)
      throw unreadable(this.#what, `has more than ${this.limits.members} members`);
  }

  checkHeader(bytes: number, header: string): void {
    if (bytes > this.limits.headerBytes)
      throw unreadable(this.#what, `has ${header} of ${bytes} bytes, more than the ${this.limits.headerBytes} allowed`);
  }

  /** Passes chunks through and stops when more come out than allowed. */
  async *meter(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      this.#bytes += chunk.length;
      if (this.#bytes > this.limits.totalBytes)
        throw unreadable(this.#what, `unpacks to more than the ${this.limits.totalBytes} bytes allowed`);
      yield chunk;
    }
  }
}
