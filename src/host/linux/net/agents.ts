/**
 * Connections: kept open between requests of one way and trust, or made for one. Node's modules and the machine's
 * authorities are loaded by the first request that needs them: most boots need none.
 */
import type { Agent } from 'node:http';
import type { SecureContext } from 'node:tls';
import type { HttpExchange, TlsOptions } from '../../port/net.ts';

/** What Node calls agents and contexts, by the way and the trust of an exchange. */
export interface Agents {
  /** The agent for an exchange; `false` for a connection of its own. */
  agentFor(exchange: HttpExchange): Promise<Agent | false>;
  /** What the authorities and the client certificate of an exchange make. */
  contextFor(tls: TlsOptions | undefined): Promise<SecureContext>;
  /** Ends connections that are kept open. */
  close(): void;
}

/** A certificate that is renewed is another trust, and an agent runs for years: what was not used for longest goes. */
const mostKept = 16;

/** None is made before it is needed. */
export function createAgents(): Agents {
  const agents = createRecent<Promise<Agent>>(
    (agent) => void agent.then(retire).catch(() => undefined),
    (agent) => void agent.then((open) => open.destroy()).catch(() => undefined),
  );
  const contexts = createRecent<Promise<SecureContext>>();

  const contextFor = (tls: TlsOptions | undefined): Promise<SecureContext> => {
    const key = JSON.stringify([tls?.ca, tls?.clientCertificate]);
    return contexts.get(key, () => makeContext(tls));
  };

  return {
    contextFor,
    agentFor: async ({ url, proxy, tls, keepAlive = false, socketPath }) => {
      if (!keepAlive && proxy === undefined) return false;
      const secure = url.startsWith('https:');
      const make = async (): Promise<Agent> => {
        const options = {
          keepAlive,
          ...(proxy !== undefined && { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }),
        };
        if (!secure) return new (await import('node:http')).Agent(options);
        return new (await import('node:https')).Agent({ ...options, secureContext: await contextFor(tls) });
      };
      if (!keepAlive) return make();
      const key = JSON.stringify([secure, proxy, socketPath, tls]);
      return agents.get(key, make);
    },
    close: () => {
      agents.clear();
    },
  };
}

/** What is under way goes on to its end; nothing is kept for another request. */
function retire(agent: Agent): void {
  agent.maxFreeSockets = 0;
  for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
}

interface Recent<T> {
  /** What was made for this key, or is made now. */
  get(key: string, make: () => T): T;
  clear(): void;
}

/** Keeps what was used last, `mostKept` at most; told of what goes for that, and of what is cleared. */
function createRecent<T>(
  onLeft: (value: T) => void = () => undefined,
  onCleared: (value: T) => void = () => undefined,
): Recent<T> {
  const kept = new Map<string, T>();
  return {
    get: (key, make) => {
      const known = kept.get(key) ?? make();
      kept.delete(key);
      kept.set(key, known);
      const [eldest] = kept.keys();
      const old = kept.size > mostKept && eldest !== undefined ? kept.get(eldest) : undefined;
      if (old !== undefined && eldest !== undefined && kept.delete(eldest)) onLeft(old);
      return known;
    },
    clear: () => {
      for (const value of kept.values()) onCleared(value);
      kept.clear();
    },
  };
}

async function makeContext(tls: TlsOptions | undefined): Promise<SecureContext> {
  const { createSecureContext, getCACertificates } = await import('node:tls');
  // Node's own list and what the machine's administrator added.
  const machine = (): string[] => [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return createSecureContext({ ca: tls?.ca ?? machine(), ...tls?.clientCertificate });
}
