/** Timers as Node has them: objects that can be left alone, and intervals. */
import { afterMs } from '../crossing.ts';

type Callback = (...values: unknown[]) => void;

/** Node's longest; what is more, or no number, is due at once. */
const longestMs = 2 ** 31 - 1;

class Timeout {
  #timer: ReturnType<typeof afterMs> | undefined;
  #isRef = true;
  readonly #fire: () => void;

  constructor(callback: Callback, ms: unknown, values: readonly unknown[], repeat: boolean) {
    const wanted = Number(ms);
    const after = wanted >= 1 && wanted <= longestMs ? Math.trunc(wanted) : 1;
    const start = (): void => {
      this.#timer = afterMs(after, this.#fire);
      if (!this.#isRef) this.#timer.ref(false);
    };
    this.#fire = () => {
      this.#timer = undefined;
      if (repeat) start();
      callback(...values);
    };
    start();
  }

  unref(): this {
    this.#isRef = false;
    this.#timer?.ref(false);
    return this;
  }
  ref(): this {
    this.#isRef = true;
    this.#timer?.ref(true);
    return this;
  }
  hasRef(): boolean {
    return this.#isRef;
  }
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

export function setTimeout(callback: Callback, ms?: unknown, ...values: unknown[]): Timeout {
  return new Timeout(callback, ms, values, false);
}

export function setInterval(callback: Callback, ms?: unknown, ...values: unknown[]): Timeout {
  return new Timeout(callback, ms, values, true);
}

export function setImmediate(callback: Callback, ...values: unknown[]): Timeout {
  return new Timeout(callback, 1, values, false);
}

export function clearTimeout(timer?: unknown): void {
  if (timer instanceof Timeout) timer.close();
}

export function queueMicrotask(callback: () => void): void {
  void Promise.resolve().then(callback);
}
