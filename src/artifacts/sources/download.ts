/**
 * One file over HTTP, whole and right or not at all: retries within a budget, resumption where it stopped, in a later run
 * too (only when the server's validator or a known digest proves that the parts belong together), digest on the way,
 * deadlines against stalled and trickling connections. The result is durable when this returns. Milliseconds, bytes, `sha256:<hex>`.
 *
 * Errors: NK_ARTIFACT_MISSING (404, 410), NK_ARTIFACT_DIGEST (digest or length), NK_SOURCE_UNAVAILABLE, NK_TIMEOUT,
 * NK_INTERRUPTED, NK_FILE_WRITE.
 */
import { NodekilnError, type ErrorCode } from '../../errors.ts';
import type { Clock, Download, Files, HttpHeaders, HttpResponse, StagedFile } from '../../host/port.ts';
import { basename, dirname } from '../../model/path.ts';
import { retryAfterMs } from '../../model/retry-after.ts';
import { shownText } from '../../model/shown-address.ts';
import { shownUrl } from './http-client.ts';
import type { HttpClient } from './http-client.ts';
import { openPart } from './parts.ts';
import type { Known, Part, PartsPlace } from './parts.ts';
import { RetryableError, retry, type Impatience } from './retry.ts';

/** How far a transfer is. */
export interface Progress {
  readonly receivedBytes: number;
  /** Unknown when the server does not say. */
  readonly totalBytes: number | undefined;
  /** Averaged over the whole transfer. */
  readonly bytesPerSecond: number;
  readonly remainingMs: number | undefined;
}

/** How long it may take, and who hears of it. */
export interface TransferOptions {
  readonly clock: Clock;
  readonly budgetMs: number;
  /** A connection that brings fewer bytes than `slowestBytesPerSecond` over this time is given up and resumed. */
  readonly stallMs?: number;
  readonly slowestBytesPerSecond?: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
  readonly impatience?: Impatience;
}

/** What is wanted of an address. */
export interface Wanted extends TransferOptions {
  readonly client: Pick<HttpClient, 'download'>;
  readonly url: string;
  readonly headers?: HttpHeaders;
  readonly digest?: string;
  readonly size?: number;
  /** More than this is refused when no size is known; 4 GiB unless told. */
  readonly maxBytes?: number;
}

/** What is wanted of an address, and where it goes. */
export interface DownloadRequest extends Wanted {
  /** Where files of ours are. */
  readonly local: Files;
  /** In our own file system. */
  readonly to: string;
  /** Where what came of it waits for the next run when this one does not get it whole. */
  readonly parts?: PartsPlace;
}

/** What came, and how. */
export interface Transferred {
  readonly digest: string;
  readonly size: number;
  readonly attempts: number;
  /** Bytes that did not have to be sent again. */
  readonly resumedBytes: number;
}

/** What came, and where it is. */
export interface Downloaded extends Transferred {
  readonly path: string;
}

const brokenOff: readonly ErrorCode[] = ['NK_INTERRUPTED', 'NK_TIMEOUT', 'NK_SOURCE_UNAVAILABLE'];
const defaults = { stallMs: 15_000, slowestBytesPerSecond: 1_024, maxBytes: 4 * 1024 ** 3 };

/** 0644, with the digest and size that are wanted, durable. */
export async function download(request: DownloadRequest): Promise<Downloaded> {
  const { local, to, parts } = request;
  const part = parts && (await openPart({ ...request, parts }));
  if (part) return { path: to, ...(await continued(part, request)) };
  const staged = await local.stage(dirname(to));
  try {
    const transferred = await downloadInto(staged, request);
    await staged.publish(basename(to), { mode: 0o644 });
    return { path: to, ...transferred };
  } finally {
    await staged.discard();
  }
}

/** What does not come to its end is kept, unless it is wrong or there is no room for it. */
async function continued(part: Part, request: DownloadRequest): Promise<Transferred> {
  try {
    const transferred = await downloadInto(part.staged, request, part);
    await part.publish(request.to);
    return transferred;
  } catch (thrown) {
    const isBrokenOff = thrown instanceof NodekilnError && brokenOff.includes(thrown.code);
    // What went wrong first is what is told.
    await (isBrokenOff ? part.keep() : part.discard()).catch(() => undefined);
    throw thrown;
  }
}

/** The same into a file in the making, which the caller publishes or discards; `part` knows of what is in it already. */
export async function downloadInto(
  staged: StagedFile,
  wanted: Wanted,
  part?: Pick<Part, 'known' | 'note'>,
): Promise<Transferred> {
  const transfer = new Transfer(wanted, staged, part);
  const { clock, budgetMs, signal, url, impatience } = wanted;
  await retry({ clock, budgetMs, what: shownUrl(url), signal, impatience }, (_, remainingMs) =>
    transfer.attempt(remainingMs),
  );
  return transfer.result();
}

/** One file over as many exchanges as it takes. */
class Transfer {
  readonly #wanted: Wanted;
  readonly #staged: StagedFile;
  readonly #what: string;
  readonly #startedAt: number;
  #digest = '';
  #known: Known;
  readonly #note: Part['note'] | undefined;
  #attempts = 0;
  #resumedBytes = 0;

  constructor(wanted: Wanted, staged: StagedFile, part: Pick<Part, 'known' | 'note'> | undefined) {
    this.#wanted = wanted;
    this.#staged = staged;
    this.#known = part?.known ?? nothing;
    this.#note = part?.note;
    this.#what = shownUrl(wanted.url);
    this.#startedAt = wanted.clock.monotonic();
  }

  result(): Transferred {
    return {
      digest: this.#digest,
      size: this.#staged.size,
      attempts: this.#attempts,
      resumedBytes: this.#resumedBytes,
    };
  }

  async attempt(remainingMs: number): Promise<void> {
    this.#attempts++;
    const before = this.#staged.size;
    try {
      if (await this.#isThere()) return;
      await this.#take(await this.#ask(remainingMs), before);
      await this.#finish();
    } catch (thrown) {
      if (!(thrown instanceof RetryableError)) throw this.#inWords(thrown);
      throw new RetryableError(thrown.message, {
        cause: thrown,
        waitMs: thrown.waitMs,
        unreached: thrown.unreached,
        progressed: this.#staged.size > before,
      });
    }
  }

  #ask(remainingMs: number): Promise<Download> {
    const { client, url, signal, headers, size, maxBytes = defaults.maxBytes } = this.#wanted;
    const { stallMs = defaults.stallMs, slowestBytesPerSecond = defaults.slowestBytesPerSecond } = this.#wanted;
    return client.download(url, {
      into: this.#staged,
      headers: { ...headers, ...this.#range() },
      timeoutMs: Math.max(1, remainingMs),
      stall: { bytes: (slowestBytesPerSecond * stallMs) / 1_000, withinMs: stallMs },
      maxBytes,
      accepts: (answer) => this.#accepts(answer),
      onProgress: (received, total) => this.#progress(received, total),
      ...(size !== undefined && { size }),
      ...(signal && { signal }),
    });
  }

  /** Resumption needs proof that the rest belongs to what is here already. */
  #range(): HttpHeaders {
    const { size } = this.#staged;
    if (size === 0) return {};
    const { validator } = this.#known;
    if (validator !== undefined) return { range: `bytes=${size}-`, 'if-range': validator };
    return this.#wanted.digest === undefined ? {} : { range: `bytes=${size}-` };
  }

  /** All of it came before, and its end was missed. */
  async #isThere(): Promise<boolean> {
    const { digest, size } = this.#wanted;
    const received = this.#staged.size;
    if (received === 0) return false;
    if (digest !== undefined && received === (size ?? received) && digest === (await this.#staged.digest())) {
      this.#digest = digest;
      this.#resumedBytes = received;
      return true;
    }
    if (received >= (size ?? this.#known.total ?? Infinity)) await this.#restart();
    return false;
  }

  /** A part of another file than the one begun is not joined to it; of a new one, what proves it is remembered. */
  async #accepts({ status, headers }: Pick<Download, 'status' | 'headers'>): Promise<boolean> {
    if (status === 206 && !isSame(this.#known, headers)) return false;
    if (status !== 206) this.#known = knownOf(status, headers);
    await this.#note?.(this.#known);
    return true;
  }

  /** Judges what came of an exchange, with `before` bytes here when it began. */
  async #take(answer: Download, before: number): Promise<void> {
    const { outcome, why, status } = answer;
    if (outcome === 'unwanted') throw await this.#refusal(answer, before);
    if (status === 206) this.#resumedBytes = before;
    else if (before > 0) this.#resumedBytes = 0;
    switch (outcome) {
      case 'whole':
        return;
      case 'cut':
      case 'stalled':
        throw new RetryableError(why);
      case 'size':
        throw this.#wrongSize(answer, status === 206 ? before : 0);
    }
  }

  async #refusal({ status, reason, headers }: Download, before: number): Promise<Error> {
    const said = `the server answered ${status}${reason ? ` ${shownText(reason)}` : ''}`;
    switch (status) {
      case 404:
      case 410:
        return new NodekilnError('NK_ARTIFACT_MISSING', `${this.#what}: ${said}`, { resource: this.#what });
      case 206:
        if (before === 0)
          return new NodekilnError(
            'NK_SOURCE_UNAVAILABLE',
            `${this.#what}: the server answered 206, with a part, to a request for the whole`,
            { resource: this.#what },
          );
        await this.#restart();
        return new RetryableError('the server sent another part than asked for');
      case 416:
        await this.#restart();
        return new RetryableError(said);
      default:
        if (status === 408 || status === 425 || status === 429 || status >= 500)
          return new RetryableError(said, { waitMs: retryAfterMs(headers, this.#wanted.clock.now()) });
        return new NodekilnError('NK_SOURCE_UNAVAILABLE', `${this.#what}: ${said}`, { resource: this.#what });
    }
  }

  #wrongSize({ headers }: Pick<HttpResponse, 'headers'>, before: number): NodekilnError {
    const { size, maxBytes = defaults.maxBytes } = this.#wanted;
    const length = headers['content-length'];
    const total = length === undefined ? undefined : before + Number(length);
    const refuse = (code: 'NK_ARTIFACT_DIGEST' | 'NK_ARTIFACT_UNREADABLE', why: string): NodekilnError =>
      new NodekilnError(code, `${this.#what} has ${why}`, { resource: this.#what });
    if (total !== undefined && size !== undefined && total !== size)
      return refuse('NK_ARTIFACT_DIGEST', `${total} bytes, not ${size}`);
    if (total !== undefined && size === undefined && total > maxBytes)
      return refuse('NK_ARTIFACT_UNREADABLE', `${total} bytes, more than the ${maxBytes} allowed`);
    return refuse('NK_ARTIFACT_DIGEST', `more than the ${size ?? maxBytes} bytes expected`);
  }

  async #restart(): Promise<void> {
    this.#known = nothing;
    this.#resumedBytes = 0;
    await this.#staged.restart();
  }

  async #finish(): Promise<void> {
    const { digest, size } = this.#wanted;
    const received = this.#staged.size;
    if (size !== undefined && received !== size)
      throw new NodekilnError('NK_ARTIFACT_DIGEST', `${this.#what} has ${received} bytes, not ${size}`, {
        resource: this.#what,
      });
    this.#digest = await this.#staged.digest();
    if (digest === undefined || digest === this.#digest) return;
    if (this.#resumedBytes > 0) {
      // The parts may be of two different files: once more, whole.
      await this.#restart();
      throw new RetryableError('the parts do not make up the digest asked for');
    }
    throw new NodekilnError('NK_ARTIFACT_DIGEST', `${this.#what} has the digest ${this.#digest}, not ${digest}`, {
      resource: this.#what,
    });
  }

  /** An end that the clock or somebody made, with how far it was. */
  #inWords(thrown: unknown): unknown {
    if (!(thrown instanceof NodekilnError)) return thrown;
    const detail = { cause: thrown, resource: this.#what };
    if (thrown.code === 'NK_INTERRUPTED')
      return new NodekilnError('NK_INTERRUPTED', `the download of ${this.#what} was interrupted`, detail);
    if (thrown.code !== 'NK_TIMEOUT') return thrown;
    const { budgetMs } = this.#wanted;
    const came = `${this.#staged.size} bytes came`;
    return new NodekilnError('NK_TIMEOUT', `${this.#what} was not downloaded within ${budgetMs} ms: ${came}`, detail);
  }

  #progress(receivedBytes: number, totalBytes: number | undefined): void {
    const { onProgress, clock } = this.#wanted;
    const bytesPerSecond = (receivedBytes * 1_000) / Math.max(1, clock.monotonic() - this.#startedAt);
    const remainingMs =
      totalBytes === undefined ? undefined : ((totalBytes - receivedBytes) * 1_000) / Math.max(1, bytesPerSecond);
    onProgress?.({ receivedBytes, totalBytes, bytesPerSecond, remainingMs });
  }
}

const nothing: Known = { validator: undefined, total: undefined };

/** What a proxy says of 203 that it changed is told apart by no validator of the server behind it. */
function knownOf(status: number, headers: HttpHeaders): Known {
  const length = headers['content-length'];
  return {
    validator: status === 203 ? undefined : validatorOf(headers),
    total: length === undefined ? undefined : Number(length),
  };
}

/** A strong entity tag, else the date of the last change, if a second change in that second would have been seen. */
function validatorOf({ etag, date, 'last-modified': modified }: HttpHeaders): string | undefined {
  if (etag !== undefined && !etag.startsWith('W/')) return etag;
  return modified !== undefined && !(Date.parse(date ?? '') - Date.parse(modified) < 1_000) ? modified : undefined;
}

/** Whether the part that an answer brings is of the file that was begun. What it does not say, its `If-Range` did. */
function isSame({ validator, total }: Known, headers: HttpHeaders): boolean {
  const whole = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  if (total !== undefined && whole !== undefined && total !== Number(whole)) return false;
  if (validator === undefined) return true;
  const stated = /^(W\/)?"/.test(validator) ? headers['etag'] : headers['last-modified'];
  return stated === undefined || stated === validator;
}
