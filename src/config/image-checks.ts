/** What is asked of a manifest's defaults for nodes: for its schema. Pure. */
import type { ParsePayload } from 'zod/v4/core';
import type { NodeSpecDocument } from './schema-node.ts';
import { secretPaths } from './secrets.ts';

/** An image is copied to machines and people that its secrets are not meant for. */
export function holdsNoSecret(payload: ParsePayload<NodeSpecDocument>): void {
  for (const path of secretPaths(payload.value)) {
    payload.issues.push({
      code: 'custom',
      message: 'is a secret, which must not be baked into an image',
      path: [...path],
      input: undefined,
    });
  }
}
