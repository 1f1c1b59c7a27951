/**
 * One connection to systemd over D-Bus, either to its private socket or by way of the system bus. This is the only file
 * that knows the package `dbus-native`; it is loaded when the first connection is made.
 *
 * The private socket comes first, as it does for systemctl: it is there before the bus is and while the bus restarts, and
 * saves a hop. It takes root. systemd sends every signal over it without being asked; on the bus we subscribe.
 *
 * Errors: NK_NO_SYSTEMD when nobody answers, NK_NOT_ROOT when we are not let in; error replies of systemd are thrown as
 * `SystemdError` for the caller to interpret; a connection lost with a call in flight throws `ConnectionLost`.
 */
import type { MessageBus } from 'dbus-native';
import { errnoOf, NodekilnError } from '../../errors.ts';

export type SystemdAddress = 'auto' | 'private' | 'bus' | { readonly private: string } | { readonly bus: string };

export interface SystemdCall {
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly unknown[];
  /** Milliseconds until the reply must be there; 25 s unless told. */
  readonly timeoutMs?: number;
}

export interface SystemdSignal {
  readonly path: string;
  readonly member: string;
  readonly body: readonly unknown[];
}

export interface SystemdConnection {
  readonly over: 'private' | 'bus';
  /** The values of the reply. */
  call(call: SystemdCall): Promise<readonly unknown[]>;
  readonly isClosed: () => boolean;
  close(): Promise<void>;
}

export interface ConnectionHandlers {
  readonly onSignal: (signal: SystemdSignal) => void;
  /** Once, when the connection ends without `close`. */
  readonly onLost: () => void;
}

/** systemd answered with an error. */
export class SystemdError extends Error {
  /** `org.freedesktop.systemd1.NoSuchUnit` */
  readonly dbusName: string;

  constructor(dbusName: string, message: string) {
    super(message);
    this.name = 'SystemdError';
    this.dbusName = dbusName;
  }
}

/** Nobody knows whether systemd saw the call. */
export class ConnectionLost extends Error {
  constructor(member: string, cause: unknown) {
    super(`the connection to systemd ended during ${member}`, { cause });
    this.name = 'ConnectionLost';
  }
}

export const manager = { path: '/org/freedesktop/systemd1', interface: 'org.freedesktop.systemd1.Manager' } as const;

const privateSocket = '/run/systemd/private';
const busSocket = '/run/dbus/system_bus_socket';
/** A bus socket that systemd holds open for a bus that is not up yet accepts connections and says nothing. */
const greetingMs = 2000;
const callMs = 25_000;

export async function connectSystemd(
  address: SystemdAddress,
  handlers: ConnectionHandlers,
): Promise<SystemdConnection> {
  const failures: unknown[] = [];
  for (const candidate of candidates(address)) {
    try {
      return await connectTo(candidate, handlers);
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  const denied = failures.some((thrown) => ['EACCES', 'EPERM'].includes(errnoOf(thrown) ?? ''));
  const cause = failures[0];
  if (denied) throw new NodekilnError('NK_NOT_ROOT', 'systemd does not let us in without root rights', { cause });
  throw new NodekilnError('NK_NO_SYSTEMD', 'systemd does not answer on this host', { cause });
}

interface Candidate {
  readonly over: 'private' | 'bus';
  readonly socket: string;
}

function candidates(address: SystemdAddress): Candidate[] {
  const direct: Candidate = { over: 'private', socket: privateSocket };
  const bus: Candidate = { over: 'bus', socket: busSocket };
  if (address === 'auto') return [direct, bus];
  if (address === 'private') return [direct];
  if (address === 'bus') return [bus];
  return 'private' in address ? [{ over: 'private', socket: address.private }] : [{ over: 'bus', socket: address.bus }];
}

async function connectTo({ over, socket }: Candidate, handlers: ConnectionHandlers): Promise<SystemdConnection> {
  const { createClient } = await import('dbus-native');
  // `direct` also for the bus: the package's own greeting throws where nobody can catch it when the bus stays silent.
  const bus = createClient({ socket, direct: true, timeout: callMs, authMethods: ['EXTERNAL'] });
  const state = { closed: false, greeted: false, wanted: false };
  bus.connection.on('close', () => {
    state.closed = true;
    if (state.greeted && !state.wanted) handlers.onLost();
  });
  await connected(bus);
  bus.connection.on('error', () => undefined);
  bus.connection.on('message', (message) => {
    if (message.type !== signalType || message.member === undefined) return;
    handlers.onSignal({ path: message.path ?? '', member: message.member, body: message.body ?? [] });
  });

  const connection: SystemdConnection = {
    over,
    call: (call) => invoke(bus, over, call),
    isClosed: () => state.closed,
    close: async () => {
      state.wanted = true;
      await bus.close();
    },
  };
  await (over === 'bus' ? greetBus(bus, connection) : greetSystemd(connection));
  state.greeted = true;
  if (state.closed) throw new ConnectionLost('the greeting', undefined);
  return connection;
}

const signalType = 4;

async function connected(bus: MessageBus): Promise<void> {
  const silence = setTimeout(() => bus.connection.stream.destroy(new Error('no greeting from the socket')), greetingMs);
  try {
    await new Promise<void>((resolve, reject) => {
      bus.connection.on('connect', resolve);
      bus.connection.on('error', reject);
      bus.connection.on('close', (cause) => reject(cause ?? new Error('the socket was closed')));
    });
  } finally {
    clearTimeout(silence);
  }
}

/**
 * While it authenticates us, systemd reads 256 bytes at a time. A first message that it reads together with the end of
 * the authentication lies in its buffer until more arrives on the socket, so a short one would wait for ever. This one
 * is too long for that.
 */
const greetingPath = `/${'nodekiln'.repeat(40)}`;

async function greetSystemd(connection: SystemdConnection): Promise<void> {
  try {
    await connection.call({ path: greetingPath, interface: 'org.freedesktop.DBus.Peer', member: 'Ping' });
  } catch (thrown) {
    await connection.close();
    throw thrown;
  }
}

async function greetBus(bus: MessageBus, connection: SystemdConnection): Promise<void> {
  const busCall = (member: string, ...body: string[]): PromiseLike<unknown> =>
    bus.invokeDbus(
      { member, ...(body.length > 0 && { signature: 's'.repeat(body.length), body }) },
      { timeout: greetingMs },
    );
  try {
    await busCall('Hello');
    await busCall('AddMatch', `type='signal',sender='org.freedesktop.systemd1',member='JobRemoved'`);
    await connection.call({ ...manager, member: 'Subscribe' });
  } catch (thrown) {
    await connection.close();
    throw thrown;
  }
}

async function invoke(bus: MessageBus, over: 'private' | 'bus', call: SystemdCall): Promise<readonly unknown[]> {
  const { path, interface: iface, member, signature, body, timeoutMs = callMs } = call;
  return new Promise((resolve, reject) => {
    bus.invoke(
      {
        path,
        interface: iface,
        member,
        ...(over === 'bus' && { destination: 'org.freedesktop.systemd1' }),
        ...(signature !== undefined && { signature, body: [...(body ?? [])] }),
      },
      { timeout: timeoutMs },
      (error: unknown, ...values: unknown[]) => {
        if (error) reject(callError(error, call));
        else resolve(values);
      },
    );
  });
}

function callError(error: unknown, { member, timeoutMs = callMs }: SystemdCall): Error {
  const code = errnoOf(error);
  if (code === 'ECONNCLOSED') return new ConnectionLost(member, error);
  if (code === 'ETIMEDOUT') {
    return new NodekilnError('NK_TIMEOUT', `systemd did not answer ${member} within ${timeoutMs} ms`, { cause: error });
  }
  const name = typeof error === 'object' && error !== null && 'dbusName' in error ? String(error.dbusName) : '';
  const message = error instanceof Error ? error.message : String(error);
  // The bus lost systemd for a moment: it re-executes itself.
  if (name === 'org.freedesktop.DBus.Error.NoReply' || name === 'org.freedesktop.DBus.Error.Disconnected') {
    return new ConnectionLost(member, error);
  }
  return new SystemdError(name, message);
}
