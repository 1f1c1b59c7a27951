/** EventTarget, AbortController and AbortSignal (DOM standard), as far as cancelling needs them: no bubbling, no capture. */
import { afterMs } from '../crossing.ts';

/** Its `name` is what tells one from another. */
export class DOMException extends Error {
  override readonly name: string;
  readonly code: number;
  constructor(message = '', name = 'Error') {
    super(message);
    this.name = name;
    this.code = name === 'AbortError' ? 20 : name === 'TimeoutError' ? 23 : name === 'InvalidCharacterError' ? 5 : 0;
  }
}

export class Event {
  readonly type: string;
  target: EventTarget | null = null;
  #stopped = false;
  constructor(type: string) {
    this.type = type;
  }
  stopImmediatePropagation(): void {
    this.#stopped = true;
  }
  get stopped(): boolean {
    return this.#stopped;
  }
}

type Callback = ((event: Event) => void) | { handleEvent(event: Event): void };

interface Listener {
  readonly callback: Callback;
  readonly once: boolean;
  removed: boolean;
}

interface ListenerOptions {
  readonly once?: boolean;
  readonly signal?: AbortSignal;
}

export class EventTarget {
  readonly #listeners = new Map<string, Listener[]>();

  addEventListener(type: string, callback: Callback | null, options: ListenerOptions | boolean = {}): void {
    const { once = false, signal } = typeof options === 'object' ? options : {};
    if (callback === null || signal?.aborted === true) return;
    const listeners = this.#listeners.get(type) ?? [];
    if (listeners.some((known) => known.callback === callback)) return;
    this.#listeners.set(type, [...listeners, { callback, once, removed: false }]);
    signal?.addEventListener('abort', () => this.removeEventListener(type, callback), { once: true });
  }

  removeEventListener(type: string, callback: Callback | null): void {
    const listeners = this.#listeners.get(type) ?? [];
    const found = listeners.find((known) => known.callback === callback);
    if (!found) return;
    found.removed = true;
    this.#listeners.set(
      type,
      listeners.filter((known) => known !== found),
    );
  }

  /** What a listener throws is nobody's to catch: a defect. */
  dispatchEvent(event: Event): boolean {
    event.target = this;
    for (const listener of this.#listeners.get(event.type) ?? []) {
      if (listener.removed) continue;
      if (listener.once) this.removeEventListener(event.type, listener.callback);
      try {
        if (typeof listener.callback === 'function') listener.callback.call(this, event);
        else listener.callback.handleEvent(event);
      } catch (thrown) {
        void Promise.reject(thrown);
      }
      if (event.stopped) break;
    }
    return true;
  }
}

/** Only those here make and fire signals. */
const key = Symbol('signal');

export class AbortSignal extends EventTarget {
  aborted = false;
  reason: unknown = undefined;
  onabort: ((event: Event) => void) | null = null;
  /** Those that fire with this one; they hold on to it, not it to them. */
  readonly #dependents = new Set<WeakRef<AbortSignal>>();
  readonly #sources = new Set<AbortSignal>();

  constructor(mine?: symbol) {
    super();
    if (mine !== key) throw new TypeError('Illegal constructor');
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  /** @internal */
  fire(mine: symbol, reason: unknown): void {
    if (mine !== key || this.aborted) return;
    this.#mark(reason);
    const firing = [...this.#dependents].flatMap((one) => {
      const dependent = one.deref();
      if (!dependent || dependent.aborted) return [];
      dependent.#mark(reason);
      return [dependent];
    });
    for (const signal of [this, ...firing]) signal.#tell();
  }

  #mark(reason: unknown): void {
    this.aborted = true;
    this.reason = reason;
  }

  #tell(): void {
    const event = new Event('abort');
    this.dispatchEvent(event);
    this.onabort?.(event);
  }

  static abort(reason: unknown = abortError()): AbortSignal {
    const signal = new AbortSignal(key);
    signal.#mark(reason);
    return signal;
  }

  /** The program does not stay for it. */
  static timeout(ms: number): AbortSignal {
    if (!(ms >= 0 && ms <= Number.MAX_SAFE_INTEGER))
      throw Object.assign(new RangeError(`no such time: ${ms}`), { code: 'ERR_OUT_OF_RANGE' });
    const signal = new AbortSignal(key);
    const late = (): void =>
      signal.fire(key, new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    afterMs(Math.trunc(ms), late).ref(false);
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const all = [...signals];
    const signal = new AbortSignal(key);
    const fired = all.find(({ aborted }) => aborted);
    if (fired) {
      signal.#mark(fired.reason);
      return signal;
    }
    const own = new WeakRef(signal);
    for (const each of all)
      for (const source of each.#sources.size > 0 ? each.#sources : [each]) {
        signal.#sources.add(source);
        source.#dependents.add(own);
      }
    return signal;
  }
}

function abortError(): DOMException {
  return new DOMException('This operation was aborted', 'AbortError');
}

export class AbortController {
  readonly signal = new AbortSignal(key);
  abort(reason: unknown = abortError()): void {
    this.signal.fire(key, reason);
  }
}
