/** Of the package `dbus-native` what one connection to systemd needs, by the host program. */
import { errnoOf } from '../../errors.ts';
import { begin, later, now } from './crossing.ts';
import { EventEmitter } from './node/events.ts';

interface Call {
  readonly destination?: string;
  readonly path?: string;
  readonly interface?: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly unknown[];
}

const signalType = 4;
const bus = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };

class Connection extends EventEmitter {
  readonly id = Promise.withResolvers<number>();
  readonly stream = { destroy: (cause: Error) => this.#end(cause) };
  readonly #running: ReturnType<typeof begin<undefined>>;
  #ended = false;

  constructor(socket: string) {
    super();
    this.id.promise.catch(() => undefined);
    this.#running = begin<undefined>('bus', [socket], (what: string, value: number | string) => {
      if (what === 'open') {
        this.id.resolve(value as number);
        this.emit('connect');
        return;
      }
      const { path, member, body } = JSON.parse(value as string);
      this.emit('message', { type: signalType, path, member, body: untagged(body) });
    });
    this.#running.done.then(
      () => this.#closed(undefined),
      (thrown: unknown) => {
        if (!this.#ended && this.listenerCount('error') > 0) this.emit('error', thrown);
        this.#closed(thrown);
      },
    );
  }
  #end(cause: Error): void {
    this.#ended = true;
    this.id.reject(cause);
    this.#closed(cause);
    this.#running.cancel();
  }
  #closed(cause: unknown): void {
    this.id.reject(cause ?? closed());
    if (this.#done) return;
    this.#done = true;
    this.emit('close', cause);
  }
  #done = false;
}

const closed = (): Error => Object.assign(new Error('the connection is closed'), { code: 'ECONNCLOSED' });

class MessageBus {
  readonly connection: Connection;
  constructor(socket: string) {
    this.connection = new Connection(socket);
  }

  invoke(
    call: Call,
    { timeout }: { readonly timeout: number },
    done: (error: unknown, ...values: unknown[]) => void,
  ): void {
    this.#call(call, timeout).then(
      (values) => done(null, ...values),
      (thrown: unknown) => done(named(thrown)),
    );
  }
  invokeDbus(call: Call, { timeout }: { readonly timeout: number }): Promise<readonly unknown[]> {
    return this.#call({ ...bus, ...call }, timeout).catch((thrown: unknown) => {
      throw named(thrown);
    });
  }
  async close(): Promise<void> {
    const id = await this.connection.id.promise.catch(() => undefined);
    try {
      if (id !== undefined) now('busClose', id);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ERR_CLOSED') throw thrown;
    }
  }
  async #call(call: Call, timeout: number): Promise<readonly unknown[]> {
    const id = await this.connection.id.promise;
    return untagged(JSON.parse(await later<string>('busCall', id, JSON.stringify(call), timeout))) as unknown[];
  }
}

/** An error of the other side has a name with dots. */
function named(thrown: unknown): unknown {
  const code = errnoOf(thrown) ?? '';
  if (code.includes('.') && thrown instanceof Error)
    return Object.assign(new Error(thrown.message), { dbusName: code });
  return thrown;
}

function untagged(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(untagged);
  if (typeof value !== 'object' || value === null) return value;
  const { b, i, d } = value as { b?: string; i?: string; d?: Record<string, unknown> };
  if (b !== undefined) return Buffer.from(b, 'base64');
  if (i !== undefined) return BigInt(i);
  return Object.fromEntries(Object.entries(d ?? {}).map(([key, of]) => [key, untagged(of)]));
}

export function createClient({ socket }: { readonly socket: string }): MessageBus {
  return new MessageBus(socket);
}
