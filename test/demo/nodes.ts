/** Hosts of a baked root that become nodes by themselves: a document on their disk, then their first boot. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootResult } from '../../src/telemetry/result.ts';
import type { HostOptions, Lab, LabHost } from '../lab/lab.ts';
import type { Progress } from '../lab/prerequisites.ts';
import type { Suite } from '../lab/root.ts';
import { bakedRoot } from './baked.ts';

export interface NodeOptions extends Pick<HostOptions, 'name' | 'network'> {
  /** What nodekiln-boot.service finds: a NodeConfig. */
  readonly document: string;
  /** Default: trixie. */
  readonly suite?: Suite;
  readonly progress?: Progress;
  /** Files of this machine that the host has besides, by their path there. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A host that has the document and was not started yet. */
export async function bakedNode(lab: Lab, options: NodeOptions): Promise<LabHost> {
  const { name, network = false, document, suite, progress, files = {} } = options;
  return lab.host({
    name,
    network,
    root: await bakedRoot(progress, suite),
    seeds: ['/opt', '/var/lib/containerd'],
    prepare: async (merged) => {
      const folder = join(merged, 'etc/nodekiln/conf.d');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, '10-node.yaml'), document, { mode: 0o600 });
      for (const [path, source] of Object.entries(files)) {
        await mkdir(join(merged, dirname(path)), { recursive: true });
        await copyFile(source, join(merged, path));
      }
    },
  });
}

const bootDeadlineMs = 120_000;

/** The result that nodekiln publishes at the end of a boot; throws when that was not a full one. */
export async function untilBooted(host: LabHost): Promise<BootResult> {
  const result = await untilBootEnded(host);
  if (result.outcome === 'converged') return result;
  throw new Error(
    `host ${host.name}: the boot ${result.outcome}: ${JSON.stringify(result.error ?? result.join?.obstacle)}`,
  );
}

/** The same, whatever came of it. */
export async function untilBootEnded(host: LabHost): Promise<BootResult> {
  for (let waited = 0; waited < bootDeadlineMs; waited += 50) {
    const text = await host.readFile('/var/lib/nodekiln/boot/result.json').catch(() => undefined);
    // Our own program wrote it.
    if (text !== undefined) return JSON.parse(text) as BootResult;
    await sleep(50);
  }
  const why =
    'systemctl list-jobs; systemctl status nodekiln-boot; journalctl -b -n 60 --no-pager -u nodekiln-boot -u kubelet';
  const seen = await host.exec(['sh', '-c', why]).catch((thrown: unknown) => ({ stdout: String(thrown) }));
  throw new Error(`host ${host.name}: no result of the boot after ${bootDeadlineMs} ms\n${seen.stdout}`);
}
