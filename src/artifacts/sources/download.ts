/**
 * One file over HTTP, whole and right or not at all: retries within a budget, resumption where it stopped (only when the
 * server's validator or a known digest proves that the parts belong together), digest on the way, deadlines against
 * stalled and trickling connections. The result is durable when this returns. Milliseconds, bytes, `sha256:<hex>`.
 *
 * Errors: NK_ARTIFACT_MISSING (404, 410), NK_ARTIFACT_DIGEST (digest or length), NK_SOURCE_UNAVAILABLE, NK_TIMEOUT,
 * NK_INTERRUPTED, NK_FILE_WRITE.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { mkdir, open, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { NodekilnError, errnoOf } from '../../errors.ts';
import { discardTemporary, releaseTemporary, sweepTemporaries, temporaryIn } from '../../host/linux/temporaries.ts';
import type { Clock } from '../../host/port.ts';
import { syncFolder, writeFully } from '../durable.ts';
import { shownUrl } from './http-client.ts';
import type { HttpClient } from './http-client.ts';
import { RetryableError, retry } from './retry.ts';

export interface Progress {
  readonly receivedBytes: number;
  /** Unknown when the server does not say. */
  readonly totalBytes: number | undefined;
  /** Averaged over the whole transfer. */
  readonly bytesPerSecond: number;
  readonly remainingMs: number | undefined;
}

export interface TransferOptions {
  readonly clock: Clock;
  readonly budgetMs: number;
  /** A connection that brings fewer bytes than `slowestBytesPerSecond` over this time is given up and resumed. */
  readonly stallMs?: number;
  readonly slowestBytesPerSecond?: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

export interface DownloadRequest extends TransferOptions {
  readonly client: Pick<HttpClient, 'open'>;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly to: string;
  readonly digest?: string;
  readonly size?: number;
  /** More than this is refused when no size is known; 4 GiB unless told. */
  readonly maxBytes?: number;
}

export interface Downloaded {
  readonly path: string;
  readonly digest: string;
  readonly size: number;
  readonly attempts: number;
  /** Bytes that did not have to be sent again. */
  readonly resumedBytes: number;
}

const defaults = { stallMs: 15_000, slowestBytesPerSecond: 1_024, maxBytes: 4 * 1024 ** 3 };
const progressEveryMs = 100;

export async function download(request: DownloadRequest): Promise<Downloaded> {
  const what = shownUrl(request.url);
  const temporary = await makeTemporary(request.to);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, 'wx', 0o600);
    const transfer = new Transfer(request, handle, what);
    await transfer.run();
    await handle.chmod(0o644);
    await handle.sync();
    await rename(temporary, request.to);
    releaseTemporary(temporary);
    await syncFolder(dirname(request.to));
    return transfer.result();
  } catch (thrown) {
    await discardTemporary(temporary);
    if (thrown instanceof NodekilnError || errnoOf(thrown) === undefined) throw thrown;
    throw new NodekilnError('NK_FILE_WRITE', `cannot write ${request.to}: ${errnoOf(thrown)}`, { cause: thrown });
  } finally {
    await handle?.close();
  }
}

async function makeTemporary(to: string): Promise<string> {
  await mkdir(dirname(to), { recursive: true });
  await sweepTemporaries(dirname(to));
  return temporaryIn(dirname(to));
}

class Transfer {
  readonly #request: DownloadRequest;
  readonly #handle: FileHandle;
  readonly #what: string;
  readonly #startedAt: number;
  #hash: Hash = createHash('sha256');
  #received = 0;
  #digest = '';
  #validator: string | undefined;
  #attempts = 0;
  #resumedBytes = 0;
  #lastProgressAt = -Infinity;

  constructor(request: DownloadRequest, handle: FileHandle, what: string) {
    this.#request = request;
    this.#handle = handle;
    this.#what = what;
    this.#startedAt = request.clock.monotonic();
  }

  async run(): Promise<void> {
    const { clock, budgetMs, signal } = this.#request;
    await retry({ clock, budgetMs, what: this.#what, signal }, (_, remainingMs) => this.#attempt(remainingMs));
  }

  result(): Downloaded {
    return {
      path: this.#request.to,
      digest: this.#digest,
      size: this.#received,
      attempts: this.#attempts,
      resumedBytes: this.#resumedBytes,
    };
  }

  async #attempt(remainingMs: number): Promise<void> {
    this.#attempts++;
    const { client, url, signal, budgetMs } = this.#request;
    const deadline = AbortSignal.timeout(Math.max(1, Math.ceil(remainingMs)));
    const before = this.#received;
    try {
      const response = await client.open(url, {
        headers: { ...this.#request.headers, ...this.#range() },
        signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
      });
      try {
        await this.#receive(response);
      } finally {
        response.destroy();
      }
      await this.#finish();
    } catch (thrown) {
      if (signal?.aborted)
        throw new NodekilnError('NK_INTERRUPTED', `the download of ${this.#what} was interrupted`, { cause: thrown });
      if (deadline.aborted)
        throw new NodekilnError(
          'NK_TIMEOUT',
          `${this.#what} was not downloaded within ${budgetMs} ms: ${this.#received} bytes came`,
          { cause: thrown, resource: this.#what },
        );
      if (thrown instanceof NodekilnError || !isConnectionError(thrown)) throw thrown;
      const waitMs = thrown instanceof RetryableError ? thrown.waitMs : undefined;
      throw new RetryableError(thrown.message, { cause: thrown, waitMs, progressed: this.#received > before });
    }
  }

  /** Resumption needs proof that the rest belongs to what is here already. */
  #range(): Record<string, string> {
    if (this.#received === 0) return {};
    if (this.#validator !== undefined) return { range: `bytes=${this.#received}-`, 'if-range': this.#validator };
    return this.#request.digest === undefined ? {} : { range: `bytes=${this.#received}-` };
  }

  async #receive(response: IncomingMessage): Promise<void> {
    const status = response.statusCode ?? 0;
    if (status === 206) this.#expectContinuation(response);
    else if (status === 200) await this.#restart();
    else throw await this.#refusal(status, response);
    this.#validator = validatorOf(response);
    const length = response.headers['content-length'];
    const total = length === undefined ? undefined : this.#received + Number(length);
    this.#checkLength(total);
    if (status === 206) this.#resumedBytes = this.#received;

    const stopWatching = this.#watch(response);
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        await this.#take(chunk);
        this.#progress(total);
      }
    } finally {
      stopWatching();
    }
    if (!response.complete || (total !== undefined && this.#received !== total)) {
      throw new RetryableError(`the connection ended after ${this.#received} of ${total ?? 'unknown'} bytes`);
    }
    this.#progress(total, true);
  }

  #expectContinuation(response: IncomingMessage): void {
    const start = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1];
    if (Number(start) === this.#received) return;
    this.#validator = undefined;
    this.#reset();
    throw new RetryableError('the server sent another part than asked for');
  }

  async #restart(): Promise<void> {
    if (this.#received === 0) return;
    this.#reset();
    await this.#handle.truncate(0);
  }

  #reset(): void {
    this.#hash = createHash('sha256');
    this.#received = 0;
    this.#resumedBytes = 0;
  }

  async #refusal(status: number, response: IncomingMessage): Promise<Error> {
    const waitMs = retryAfterMs(response.headers['retry-after'], this.#request.clock.now());
    const said = `the server answered ${status}${response.statusMessage ? ` ${response.statusMessage}` : ''}`;
    if (status === 404 || status === 410)
      return new NodekilnError('NK_ARTIFACT_MISSING', `${this.#what}: ${said}`, { resource: this.#what });
    if (status === 416) {
      await this.#restart();
      return new RetryableError(said);
    }
    if (status === 408 || status === 425 || status === 429 || status >= 500)
      return new RetryableError(said, { waitMs });
    return new NodekilnError('NK_SOURCE_UNAVAILABLE', `${this.#what}: ${said}`, { resource: this.#what });
  }

  #checkLength(total: number | undefined): void {
    const { size, maxBytes = defaults.maxBytes } = this.#request;
    if (total === undefined) return;
    if (size !== undefined && total !== size)
      throw new NodekilnError('NK_ARTIFACT_DIGEST', `${this.#what} has ${total} bytes, not ${size}`, {
        resource: this.#what,
      });
    if (size === undefined && total > maxBytes)
      throw new NodekilnError(
        'NK_ARTIFACT_UNREADABLE',
        `${this.#what} has ${total} bytes, more than the ${maxBytes} allowed`,
        { resource: this.#what },
      );
  }

  async #take(chunk: Buffer): Promise<void> {
    const limit = this.#request.size ?? this.#request.maxBytes ?? defaults.maxBytes;
    if (this.#received + chunk.length > limit) {
      throw new NodekilnError('NK_ARTIFACT_DIGEST', `${this.#what} has more than the ${limit} bytes expected`, {
        resource: this.#what,
      });
    }
    const writing = writeFully(this.#handle, chunk, this.#received);
    this.#hash.update(chunk);
    // Counted whatever becomes of the write: a failed one ends the download.
    this.#received += chunk.length;
    await writing;
  }

  async #finish(): Promise<void> {
    const { digest, size } = this.#request;
    if (size !== undefined && this.#received !== size)
      throw new NodekilnError('NK_ARTIFACT_DIGEST', `${this.#what} has ${this.#received} bytes, not ${size}`, {
        resource: this.#what,
      });
    this.#digest = `sha256:${this.#hash.digest('hex')}`;
    if (digest === undefined || digest === this.#digest) return;
    if (this.#resumedBytes > 0) {
      // The parts may be of two different files: once more, whole.
      this.#validator = undefined;
      this.#reset();
      await this.#handle.truncate(0);
      throw new RetryableError('the parts do not make up the digest asked for');
    }
    throw new NodekilnError('NK_ARTIFACT_DIGEST', `${this.#what} has the digest ${this.#digest}, not ${digest}`, {
      resource: this.#what,
    });
  }

  #watch(response: IncomingMessage): () => void {
    const { stallMs = defaults.stallMs, slowestBytesPerSecond = defaults.slowestBytesPerSecond } = this.#request;
    let seen = this.#received;
    const timer = setInterval(() => {
      const came = this.#received - seen;
      seen = this.#received;
      if (came < (slowestBytesPerSecond * stallMs) / 1_000)
        response.destroy(new RetryableError(`only ${came} bytes came within ${stallMs} ms`));
    }, stallMs);
    return () => clearInterval(timer);
  }

  #progress(totalBytes: number | undefined, last = false): void {
    const { onProgress, clock } = this.#request;
    const now = clock.monotonic();
    if (!onProgress || (!last && now - this.#lastProgressAt < progressEveryMs)) return;
    this.#lastProgressAt = now;
    const bytesPerSecond = (this.#received * 1_000) / Math.max(1, now - this.#startedAt);
    const remainingMs =
      totalBytes === undefined ? undefined : ((totalBytes - this.#received) * 1_000) / Math.max(1, bytesPerSecond);
    onProgress({ receivedBytes: this.#received, totalBytes, bytesPerSecond, remainingMs });
  }
}

/** Cut connections come as system errors and as `aborted`; anything else is a defect and passes through. */
function isConnectionError(thrown: unknown): thrown is Error {
  if (thrown instanceof RetryableError) return true;
  const code = errnoOf(thrown);
  return (
    thrown instanceof Error &&
    code !== undefined &&
    /^(E(CONN|PIPE|TIMEDOUT|HOST|NET)|ERR_STREAM_PREMATURE_CLOSE|HPE_)/.test(code)
  );
}

/** A strong entity tag, else the date of the last change. */
function validatorOf(response: IncomingMessage): string | undefined {
  const { etag } = response.headers;
  if (etag !== undefined && !etag.startsWith('W/')) return etag;
  return response.headers['last-modified'];
}

/** Seconds or a date, RFC 9110 §10.2.3. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
