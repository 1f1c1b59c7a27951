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

/** None is made before it is needed. */
export function createAgents(): Agents {
  const agents = new Map<string, Promise<Agent>>();
  const contexts = new Map<string, Promise<SecureContext>>();

  const contextFor = (tls: TlsOptions | undefined): Promise<SecureContext> => {
    const key = JSON.stringify([tls?.ca, tls?.clientCertificate]);
    const known = contexts.get(key) ?? makeContext(tls);
    contexts.set(key, known);
    return known;
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
      const known = agents.get(key) ?? make();
      agents.set(key, known);
      return known;
    },
    close: () => {
      for (const agent of agents.values()) void agent.then((open) => open.destroy());
      agents.clear();
    },
  };
}

async function makeContext(tls: TlsOptions | undefined): Promise<SecureContext> {
  const { createSecureContext, getCACertificates } = await import('node:tls');
  // Node's own list and what the machine's administrator added.
  const machine = (): string[] => [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return createSecureContext({ ca: tls?.ca ?? machine(), ...tls?.clientCertificate });
}
