/**
 * `nodeagent.config.gardener.cloud/v1alpha1` `NodeAgentConfiguration`: what gardener-node-agent was told about its work, as an
 * AgentConfig. Keys that nobody knows are warnings; what has no counterpart here is said.
 */
import { check, literal } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import { completeAgentConfig, type AgentSpec } from '../../config/agent-config.ts';
import { parseDuration } from '../../config/duration.ts';
import { formatProblem, invalidDocument } from '../../config/invalid.ts';
import { checkDocument } from '../../config/load.ts';
import { isMap } from '../../config/paths.ts';
import { problemsOf, type Issue, type ParsedDocument } from '../../config/problems.ts';
import {
  absolutePath,
  doc,
  duration,
  fields,
  freeMap,
  keyedList,
  matching,
  opt,
  text,
} from '../../config/schema-builders.ts';
import { apiServerUrl } from '../../config/schema-cluster.ts';
import type { KindOfDocument } from './kind.ts';

export const nodeAgentConfigurationKey = 'nodeagent.config.gardener.cloud/v1alpha1/NodeAgentConfiguration';

const [apiVersion, kind] = ['nodeagent.config.gardener.cloud/v1alpha1', 'NodeAgentConfiguration'] as const;

/** Where that agent keeps what it works with. */
const folder = '/var/lib/gardener-node-agent';
const itsKubeconfig = `${folder}/credentials/kubeconfig`;
/** Static pods that are not root’s read their tokens by the group 0, which kubelet gives them. */
const itsTokenMode = '0640';

const secret = matching(/^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/, 'the name of a Secret');
const atLeast = (least: string) =>
  check<string>((payload) => {
    if (parseDuration(payload.value) >= parseDuration(least)) return;
    payload.issues.push({ code: 'custom', message: `must be at least ${least}`, input: payload.value });
  });
/** '' is none. */
const kubeconfigCheck = check<Readonly<Record<string, unknown>>>(({ value: { kubeconfig }, issues }) => {
  if (kubeconfig === undefined || kubeconfig === '' || absolutePath.safeParse(kubeconfig).success) return;
  issues.push({
    code: 'custom',
    message: 'must be an absolute path, or empty',
    path: ['kubeconfig'],
    input: kubeconfig,
  });
});
const period = duration.check(atLeast('15s'));

export const nodeAgentConfigurationSchema = fields({
  apiVersion: doc('Version of the format.', literal(apiVersion)),
  kind: doc('Kind of document.', literal(kind)),
  apiServer: doc(
    'The API server.',
    fields({ server: doc('Its URL.', apiServerUrl), caFile: opt('Who vouches for it.', absolutePath) }),
  ),
  clientConnection: opt('How it is asked.', freeMap().check(kubeconfigCheck)),
  logLevel: opt('Not taken over.', text()),
  logFormat: opt('Not taken over.', text()),
  server: opt('Not taken over.', freeMap()),
  debugging: opt('Not taken over.', freeMap()),
  featureGates: opt('Not taken over.', freeMap()),
  bootstrap: opt('Not taken over.', freeMap()),
  controllers: doc(
    'What the agent does.',
    fields({
      operatingSystemConfig: doc(
        'What it follows.',
        fields({
          secretName: doc('The Secret, in kube-system.', secret),
          syncPeriod: opt('Time between two looks.', period),
          kubernetesVersion: opt('Not taken over: the version is what kubelet says.', text()),
        }),
      ),
      token: opt(
        'Tokens.',
        fields({
          syncConfigs: opt(
            'Each one.',
            keyedList('path', fields({ secretName: doc('The Secret.', secret), path: doc('The file.', absolutePath) })),
          ),
          syncPeriod: opt('Time between two looks.', period),
        }),
      ),
      systemdUnitCheck: opt(
        'The condition of units.',
        fields({
          syncPeriod: opt('Time between two looks.', period),
          stuckThreshold: opt('When a unit is stuck.', duration.check(atLeast('30s'))),
        }),
      ),
    }),
  ),
});

type Document = Infer<typeof nodeAgentConfigurationSchema>;

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

function checked(parsed: ParsedDocument): { readonly document: Document; readonly unknown: readonly string[] } {
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
function asAgentConfig({ apiServer, clientConnection, controllers }: Document): unknown {
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
