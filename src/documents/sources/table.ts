/** Every source of documents, by the scheme of its address: `dir:/etc/nodekiln/desired`. */
import { NodekilnError } from '../../errors.ts';
import { looksSecret, shownAddress } from '../../model/shown-address.ts';
import { openFolder } from './folder.ts';
import { openSecret } from './secret.ts';
import type { DocumentSource, OpenSource, SourceContext } from './source.ts';

export type SourceScheme = 'dir' | 'secret';

const sources = { dir: openFolder, secret: openSecret } as const satisfies Record<SourceScheme, OpenSource>;

/** NK_USAGE when the address is none. */
export function openSource(address: string, context: SourceContext): DocumentSource {
  const colon = address.indexOf(':');
  const scheme = address.slice(0, Math.max(0, colon));
  if (!Object.hasOwn(sources, scheme)) {
    throw new NodekilnError(
      'NK_USAGE',
      `${looksSecret(address) ? shownAddress(address) : address} is not a source of documents`,
      {
        hint: 'Use --source dir:/etc/nodekiln/desired, or --source secret:kube-system/pool-a in a cluster.',
      },
    );
  }
  return sources[scheme as SourceScheme](address.slice(colon + 1), context);
}
