/**
 * The two kinds of host that the boot benchmark compares. Both are overlays of the very same baked root and have the
 * very same node configuration, so that they share the page cache of whatever they do not write.
 *
 * - `nodekiln`: the baked root; `nodekiln-boot.service` makes the node at its first start.
 * - `floor`: the same root with byte copies of every file that such a boot left behind, each as it is there (hard links
 *   to the cache stay hard links), with the units enabled and `nodekiln-boot.service` not. systemd alone starts it.
 *
 * No state of a running node is carried over: containerd's store is the baked one, kubelet's folder is empty, and
 * neither knows a pod. Both kinds make the pod for the first time.
 */
import { cp, link, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bakedRoot, demoFolder } from '../../test/demo/baked.ts';
import { untilBooted } from '../../test/demo/nodes.ts';
import { cacheFolder } from '../../test/lab/cache.ts';
import type { Lab, LabHost } from '../../test/lab/lab.ts';
import { run } from '../../test/lab/run.ts';
import { diffTrees } from '../../test/lab/tree.ts';

export type Kind = 'nodekiln' | 'floor';

export interface BootHosts {
  /** A fresh host that has never been started, with everything written back to disk. */
  create(kind: Kind): Promise<LabHost>;
  /** Removes what was made; the lab's hosts are the lab's. */
  close(): Promise<void>;
}

const seeds = ['/opt', '/var/lib/containerd'];
const documentPath = 'etc/nodekiln/conf.d/10-node.yaml';
const bootUnitLink = 'etc/systemd/system/multi-user.target.wants/nodekiln-boot.service';

/** What systemd and the lab write into /etc at any first start: every host has its own. */
const identities: readonly string[] = [
  '/etc/.pwd.lock',
  '/etc/.updated',
  '/etc/hostname',
  '/etc/hosts',
  '/etc/ld.so.cache',
  '/etc/machine-id',
  '/etc/resolv.conf',
];

/** Folders that containerd (its `opt` plugin) and the lab make while a host runs. */
const madeWhileRunning: readonly string[] = ['/opt/containerd', '/usr/local/lib/systemd'];

/** What is other than in the demo. */
export interface BootHostOptions {
  /** A NodeConfig. */
  readonly document?: string;
  /** The hosts are on the lab’s network. */
  readonly network?: boolean;
  /** What a boot takes away again and the floor starts with: contents by path, root’s alone. */
  readonly consumed?: Readonly<Record<string, string>>;
}

export async function prepareBootHosts(
  lab: Lab,
  say: (line: string) => void,
  options: BootHostOptions = {},
): Promise<BootHosts> {
  const root = await bakedRoot(say);
  const { network = false, consumed = {} } = options;
  const document = options.document ?? (await readFile(join(demoFolder, 'node.yaml'), 'utf8'));
  await mkdir(join(cacheFolder(), 'bench'), { recursive: true });
  const work = await mkdtemp(join(cacheFolder(), 'bench', 'boot-'));
  const brought = join(work, 'brought');
  let number = 0;

  const create = async (kind: Kind): Promise<LabHost> => {
    number += 1;
    const host = await lab.host({
      name: `${kind}-${number}`,
      root,
      network,
      seeds,
      prepare: async (merged) => {
        await mkdir(dirname(join(merged, documentPath)), { recursive: true });
        await writeFile(join(merged, documentPath), document, { mode: 0o600 });
        if (kind !== 'floor') return;
        await placeBrought(brought, merged);
        for (const [path, content] of Object.entries(consumed))
          await writeFile(join(merged, path), content, { mode: 0o600 });
      },
    });
    return host;
  };

  try {
    say('booting one host for the files of the floor');
    const model = await create('nodekiln');
    await model.start();
    await untilBooted(model);
    await model.poweroff();
    await takeBrought({ model, root, brought });
    const floor = await create('floor');
    await assertSameFiles(model, floor, Object.keys(consumed));
    for (const host of [model, floor]) await host.remove();
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
  return { create, close: () => rm(work, { recursive: true, force: true }) };
}

// ── the floor's files ────────────────────────────────────────────────────────────────────────────────────────────

/** A file of the finished boot: copied, or a hard link to what the baked root has under another name. */
interface LinkRecord {
  readonly path: string;
  readonly existing: string;
}

const linksFile = 'links.json';

async function takeBrought(about: { model: LabHost; root: string; brought: string }): Promise<void> {
  const { model, root, brought } = about;
  await mkdir(join(brought, 'etc'), { recursive: true });
  await run(['cp', '--archive', '--no-target-directory', join(model.disk, 'upper/etc'), join(brought, 'etc')]);
  for (const path of [...identities, `/${documentPath}`]) await rm(join(brought, path), { force: true });
  const links: LinkRecord[] = [];
  const opt = join(model.disk, 'seeds/opt');
  const names = await filesBelow(opt);
  const baked = new Map<number, string>();
  for (const name of names) {
    if (await exists(join(root, 'opt', name))) baked.set((await lstat(join(opt, name))).ino, name);
  }
  for (const name of names) {
    if (await exists(join(root, 'opt', name))) continue;
    const existing = baked.get((await lstat(join(opt, name))).ino);
    if (existing === undefined) {
      await mkdir(dirname(join(brought, 'opt', name)), { recursive: true });
      await cp(join(opt, name), join(brought, 'opt', name), { preserveTimestamps: true });
    } else {
      links.push({ path: `opt/${name}`, existing: `opt/${existing}` });
    }
  }
  await writeFile(join(brought, linksFile), JSON.stringify(links));
}

async function placeBrought(brought: string, merged: string): Promise<void> {
  for (const folder of ['etc', 'opt']) {
    if (!(await exists(join(brought, folder)))) continue;
    await run(['cp', '--archive', '--no-target-directory', join(brought, folder), join(merged, folder)]);
  }
  const links = JSON.parse(await readFile(join(brought, linksFile), 'utf8')) as LinkRecord[];
  for (const { path, existing } of links) await link(join(merged, existing), join(merged, path));
  await rm(join(merged, bootUnitLink));
}

async function assertSameFiles(model: LabHost, floor: LabHost, consumed: readonly string[]): Promise<void> {
  const [finished, copied] = [await listing(model), await listing(floor)];
  const expected = [`/${bootUnitLink}`, ...consumed];
  const differences = diffTrees(finished, copied).filter(
    (line) => !expected.some((path) => line.includes(`"${path}"`)),
  );
  if (differences.length > 0)
    throw new Error(`the floor is no copy of a finished boot:\n${differences.slice(0, 20).join('\n')}`);
}

function listing(host: LabHost): ReturnType<LabHost['tree']> {
  return host.tree(['/etc', '/opt', '/usr/local'], { exclude: [...identities, ...madeWhileRunning] });
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
