/** Keeps an archive within its limits. */
import { unreadable } from '../port/archives.ts';
import type { ArchiveLimits } from '../port/archives.ts';

/** Of one archive: what came out of it so far, against what is allowed. Each check throws NK_ARTIFACT_UNREADABLE. */
export class Account {
  readonly limits: ArchiveLimits;
  readonly #what: string;
  #bytes = 0;
  #members = 0;
  #toldBytes = 0;

  constructor(limits: ArchiveLimits, what: string) {
    this.limits = limits;
    this.#what = what;
  }

  get members(): number {
    return this.#members;
  }

  countMember(): void {
    if (++this.#members > this.limits.members)
      throw unreadable(this.#what, `has more than ${this.limits.members} members`);
  }

  checkHeader(bytes: number, header: string): void {
    if (bytes > this.limits.headerBytes)
      throw unreadable(this.#what, `has ${header} of ${bytes} bytes, more than the ${this.limits.headerBytes} allowed`);
  }

  checkMember(bytes: number): void {
    if (bytes > this.limits.memberBytes)
      throw unreadable(this.#what, `has a member of ${bytes} bytes, more than the ${this.limits.memberBytes} allowed`);
  }

  /** Of what is held in memory until the end. */
  countTold(bytes: number): void {
    this.#toldBytes += bytes;
    if (this.#toldBytes > this.limits.headerBytes)
      throw unreadable(this.#what, `says more about its members than the ${this.limits.headerBytes} bytes allowed`);
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
