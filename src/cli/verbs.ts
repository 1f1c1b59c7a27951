/** Every verb by name, in the order of the help, each loaded when it is called. */
import type { Verb } from './verb.ts';

export const verbs = {
  bake: () => import('./bake.ts').then((module) => module.bakeVerb),
  verify: () => import('./verify.ts').then((module) => module.verifyVerb),
  seal: () => import('./seal.ts').then((module) => module.sealVerb),
  boot: () => import('./boot.ts').then((module) => module.bootVerb),
  plan: () => import('./plan.ts').then((module) => module.planVerb),
  agent: () => import('./agent.ts').then((module) => module.agentVerb),
  'agent update': () => import('./agent-update.ts').then((module) => module.agentUpdateVerb),
  'agent bootstrap': () => import('./agent-bootstrap.ts').then((module) => module.agentBootstrapVerb),
  reset: () => import('./reset.ts').then((module) => module.resetVerb),
  status: () => import('./status.ts').then((module) => module.statusVerb),
  timeline: () => import('./timeline.ts').then((module) => module.timelineVerb),
  facts: () => import('./facts.ts').then((module) => module.factsVerb),
  'config check': () => import('./config-check.ts').then((module) => module.configCheckVerb),
  'config dump': () => import('./config-dump.ts').then((module) => module.configDumpVerb),
  schema: () => import('./schema.ts').then((module) => module.schemaVerb),
  'manifest resolve': () => import('./manifest-resolve.ts').then((module) => module.manifestResolveVerb),
  'manifest import': () => import('./manifest-import.ts').then((module) => module.manifestImportVerb),
  'manifest export': () => import('./manifest-export.ts').then((module) => module.manifestExportVerb),
  'artifact version': () => import('./artifact-version.ts').then((module) => module.artifactVersionVerb),
  'artifact compare': () => import('./artifact-compare.ts').then((module) => module.artifactCompareVerb),
  'artifact inspect': () => import('./artifact-inspect.ts').then((module) => module.artifactInspectVerb),
  'artifact extract': () => import('./artifact-extract.ts').then((module) => module.artifactExtractVerb),
  'artifact fetch': () => import('./artifact-fetch.ts').then((module) => module.artifactFetchVerb),
  'artifact match': () => import('./artifact-match.ts').then((module) => module.artifactMatchVerb),
  'tools-image resolve': () => import('./tools-image-resolve.ts').then((module) => module.toolsImageResolveVerb),
  'tools-image publish': () => import('./tools-image-publish.ts').then((module) => module.toolsImagePublishVerb),
  'cluster rbac': () => import('./cluster-rbac.ts').then((module) => module.clusterRbacVerb),
  'cluster approve': () => import('./cluster-approve.ts').then((module) => module.clusterApproveVerb),
  version: () => import('./version.ts').then((module) => module.versionVerb),
} as const satisfies Record<string, () => Promise<Verb>>;

/** Whether there is a verb of this name. */
export function isVerb(name: string): name is keyof typeof verbs {
  return Object.hasOwn(verbs, name);
}

/** What the verbs with two words are about. */
export const groups: Readonly<Record<string, string>> = {
  config: 'check documents, or show the configuration they make',
  manifest: 'ask what a manifest or inventory gives a platform; import and export inventories',
  artifact: 'look at versions, packages and the cache; fetch one artifact',
  cluster: 'say what agents may do in a cluster, and approve their certificates',
  'tools-image': 'find the current revision of a tools image, or publish one',
};
