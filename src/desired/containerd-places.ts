/**
 * Where the configuration of containerd's version has what a document says of a plugin. Documents are written for containerd 1,
 * whose one CRI plugin is three since containerd 2: what is asked of its tables reaches the part that reads it now, as
 * containerd itself moves it in a configuration of an older version. Pure.
 */
import { configurationVersion } from './containerd-version.ts';
import { isMap } from '../config/paths.ts';
import type { Facts } from '../model/facts.ts';

/** What is asked of a plugin's table: to get values, or to go. */
export interface PluginAsk {
  readonly op?: 'add' | 'remove' | undefined;
  readonly path: readonly string[];
  readonly values?: Readonly<Record<string, unknown>> | undefined;
}

/** A table and what it gets. */
export interface PluginPlace {
  /** From `plugins` on. */
  readonly tables: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
}

/** The one CRI plugin of containerd 1; containerd 2 calls its server so. */
export const cri = 'io.containerd.grpc.v1.cri';
const server = cri;
export const images = 'io.containerd.cri.v1.images';
export const runtime = 'io.containerd.cri.v1.runtime';

export const ofServer = new Set([
  'disable_tcp_service',
  'stream_server_address',
  'stream_server_port',
  'stream_idle_timeout',
  'enable_tls_streaming',
  'x509_key_pair_streaming',
]);
export const ofImages = new Set([
  'registry',
  'image_decryption',
  'max_concurrent_downloads',
  'image_pull_progress_timeout',
  'image_pull_with_sync_fs',
  'stats_collect_period',
]);
export const sandboxImage = 'sandbox_image';
const sandboxPlace = [images, 'pinned_images'] as const;
/** Of the table `containerd`. */
export const ofImagesThere = ['snapshotter', 'disable_snapshot_annotations', 'discard_unpacked_layers'];

/** Plugins that version 1 calls by their last word. */
export const versionOne: Readonly<Record<string, string>> = {
  cri,
  opt: 'io.containerd.internal.v1.opt',
  restart: 'io.containerd.internal.v1.restart',
  cgroups: 'io.containerd.monitor.v1.cgroups',
  scheduler: 'io.containerd.gc.v1.scheduler',
  'diff-service': 'io.containerd.service.v1.diff-service',
  linux: 'io.containerd.runtime.v1.linux',
  devmapper: 'io.containerd.snapshotter.v1.devmapper',
  overlayfs: 'io.containerd.snapshotter.v1.overlayfs',
};

export function placesOfPlugin({ op, path, values = {} }: PluginAsk, facts: Facts): readonly PluginPlace[] {
  const [plugin, ...rest] = path;
  if (plugin !== server || configurationVersion(facts) !== 3) return [place(path, values)];
  const [table] = rest;
  if (table === undefined)
    return op === 'remove' ? [server, images, runtime].map((part) => place([part], {})) : placesOfAll(values);
  if (table === sandboxImage) return [place([...sandboxPlace, 'sandbox'], values)];
  if (table !== 'containerd') return [place([partOf(table), ...rest], values)];
  const [, name, ...further] = rest;
  if (name !== undefined)
    return [place(ofImagesThere.includes(name) ? [images, name, ...further] : [runtime, ...rest], values)];
  if (op === 'remove') return [place([runtime, table], {}), ...ofImagesThere.map((name) => place([images, name], {}))];
  return placesOfContainerd(values);
}

function place(path: readonly string[], values: PluginPlace['values']): PluginPlace {
  return { tables: ['plugins', ...path], values };
}

function partOf(name: string): string {
  return ofServer.has(name) ? server : ofImages.has(name) ? images : runtime;
}

function placesOfAll(values: PluginPlace['values']): PluginPlace[] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (name === sandboxImage) return [place(sandboxPlace, { sandbox: value })];
    if (name === 'containerd' && isMap(value)) return placesOfContainerd(value);
    return [place([partOf(name)], { [name]: value })];
  });
}

function placesOfContainerd(values: PluginPlace['values']): PluginPlace[] {
  const [moved = {}, others = {}] = [true, false].map((isMoved) =>
    Object.fromEntries(Object.entries(values).filter(([name]) => ofImagesThere.includes(name) === isMoved)),
  );
  return [
    ...(Object.keys(moved).length > 0 ? [place([images], moved)] : []),
    ...(Object.keys(others).length > 0 || Object.keys(moved).length === 0
      ? [place([runtime, 'containerd'], others)]
      : []),
  ];
}
