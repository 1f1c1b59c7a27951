/**
 * The port's network: one hop of HTTP at a time. Redirects, the choice of a proxy for an address, credentials, retries
 * and resumption are the callers'. Milliseconds, bytes; names of headers in lower case, several of one name joined by
 * `, `. No message holds a query, a user or a password of an address.
 */
import { NodekilnError, type ErrorDetail } from '../../errors.ts';
import type { StagedFile } from './files.ts';

/** By name in lower case. */
export type HttpHeaders = Readonly<Record<string, string>>;

/** How a server shows who it is, and how we do. */
export interface TlsOptions {
  /** PEM certificates trusted instead of the machine's. */
  readonly ca?: string;
  /** The name that its certificate must have, when that is not the address's. */
  readonly serverName?: string;
  /** PEM. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
}

/** One request to one server, by one way. */
export interface HttpExchange {
  /** `http:` or `https:`. */
  readonly url: string;
  /** `GET` unless told. */
  readonly method?: string;
  readonly headers?: HttpHeaders;
  readonly body?: string | Uint8Array;
  /** A Unix socket to speak to instead of the address's host. */
  readonly socketPath?: string;
  /** The proxy to go through, `http://user:password@proxy:3128`: `https:` by CONNECT. Straight to the server when absent. */
  readonly proxy?: string;
  readonly tls?: TlsOptions;
  /** An open connection of an earlier request of the same way and trust may be used, and this one's is left open for the next. */
  readonly keepAlive?: boolean;
  /** Until the response's headers are there; a `connection` failure after that, since another try may be luckier. */
  readonly headersTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** An exchange whose answer is small. */
export interface HttpRequest extends HttpExchange {
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** Response bytes kept at most; NK_SOURCE_UNAVAILABLE (`too-large`) beyond. 1 MiB unless told. */
  readonly maxBytes?: number;
}

/** A whole answer. */
export interface HttpResponse {
  readonly status: number;
  /** The words beside the status, as the server gave them; '' when it gave none. */
  readonly reason: string;
  readonly headers: HttpHeaders;
  readonly body: Uint8Array;
}

/** An answer whose body is still to come. */
export interface HttpStream extends Omit<HttpResponse, 'body'> {
  /** As it arrives, to be iterated once; whoever stops early ends the connection. Throws a `connection` failure when it breaks off. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** An exchange whose answer goes into a file. */
export interface HttpDownload extends HttpExchange {
  /** What is there already is kept when the server sends the rest of it: whoever asks says so by `range`. */
  readonly into: StagedFile;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** A connection that brings fewer bytes than these in any span of this length is given up. */
  readonly stall: { readonly bytes: number; readonly withinMs: number };
  /** Of the whole file, when it is known. */
  readonly size?: number;
  /** Of the whole file, at most. */
  readonly maxBytes: number;
  /** Asked before anything of an answer is written; what it refuses is `unwanted`. */
  readonly accepts?: (answer: Omit<HttpResponse, 'body'>) => Promise<boolean>;
  /** Called now and then and at the end; the total is unknown when the server does not say. */
  readonly onProgress?: (receivedBytes: number, totalBytes: number | undefined) => void;
}

/**
 * What came of a download. `whole`: all of it is in `into`. `cut`, `stalled`: what came is. `size`: the server states or
 * sends another size than the one known, or more than is allowed. `unwanted`: nothing was written, because the status is
 * none of 200, 203 and 206, the part is another than the one that follows what is there, or `accepts` refused it.
 */
export type DownloadOutcome = 'whole' | 'cut' | 'stalled' | 'size' | 'unwanted';

/** What an exchange came to. */
export interface Download extends Omit<HttpResponse, 'body'> {
  readonly outcome: DownloadOutcome;
  /** What happened, of `cut` and `stalled`. */
  readonly why: string;
}

/**
 * Why there was no (whole) response. `connection`: nobody answered, or not to the end; `certificate`: the server's is not
 * accepted; `no-tls`: it speaks something else; `too-large`: more came than is kept.
 */
export type NetFailure = 'connection' | 'certificate' | 'no-tls' | 'too-large';

/**
 * What exactly, where the system or the handshake said it: the name has no address; nobody listens; no way leads there; the
 * server's certificate comes from nobody who is trusted, is for other names, has expired, or holds only later.
 */
export type NetReason = 'no-name' | 'refused' | 'no-route' | 'untrusted' | 'other-name' | 'expired' | 'not-yet-valid';

/** NK_SOURCE_UNAVAILABLE with its kind, for those who decide whether to try again. */
export class NetError extends NodekilnError {
  readonly failure: NetFailure;
  readonly reason: NetReason | undefined;
  /** What happened, without the address. */
  readonly why: string;

  constructor(
    failure: NetFailure,
    { where, why, reason, ...detail }: { where: string; why: string; reason?: NetReason | undefined } & ErrorDetail,
  ) {
    super('NK_SOURCE_UNAVAILABLE', `no response from ${where}: ${why}`, detail);
    this.failure = failure;
    this.reason = reason;
    this.why = why;
  }
}

/** Where something is served: a Unix socket, only root's, or a loopback address. */
export type ListenAt = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** A small answer. */
export interface Answer {
  readonly status: number;
  /** `text/plain; charset=utf-8` */
  readonly contentType: string;
  readonly body: string;
}

/** What is answered to a GET of a path, without its query. What it throws is a 500 without words. */
export type Answering = (path: string) => Answer | Promise<Answer>;

/** Something that is served. */
export interface Listening {
  /** When nobody is answered any more. Idempotent. */
  close(): Promise<void>;
}

/** All methods: NetError when no whole response came, NK_TIMEOUT after the deadline, NK_INTERRUPTED when the signal fired. */
export interface Net {
  /** One request with its whole answer, whatever its status. */
  request(request: HttpRequest): Promise<HttpResponse>;
  /** The same with the body as it arrives; it is not bounded, neither in size nor in time: `signal` ends it. */
  stream(exchange: HttpExchange): Promise<HttpStream>;
  /**
   * The body of a response in a staged file. A part that was asked for adds to what is there when its Content-Range follows it; 200 begins anew.
   * What went wrong after the headers came is an outcome, not an error; NK_FILE_WRITE when the file cannot be written.
   */
  download(download: HttpDownload): Promise<Download>;
  /**
   * Answers GET until it is closed; other methods are refused. It does not keep the process alive. A socket that is there is
   * taken over. NK_UNSUPPORTED when nothing can be served there.
   */
  serve(at: ListenAt, answer: Answering): Promise<Listening>;
  /** True when something accepts connections at the Unix socket. */
  socketAnswers(path: string, timeoutMs: number): Promise<boolean>;
}
