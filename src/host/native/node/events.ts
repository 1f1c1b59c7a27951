/** Events of Node's objects. */

// eslint-disable-next-line typescript/no-explicit-any -- As Node has it.
type Listener = (...values: any[]) => void;

interface Listening {
  readonly listener: Listener;
  readonly once: boolean;
}

export class EventEmitter {
  readonly #listeners = new Map<string, readonly Listening[]>();

  on(name: string, listener: Listener): this {
    return this.#add(name, { listener, once: false });
  }
  addListener(name: string, listener: Listener): this {
    return this.on(name, listener);
  }
  once(name: string, listener: Listener): this {
    return this.#add(name, { listener, once: true });
  }
  off(name: string, listener: Listener): this {
    const left = (this.#listeners.get(name) ?? []).filter((known) => known.listener !== listener);
    this.#listeners.set(name, left);
    return this;
  }
  removeListener(name: string, listener: Listener): this {
    return this.off(name, listener);
  }
  listenerCount(name: string): number {
    return this.#listeners.get(name)?.length ?? 0;
  }
  /** An error that nobody listens for is thrown. */
  emit(name: string, ...values: unknown[]): boolean {
    const listeners = this.#listeners.get(name) ?? [];
    if (listeners.length === 0 && name === 'error') throw values[0];
    for (const known of listeners) {
      if (known.once) this.off(name, known.listener);
      known.listener.apply(this, values);
    }
    return listeners.length > 0;
  }
  #add(name: string, one: Listening): this {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), one]);
    return this;
  }
}

/** The values of the next event; an error rejects. */
export function once(emitter: EventEmitter, name: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const onError = (error: unknown): void => {
      emitter.off(name, onEvent);
      reject(error);
    };
    const onEvent = (...values: unknown[]): void => {
      emitter.off('error', onError);
      resolve(values);
    };
    emitter.once(name, onEvent);
    if (name !== 'error') emitter.once('error', onError);
  });
}
