/**
 * The NodeConfig that rendering takes: merged, with the defaults of every item, with secrets wrapped so that nothing
 * prints them by accident, and with everything there that must be. Pure.
 */
import type { SensitiveText } from '../model/resources.ts';
import { itemDefaults, policyDefaults } from './defaults.ts';
import type { Path } from './paths.ts';
import { isNeverDeferrablePath, isNeverDeferrableUnit } from './schema-items.ts';
import type { NodeConfigDocument, NodeSpecDocument } from './schema-node.ts';
import type { BinarySourcesDocument, TransferDocument } from './schema-sources.ts';
import { holdsSecret } from './secrets.ts';

type Item<List> = List extends readonly (infer Element)[] ? Element : never;
type Section<Key extends keyof NodeSpecDocument> = NonNullable<NodeSpecDocument[Key]>;
/** T with these fields present. */
type With<T, Keys extends keyof T> = Omit<T, Keys> & { [Key in Keys]-?: NonNullable<T[Key]> };
type Policy = 'importance' | 'scope' | 'takeover' | 'needs';

type FileDocument = Item<Section<'files'>>;
type UnitDocument = Item<Section<'units'>>;
type ActionDocument = Item<Section<'actions'>>;
type ModuleDocument = Item<Section<'kernel'>['modules']>;
type SysctlDocument = Item<Section<'kernel'>['sysctls']>;
type ToolDocument = NonNullable<Section<'binaries'>['tools']>[string];
type ExtensionDocument = Item<Section<'extensions'>>;
type StaticPodDocument = Item<Section<'kubelet'>['staticPods']>;
type RegistryDocument = Item<Section<'containerd'>['registries']>;

type MaybeSecret = string | SensitiveText;

export type FileItem = Omit<
  With<FileDocument, Policy | 'deferrable' | 'owner' | 'group' | 'sensitive'>,
  'content' | 'contentBase64'
> & {
  readonly content?: MaybeSecret;
  readonly contentBase64?: MaybeSecret;
};
export type UnitItem = Omit<
  With<UnitDocument, Policy | 'deferrable' | 'onChange' | 'deadline' | 'sensitive' | 'inputs'>,
  'content' | 'dropIns'
> & {
  readonly content?: MaybeSecret;
  readonly dropIns: readonly { readonly name: string; readonly content: MaybeSecret }[];
};
export type ActionItem = With<ActionDocument, Policy | 'deferrable' | 'timeout' | 'argv' | 'guard'>;
export type ModuleItem = With<ModuleDocument, Policy>;
export type SysctlItem = With<SysctlDocument, Policy | 'value'>;
export type ToolItem = Omit<
  With<ToolDocument, Policy | 'deferrable' | 'version' | 'target' | 'type'>,
  'url' | 'privateUrl' | 'sources'
> & { readonly url?: MaybeSecret; readonly privateUrl?: MaybeSecret; readonly sources?: BinarySourcesItem };
/** Addresses may hold passwords or signatures. */
export type BinarySourcesItem = Omit<BinarySourcesDocument, 'tarball'> & {
  readonly tarball?: Omit<NonNullable<BinarySourcesDocument['tarball']>, 'url'> & { readonly url: MaybeSecret };
};
export type TransferItem = Omit<TransferDocument, 'proxy'> & { readonly proxy?: SensitiveText };
export type ExtensionItem = Omit<With<ExtensionDocument, 'tools'>, 'url' | 'tarball'> & {
  readonly url?: MaybeSecret;
  readonly tarball?: Omit<NonNullable<ExtensionDocument['tarball']>, 'url'> & { readonly url: MaybeSecret };
};
export type RegistryItem = Omit<RegistryDocument, 'mirrors'> & {
  readonly mirrors: readonly With<Item<RegistryDocument['mirrors']>, 'capabilities' | 'overridePath' | 'skipVerify'>[];
};
export type ClusterItem = Omit<With<Section<'cluster'>, 'server' | 'caBundle' | 'domain' | 'dns'>, 'bootstrapToken'> & {
  readonly bootstrapToken?: SensitiveText;
};
export interface ProxyItem {
  readonly http?: SensitiveText;
  readonly https?: SensitiveText;
  readonly noProxy: readonly string[];
}

export interface NodeSpec {
  readonly kubernetes: { readonly version: string };
  readonly cluster?: ClusterItem;
  readonly kubelet: Omit<With<Section<'kubelet'>, 'configuration' | 'flags' | 'labels' | 'taints'>, 'staticPods'> & {
    readonly staticPods: readonly With<StaticPodDocument, 'manifest'>[];
  };
  readonly containerd: Omit<With<Section<'containerd'>, 'restrictOomScoreAdj' | 'configuration'>, 'registries'> & {
    readonly registries: readonly RegistryItem[];
  };
  readonly network: { readonly proxy?: ProxyItem; readonly cni: With<NonNullable<Section<'network'>['cni']>, 'type'> };
  readonly kernel: { readonly modules: readonly ModuleItem[]; readonly sysctls: readonly SysctlItem[] };
  readonly binaries: {
    readonly policy: NonNullable<Section<'binaries'>['policy']>;
    readonly sources?: BinarySourcesItem;
    readonly transfer?: TransferItem;
    readonly cache?: Section<'binaries'>['cache'];
    readonly tools: Readonly<Record<string, ToolItem>>;
  };
  readonly extensions: readonly ExtensionItem[];
  readonly usrLocal: 'host' | 'writable';
  readonly trust: { readonly anchors: readonly { readonly name: string; readonly certificates: string }[] };
  readonly files: readonly FileItem[];
  readonly units: readonly UnitItem[];
  readonly actions: readonly ActionItem[];
  readonly boot: With<Section<'boot'>, 'deadline' | 'deferrable'>;
  readonly takeover: boolean;
}

export interface NodeConfig {
  readonly apiVersion: string;
  readonly kind: 'NodeConfig';
  readonly metadata?: { readonly name?: string | undefined };
  readonly spec: NodeSpec;
}

/** Something the merged whole lacks. */
export interface Lack {
  readonly path: Path;
  readonly message: string;
}

/** The whole, and what it lacks; the whole is usable only when nothing does. */
export function completeNodeConfig(document: NodeConfigDocument): { config: NodeConfig; lacks: readonly Lack[] } {
  const lacks: Lack[] = [];
  const { spec } = document;

  function required<Value>(value: Value | undefined, path: Path, message: string, instead: Value): Value {
    if (value !== undefined) return value;
    lacks.push({ path, message });
    return instead;
  }

  const version = required(
    spec.kubernetes?.version,
    ['spec', 'kubernetes', 'version'],
    'kubernetes.version is missing: no source says which Kubernetes',
    '',
  );
  const cni = spec.network?.cni ?? {};
  if (cni.type === 'bridge' && !cni.subnet) {
    lacks.push({ path: ['spec', 'network', 'cni', 'subnet'], message: 'subnet is missing: a bridge needs one' });
  }

  const extensions = (spec.extensions ?? []).map((extension, index) => {
    if (
      [extension.path, extension.registry, extension.url, extension.tarball].every((source) => source === undefined)
    ) {
      lacks.push({
        path: ['spec', 'extensions', index],
        message: `the extension ${extension.name} has no source: give at least one of path, registry, url, tarball`,
      });
    }
    const item = completeExtension(extension, version);
    if (item.registry !== undefined && item.version === undefined) {
      lacks.push({
        path: ['spec', 'extensions', index, 'version'],
        message: `version is missing for the extension ${extension.name}: a tag is chosen by it`,
      });
    }
    return item;
  });

  const config: NodeConfig = {
    apiVersion: document.apiVersion,
    kind: document.kind,
    ...(document.metadata && { metadata: document.metadata }),
    spec: {
      kubernetes: { version },
      ...(spec.cluster && {
        cluster: {
          ...completeCluster(spec.cluster),
          server: required(
            spec.cluster.server,
            ['spec', 'cluster', 'server'],
            'server is missing: the URL of the API server',
            '',
          ),
          caBundle: required(
            spec.cluster.caBundle,
            ['spec', 'cluster', 'caBundle'],
            'caBundle is missing: who vouches for the API server',
            '',
          ),
        },
      }),
      kubelet: {
        ...(spec.kubelet?.nodeIp !== undefined && { nodeIp: spec.kubelet.nodeIp }),
        configuration: spec.kubelet?.configuration ?? {},
        flags: spec.kubelet?.flags ?? {},
        labels: spec.kubelet?.labels ?? {},
        taints: spec.kubelet?.taints ?? [],
        staticPods: (spec.kubelet?.staticPods ?? []).map((pod, index) => ({
          name: pod.name,
          manifest: required(
            pod.manifest,
            ['spec', 'kubelet', 'staticPods', index, 'manifest'],
            `manifest is missing for the static pod ${pod.name}`,
            {},
          ),
        })),
      },
      containerd: {
        ...(spec.containerd?.sandboxImage !== undefined && { sandboxImage: spec.containerd.sandboxImage }),
        restrictOomScoreAdj: spec.containerd?.restrictOomScoreAdj ?? false,
        configuration: spec.containerd?.configuration ?? {},
        registries: (spec.containerd?.registries ?? []).map(completeRegistry),
      },
      network: {
        ...(spec.network?.proxy && { proxy: completeProxy(spec.network.proxy) }),
        cni: { ...cni, type: cni.type ?? 'none' },
      },
      kernel: {
        modules: (spec.kernel?.modules ?? []).map((module) => withPolicy(module)),
        sysctls: (spec.kernel?.sysctls ?? []).map((sysctl, index) => ({
          ...withPolicy(sysctl),
          value: required(
            sysctl.value,
            ['spec', 'kernel', 'sysctls', index, 'value'],
            `value is missing for ${sysctl.key}`,
            '',
          ),
        })),
      },
      binaries: {
        policy: spec.binaries?.policy ?? 'cache-first',
        ...(spec.binaries?.sources && { sources: completeSources(spec.binaries.sources) }),
        ...(spec.binaries?.cache && { cache: spec.binaries.cache }),
        ...(spec.binaries?.transfer && { transfer: completeTransfer(spec.binaries.transfer) }),
        tools: Object.fromEntries(
          Object.entries(spec.binaries?.tools ?? {})
            .filter(([name, tool]) => !(isPlain(tool) && extensions.some(({ tools }) => tools.includes(name))))
            .map(([name, tool]) => [name, completeTool(name, tool, version)]),
        ),
      },
      extensions,
      usrLocal: spec.usrLocal ?? 'host',
      trust: {
        anchors: (spec.trust?.anchors ?? []).map((anchor, index) => ({
          name: anchor.name,
          certificates: required(
            anchor.certificates,
            ['spec', 'trust', 'anchors', index, 'certificates'],
            `certificates are missing for the authority ${anchor.name}`,
            '',
          ),
        })),
      },
      files: (spec.files ?? []).map((file, index) =>
        completeFile(file, (path, message) => lacks.push({ path: ['spec', 'files', index, ...path], message })),
      ),
      units: (spec.units ?? []).map((unit, index) =>
        completeUnit(unit, (path, message) => lacks.push({ path: ['spec', 'units', index, ...path], message })),
      ),
      actions: (spec.actions ?? []).map((action, index) => ({
        ...withPolicy(action),
        timeout: action.timeout ?? itemDefaults.action.timeout,
        deferrable: action.deferrable ?? itemDefaults.action.deferrable,
        argv: required(
          action.argv,
          ['spec', 'actions', index, 'argv'],
          `argv is missing for the action ${action.name}`,
          [],
        ),
        guard: required(
          action.guard,
          ['spec', 'actions', index, 'guard'],
          `guard is missing for the action ${action.name}: it must say when the action is already done`,
          {},
        ),
      })),
      boot: { deadline: spec.boot?.deadline ?? '10m', deferrable: spec.boot?.deferrable ?? {} },
      takeover: spec.takeover ?? false,
    },
  };
  for (const [id, wanted] of Object.entries(config.spec.boot.deferrable)) {
    if (wanted && isNeverDeferrable(id)) {
      lacks.push({
        path: ['spec', 'boot', 'deferrable', id],
        message: `${id} cannot be deferred: kernel settings, mounts, identity, trust and runtime configuration must be in place before kubelet starts`,
      });
    }
  }
  return { config, lacks };
}

/** Whether a resource has to precede kubelet whatever a document says. */
export function isNeverDeferrable(id: string): boolean {
  const colon = id.indexOf(':');
  const name = id.slice(colon + 1);
  switch (id.slice(0, colon)) {
    case 'kernel':
      return true;
    case 'file':
      return isNeverDeferrablePath(name);
    case 'unit':
      return isNeverDeferrableUnit(name);
    case 'extension':
      return true;
    case 'binary':
      return name === 'kubelet';
    default:
      return false;
  }
}

type PolicyDocument = Pick<ModuleDocument, Policy>;

function withPolicy<T extends PolicyDocument>(item: T): With<T, Policy> {
  return {
    ...item,
    importance: item.importance ?? policyDefaults.importance,
    scope: item.scope ?? policyDefaults.scope,
    takeover: item.takeover ?? policyDefaults.takeover,
    needs: item.needs ?? [...policyDefaults.needs],
  };
}

function secret(text: string, isSecret: boolean): MaybeSecret {
  return isSecret ? { sensitive: text } : text;
}

/** A file with its defaults; `lack` hears what is wrong with it, at a path inside it. */
export function completeFile(file: FileDocument, lack: (path: Path, message: string) => void): FileItem {
  const { content, contentBase64, ...rest } = file;
  const sensitive = file.sensitive ?? itemDefaults.file.sensitive;
  if ([content, contentBase64, file.symlink, file.directory].every((form) => form === undefined)) {
    lack([], `the file ${file.path} has no content: give one of content, contentBase64, symlink, directory`);
  }
  if (file.symlink !== undefined && file.mode !== undefined) lack(['mode'], 'mode has no meaning for a symbolic link');
  const mode = file.mode ?? defaultMode(file, sensitive);
  if (sensitive && mode !== undefined && /[1-7]$/.test(mode))
    lack(['mode'], `mode ${mode} lets everybody reach a sensitive file`);
  return {
    ...withPolicy(rest),
    ...(mode !== undefined && { mode }),
    ...(content !== undefined && { content: secret(content, sensitive) }),
    ...(contentBase64 !== undefined && { contentBase64: secret(contentBase64, sensitive) }),
    owner: file.owner ?? itemDefaults.file.owner,
    group: file.group ?? itemDefaults.file.group,
    sensitive,
    deferrable: file.deferrable ?? itemDefaults.file.deferrable,
  };
}

function defaultMode(file: FileDocument, sensitive: boolean): string | undefined {
  if (file.symlink !== undefined) return undefined;
  if (file.directory) return itemDefaults.folderMode;
  return sensitive ? itemDefaults.secretFileMode : itemDefaults.file.mode;
}

function completeUnit(unit: UnitDocument, lack: (path: Path, message: string) => void): UnitItem {
  const { content, dropIns, ...rest } = unit;
  const sensitive = unit.sensitive ?? itemDefaults.unit.sensitive;
  if (unit.enablement === 'masked' && (content !== undefined || unit.state === 'started')) {
    lack(
      ['enablement'],
      `the unit ${unit.name} cannot be masked and have ${content === undefined ? 'the state started' : 'a unit file'}`,
    );
  }
  return {
    ...withPolicy(rest),
    ...(content !== undefined && { content: secret(content, sensitive) }),
    dropIns: (dropIns ?? []).map((dropIn, index) => {
      if (dropIn.content === undefined)
        lack(['dropIns', index, 'content'], `content is missing for the drop-in ${dropIn.name}`);
      return { name: dropIn.name, content: secret(dropIn.content ?? '', sensitive) };
    }),
    inputs: unit.inputs ?? [],
    onChange: unit.onChange ?? itemDefaults.unit.onChange,
    deadline: unit.deadline ?? itemDefaults.unit.deadline,
    sensitive,
    deferrable: unit.deferrable ?? itemDefaults.unit.deferrable,
  };
}

function completeTool(name: string, document: ToolDocument, version: string): ToolItem {
  const { url, privateUrl, sources, ...tool } = document;
  return {
    ...withPolicy(tool),
    ...(url !== undefined && { url: address(url) }),
    ...(privateUrl !== undefined && { privateUrl: address(privateUrl) }),
    ...(sources && { sources: completeSources(sources) }),
    version: tool.version ?? version,
    target: tool.target ?? `/opt/bin/${name}`,
    type: tool.type ?? itemDefaults.tool.type,
    deferrable: tool.deferrable ?? itemDefaults.tool.deferrable,
  };
}

/** Nothing says where it comes from or goes, as in our defaults: an extension that brings the program takes its place. */
function isPlain({ version, target, type, url, privateUrl, sources }: ToolDocument): boolean {
  return [version, target, type, url, privateUrl, sources].every((value) => value === undefined);
}

function completeExtension({ url, tarball, ...extension }: ExtensionDocument, kubernetes: string): ExtensionItem {
  const ofKubernetes = extension.name === 'kubernetes';
  const version = extension.version ?? (ofKubernetes ? kubernetes : undefined);
  return {
    ...extension,
    ...(version !== undefined && { version }),
    ...(url !== undefined && { url: address(url) }),
    ...(tarball && { tarball: { ...tarball, url: address(tarball.url) } }),
    tools: extension.tools ?? (ofKubernetes ? ['kubelet', 'kubectl'] : [extension.name]),
  };
}

function completeSources({ tarball, ...sources }: BinarySourcesDocument): BinarySourcesItem {
  return { ...sources, ...(tarball && { tarball: { ...tarball, url: address(tarball.url) } }) };
}

function address(text: string): MaybeSecret {
  return secret(text, holdsSecret(text));
}

function completeRegistry(registry: RegistryDocument): RegistryItem {
  return {
    ...registry,
    mirrors: (registry.mirrors ?? []).map((mirror) => ({
      ...mirror,
      capabilities: mirror.capabilities ?? [...itemDefaults.mirror.capabilities],
      overridePath: mirror.overridePath ?? itemDefaults.mirror.overridePath,
      skipVerify: mirror.skipVerify ?? itemDefaults.mirror.skipVerify,
    })),
  };
}

function completeCluster(cluster: Section<'cluster'>): Omit<ClusterItem, 'server' | 'caBundle'> {
  const { bootstrapToken, ...rest } = cluster;
  return {
    ...rest,
    domain: cluster.domain ?? 'cluster.local',
    dns: cluster.dns ?? [],
    ...(bootstrapToken !== undefined && { bootstrapToken: { sensitive: bootstrapToken } }),
  };
}

/** The transfers of an artifact; a proxy may hold a password. */
export function completeTransfer({ proxy, ...transfer }: TransferDocument): TransferItem {
  return { ...transfer, ...(proxy !== undefined && { proxy: { sensitive: proxy } }) };
}

function completeProxy(proxy: NonNullable<Section<'network'>['proxy']>): ProxyItem {
  return {
    ...(proxy.http !== undefined && { http: { sensitive: proxy.http } }),
    ...(proxy.https !== undefined && { https: { sensitive: proxy.https } }),
    noProxy: proxy.noProxy ?? [],
  };
}
