/** `nodekiln tools-image resolve` */
import { homedir } from 'node:os';
import { join, resolve as absolute } from 'node:path';
import { NodekilnError } from '../errors.ts';
import type { ToolsImage, ToolsImageResolver } from '../tools-image/resolver.ts';
import type { ToolsImageSettings } from '../tools-image/settings.ts';
import type { Host } from '../host/port.ts';
import { readDocuments } from './documents.ts';
import { formatWarnings, paragraphs } from './output.ts';
import { table } from './table.ts';
import { textOption, type Answer, type Call, type Options, type Verb } from './verb.ts';

const defaultConfig = '/etc/nodekiln/tools-image.yaml';
const apiDeadlineMs = 5000;

export const toolsImageResolveVerb: Verb = {
  spec: {
    name: 'tools-image resolve',
    summary: 'say which tools image a cluster’s pods get, and why',
    description: `A tag decides alone. Otherwise the metadata document says which revision is current for the cluster’s version. Settings that are not given come from ${defaultConfig}, where it exists.`,
    arguments: [],
    options: [
      { flag: '--cluster-version', value: 'VERSION', about: 'version of the cluster: 1.31, v1.31.1' },
      { flag: '--kubeconfig', value: 'FILE', about: 'ask the API server of this kubeconfig for its version' },
      { flag: '--metadata', value: 'URL|FILE', about: 'the metadata document' },
      { flag: '--repository', value: 'REPOSITORY', about: 'where the images are: registry.example/team/tools' },
      { flag: '--tag', value: 'TAG', about: 'exactly this tag; nothing is asked then' },
      {
        flag: '--policy',
        value: 'POLICY',
        about: 'when no image is listed: the tag latest, the newest version listed, or an error',
        choices: ['latest', 'newest', 'error'],
      },
      { flag: '--config', value: 'FILE', about: `settings (ToolsImageConfig) instead of ${defaultConfig}` },
      { flag: '--cache', value: 'DIR', about: 'folder for the last good metadata' },
    ],
    examples: [
      'nodekiln tools-image resolve --repository registry.example/team/tools --metadata https://example.org/tools.json --cluster-version 1.31',
      'nodekiln tools-image resolve --kubeconfig /etc/kubernetes/kubelet.conf --policy error --json',
    ],
    kind: 'ToolsImage',
    root: 'never',
  },
  async run(call) {
    const { options } = call;
    const [{ createLinuxHost }, { createToolsImageResolver }] = await Promise.all([
      import('../host/linux/host.ts'),
      import('../index.ts'),
    ]);
    const host = createLinuxHost();
    try {
      const resolver = createToolsImageResolver(host, await settings(options));
      const image = await resolver.resolve(clusterVersion(options, host));
      return await answer(call, resolver, image);
    } finally {
      await host.close();
    }
  },
};

/** A stale answer is given at once; then the refresh that runs beside it is waited for, so that the next call has it. */
async function answer(call: Call, resolver: ToolsImageResolver, image: ToolsImage): Promise<Answer> {
  const said = { data: image, text: textOf(image, call) };
  if (image.metadata.state !== 'stale') return said;
  call.emit('ToolsImage', said);
  await resolver.settled();
  return { ...said, streamed: true };
}

function textOf({ image, why, digest, clusterVersion, metadata }: ToolsImage, { terminal }: Call): string {
  const rows = [
    ['image', image],
    ['why', why],
    ...(digest === undefined ? [] : [['digest', digest]]),
    ...(clusterVersion === undefined ? [] : [['cluster version', clusterVersion]]),
    ['metadata', metadata.why === undefined ? metadata.state : `${metadata.state}: ${metadata.why}`],
  ];
  const said = [
    ...(metadata.warning === undefined ? [] : [metadata.warning]),
    ...(metadata.passedOver ?? []).map((entry) => `passed over: ${entry}`),
  ];
  const warnings = said.length === 0 ? '' : formatWarnings(said, terminal.style);
  return paragraphs(warnings, table([{ title: 'FACT' }, { title: 'VALUE', whole: true }], rows, terminal));
}

async function settings(options: Options): Promise<ToolsImageSettings> {
  const configured = await configuration(textOption(options, 'config'));
  const repository = textOption(options, 'repository') ?? configured.repository;
  if (repository === undefined)
    throw new NodekilnError('NK_USAGE', 'no repository is given or configured', {
      hint: `Give --repository, or write ${defaultConfig}.`,
    });
  const [tag, metadata, policy] = [
    textOption(options, 'tag'),
    textOption(options, 'metadata'),
    textOption(options, 'policy'),
  ];
  return {
    cacheFolder: defaultCache(),
    ...configured,
    owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    repository,
    ...(tag !== undefined && { tag }),
    ...(metadata !== undefined && { metadata: /^https?:\/\//i.test(metadata) ? metadata : absolute(metadata) }),
    ...((policy === 'latest' || policy === 'newest' || policy === 'error') && { policy }),
    ...(typeof options['cache'] === 'string' && { cacheFolder: absolute(options['cache']) }),
  };
}

async function configuration(file: string | undefined): Promise<Partial<ToolsImageSettings>> {
  const [source] = await readDocuments([file ?? defaultConfig]).catch((thrown: unknown) => {
    if (file === undefined) return [];
    throw thrown;
  });
  if (!source) return {};
  const [{ parseAs }, { settingsOf }, { toolsImageConfig }] = await Promise.all([
    import('../config/parse-as.ts'),
    import('../tools-image/settings.ts'),
    import('../tools-image/schema-settings.ts'),
  ]);
  return settingsOf(await parseAs(source, toolsImageConfig, 'ToolsImageConfig'));
}

function defaultCache(): string {
  if (process.getuid?.() === 0) return '/var/lib/nodekiln/tools-image';
  const caches = process.env['XDG_CACHE_HOME'];
  return join(caches?.startsWith('/') ? caches : join(homedir(), '.cache'), 'nodekiln', 'tools-image');
}

function clusterVersion(options: Options, host: Host): (() => Promise<string>) | undefined {
  const [version, kubeconfig] = [textOption(options, 'cluster-version'), textOption(options, 'kubeconfig')];
  if (version !== undefined && kubeconfig !== undefined)
    throw new NodekilnError('NK_USAGE', '--cluster-version and --kubeconfig are given; only one can say the version');
  if (version !== undefined) return () => Promise.resolve(version);
  if (kubeconfig === undefined) return undefined;
  return async () => {
    const [{ readKubeconfig }, { createKubeClient }, { serverVersion }] = await Promise.all([
      import('../kube/kubeconfig.ts'),
      import('../kube/client.ts'),
      import('../kube/api-server.ts'),
    ]);
    const api = await readKubeconfig(host.files, absolute(kubeconfig));
    return serverVersion(createKubeClient(host, api), apiDeadlineMs);
  };
}
