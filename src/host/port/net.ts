/** The port's network. */

export interface HttpRequest {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly timeoutMs: number;
  /** A Unix socket to speak to instead of the URL's host. */
  readonly socketPath?: string;
  /** PEM certificates trusted instead of the system's. */
  readonly ca?: string;
  readonly signal?: AbortSignal;
  /** Response bytes kept at most; NK_SOURCE_UNAVAILABLE beyond. 1 MiB unless told. */
  readonly maxBytes?: number;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Net {
  /** One request, no redirects, no retries. NK_SOURCE_UNAVAILABLE when no response came, NK_TIMEOUT after the deadline. */
  request(request: HttpRequest): Promise<HttpResponse>;
  /** True when something accepts connections at the Unix socket. */
  socketAnswers(path: string, timeoutMs: number): Promise<boolean>;
}
