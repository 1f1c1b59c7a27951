/**
 * What somebody else configured containerd with, such as NVIDIA's runtimes: kept below what is rendered, in the version of the
 * host's containerd, with what it imports folded in as containerd would. An import comes after the file that names it, and
 * containerd 1.x replaces a plugin's whole table by the import's: left to containerd, it would take ours away. Pure.
 */
import { containerdSocket } from '../config/defaults.ts';
import { isMap, formatPath } from '../config/paths.ts';
import { containerdConfigPath } from '../model/containerd-configuration.ts';
import type { Facts } from '../model/facts.ts';
import { cri, placesOfPlugin, versionOne } from './containerd-places.ts';
import { configurationVersion, hasPluginFolders } from './containerd-version.ts';
import { mergeMaps } from './stable.ts';

type Settings = Readonly<Record<string, unknown>>;

export interface Kept {
  /** Secrets in the clear. */
  readonly settings: Settings;
  readonly hasSecrets: boolean;
  /** What of it is not kept, and why. */
  readonly remarks: readonly string[];
}

/** Without them there is no kubelet: Docker's package switches them off. */
const needed = new Set(['cri', cri, 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime']);

export function keptConfiguration(facts: Facts): Kept {
  const remarks: string[] = [];
  let hasSecrets = false;
  const revealed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(revealed);
    if (!isMap(value)) return value;
    if (typeof value['sensitive'] === 'string') return ((hasSecrets = true), value['sensitive']);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revealed(inner)]));
  };
  let settings: Settings = {};
  for (const [path, found] of Object.entries(facts.containerdConfiguration ?? {})) {
    if (!isMap(found)) remarks.push(`${path} is not kept: it cannot be read: ${found}`);
    else if (found['version'] === 3 && configurationVersion(facts) === 2)
      remarks.push(`${path} is not kept: it is of version 3, which this containerd does not read`);
    else settings = merged(settings, inVersion(revealed(found) as Settings, facts), facts);
  }
  return { settings: usable(settings, remarks), hasSecrets, remarks };
}

function inVersion({ version, imports: _folded, ...rest }: Settings, facts: Facts): Settings {
  const plugins = isMap(rest['plugins']) ? rest['plugins'] : {};
  const isFirst = version === undefined || version === 1;
  const named = isFirst
    ? Object.fromEntries(Object.entries(plugins).map(([key, value]) => [versionOne[key] ?? key, value]))
    : plugins;
  const disabled = rest['disabled_plugins'];
  const common = {
    ...rest,
    ...(isFirst &&
      Array.isArray(disabled) && { disabled_plugins: disabled.map((name) => versionOne[String(name)] ?? name) }),
  };
  const { [cri]: ofCri, ...others } = named;
  if (version === 3 || !isMap(ofCri)) return { ...common, plugins: named };
  let moved: Record<string, unknown> = { ...common, plugins: others };
  for (const { tables, values } of placesOfPlugin({ path: [cri], values: withPluginFolders(ofCri, facts) }, facts))
    moved = mergeMaps(moved, tables.reduceRight<unknown>((inner, name) => ({ [name]: inner }), values) as Settings);
  return moved;
}

/** As containerd moves it. */
function withPluginFolders(ofCri: Settings, facts: Facts): Settings {
  const { cni } = ofCri;
  if (!isMap(cni) || !cni['bin_dir'] || cni['bin_dirs'] !== undefined || !hasPluginFolders(facts)) return ofCri;
  const { bin_dir, ...others } = cni;
  return { ...ofCri, cni: { bin_dirs: [bin_dir], ...others } };
}

function merged(before: Settings, over: Settings, facts: Facts): Settings {
  const joined = { ...before, ...over };
  for (const [key, value] of Object.entries(over)) {
    const earlier = before[key];
    if (Array.isArray(earlier) && Array.isArray(value)) joined[key] = [...new Set([...earlier, ...value])];
    else if (isMap(earlier) && isMap(value))
      joined[key] =
        key === 'plugins' && configurationVersion(facts) === 2 ? { ...earlier, ...value } : mergeMaps(earlier, value);
  }
  return joined;
}

/** Without what would keep containerd from serving kubelet. */
function usable(settings: Settings, remarks: string[]): Settings {
  const kept: Record<string, unknown> = { ...settings };
  const disabled = kept['disabled_plugins'];
  if (Array.isArray(disabled)) {
    kept['disabled_plugins'] = disabled.filter((name) => !needed.has(String(name)));
    if (disabled.some((name) => needed.has(String(name))))
      remarks.push(`${containerdConfigPath} switches the CRI plugin off, which kubelet needs: it is on`);
  }
  const { address, ...grpc } = isMap(kept['grpc']) ? kept['grpc'] : {};
  if (address !== undefined) kept['grpc'] = grpc;
  if (address !== undefined && address !== containerdSocket)
    remarks.push(
      `${containerdConfigPath} has containerd listen elsewhere (${JSON.stringify(address)}): it listens at ${containerdSocket}`,
    );
  const plugins = isMap(kept['plugins']) ? kept['plugins'] : {};
  kept['plugins'] = Object.fromEntries(
    Object.entries(plugins).map(([name, plugin]) => [name, isMap(plugin) ? withoutMirrors(plugin, remarks) : plugin]),
  );
  return kept;
}

/** containerd refuses mirrors and certificates beside a folder of them, which is where documents have theirs. */
function withoutMirrors(plugin: Settings, remarks: string[]): Settings {
  const { registry } = plugin;
  if (!isMap(registry)) return plugin;
  const { mirrors, configs, ...rest } = registry;
  const servers = Object.entries(isMap(configs) ? configs : {}).flatMap(([host, config]) => {
    const { tls, ...others } = isMap(config) ? config : {};
    if (tls !== undefined)
      remarks.push(`${containerdConfigPath} has certificates for ${host}: name them in \`containerd.registries\``);
    return Object.keys(others).length > 0 ? [[host, others] as const] : [];
  });
  if (isMap(mirrors) && Object.keys(mirrors).length > 0)
    remarks.push(
      `${containerdConfigPath} has mirrors of ${Object.keys(mirrors).join(', ')}: name them in \`containerd.registries\``,
    );
  return { ...plugin, registry: { ...rest, ...(servers.length > 0 && { configs: Object.fromEntries(servers) }) } };
}

/** Every runtime that runc serves puts pods where kubelet's driver looks for them. */
export function withSystemdCgroups(runtimes: unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(isMap(runtimes) ? runtimes : {}).flatMap(([name, runtime]) =>
      isMap(runtime) && /^io\.containerd\.runc\.v[12]$/.test(String(runtime['runtime_type']))
        ? [[name, { options: { SystemdCgroup: true } }]]
        : [],
    ),
  );
}

/** What a distribution's own configuration has, and what containerd has by default, is nobody's wish. */
const usual = /\.(?:bin_dir|bin_dirs|conf_dir|conf_template|config_path)$/;

/** Settings that somebody had otherwise, by their path. */
export function differing(before: unknown, now: unknown, path: readonly string[] = []): string[] {
  if (isMap(before) && isMap(now))
    return Object.entries(before).flatMap(([key, value]) => differing(value, now[key], [...path, key]));
  const name = formatPath([...path]);
  return JSON.stringify(before) === JSON.stringify(now) || usual.test(name) ? [] : [name];
}
