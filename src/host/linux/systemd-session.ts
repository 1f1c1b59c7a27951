/**
 * A session with systemd that outlives its connections: opened by the first call, closed after a while without use (the
 * private socket sends every signal of the machine, and an agent at rest shall sleep), opened again when systemd
 * re-executes itself or the bus restarts. Calls that only read are repeated after a loss; calls that change something
 * throw `ConnectionLost`, because only the caller can find out whether systemd saw them.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { NodekilnError } from '../../errors.ts';
import type { SystemdAddress, SystemdCall, SystemdConnection, SystemdSignal } from './systemd-connection.ts';
import { ConnectionLost, connectSystemd, manager } from './systemd-connection.ts';
import type { Properties } from './unit-properties.ts';
import { isProperties } from './unit-properties.ts';

const idleMs = 10_000;
/** systemd is back within a second after it re-executes itself. */
const reconnectMs = 10_000;
const reconnectPauseMs = 20;

export interface SystemdSession {
  /** A call that changes something. */
  call(call: SystemdCall): Promise<readonly unknown[]>;
  /** A call that may be repeated. */
  read(call: SystemdCall): Promise<readonly unknown[]>;
  /** All properties of an object's interface. */
  properties(path: string, iface: string): Promise<Properties>;
  property(path: string, iface: string, name: string): Promise<unknown>;
  /** Keeps the connection open, for signals, until released. */
  hold(): () => void;
  onSignal(listener: (signal: SystemdSignal) => void): void;
  /** After the connection was lost and is there again: signals may have been missed. */
  onReconnect(listener: () => void): void;
  close(): Promise<void>;
}

interface KeptConnection extends Pick<SystemdSession, 'hold' | 'onSignal' | 'onReconnect' | 'close'> {
  /** The open one, or a new one; when systemd was there once, it is waited for. */
  connection(): Promise<SystemdConnection>;
}

/** One connection, opened when it is first needed, closed when nobody has needed it for a while, opened again when it is lost. */
function keepConnection(address: SystemdAddress): KeptConnection {
  const signalListeners: ((signal: SystemdSignal) => void)[] = [];
  const reconnectListeners: (() => void)[] = [];
  let opening: Promise<SystemdConnection> | undefined;
  let users = 0;
  let idle: NodeJS.Timeout | undefined;
  let ended = false;
  /** systemd was there once: when it does not answer, it is about to be back. */
  let known = false;

  const open = (): Promise<SystemdConnection> => {
    if (ended) return Promise.reject(new NodekilnError('NK_INTERNAL', 'the host was closed'));
    opening ??= connectSystemd(address, {
      onSignal: (signal) => signalListeners.forEach((listener) => listener(signal)),
      onLost: () => {
        opening = undefined;
        if (users > 0 && !ended) void reopen();
      },
    }).then(
      (connection) => {
        known = true;
        return connection;
      },
      (thrown: unknown) => {
        opening = undefined;
        throw thrown;
      },
    );
    return opening;
  };

  /** Opens again for those who wait for signals; their own checks report when systemd stays away. */
  const reopen = async (): Promise<void> => {
    try {
      await patiently(open);
      reconnectListeners.forEach((listener) => listener());
    } catch {
      reconnectListeners.forEach((listener) => listener());
    }
  };

  const hold = (): (() => void) => {
    users += 1;
    clearTimeout(idle);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      users -= 1;
      if (users > 0 || ended) return;
      idle = setTimeout(() => {
        const connection = opening;
        opening = undefined;
        void connection?.then((open) => open.close()).catch(() => undefined);
      }, idleMs);
      idle.unref();
    };
  };

  return {
    connection: () => (known ? patiently(open) : open()),
    hold,
    onSignal: (listener) => void signalListeners.push(listener),
    onReconnect: (listener) => void reconnectListeners.push(listener),
    close: async () => {
      ended = true;
      clearTimeout(idle);
      const connection = opening;
      opening = undefined;
      await connection?.then((open) => open.close()).catch(() => undefined);
    },
  };
}

export function createSystemdSession(address: SystemdAddress): SystemdSession {
  const kept = keepConnection(address);

  const call = async (wanted: SystemdCall): Promise<readonly unknown[]> => {
    const release = kept.hold();
    try {
      return await (await kept.connection()).call(wanted);
    } finally {
      release();
    }
  };

  const read = async (wanted: SystemdCall): Promise<readonly unknown[]> => {
    const release = kept.hold();
    try {
      return await call(wanted).catch((thrown: unknown) => {
        if (!(thrown instanceof ConnectionLost)) throw thrown;
        return patiently(() => call(wanted));
      });
    } finally {
      release();
    }
  };

  return {
    call,
    read,
    properties: async (path, iface) => {
      const [properties] = await read({
        path,
        interface: propertiesInterface,
        member: 'GetAll',
        signature: 's',
        body: [iface],
      });
      return isProperties(properties) ? properties : {};
    },
    property: async (path, iface, name) => {
      const body = [iface, name];
      const [value] = await read({ path, interface: propertiesInterface, member: 'Get', signature: 'ss', body });
      return value;
    },
    hold: () => kept.hold(),
    onSignal: (listener) => kept.onSignal(listener),
    onReconnect: (listener) => kept.onReconnect(listener),
    close: () => kept.close(),
  };
}

const propertiesInterface = 'org.freedesktop.DBus.Properties';

/** Tries again for a while, because systemd is about to be back. */
async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + reconnectMs;
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      const away =
        thrown instanceof ConnectionLost || (thrown instanceof NodekilnError && thrown.code === 'NK_NO_SYSTEMD');
      if (!away || performance.now() > deadline) throw lostForGood(thrown);
      await delay(reconnectPauseMs);
    }
  }
}

/** What callers outside of this folder see of a lost connection. */
export function lostForGood(thrown: unknown): unknown {
  if (!(thrown instanceof ConnectionLost)) return thrown;
  return new NodekilnError('NK_NO_SYSTEMD', `${thrown.message} and did not come back`, { cause: thrown });
}

export const managerCall = (member: string, signature?: string, body?: readonly unknown[]): SystemdCall => ({
  ...manager,
  member,
  ...(signature !== undefined && { signature }),
  ...(body && { body }),
});
