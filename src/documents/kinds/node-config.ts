/** `nodekiln.dev/v1alpha1` `NodeConfig`: several merge into one, later ones over earlier ones. */
import { parseDuration } from '../../config/duration.ts';
import { refuseExposed } from '../../config/inspect.ts';
import { checkDocument } from '../../config/load.ts';
import { resolveNodeConfig } from '../../config/resolve.ts';
import { inPlaceOf } from '../../desired/in-place.ts';
import { joinOf, nodePartOf } from '../../desired/join.ts';
import { renderNode } from '../../desired/render-node.ts';
import type { KindOfDocument } from './kind.ts';

export const nodeConfig = {
  describes: 'node',
  load: async (texts) => {
    const loaded = [];
    for (const { parsed, mode } of texts) {
      const document = await checkDocument(parsed, 'NodeConfig');
      refuseExposed(document, mode);
      loaded.push(document);
    }
    const { config, placeOf } = resolveNodeConfig(loaded);
    const { spec } = config;
    const inPlace = inPlaceOf(spec);
    return (facts) => ({
      desired: renderNode(config, facts, { placeOf }),
      budgetMs: parseDuration(spec.boot.deadline),
      node: nodePartOf(spec),
      ...(inPlace && { inPlace }),
      ...(spec.cluster && { join: joinOf(spec, spec.cluster, facts) }),
    });
  },
} as const satisfies KindOfDocument;
