/**
 * containerd: its configuration for its own version, registry mirrors, the drop-in for its unit, and CNI. Pure.
 *
 * Only what differs from containerd's defaults is written, so that a distribution's own defaults (where its CNI
 * plugins are, for one) stay. Structure of version 2 (containerd 1.x) and version 3 (2.x): `containerd config default`.
 */
import { isMap } from '../config/paths.ts';
import type { CniItem, NodeSpec } from '../config/complete.ts';
import type { RegistryItem } from '../config/complete-items.ts';
import { nothingLeft } from '../config/completion.ts';
import type { Path } from '../config/paths.ts';
import { containerdSocket, ownUnitDefaults } from '../config/defaults.ts';
import { parseDuration } from '../config/duration.ts';
import type { Facts } from '../model/facts.ts';
import { refusedRegistries, type ForeignSetting } from './containerd-words.ts';
import { configurationVersion, hasPluginFolders } from './containerd-version.ts';
import { differing, keptConfiguration, withSystemdCgroups } from './containerd-kept.ts';
import { containerdConfigPath, holdsCredential, writtenByUs } from '../model/containerd-configuration.ts';
import { cniFolder, podNetworkOf, type PodNetwork } from './pod-network.ts';
import { base, folder, textFile, type Policy } from './render-items.ts';
import { proxyVariables, serviceDropIn } from './proxy.ts';
import type { FileResource, UnitResource } from '../model/resources.ts';
import { registryName, registryUrl } from '../model/reference.ts';
import { holdsSecret } from '../model/shown-address.ts';
import { mergeMaps, stable } from './stable.ts';
import { isPlainInHead, tablesAsKeys, tablesUnreadInHeads, tomlText } from './toml.ts';

/** Where containerd looks for a registry's mirrors. */
export const registryFolder = '/etc/containerd/certs.d';
/** Its folder for one of them, by the name that references have when containerd looks for it. */
export function registryFolderOf(registry: string): string {
  return `${registryFolder}/${registryName(registry)}`;
}
/** Of containerd as its own project builds it. */
const defaultPluginFolder = '/opt/cni/bin';
/** containerd 2's own unit leaves the soft limit at 1024 open files for itself and for containers. */
const openFiles = ['LimitNOFILE=1048576'];

export function containerdFiles(spec: NodeSpec, facts: Facts): FileResource[] {
  const scope = 'shared';
  const { registries, ...settings } = spec.containerd;
  const { type, ...cni } = spec.network.cni;
  const { binDir = pluginFolder(type, facts), ...bridge } = cni;
  const network = type === 'bridge' ? podNetworkOf(bridge) : undefined;
  const { text, isSecret } = containerdConfig({ ...settings, cni: cniSettings(binDir, network, facts) }, facts);
  return [
    isSecret
      ? textFile(containerdConfigPath, { sensitive: text }, { scope, mode: '0600' })
      : textFile(containerdConfigPath, text, { scope }),
    folder(registryFolder, { scope }),
    ...registries.map((registry) =>
      hostsFile(`${registryFolderOf(registry.host)}/hosts.toml`, hostsOf(registry), { facts, scope }),
    ),
    folder(cniFolder, { scope }),
    ...(network ? [textFile(network.path, network.text, { scope })] : []),
  ];
}

interface CniSettings {
  readonly bin_dir?: string;
  readonly bin_dirs?: readonly string[];
  readonly conf_dir: string;
  readonly conf_template?: string;
}

/** Undefined where containerd's own will do. */
function cniSettings(
  binDir: string | undefined,
  network: PodNetwork | undefined,
  facts: Facts,
): CniSettings | undefined {
  if (binDir === undefined && !network) return undefined;
  return {
    ...(binDir !== undefined && (hasPluginFolders(facts) ? { bin_dirs: [binDir] } : { bin_dir: binDir })),
    conf_dir: network?.folder ?? cniFolder,
    ...(network?.isTemplate === true && { conf_template: network.path }),
  };
}

/** Not every containerd looks where its distribution puts the plugins: Debian 12's does not. */
function pluginFolder(
  type: CniItem['type'],
  { cniPlugins, containerdConfiguration: others }: Facts,
): string | undefined {
  return type === 'bridge' && (others !== undefined || cniPlugins !== defaultPluginFolder) ? cniPlugins : undefined;
}

type Settings = Omit<NodeSpec['containerd'], 'registries'> & { readonly cni: CniSettings | undefined };

interface Config {
  readonly text: string;
  readonly isSecret: boolean;
  /** What of another's is not kept, or is otherwise. */
  readonly remarks: readonly string[];
}

/** Of the document's own settings, those that keep containerd from serving kubelet. */
export function refusedSettings(spec: NodeSpec, facts: Facts): ForeignSetting[] {
  const { configuration } = spec.containerd;
  return refusedRegistries(
    mergeMaps(containerdConfiguration(facts, { runtime: {}, sandboxImage: undefined }), configuration),
  );
}

/** Remarks about what somebody else configured. */
export function containerdRemarks(spec: NodeSpec, facts: Facts): readonly string[] {
  const { registries: _asFiles, ...settings } = spec.containerd;
  const reads = facts.containerdReads;
  return [
    ...(reads === undefined
      ? []
      : [`containerd.service reads ${reads}: what is written to ${containerdConfigPath} has no effect`]),
    ...containerdConfig({ ...settings, cni: undefined }, facts).remarks,
  ];
}

function containerdConfig(settings: Settings, facts: Facts): Config {
  const { sandboxImage, restrictOomScoreAdj, configuration, cni, ...rest } = settings;
  nothingLeft(rest);
  const kept = keptConfiguration(facts);
  const named = runtimePart(kept.settings, facts);
  const runc = { runtime_type: 'io.containerd.runc.v2', options: { SystemdCgroup: true } };
  const runtime = {
    ...(restrictOomScoreAdj && { restrict_oom_score_adj: true }),
    ...(cni && { cni }),
    containerd: {
      ...(named['default_runtime_name'] === undefined && { default_runtime_name: 'runc' }),
      runtimes: { ...withSystemdCgroups(named['runtimes']), runc },
    },
  };
  const ours = containerdConfiguration(facts, { runtime, sandboxImage });
  // The version is that of what is written, whatever the document was written for.
  const { version: _asked, ...further } = configuration;
  const whole = mergeMaps(mergeMaps(withoutNetwork(kept.settings, facts, cni), ours), further);
  const changed = differing(kept.settings, whole);
  return {
    text: `${writtenByUs}${tomlText(stable(whole))}`,
    isSecret: kept.hasSecrets || holdsCredential(configuration),
    remarks: [
      ...kept.remarks,
      ...(changed.length > 0
        ? [`what somebody configured in ${containerdConfigPath} is kept, but not for ${changed.join(', ')}`]
        : []),
    ],
  };
}

/** The table of the part that runs containers, as somebody has it. */
function runtimePart({ plugins }: Readonly<Record<string, unknown>>, facts: Facts): Record<string, unknown> {
  const part = isMap(plugins) ? plugins[runtimePlugin(facts)] : undefined;
  const table = isMap(part) ? part['containerd'] : undefined;
  return isMap(table) ? table : {};
}

function runtimePlugin(facts: Facts): string {
  return configurationVersion(facts) === 3 ? 'io.containerd.cri.v1.runtime' : 'io.containerd.grpc.v1.cri';
}

/** Without another's word on where networks and plugins are, where a document of ours has its own. */
function withoutNetwork(
  settings: Readonly<Record<string, unknown>>,
  facts: Facts,
  own: CniSettings | undefined,
): Readonly<Record<string, unknown>> {
  const { plugins } = settings;
  const name = runtimePlugin(facts);
  const part = isMap(plugins) ? plugins[name] : undefined;
  if (!own || !isMap(plugins) || !isMap(part) || !isMap(part['cni'])) return settings;
  const { bin_dir, bin_dirs, conf_dir: _conf, conf_template: _template, ...others } = part['cni'];
  const programs = own.bin_dir === undefined && own.bin_dirs === undefined ? { bin_dir, bin_dirs } : {};
  const cni = { ...programs, ...others };
  return { ...settings, plugins: { ...plugins, [name]: { ...part, cni } } };
}

/** What containerd is told, where its version wants it. `runtime`: the table of its part that runs containers. */
export function containerdConfiguration(
  facts: Facts,
  { runtime, sandboxImage }: { runtime: Readonly<Record<string, unknown>>; sandboxImage: string | undefined },
): Record<string, unknown> {
  const registry = { config_path: registryFolder };
  if (configurationVersion(facts) === 3)
    return {
      version: 3,
      plugins: {
        'io.containerd.cri.v1.images': {
          registry,
          ...(sandboxImage !== undefined && { pinned_images: { sandbox: sandboxImage } }),
        },
        'io.containerd.cri.v1.runtime': runtime,
      },
    };
  return {
    version: 2,
    plugins: {
      'io.containerd.grpc.v1.cri': {
        ...runtime,
        registry,
        ...(sandboxImage !== undefined && { sandbox_image: sandboxImage }),
      },
    },
  };
}

function hostsOf({ host: _host, server, mirrors, ...rest }: RegistryItem): RegistryHosts {
  nothingLeft(rest);
  return { server, hosts: mirrors.map(hostOf) };
}

/** For root alone where an address may hold a password. */
export function hostsFile(
  path: string,
  about: RegistryHosts,
  { facts, ...policy }: Policy & { readonly facts: Facts },
): FileResource {
  const text = hostsText(about, facts);
  const addresses = [...(about.server === undefined ? [] : [about.server]), ...about.hosts.map(({ url }) => url)];
  return addresses.some((address) => holdsSecret(address))
    ? textFile(path, { sensitive: text }, { ...policy, mode: '0600' })
    : textFile(path, text, policy);
}

function hostOf(mirror: RegistryItem['mirrors'][number]): RegistryHost {
  const { url, capabilities, overridePath, caFile, skipVerify, ...rest } = mirror;
  nothingLeft(rest);
  return { url, capabilities, overridePath, ca: caFile, skipVerify };
}

/** A server that is asked for a registry's images. */
export interface RegistryHost {
  readonly url: string;
  readonly capabilities: readonly string[];
  readonly overridePath: boolean;
  /** Paths of certificates. */
  readonly ca: string | readonly string[] | undefined;
  readonly skipVerify: boolean;
}

/** Who is asked for a registry's images, in this order; the registry itself last. */
export interface RegistryHosts {
  readonly server: string | undefined;
  readonly hosts: readonly RegistryHost[];
}

/** One hosts.toml; containerd asks its hosts in the order of the file. An address by IPv6 has brackets, which decide about its form. */
export function hostsText({ server, hosts }: RegistryHosts, facts: Facts): string {
  const tables = hosts.map((host) => [registryUrl(host.url), hostTable(host)] as const);
  const ofServer = server === undefined ? {} : { server: registryUrl(server) };
  if (readsAnyHead(facts) || tables.every(([url]) => isPlainInHead(url)))
    return tomlText({ ...ofServer, ...(hosts.length > 0 && { host: Object.fromEntries(tables) }) });
  const head = server === undefined ? '' : `${tomlText(ofServer)}\n`;
  return `${head}${tablesAsKeys('host', tables)}`;
}

/** A containerd that nobody knows is taken for one of today. */
function readsAnyHead({ containerdVersion }: Facts): boolean {
  return containerdVersion === undefined || configurationVersion({ containerdVersion }) === 3;
}

/** Tables of a configuration that this containerd would not read. */
export function unreadTables(configuration: unknown, facts: Facts): { path: Path; message: string }[] {
  if (readsAnyHead(facts)) return [];
  return tablesUnreadInHeads(configuration).map((path) => ({
    path,
    message: `containerd ${facts.containerdVersion} reads no table whose name has brackets, quotes, backslashes or control characters in it`,
  }));
}

function hostTable({ capabilities, overridePath, ca, skipVerify }: RegistryHost): Record<string, unknown> {
  return {
    capabilities,
    ...(overridePath && { override_path: true }),
    ...(ca !== undefined && { ca }),
    ...(skipVerify && { skip_verify: true }),
  };
}

export function containerdUnit(spec: NodeSpec): UnitResource {
  const registries = spec.containerd.registries.map(
    (registry) => `file:${registryFolderOf(registry.host)}/hosts.toml` as const,
  );
  return {
    kind: 'unit',
    id: 'unit:containerd.service',
    name: 'containerd.service',
    ...base(ownUnitDefaults['containerd.service']),
    needs: [`file:${cniFolder}`, `file:${registryFolder}`, ...registries],
    dropIns: [{ name: '50-nodekiln.conf', content: serviceDropIn(proxyVariables(spec), openFiles) }],
    enablement: 'enabled',
    state: 'started',
    // Registry and CNI files are read when they are needed; only the configuration itself takes a restart.
    inputs: [`file:${containerdConfigPath}`],
    onChange: ownUnitDefaults['containerd.service'].onChange,
    readiness: { type: 'socket', path: containerdSocket },
    deadlineMs: parseDuration(ownUnitDefaults['containerd.service'].deadline),
  };
}
