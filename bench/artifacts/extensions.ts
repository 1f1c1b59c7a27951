/**
 * A system extension of 60 MB on a lab host: fetched from a registry, checked, merged and its program reachable, by a whole
 * `nodekiln boot` whose document names the next version, against the plain commands on the same host: `oras pull`, `ln`,
 * `systemd-sysext refresh`. Each round has a version that the host has not seen.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bakedRoot } from '../../test/demo/baked.ts';
import { makeImage } from '../../test/e2e/extensions/images.ts';
import { architecture, kubelet } from '../../test/lab/binaries.ts';
import { networkAddress, openLab, type LabHost } from '../../test/lab/lab.ts';
import { waitHttp } from '../../test/lab/probe.ts';
import { artifact, startRegistry } from '../../test/servers/registry.ts';
import type { ImageCase, ImageOptions } from './images.ts';

const port = 5000;
const program = '/opt/nodekiln/bin/nodekiln';
const systemdArchitecture = architecture === 'arm64' ? 'arm64' : 'x86-64';
const documentPath = '/etc/nodekiln/conf.d/20-extension.yaml';

interface Options extends ImageOptions {
  readonly oras: string | undefined;
  /** How many versions will be asked for. */
  readonly rounds: number;
}

export async function extensionCase({ folder, oras, rounds }: Options): Promise<ImageCase> {
  const registry = await startRegistry();
  const binary = await kubelet('v1.34.3');
  for (const name of ['ours', 'plain']) {
    const image = join(folder, `${name}.raw`);
    await makeImage(image, { name, programs: { [name]: { from: binary } } });
    const { mediaType, manifest, blobs } = artifact({ [`${name}.raw`]: await readFile(image) });
    for (let round = 0; round <= rounds; round++) {
      const tag = `v1.0.${round}-1-bench-${systemdArchitecture}`;
      await registry.push({
        repository: `extensions/${name}`,
        tag,
        mediaType,
        manifest,
        ...(round === 0 && blobs && { blobs }),
      });
    }
  }
  const lab = await openLab();
  const settings = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: registry.storage } },
    http: { addr: `${networkAddress}:${port}` },
  };
  await writeFile(join(folder, 'lab-registry.json'), JSON.stringify(settings));
  lab.spawnInNetwork(['docker-registry', 'serve', join(folder, 'lab-registry.json')], { stdio: 'ignore' });
  const host = await bootedHost(lab, oras);

  const rounded = { ours: 0, plain: 0 };
  const time = async (argv: readonly string[]): Promise<number> => {
    const started = performance.now();
    await host.check(argv, { timeoutMs: 120_000 });
    return performance.now() - started;
  };
  const ourWay = async (): Promise<number> => {
    await host.writeFile(documentPath, document(rounded.ours++));
    return time(['sh', '-c', `${program} boot --quiet && /opt/bin/ours --version`]);
  };
  const plainWay = (): Promise<number> => {
    const reference = `${networkAddress}:${port}/extensions/plain:v1.0.${rounded.plain++}-1-bench-${systemdArchitecture}`;
    const commands = [
      'rm -rf /opt/plain',
      `/opt/oras pull --plain-http --no-tty -o /opt/plain ${reference}`,
      'mkdir -p /etc/extensions',
      'ln -sfn /opt/plain/plain.raw /etc/extensions/plain.raw',
      'systemd-sysext refresh',
      '/usr/bin/plain --version',
    ];
    return time(['sh', '-c', commands.join(' && ')]);
  };
  return {
    what: 'an extension of 60 MB, fetched and merged',
    contestants: [
      { name: 'nodekiln', run: ourWay },
      ...(oras === undefined ? [] : [{ name: 'oras, ln, systemd-sysext', run: plainWay }]),
    ],
    remark:
      'ours is a whole boot: start, documents, plan, checks of the image, journal, durable writes; neither restarts kubelet',
    close: async () => {
      await lab.close();
      await registry.close();
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
    },
  };
}

async function bootedHost(lab: Awaited<ReturnType<typeof openLab>>, oras: string | undefined): Promise<LabHost> {
  const host = await lab.host({
    name: 'extension-bench',
    root: await bakedRoot(),
    network: true,
    seeds: ['/opt', '/var/lib/containerd'],
    prepare: async (disk) => {
      const node = await readFile(join(import.meta.dirname, '../../examples/demo/node.yaml'));
      await mkdir(join(disk, 'etc/nodekiln/conf.d'), { recursive: true });
      await writeFile(join(disk, 'etc/nodekiln/conf.d/10-node.yaml'), node, { mode: 0o600 });
      if (oras !== undefined) await copyFile(oras, join(disk, 'opt/oras'));
    },
  });
  await host.start();
  await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
  await host.waitRunning(60_000).catch(() => undefined);
  return host;
}

function document(round: number): string {
  return `apiVersion: nodekiln.dev/v1alpha1
kind: NodeConfig
spec:
  extensions:
    - { name: ours, version: 1.0.${round}, registry: "${networkAddress}:${port}/extensions/ours", plainHttp: true }
`;
}
