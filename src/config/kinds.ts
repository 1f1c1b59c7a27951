/** Our own kinds, each with its schema: a boot needs one of them, and making a schema takes milliseconds. */
import { nodeConfigDocument } from './schema-node.ts';

export const kinds = {
  AgentConfig: () => import('./schema-agent.ts').then((module) => module.agentConfig),
  ImageManifest: () => import('./schema-image.ts').then((module) => module.imageManifest),
  NodeConfig: () => Promise.resolve(nodeConfigDocument),
  Inventory: () => import('./schema-inventory.ts').then((module) => module.inventoryDocument),
} as const;

/** Kinds of documents of `nodekiln.dev/v1alpha1`. */
export type DocumentKind = keyof typeof kinds;
