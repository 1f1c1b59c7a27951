/** How an agent goes about it: the AgentConfig of its host. */
import { completeAgentConfig, defaultAgentSpec, type AgentSpec } from '../config/agent-config.ts';
import { documentPaths } from '../config/defaults.ts';
import { refuseExposed } from '../config/inspect.ts';
import { checkDocument, parseText, type DocumentText } from '../config/load.ts';
import { keyOf } from '../documents/kinds/kind.ts';
import { nodeAgentConfigurationKey, readNodeAgentConfiguration } from '../documents/kinds/node-agent-configuration.ts';
import { readText } from '../documents/sources/folder.ts';
import type { Files } from '../host/port.ts';

/** Where it is said, both on the host. */
export interface ConfigFiles {
  /** An AgentConfig, or the NodeAgentConfiguration of gardener-node-agent; `/etc/nodekiln/agent.yaml` when it is there, else defaults. */
  readonly config?: string;
  /** The cluster, instead of the one in the AgentConfig. Absolute. */
  readonly kubeconfig?: string;
}

/**
 * NK_DOCUMENT_MISSING for a file that is named and is not there; NK_DOCUMENT_EXPOSED for one that holds a token and that others
 * can read; else as `parseDocument`.
 */
export async function readAgentConfig(files: Files, { config, kubeconfig }: ConfigFiles): Promise<AgentSpec> {
  const file = config ?? ((await files.stat(documentPaths.agent)) && documentPaths.agent);
  const spec = file === undefined ? defaultAgentSpec() : await loadAgentConfig(await readText(files, file));
  return kubeconfig === undefined ? spec : { ...spec, cluster: { servers: [], kubeconfig } };
}

async function loadAgentConfig(text: DocumentText & { readonly mode: number }): Promise<AgentSpec> {
  const parsed = await parseText(text);
  if (keyOf(parsed) === nodeAgentConfigurationKey) return (await readNodeAgentConfiguration(parsed)).spec;
  const loaded = await checkDocument(parsed, 'AgentConfig');
  refuseExposed(loaded, text.mode);
  return completeAgentConfig(loaded);
}
