/**
 * What is measured of whole images: verifying a sealed one, and baking from servers on loopback, against what the machine
 * needs for the reading and the transfers alone. The root is the demo's (verify), or one that holds nothing but what our
 * own runtime needs (bake).
 */
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bakedCopy } from '../../test/e2e/image/baked-copy.ts';
import { kubelet } from '../../test/lab/binaries.ts';
import { artifacts } from '../../test/lab/packages.ts';
import { aptRepository, makeKey } from '../../test/servers/packages.ts';
import { artifact, digestOf, startRegistry } from '../../test/servers/registry.ts';
import { startWeb } from '../../test/servers/web.ts';
import { nodeBinary, nodeFlag } from '../../tools/build.ts';
import { imageLockPath, parseImageLock } from '../../src/image/image-lock.ts';
import { timed } from './programs.ts';

export interface ImageCase {
  readonly what: string;
  readonly contestants: readonly { readonly name: string; readonly run: () => Promise<number> }[];
  readonly remark: string;
  readonly close: () => Promise<void>;
}

export interface ImageOptions {
  readonly bundle: string;
  /** Emptied by nobody else. */
  readonly folder: string;
}

/** A sealed image, verified with everything read, verified by its seals, and its files hashed by the usual program. */
export async function verifyCase({ bundle }: ImageOptions): Promise<ImageCase> {
  const copy = await bakedCopy();
  const program = [nodeBinary, nodeFlag, bundle];
  await timed([...program, 'seal', '--root', copy.root]);
  const lock = parseImageLock(await readFile(join(copy.root, imageLockPath), 'utf8'), imageLockPath);
  const files = [...lock.binaries, ...lock.files].map(({ path }) => join(copy.root, path));
  const bytes = lock.binaries.reduce((sum, { size }) => sum + size, 0);
  const verify = [...program, 'verify', '--root', copy.root];
  return {
    what: `verify a sealed image with ${(bytes / 1e6).toFixed(0)} MB of binaries`,
    contestants: [
      { name: 'nodekiln', run: () => timed(verify) },
      { name: 'nodekiln --trust-seals', run: () => timed([...verify, '--trust-seals']) },
      { name: 'sha256sum of its files', run: () => timed(['sha256sum', ...files]) },
    ],
    remark: `${lock.binaries.length} binaries, ${lock.packages.before.length + lock.packages.installed.length} packages, ${lock.images.length} container images; containerd is started for them`,
    close: () => copy.remove(),
  };
}

/** A program from a registry and two packages from an apt repository, baked, against fetching and hashing them. */
export async function bakeCase({ bundle, folder }: ImageOptions): Promise<ImageCase> {
  const about = await artifacts();
  const debs = [about.kubelet.deb, about.kubectl.trixie].map(({ file }) => join(about.dir, file));
  const key = await makeKey(join(folder, 'gnupg'), 'bench');
  const repository = join(folder, 'apt');
  await aptRepository(repository, { debs, key });
  const web = await startWeb({ files: repository });
  const registry = await startRegistry();
  const content = await readFile(await kubelet('v1.34.4'));
  await registry.push({ repository: 'team/kubelet', tag: 'v1.34.4', ...artifact({ kubelet: content }) });
  const apt = `{ type: apt, url: "${web.url}", suite: stable, signedBy: ${key.keyring} }`;
  const manifest = join(folder, 'image.yaml');
  await writeFile(
    manifest,
    `apiVersion: nodekiln.dev/v1alpha1
kind: ImageManifest
spec:
  components:
    - name: kubelet
      action: cache
      builds:
        - { version: 1.34.3, source: ${apt} }
        - { version: 1.34.4, source: { type: file, reference: "${registry.host}/team/kubelet:v1.34.4", plainHttp: true } }
    - name: kubectl
      action: cache
      builds:
        - { version: ${about.kubectl.trixie.version}, source: ${apt} }
`,
  );
  const root = join(folder, 'root');
  const out = join(folder, 'out');
  const pool = execFileSync('find', [repository, '-name', '*.deb'], { encoding: 'utf8' }).trim().split('\n');
  const urls = [
    ...pool.map((path) => `${web.url}${path.slice(repository.length)}`),
    `http://${registry.host}/v2/team/kubelet/blobs/${digestOf(content)}`,
  ];
  const fetchAll = (lanes: number): readonly string[] => [
    'sh',
    '-euc',
    `printf '%s\\n' "$@" | xargs -P ${lanes} -I URL sh -c 'curl -sf "$1" | tee "$0/$(printf %s "$1" | md5sum | cut -c1-8)" | sha256sum >/dev/null' "$0" URL; sync "$0"/*`,
    out,
    ...urls,
  ];
  const fetching = (lanes: number) => async (): Promise<number> => {
    await rm(out, { recursive: true, force: true });
    await mkdir(out);
    return timed(fetchAll(lanes));
  };
  return {
    what: 'bake from a registry and an apt repository on loopback',
    contestants: [
      {
        name: 'nodekiln',
        run: async () => {
          await freshRoot(root);
          return timed([nodeBinary, nodeFlag, bundle, 'bake', manifest, '--root', root, '--lock', `${root}.json`]);
        },
      },
      { name: 'its transfers, one after the other', run: fetching(1) },
      { name: 'its transfers, at once', run: fetching(4) },
    ],
    remark:
      'transfers with digest and sync; the bake also unpacks, seals, runs each program once, and puts its own runtime (120 MB) into the root',
    close: async () => {
      await web.close();
      await registry.close();
    },
  };
}

async function freshRoot(root: string): Promise<void> {
  await rm(root, { recursive: true, force: true });
  await rm(`${root}.json`, { force: true });
  await mkdir(join(root, 'etc'), { recursive: true });
  for (const folder of ['proc', 'dev']) await mkdir(join(root, folder));
  await writeFile(join(root, 'etc/os-release'), 'ID=debian\nVERSION_ID="13"\n');
  const libraries = execFileSync('ldd', [nodeBinary], { encoding: 'utf8' }).match(/\/\S+(?= \(0x)/g) ?? [];
  for (const library of libraries) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(library, join(root, library));
  }
}
