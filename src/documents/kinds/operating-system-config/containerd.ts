/**
 * What an OperatingSystemConfig says of containerd. Its configuration is made anew from nothing but the document and the
 * host's version, so that what a document drops is gone; containerd fills in its own defaults. Pure.
 */
import {
  containerdConfiguration,
  hostsFile,
  registryFolder,
  registryFolderOf,
  unreadTables,
  type RegistryHosts,
} from '../../../desired/containerd.ts';
import { folder, textFile, type Policy } from '../../../desired/render-items.ts';
import type { Rendering } from '../../../desired/rendering.ts';
import { mergeMaps, stable } from '../../../desired/stable.ts';
import { environmentLine, unitText } from '../../../desired/systemd-text.ts';
import { tomlText } from '../../../desired/toml.ts';
import { itemDefaults } from '../../../config/defaults.ts';
import { isMap, type Path } from '../../../config/paths.ts';
import { containerdConfigPath, holdsCredential } from '../../../model/containerd-configuration.ts';
import type { Facts } from '../../../model/facts.ts';
import { join } from '../../../model/path.ts';
import type { FileResource, TransferSettings } from '../../../model/resources.ts';
import { addressOf } from '../../../model/shown-address.ts';
import { placesOfPlugin } from '../../../desired/containerd-places.ts';
import type { OscContainerd, OscPlugin, OscRegistry, OscSpec } from './schema.ts';

const importsFolder = '/etc/containerd/conf.d';
/** Programs of runtimes that extensions bring; before all others. */
const programFolder = '/var/bin/containerruntimes';
const cniFolder = '/opt/cni/bin';
/** systemd's own for services. */
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Of one try; a run that was `degraded` is tried again. */
const probeDeadlineMs = 60_000;

const at: Path = ['spec', 'criConfig', 'containerd'];

/** Folders, configuration and mirrors. */
export function addContainerdFiles(
  { cgroupDriver, containerd }: { cgroupDriver: CgroupDriver; containerd: OscContainerd },
  { facts, add, report, originOf }: Rendering,
): void {
  const common = { takeover: true, origin: originOf(at) };
  for (const path of containerdFolders) add(folder(path, common));
  const configuration = configured(
    containerdConfiguration(facts, {
      runtime: runtimeTable(cgroupDriver, facts),
      sandboxImage: containerd.sandboxImage,
    }),
    containerd.plugins ?? [],
    { facts, report },
  );
  for (const { message } of unreadTables(configuration, facts)) report([...at, 'plugins'], message);
  const text = tomlText(stable({ imports: [`${importsFolder}/*.toml`], ...configuration }));
  add(
    holdsCredential(configuration)
      ? textFile(containerdConfigPath, { sensitive: text }, { ...common, mode: '0600' })
      : textFile(containerdConfigPath, text, common),
    at,
  );
  for (const [index, registry] of (containerd.registries ?? []).entries()) {
    const path = [...at, 'registries', index];
    add(fileOfHosts(registry, facts, { ...common, origin: originOf(path) }), path);
  }
}

type CgroupDriver = NonNullable<OscSpec['criConfig']>['cgroupDriver'];

/** What is there before containerd starts. */
export const containerdFolders: readonly string[] = [programFolder, importsFolder, registryFolder];

/** What the unit gets beside what the document says of it. */
export const containerdDropIn = {
  name: '30-env_config.conf',
  content: unitText({ Service: [environmentLine('PATH', `${programFolder}:${searchPath}`)] }),
};

/** A runtime that is named gets nothing of containerd's defaults for it: without its type no pod starts. */
function runtimeTable(cgroupDriver: CgroupDriver, facts: Facts): Record<string, unknown> {
  const runc = {
    runtime_type: 'io.containerd.runc.v2',
    ...(cgroupDriver !== undefined && { options: { SystemdCgroup: cgroupDriver === 'systemd' } }),
  };
  return {
    cni: hasSeveralCniFolders(facts.containerdVersion) ? { bin_dirs: [cniFolder] } : { bin_dir: cniFolder },
    containerd: { runtimes: { runc } },
  };
}

/** Since 2.2, where `bin_dir` is on its way out. */
export function hasSeveralCniFolders(version: string | undefined): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 2);
}

// ── changes of the configuration ─────────────────────────────────────────────────────────────────────────────────

function configured(
  base: Record<string, unknown>,
  plugins: readonly OscPlugin[],
  { facts, report }: Pick<Rendering, 'facts' | 'report'>,
): Record<string, unknown> {
  let tree = base;
  for (const [index, plugin] of plugins.entries())
    for (const { tables, values } of placesOfPlugin(plugin, facts)) {
      const inTheWay = tables.findIndex((_, depth) => !isTable(tree, tables.slice(0, depth + 1)));
      if (plugin.op === 'remove') {
        if (inTheWay < 0 || inTheWay === tables.length - 1) tree = without(tree, tables);
      } else if (inTheWay < 0) {
        tree = mergeMaps(tree, nested(tables, values));
      } else {
        const name = tables.slice(1, inTheWay + 1).join('.');
        report([...at, 'plugins', index, 'path'], `leads through ${name}, which is a value and no table`);
      }
    }
  return tree;
}

/** Whether it is a table, or nothing yet. */
function isTable(tree: unknown, path: readonly string[]): boolean {
  let current = tree;
  for (const name of path) {
    if (!isMap(current)) return true;
    if (!Object.hasOwn(current, name)) return true;
    current = current[name];
  }
  return isMap(current);
}

function nested(path: readonly string[], value: unknown): Record<string, unknown> {
  return path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Record<string, unknown>;
}

function without(tree: Record<string, unknown>, [name = '', ...rest]: readonly string[]): Record<string, unknown> {
  const inner = tree[name];
  if (rest.length > 0) return isMap(inner) ? { ...tree, [name]: without(inner, rest) } : tree;
  const { [name]: _gone, ...others } = tree;
  return others;
}

// ── registries ───────────────────────────────────────────────────────────────────────────────────────────────────

function folderOf({ upstream }: OscRegistry): string {
  return registryFolderOf(upstream);
}

function hostsPath(registry: OscRegistry): string {
  return `${folderOf(registry)}/hosts.toml`;
}

/** Mirrors inside the cluster answer only once it runs: what sends containerd to them waits, and nothing waits for it. */
function fileOfHosts(registry: OscRegistry, facts: Facts, policy: Policy): FileResource {
  const [path, about] = [hostsPath(registry), hostsOf(registry)];
  if (registry.readinessProbe !== true) return hostsFile(path, about, { facts, ...policy });
  const servers = (registry.hosts ?? []).map((host) => ({ url: addressOf(host.url), ...trustOf(registry, host) }));
  return {
    ...hostsFile(path, about, { facts, ...policy, deferrable: true, importance: 'bestEffort' }),
    onceReachable: { servers, deadlineMs: probeDeadlineMs },
  };
}

function hostsOf({ server, hosts = [] }: OscRegistry): RegistryHosts {
  const asked = hosts.map(({ url, capabilities, caCerts, overridePath }) => ({
    url,
    capabilities: capabilities ?? itemDefaults.mirror.capabilities,
    overridePath: overridePath ?? false,
    ca: caCerts,
    skipVerify: false,
  }));
  return { server, hosts: asked };
}

type Mirror = NonNullable<TransferSettings['mirrors']>[number];

/** Servers that our own fetching of images asks, as containerd would: those that may pull, and resolve where there is only a tag. */
export function mirrorsOf(containerd: OscContainerd | undefined, byDigest: boolean): Mirror[] {
  return (containerd?.registries ?? []).flatMap((registry) => {
    const { upstream, server, hosts = [] } = registry;
    const able = hosts.filter(({ capabilities }) => {
      const may = (what: 'pull' | 'resolve'): boolean => capabilities?.includes(what) ?? true;
      return may('pull') && (byDigest || may('resolve'));
    });
    return [
      ...able.map(({ url, overridePath, caCerts }) => ({
        host: upstream,
        url: addressOf(url),
        ...(overridePath === true && { overridePath }),
        ...trustOf(registry, { caCerts }),
      })),
      ...(server === undefined ? [] : [{ host: upstream, url: addressOf(server) }]),
    ];
  });
}

/** Relative paths are relative to the registry's folder. */
function trustOf(
  registry: OscRegistry,
  { caCerts = [] }: { readonly caCerts?: readonly string[] | undefined },
): { readonly caFiles?: readonly string[] } {
  if (caCerts.length === 0) return {};
  return { caFiles: caCerts.map((path) => (path.startsWith('/') ? path : join(folderOf(registry), path))) };
}
