/**
 * `nodeagent.config.gardener.cloud/v1alpha1` `NodeAgentConfiguration`: what gardener-node-agent was told about its work, as an
 * AgentConfig. Keys that nobody knows are warnings; what has no counterpart here is said.
 */
import { completeAgentConfig, type AgentSpec } from '../../config/agent-config.ts';
import { formatProblem, invalidDocument } from '../../config/invalid.ts';
import { checkDocument } from '../../config/load.ts';
import { isMap } from '../../config/paths.ts';
import { problemsOf, type Issue, type ParsedDocument } from '../../config/problems.ts';
import type { KindOfDocument } from './kind.ts';
import { nodeAgentConfigurationSchema, type NodeAgentConfiguration } from './schema-node-agent.ts';

export const nodeAgentConfigurationKey = 'nodeagent.config.gardener.cloud/v1alpha1/NodeAgentConfiguration';

const kind = 'NodeAgentConfiguration';

/** Where that agent keeps what it works with. */
const folder = '/var/lib/gardener-node-agent';
const itsKubeconfig = `${folder}/credentials/kubeconfig`;
/** Static pods that are not root’s read their tokens by the group 0, which kubelet gives them. */
const itsTokenMode = '0640';

export interface ReadConfiguration {
  readonly spec: AgentSpec;
  readonly remarks: readonly string[];
}

export const nodeAgentConfiguration = {
  describes: 'agent',
  check: async (parsed) => ({ warnings: (await readNodeAgentConfiguration(parsed)).remarks, notes: [] }),
} as const satisfies KindOfDocument;

/** NK_DOCUMENT_INVALID with every problem and its place. */
export async function readNodeAgentConfiguration(parsed: ParsedDocument): Promise<ReadConfiguration> {
  const { document, unknown } = checked(parsed);
  const passedOver = (['logLevel', 'logFormat', 'server', 'debugging', 'featureGates', 'bootstrap'] as const).filter(
    (key) => document[key] !== undefined,
  );
  // Ours, by our own rules.
  const loaded = await checkDocument({ ...parsed, value: asAgentConfig(document) }, 'AgentConfig');
  return {
    spec: completeAgentConfig(loaded),
    remarks: [
      ...unknown,
      ...(passedOver.length > 0 ? [`${passedOver.join(', ')} have no counterpart and are passed over`] : []),
    ],
  };
}

function checked(parsed: ParsedDocument): {
  readonly document: NodeAgentConfiguration;
  readonly unknown: readonly string[];
} {
  const result = nodeAgentConfigurationSchema.safeParse(parsed.value);
  const issues: readonly Issue[] = result.error?.issues ?? [];
  const wrong = issues.filter(({ code }) => code !== 'unrecognized_keys');
  if (wrong.length > 0) throw invalidDocument(`${parsed.file} is not a valid ${kind}`, problemsOf(wrong, parsed));
  if (result.success) return { document: result.data, unknown: [] };
  const value = structuredClone(parsed.value);
  for (const { path, keys = [] } of issues) {
    let map: unknown = value;
    for (const part of path) map = isMap(map) ? map[String(part)] : undefined;
    if (isMap(map)) for (const key of keys) delete map[key];
  }
  return {
    document: nodeAgentConfigurationSchema.parse(value),
    unknown: problemsOf(issues, parsed).map((problem) => `${formatProblem(problem)}; it is passed over`),
  };
}

/** As somebody would write it for this agent. The Lease is that of the agent before: who watches it sees no gap. */
function asAgentConfig({ apiServer, clientConnection, controllers }: NodeAgentConfiguration): unknown {
  const { operatingSystemConfig, token, systemdUnitCheck } = controllers;
  const kubeconfig = clientConnection?.['kubeconfig'];
  const others = typeof kubeconfig === 'string' && kubeconfig !== '' && kubeconfig !== itsKubeconfig;
  return {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'AgentConfig',
    spec: {
      source: `secret:kube-system/${operatingSystemConfig.secretName}`,
      cluster: others
        ? { kubeconfig }
        : {
            server: apiServer.server,
            ...(apiServer.caFile !== undefined && { caFile: apiServer.caFile }),
            bootstrapTokenFile: `${folder}/credentials/bootstrap-token`,
          },
      tokens: (token?.syncConfigs ?? []).map(({ secretName, path }) => ({
        secret: `kube-system/${secretName}`,
        path,
        mode: itsTokenMode,
      })),
      ...(token?.syncPeriod !== undefined && { tokensPeriod: token.syncPeriod }),
      ...(operatingSystemConfig.syncPeriod !== undefined && { resync: operatingSystemConfig.syncPeriod }),
      ...(systemdUnitCheck?.stuckThreshold !== undefined && {
        health: { stuckAfter: systemdUnitCheck.stuckThreshold },
      }),
      heartbeat: { lease: 'gardener-node-agent-{node}', period: '10s' },
    },
  };
}
