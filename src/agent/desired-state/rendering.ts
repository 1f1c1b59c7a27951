/**
 * What documents ask for on this host. It is begun before the host's lock is there, and what is known of the host is kept from
 * the last time that everything was looked at.
 */
import { loadNodeDocuments } from '../../documents/documents.ts';
import type { NodeAsk } from '../../documents/kinds/kind.ts';
import { observeFacts } from '../../host/facts.ts';
import type { Host } from '../../host/port.ts';
import type { Facts } from '../../model/facts.ts';
import type { DesiredState } from '../../model/resources.ts';
import type { Documents } from './reading.ts';

/** What documents ask for, but for the budget of a boot. */
export type Asked = Omit<NodeAsk, 'budgetMs'>;

export interface Rendering {
  /** Begins with it; what comes of it is told by `render`. `sameHost`: with what was known of the host the last time. */
  begin(documents: Documents, sameHost: boolean): void;
  /** Errors of documents. */
  render(documents: Documents): Promise<Asked>;
}

/** Another nodekiln that held the lock for longer may have changed what is known of the host. Milliseconds. */
const freshMs = 500;

/** What an empty source asks for. */
const nothing: DesiredState = { resources: new Map(), goal: undefined, warnings: [] };

export function createRendering(host: Host): Rendering {
  let facts: Facts | undefined;
  let begun: { readonly digest: string; readonly atMs: number; readonly asked: Promise<Asked> } | undefined;

  const rendered = async ({ texts }: Documents, sameHost: boolean): Promise<Asked> => {
    if (texts.length === 0) return { desired: nothing };
    const known = sameHost ? facts : undefined;
    const [ask, observed] = await Promise.all([loadNodeDocuments(texts), known ?? observeFacts(host)]);
    facts = observed;
    return ask(observed);
  };
  return {
    begin: (documents, sameHost) => {
      const asked = rendered(documents, sameHost);
      // Whoever takes it is told.
      asked.catch(() => undefined);
      begun = { digest: documents.digest, atMs: host.clock.monotonic(), asked };
    },
    render: (documents) => {
      const early = begun;
      begun = undefined;
      const isFresh = early?.digest === documents.digest && host.clock.monotonic() - early.atMs < freshMs;
      return isFresh ? early.asked : rendered(documents, false);
    },
  };
}
