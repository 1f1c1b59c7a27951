/**
 * Every kind of documents, by apiVersion and kind. Each is loaded when a document of it is met: a boot needs one of them,
 * and making a schema takes milliseconds.
 */
import type { DocumentKind } from '../../config/load.ts';
import type { KindOfDocument } from './kind.ts';

/** A new kind of ours that is not in the table does not compile. */
export type KindKey =
  | `nodekiln.dev/v1alpha1/${DocumentKind}`
  | 'extensions.gardener.cloud/v1alpha1/OperatingSystemConfig'
  | 'nodeagent.config.gardener.cloud/v1alpha1/NodeAgentConfiguration';

export type KindTable = Readonly<Record<string, () => Promise<KindOfDocument>>>;

export const documentKinds = {
  'nodekiln.dev/v1alpha1/NodeConfig': () => import('./node-config.ts').then((module) => module.nodeConfig),
  'nodekiln.dev/v1alpha1/ImageManifest': () => import('./image-manifest.ts').then((module) => module.imageManifest),
  'nodekiln.dev/v1alpha1/AgentConfig': () => Promise.resolve({ describes: 'agent' }),
  'nodekiln.dev/v1alpha1/Inventory': () => Promise.resolve({ describes: 'data' }),
  'extensions.gardener.cloud/v1alpha1/OperatingSystemConfig': () =>
    import('./operating-system-config/kind.ts').then((module) => module.operatingSystemConfig),
  'nodeagent.config.gardener.cloud/v1alpha1/NodeAgentConfiguration': () =>
    import('./node-agent-configuration.ts').then((module) => module.nodeAgentConfiguration),
} as const satisfies Record<KindKey, () => Promise<KindOfDocument>>;
