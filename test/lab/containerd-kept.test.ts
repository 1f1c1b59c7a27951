/**
 * What somebody configured containerd with before us, and what is made of it: the one and the other as real containerds read
 * them (`config dump`, imports merged in), of every line that is in use. Whatever is not the same is told.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parse } from 'smol-toml';
import { parseDocument } from '../../src/config/load.ts';
import { formatPath, isMap, valueAt } from '../../src/config/paths.ts';
import { resolveNodeConfig } from '../../src/config/resolve.ts';
import { renderNode } from '../../src/desired/render-node.ts';
import { readContainerd } from '../../src/host/containerd-facts.ts';
import { createLinuxHost } from '../../src/host/linux/host.ts';
import { exampleFacts, type Facts } from '../../src/model/facts.ts';
import { reveal } from '../../src/model/resources.ts';
import { exampleAuthority } from '../support/authority.ts';
import { containerds, type Containerd } from './containerds.ts';
import { inRoot, withFolder } from './in-root.ts';
import { installPrerequisites } from './prerequisites.ts';

const main = '/etc/containerd/config.toml';

const dump = `
  mount -t proc proc "$2/proc"
  mount --bind "$1" "$2/etc/containerd"
  chroot "$2" containerd --config /etc/containerd/config.toml "$3" "$4"`;

type Settings = Record<string, unknown>;

/** Everything that containerd was told, and its defaults. */
async function readBy(containerd: Containerd, folder: string, what: 'dump' | 'default' = 'dump'): Promise<string> {
  const { root, prepare } = await containerd.made(console.error);
  return inRoot(root, join(folder, 'etc/containerd'), `${prepare}${dump}`, 'config', what);
}

const settings = (text: string): Settings => JSON.parse(JSON.stringify(parse(text))) as Settings;

/** Whether its part for kubelet came up, as containerd itself tells. */
const serve = `
  mkdir -p "$2/run/containerd"
  mount -t proc proc "$2/proc"
  mount --rbind /dev "$2/dev"
  mount --rbind /sys "$2/sys"
  mount --bind "$1" "$2/etc/containerd"
  mount -t tmpfs state "$2/var/lib"
  chroot "$2" containerd > "$1/log" 2>&1 &
  for i in $(seq 200); do
    chroot "$2" ctr version > /dev/null 2>&1 && break
    sleep 0.1
  done
  chroot "$2" ctr plugins ls; cat "$1/log" >&2`;

async function put(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, dirname(path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

/** What is rendered for who finds these files, and what is said. */
async function rendered(folder: string, version: string, about: object = {}): Promise<{ text: string; said: string }> {
  const host = createLinuxHost({ root: folder });
  try {
    const { containerdConfiguration } = await readContainerd(host);
    const facts: Facts = {
      ...exampleFacts,
      containerdVersion: version,
      ...(containerdConfiguration && { containerdConfiguration }),
    };
    const spec = { kubernetes: { version: '1.34.3' }, ...about };
    const document = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
    const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text: document }, 'NodeConfig')]);
    const { resources, warnings } = renderNode(config, facts);
    const file = resources.get(`file:${main}`);
    assert.ok(file?.kind === 'file' && file.entry.type === 'file' && 'text' in file.entry.content);
    return { text: reveal(file.entry.content.text), said: warnings.join('\n') };
  } finally {
    await host.close();
  }
}

/** Paths of what is not the same, or not there any more. */
function differing(one: unknown, other: unknown, path: readonly string[] = []): string[] {
  if (isMap(one) && isMap(other))
    return Object.entries(one).flatMap(([key, value]) => differing(value, other[key], [...path, key]));
  // A default that containerd tells only where nothing is said of its table.
  if ((other === undefined && !one) || (!other && one === 'podsandbox')) return [];
  return JSON.stringify(one) === JSON.stringify(other) ? [] : [formatPath([...path])];
}

const cri = 'io.containerd.grpc.v1.cri';
const runtimePart = 'io.containerd.cri.v1.runtime';

/** As `nvidia-ctk runtime configure` writes it. */
const nvidia = (plugin: string): string => `
[plugins.${plugin}.containerd]
  default_runtime_name = "nvidia"
  [plugins.${plugin}.containerd.runtimes.nvidia]
    privileged_without_host_devices = false
    runtime_type = "io.containerd.runc.v2"
    [plugins.${plugin}.containerd.runtimes.nvidia.options]
      BinaryName = "/usr/bin/nvidia-container-runtime"
`;
const importing = (version: number): string => `version = ${version}\nimports = ["/etc/containerd/conf.d/*.toml"]\n`;
const dropIn = '/etc/containerd/conf.d/99-nvidia.toml';
const dotted = JSON.stringify(cri);

interface Found {
  readonly files?: Readonly<Record<string, string>>;
  /** Of containerd; all when absent. */
  readonly lines?: readonly Containerd['line'][];
  /** What comes to be otherwise, by the end of its path, and why. */
  readonly otherwise?: readonly string[];
  /** Runtimes that are there afterwards. */
  readonly runtimes?: readonly string[];
}

const found: Readonly<Record<string, Found>> = {
  'NVIDIA’s runtime': { files: { [main]: `version = 2\n${nvidia(dotted)}` }, runtimes: ['nvidia'] },
  'the same in an import': {
    files: { [main]: importing(2), [dropIn]: `version = 2\n${nvidia(dotted)}` },
    runtimes: ['nvidia'],
  },
  'the same beside other settings of that plugin': {
    files: {
      [main]: `${importing(2)}[plugins.${dotted}]\nenable_unprivileged_ports = true\n`,
      [dropIn]: `version = 2\n${nvidia(dotted)}`,
    },
    runtimes: ['nvidia'],
  },
  'the same in words of version 1': {
    files: { [main]: nvidia('cri') },
    // containerd 2 does not read them any more, and whoever wrote them meant them.
    otherwise: ['containerd.default_runtime_name'],
    runtimes: ['nvidia'],
  },
  'the same in words of version 3': {
    lines: ['2'],
    files: { [main]: `version = 3\n${nvidia(JSON.stringify(runtimePart))}` },
    runtimes: ['nvidia'],
  },
  'the same in an import of version 3': {
    lines: ['2'],
    files: { [main]: importing(3), [dropIn]: `version = 3\n${nvidia(JSON.stringify(runtimePart))}` },
    runtimes: ['nvidia'],
  },
  'the same in an import of version 2 below one of version 3': {
    lines: ['2'],
    files: { [main]: importing(3), [dropIn]: `version = 2\n${nvidia(dotted)}` },
    runtimes: ['nvidia'],
  },
  'what Debian has': {
    files: {
      [main]: `version = 2
[plugins]
  [plugins.${dotted}]
    [plugins.${dotted}.cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
`,
    },
  },
  'what Docker has': {
    files: { [main]: 'disabled_plugins = ["cri"]\n#root = "/var/lib/containerd"\n' },
    otherwise: ['disabled_plugins'],
  },
  'other runtimes, a snapshotter and places': {
    files: {
      [main]: `version = 2
root = "/data/containerd"
oom_score = -999
required_plugins = ["io.containerd.internal.v1.restart"]
imports = ["/etc/containerd/conf.d/*.toml"]
[metrics]
  address = "127.0.0.1:1338"
[debug]
  level = "warn"
[proxy_plugins.stargz]
  type = "snapshot"
  address = "/run/stargz.sock"
[plugins.${dotted}]
  max_concurrent_downloads = 7
  max_container_log_line_size = 262144
  [plugins.${dotted}.containerd]
    snapshotter = "stargz"
    disable_snapshot_annotations = false
    [plugins.${dotted}.containerd.runtimes.runsc]
      runtime_type = "io.containerd.runsc.v1"
      pod_annotations = ["dev.gvisor.*"]
    [plugins.${dotted}.containerd.runtimes.kata]
      runtime_type = "io.containerd.kata.v2"
      privileged_without_host_devices = true
    [plugins.${dotted}.containerd.runtimes.crun]
      runtime_type = "io.containerd.runc.v2"
      [plugins.${dotted}.containerd.runtimes.crun.options]
        BinaryName = "/usr/bin/crun"
`,
      '/etc/containerd/conf.d/10-gc.toml':
        'version = 2\nimports = ["/etc/containerd/more.toml"]\n[plugins."io.containerd.gc.v1.scheduler"]\n  startup_delay = "5s"\n',
      '/etc/containerd/more.toml': 'version = 2\n[timeouts]\n"io.containerd.timeout.bolt.open" = "9s"\n',
      '/etc/containerd/conf.d/readme.txt': 'not read',
    },
    runtimes: ['runsc', 'kata', 'crun'],
  },
};

before(() => installPrerequisites(console.error), { timeout: 300_000 });

describe('what somebody configured containerd with', () => {
  for (const containerd of containerds) {
    const judge = async (folder: string, { otherwise = [], runtimes = [] }: Found): Promise<void> => {
      const { version } = await containerd.made(console.error);
      const was = settings(await readBy(containerd, folder));
      const { text, said } = await rendered(folder, version);
      await writeFile(join(folder, main), text);
      const is = settings(await readBy(containerd, folder));
      const part = containerd.line === '2' ? runtimePart : cri;
      for (const name of runtimes) {
        const at = ['plugins', part, 'containerd', 'runtimes', name];
        assert.ok(valueAt(is, at) !== undefined, name);
      }
      // Ours: kubelet’s driver of cgroups for every runtime of runc, and a folder of registries.
      const ours = /\.options\.SystemdCgroup$|\.registry\.config_path$|^imports$/;
      const changed = differing(was, is).filter((path) => !ours.test(path));
      assert.deepEqual(
        changed.filter((path) => !otherwise.some((end) => path.endsWith(end))),
        [],
        said,
      );
    };

    for (const [name, one] of Object.entries(found))
      if (one.lines?.includes(containerd.line) !== false)
        test(`is what it was for containerd ${containerd.line}: ${name}`, { timeout: 300_000 }, () =>
          withFolder(async (folder) => {
            await put(folder, one.files ?? {});
            await judge(folder, one);
          }),
        );

    test(`is what it was for containerd ${containerd.line}: all its defaults, written by itself`, () =>
      withFolder(async (folder) => {
        await put(folder, { [main]: '' });
        const all = (await readBy(containerd, folder, 'default')).replaceAll(
          'SystemdCgroup = false',
          'SystemdCgroup = true',
        );
        await put(folder, { [main]: all });
        await judge(folder, {});
      }));
  }
});

describe('what is written', () => {
  const cluster = {
    server: 'https://[fd00::1]:6443',
    caBundle: exampleAuthority,
    bootstrapToken: 'abcdef.0123456789abcdef',
  };
  const registry = { host: '[fd00::1]:5000', server: 'http://[fd00::2]:5000', mirrors: [{ url: 'http://[fd00::3]' }] };
  const document = {
    sandboxImage: 'registry.example/pause:3.10',
    restrictOomScoreAdj: true,
    registries: [registry, { host: 'docker.io', mirrors: [{ url: 'https://m.example', caFile: '/etc/m.pem' }] }],
  };
  const asked = (containerd: Containerd): object => {
    const [runtime, images] = containerd.line === '2' ? [runtimePart, 'io.containerd.cri.v1.images'] : [cri, cri];
    // Of another containerd, and one setting of each part of this one.
    const plugins = { [runtime]: { max_container_log_line_size: 77 }, [images]: { max_concurrent_downloads: 7 } };
    const merged = runtime === images ? { [cri]: { ...plugins[cri], max_container_log_line_size: 77 } } : plugins;
    return { version: containerd.line === '2' ? 2 : 3, oom_score: -7, plugins: merged };
  };

  for (const containerd of containerds)
    for (const [what, cni] of Object.entries({
      'without a network': {},
      'with a bridge of both families': { type: 'bridge', subnet: '10.88.0.0/24,fd00:88::/64', binDir: '/usr/lib/cni' },
      'with a bridge of the Node': { type: 'bridge', subnet: 'podCIDR', binDir: '/usr/lib/cni' },
    }))
      test(`has containerd ${containerd.line} serve kubelet, ${what}`, { timeout: 120_000 }, () =>
        withFolder(async (folder) => {
          const { root, version, prepare } = await containerd.made(console.error);
          await put(folder, { [main]: `version = 2\n${nvidia(dotted)}` });
          const spec = { containerd: { ...document, configuration: asked(containerd) }, network: { cni }, cluster };
          const { text } = await rendered(folder, version, spec);
          await writeFile(join(folder, main), text);
          const read = settings(await readBy(containerd, folder));
          const [runtime, images] = containerd.line === '2' ? [runtimePart, 'io.containerd.cri.v1.images'] : [cri, cri];
          const at = (...path: string[]): unknown => valueAt(read, ['plugins', ...path]);
          const folders = [at(runtime, 'cni', 'bin_dir'), at(runtime, 'cni', 'bin_dirs')].flat();
          assert.deepEqual(
            {
              sandbox: at(images, ...(containerd.line === '2' ? ['pinned_images', 'sandbox'] : ['sandbox_image'])),
              restricted: at(runtime, 'restrict_oom_score_adj'),
              registries: at(images, 'registry', 'config_path'),
              oomScore: valueAt(read, ['oom_score']),
              lines: at(runtime, 'max_container_log_line_size'),
              downloads: at(images, 'max_concurrent_downloads'),
              nvidia: at(runtime, 'containerd', 'runtimes', 'nvidia', 'options', 'SystemdCgroup'),
              own: String(at(runtime, 'cni', 'conf_dir')).includes('nodekiln'),
              plugins: 'type' in cni ? folders.filter((one) => one) : ['/usr/lib/cni'],
            },
            {
              sandbox: 'registry.example/pause:3.10',
              restricted: true,
              registries: '/etc/containerd/certs.d',
              oomScore: -7,
              lines: 77,
              downloads: 7,
              nvidia: true,
              own: 'type' in cni,
              plugins: ['/usr/lib/cni'],
            },
          );
          const listed = await inRoot(root, join(folder, 'etc/containerd'), `${prepare}${serve}`);
          const parts = listed.split('\n').filter((line) => /\bcri\b|\.cri\./.test(line));
          assert.ok(parts.length > 0 && parts.every((line) => /\sok\s*$/.test(line)), listed);
        }),
      );
});
