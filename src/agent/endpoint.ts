/**
 * What the agent serves about itself: `/healthz` (it runs), `/readyz` (it has read what it is to follow and reconciled once),
 * `/metrics` in Prometheus' text form. No secrets are in any of them.
 */
import { NodekilnError } from '../errors.ts';
import type { Answering, ListenAt, Net } from '../host/port.ts';
import { visibleLine } from '../model/printable.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface EndpointOptions {
  readonly net: Pick<Net, 'serve'>;
  /** As the AgentConfig says it: `none`, `unix:/run/…`, `127.0.0.1:2752`. */
  readonly address: string;
  readonly metrics: Metrics;
  /** Why it is not ready; undefined when it is. */
  readonly unready: () => string | undefined;
}

/** Gives what ends it. NK_UNSUPPORTED when nothing can be served there. */
export async function openEndpoint({ net, address, metrics, unready }: EndpointOptions): Promise<() => Promise<void>> {
  const at = listenAt(address);
  if (!at) return () => Promise.resolve();
  const words = (status: number, body: string) => ({
    status,
    contentType: 'text/plain; charset=utf-8',
    body: `${body}\n`,
  });
  const answer: Answering = (path) => {
    switch (path) {
      case '/healthz':
        return words(200, 'ok');
      case '/readyz': {
        const why = unready();
        return why === undefined ? words(200, 'ok') : words(503, visibleLine(why));
      }
      case '/metrics':
        return { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body: metrics.exposition() };
      default:
        return words(404, 'there are /healthz, /readyz and /metrics');
    }
  };
  const listening = await net.serve(at, answer);
  return () => listening.close();
}

/** Undefined for `none`. */
function listenAt(address: string): ListenAt | undefined {
  if (address === 'none') return undefined;
  if (address.startsWith('unix:')) return { socketPath: address.slice('unix:'.length) };
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  if (!(port > 0 && port < 65_536)) throw new NodekilnError('NK_USAGE', `${address} has no port`);
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port };
}
