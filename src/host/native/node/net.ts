/** Of `node:net` what the shared sources use: whether somebody listens. */
import { begin } from '../crossing.ts';
import { EventEmitter } from './events.ts';

class Socket extends EventEmitter {
  #cancel: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  constructor(path: string) {
    super();
    const connecting = begin<undefined>('connects', ['unix', path]);
    this.#cancel = () => connecting.cancel();
    connecting.done.then(
      () => this.emit('connect'),
      (thrown: unknown) => this.emit('error', thrown),
    );
  }
  setTimeout(ms: number, onTimeout: () => void): this {
    this.#timer = setTimeout(onTimeout, ms);
    this.on('error', () => clearTimeout(this.#timer));
    return this;
  }
  destroy(): void {
    clearTimeout(this.#timer);
    this.on('error', () => undefined);
    this.#cancel();
  }
}

export function createConnection({ path }: { readonly path: string }): Socket {
  return new Socket(path);
}
