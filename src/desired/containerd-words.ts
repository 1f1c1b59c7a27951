/**
 * Settings of a document in the words of another version of containerd's configuration than the one that is written: containerd
 * passes them over without a word that anybody reads, or ends. Source: `containerd config default` of 1.6, 1.7 and 2.1. Pure.
 */
import { isMap } from '../config/paths.ts';
import type { Facts } from '../model/facts.ts';
import {
  cri as server,
  images,
  ofImages,
  ofImagesThere,
  ofServer,
  runtime,
  sandboxImage,
  versionOne,
} from './containerd-places.ts';
import { configurationVersion } from './containerd-version.ts';

/** A setting, and what is said of it. */
export interface ForeignSetting {
  readonly path: string[];
  readonly message: string;
}

const pluginsOfVersion = { 2: [server], 3: [images, runtime] } as const;

export function foreignSettings(configuration: Readonly<Record<string, unknown>>, facts: Facts): ForeignSetting[] {
  const version = configurationVersion(facts);
  const reader =
    facts.containerdVersion === undefined ? 'an unknown containerd' : `containerd ${facts.containerdVersion}`;
  const { version: asked, plugins } = configuration;
  const written = `what is written for ${reader} is of version ${version}`;
  return [
    ...(asked === undefined || asked === null || asked === version
      ? []
      : [{ path: ['version'], message: `version is ${JSON.stringify(asked)}, and ${written}` }]),
    ...Object.entries(isMap(plugins) ? plugins : {}).flatMap(([plugin, table]) => {
      const path = ['plugins', plugin];
      const first = versionOne[plugin];
      if (first !== undefined)
        return [{ path, message: `${plugin} is version 1’s name of a plugin, and ${written}, where it is ${first}` }];
      const other = version === 3 ? 2 : 3;
      if (pluginsOfVersion[other].some((known) => known === plugin) && !isServersAlone(plugin, table)) {
        const places = pluginsOfVersion[version].join(' and ');
        return [
          {
            path,
            message: `${plugin} belongs to version ${other} of containerd’s configuration, and ${written}, where such settings are in ${places}`,
          },
        ];
      }
      return wordsIn(version, plugin, table).map(([word, place]) => ({
        path: [...path, ...word],
        message: `${word.join('.')} of ${plugin} is passed over by ${reader}: ${place}`,
      }));
    }),
  ];
}

/** What containerd 2 left in the plugin that had everything. */
function isServersAlone(plugin: string, table: unknown): boolean {
  return plugin === server && isMap(table) && Object.keys(table).length > 0 && Object.keys(table).every(isOfServer);
}

function isOfServer(name: string): boolean {
  return ofServer.has(name);
}

type Word = readonly [path: string[], place: string];

/** Settings that this plugin does not have in this version, and what to write instead. */
function wordsIn(version: 2 | 3, plugin: string, table: unknown): Word[] {
  if (!isMap(table)) return [];
  const { containerd, cni } = table;
  const known = version === 3 ? wordsOfThree(plugin) : plugin === server ? wordsOfTwo : undefined;
  if (!known) return [];
  const runtimes = Object.entries(isMap(containerd) && isMap(containerd['runtimes']) ? containerd['runtimes'] : {});
  return [
    ...found(table, [], known.own),
    ...found(containerd, ['containerd'], known.containerd),
    ...found(cni, ['cni'], known.cni),
    ...runtimes.flatMap(([name, each]) => found(each, ['containerd', 'runtimes', name], known.runtimes)),
  ];
}

function found(table: unknown, at: readonly string[], words: Words = {}): Word[] {
  if (!isMap(table)) return [];
  return Object.keys(table).flatMap((name) => {
    const place = Object.hasOwn(words, name) ? words[name] : undefined;
    return place === undefined ? [] : [[[...at, name], place] as const];
  });
}

/** What is to be written instead, by the word that is not known. */
type Words = Readonly<Record<string, string>>;

interface Known {
  readonly own?: Words;
  readonly containerd?: Words;
  readonly cni?: Words;
  readonly runtimes?: Words;
}

const gone = 'no part of it has such a setting any more';
const at = (place: string): string => `it is ${place}`;
const all = (names: Iterable<string>, place: string): Words =>
  Object.fromEntries([...names].map((name) => [name, place]));

const wordsOfTwo: Known = {
  own: {
    pinned_images: at('sandbox_image'),
    ...all(['use_local_image_pull', 'concurrent_layer_fetch_buffer'], 'it is of containerd 2'),
    ...all(ofImagesThere, at('in its table containerd')),
  },
  cni: { bin_dirs: at('bin_dir, one folder'), use_internal_loopback: 'it is of containerd 2' },
  runtimes: { sandboxer: at('sandbox_mode'), ...all(['io_type', 'cgroup_writable'], 'it is of containerd 2') },
};

function wordsOfThree(plugin: string): Known | undefined {
  const ofRuntimes = ['containerd', 'cni', 'enable_selinux', 'restrict_oom_score_adj', 'enable_unprivileged_ports'];
  switch (plugin) {
    case runtime:
      return {
        own: {
          [sandboxImage]: at(`pinned_images.sandbox of ${images}`),
          pinned_images: at(`in ${images}`),
          ...all(ofImages, at(`in ${images}`)),
          ...all(ofServer, at(`in ${server}`)),
          ...all(['systemd_cgroup', 'disable_cgroup'], gone),
        },
        containerd: {
          ...all(ofImagesThere, at(`in ${images}`)),
          ...all(['default_runtime', 'untrusted_workload_runtime'], at('in its table runtimes')),
          no_pivot: gone,
        },
        runtimes: { sandbox_mode: at('sandboxer'), ...all(['runtime_engine', 'runtime_root'], gone) },
      };
    case images:
      return {
        own: {
          [sandboxImage]: at('pinned_images.sandbox'),
          ...all(ofRuntimes, at(`in ${runtime}`)),
          ...all(ofServer, at(`in ${server}`)),
        },
      };
    default:
      return undefined;
  }
}

/** Settings of registries that containerd does not start its CRI part with, beside the folder of mirrors that it is given. */
export function refusedRegistries(whole: Readonly<Record<string, unknown>>): ForeignSetting[] {
  const { plugins } = whole;
  return Object.entries(isMap(plugins) ? plugins : {}).flatMap(([plugin, table]) => {
    const registry = isMap(table) ? table['registry'] : undefined;
    if ((plugin !== server && plugin !== images) || !isMap(registry) || !registry['config_path']) return [];
    const { mirrors, configs } = registry;
    const path = ['plugins', plugin, 'registry'];
    const message = 'is refused by containerd beside the folder of mirrors that it is given';
    const trusting = Object.entries(isMap(configs) ? configs : {}).filter(([, one]) => isMap(one) && isMap(one['tls']));
    return [
      ...(isMap(mirrors) && Object.keys(mirrors).length > 0 ? [{ path: [...path, 'mirrors'], message }] : []),
      ...trusting.map(([host]) => ({ path: [...path, 'configs', host, 'tls'], message })),
    ];
  });
}
