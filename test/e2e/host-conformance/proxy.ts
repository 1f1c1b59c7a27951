/**
 * A Unix socket between a client and systemd's private socket that can be cut: at once, or when a message that contains
 * a certain text passes, before or after it was delivered. systemd's answers can be held back.
 */
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createConnection, createServer } from 'node:net';

export interface Proxy {
  readonly path: string;
  /** Cuts every connection as soon as a message with this text passes. */
  cutAt(text: string, when: 'before' | 'after'): void;
  /** Cuts every connection now. */
  cut(): void;
  /** Whether connections are accepted. */
  open: boolean;
  /** Whether what systemd says is passed on. */
  deaf: boolean;
  close(): void;
}

export async function startProxy(path: string, target: string): Promise<Proxy> {
  rmSync(path, { force: true });
  const pairs = new Set<Socket>();
  let trigger: { text: string; when: 'before' | 'after' } | undefined;
  const server = createServer((client) => {
    if (!proxy.open) {
      client.destroy();
      return;
    }
    const systemd = createConnection(target);
    for (const socket of [client, systemd]) {
      pairs.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        pairs.delete(socket);
        client.destroy();
        systemd.destroy();
      });
    }
    client.on('data', (data) => {
      const hit = trigger && data.includes(trigger.text);
      if (!hit) {
        systemd.write(data);
        return;
      }
      const { when } = trigger ?? { when: 'after' };
      trigger = undefined;
      if (when === 'after') systemd.end(data, () => proxy.cut());
      else proxy.cut();
    });
    systemd.on('data', (data) => {
      if (!proxy.deaf) client.write(data);
    });
  });
  const proxy: Proxy = {
    path,
    open: true,
    deaf: false,
    cutAt: (text, when) => {
      trigger = { text, when };
    },
    cut: () => pairs.forEach((socket) => socket.destroy()),
    close: () => {
      proxy.cut();
      server.close();
    },
  };
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return proxy;
}
