/**
 * A sealed image verifies; then each checked property is broken in turn, on a real root with a real containerd store, and
 * exactly that check fails. After all of it the image verifies again: what the test put back, and verifying changed nothing.
 */
import assert from 'node:assert/strict';
import {
  chmod,
  copyFile,
  link,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sealImage } from '../../../src/bake/seal.ts';
import { imageLockPath, parseImageLock, type ImageLock } from '../../../src/image/image-lock.ts';
import { storeDatabase } from '../../../src/host/containerd-store.ts';
import { traces } from '../../../src/image/trace-table.ts';
import type { Check } from '../../../src/inspect/verify/check.ts';
import { verify } from '../../../src/inspect/verify/verify.ts';
import { diffTrees, snapshotTree } from '../../lab/tree.ts';
import { bakedCopy, type BakedCopy } from './baked-copy.ts';

const kubelet = '/opt/bin/kubelet-1.34.3';
/** Its file states no version. */
const printing = '/opt/bin/kubectl-1.32.3';
const dpkgStatus = '/var/lib/dpkg/status';
const web = 'lab.nodekiln.dev/web:1';
const units = '/etc/systemd/system';

let copy: BakedCopy;
const at = (path: string): string => join(copy.root, path);

describe('verify', { concurrency: 1 }, () => {
  before(async () => {
    copy = await bakedCopy();
    await sealImage({ root: copy.root });
  });
  after(() => copy.remove());

  test('a sealed image passes every check, and is not changed by them', async () => {
    const tree = (): ReturnType<typeof snapshotTree> =>
      snapshotTree(copy.root, ['/etc', '/opt', '/usr/bin', '/run'], { exclude: [] });
    const before = await tree();
    const report = await verify({ root: copy.root });
    assert.deepEqual(
      report.checks.filter(({ status }) => status !== 'passed'),
      [],
    );
    assert.ok(report.checks.length > 60, `only ${report.checks.length} checks`);
    assert.deepEqual(diffTrees(before, await tree()), []);
    assert.deepEqual((await verify({ root: copy.root, trustSeals: true })).summary, report.summary);
  });

  for (const { name, breaks, fails, details = [] } of cases()) {
    test(name, async () => {
      const repair = await breaks();
      try {
        const failed = await failures();
        assert.deepEqual(failed.map(nameOf), fails);
        const reasons = failed.map(({ detail }) => detail ?? '').join('\n');
        for (const detail of details) assert.ok(reasons.includes(detail), `${detail} is not named in: ${reasons}`);
      } finally {
        await repair();
      }
    });
  }

  test('everything is in order again', async () => {
    assert.deepEqual(await failing(), []);
  });

  test('what is broken under a seal that holds is found when seals are not trusted', async () => {
    const path = at('/opt/bin/kubectl-1.32.3');
    const { atime, mtime } = await stat(path);
    const bytes = await readFile(path);
    const changed = Buffer.from(bytes);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await writeFile(path, changed);
    await utimes(path, atime, mtime);
    assert.deepEqual(await failing(), ['binaries /opt/bin/kubectl-1.32.3 digest']);
    await writeFile(path, bytes);
  });
});

async function failures(): Promise<Check[]> {
  const { checks } = await verify({ root: copy.root });
  return checks.filter(({ status }) => status === 'failed');
}

async function failing(): Promise<string[]> {
  return (await failures()).map(nameOf);
}

function nameOf({ area, subject, property }: Check): string {
  return `${area} ${subject} ${property}`;
}

type Repair = () => Promise<void>;

interface Case {
  readonly name: string;
  readonly breaks: () => Promise<Repair>;
  readonly fails: readonly string[];
  /** What the reasons must name. */
  readonly details?: readonly string[];
}

function cases(): Case[] {
  return [...binaryCases(), ...packageCases(), ...imageCases(), ...unitCases(), ...fileCases(), ...identityCases()];
}

// ── binaries ─────────────────────────────────────────────────────────────────────────────────────────────────────

function binaryCases(): Case[] {
  const check = (property: string): string[] => [`binaries ${kubelet} ${property}`];
  return [
    { name: 'a binary is missing', breaks: () => aside(kubelet), fails: check('present') },
    {
      name: 'a binary is a link to another',
      breaks: () => replaced(kubelet, (path) => symlink('kubelet-1.34.4', path)),
      fails: check('regular'),
    },
    {
      name: 'a binary is empty',
      breaks: () => replaced(kubelet, (path) => writeFile(path, '', { mode: 0o755 })),
      fails: check('not empty'),
    },
    { name: 'a binary is not executable', breaks: () => withMode(kubelet, 0o644), fails: check('executable') },
    { name: 'a binary can be changed by others', breaks: () => withMode(kubelet, 0o757), fails: check('executable') },
    {
      name: 'one byte of a binary is another',
      breaks: () =>
        replaced(kubelet, async (path) => {
          const bytes = await readFile(`${path}.aside`);
          bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
          await writeFile(path, bytes, { mode: 0o755 });
        }),
      fails: check('digest'),
    },
    {
      name: 'a binary states 1.34.3 where 1.34.30 is locked',
      breaks: () =>
        withLock((lock) => ({
          ...lock,
          binaries: lock.binaries.map((binary) =>
            binary.path === kubelet && binary.states
              ? { ...binary, states: { ...binary.states, version: `${binary.states.version}0` } }
              : binary,
          ),
        })),
      fails: check('version'),
    },
    {
      name: 'a binary prints 1.32.3 where 1.32.30 is locked',
      breaks: () =>
        withLock((lock) => ({
          ...lock,
          binaries: lock.binaries.map((binary) =>
            binary.path === printing && binary.prints
              ? { ...binary, prints: { ...binary.prints, line: `${binary.prints.line}0` } }
              : binary,
          ),
        })),
      fails: [`binaries ${printing} version`],
    },
    {
      name: 'a binary is half of what was locked',
      breaks: () =>
        replaced(kubelet, async (path) => {
          const bytes = await readFile(`${path}.aside`);
          await writeFile(path, bytes.subarray(0, bytes.length >> 1), { mode: 0o755 });
        }),
      fails: [...check('program'), ...check('digest')],
    },
  ];
}

// ── packages ─────────────────────────────────────────────────────────────────────────────────────────────────────

function packageCases(): Case[] {
  const stranger = 'Package: stranger\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\n';
  const paragraph = (status: string, name: string): string => {
    const found = status.split('\n\n').find((text) => text.startsWith(`Package: ${name}\n`));
    assert.ok(found, `${name} is not installed`);
    return found;
  };
  return [
    {
      name: 'a package of the bake is gone',
      breaks: () => withText(dpkgStatus, (text) => text.replace(`${paragraph(text, 'runc')}\n\n`, '')),
      fails: ['packages runc:amd64 installed as locked'],
    },
    {
      name: 'a package of the bake is half installed',
      breaks: () =>
        withText(dpkgStatus, (text) => {
          const runc = paragraph(text, 'runc');
          return text.replace(runc, runc.replace('install ok installed', 'install ok half-configured'));
        }),
      fails: ['packages runc:amd64 installed as locked'],
    },
    {
      name: 'a package of the root has another version',
      breaks: () =>
        withText(dpkgStatus, (text) => {
          const libc = paragraph(text, 'libc6');
          return text.replace(libc, libc.replace(/^Version: (.*)$/m, 'Version: $1+evil'));
        }),
      fails: ['packages of the root itself as before the bake'],
    },
    {
      name: 'a package came along by accident',
      breaks: () => withText(dpkgStatus, (text) => `${text.trimEnd()}\n\n${stranger}\n`),
      fails: ['packages others none'],
    },
  ];
}

// ── container images ─────────────────────────────────────────────────────────────────────────────────────────────

function imageCases(): Case[] {
  const withImage = (change: (image: ImageLock['images'][number]) => ImageLock['images'][number][]): Promise<Repair> =>
    withLock((lock) => ({
      ...lock,
      images: lock.images.flatMap((image) => (image.reference === web ? change(image) : [image])),
    }));
  const complete = [`images ${web} complete`];
  return [
    {
      name: 'an image is another than was locked',
      breaks: () => withImage((image) => [{ ...image, digest: `sha256:${'0'.repeat(64)}` }]),
      fails: [`images ${web} present`],
    },
    {
      name: 'an image is not in the store',
      breaks: () => withImage((image) => [image, { ...image, reference: 'lab.nodekiln.dev/gone:1' }]),
      fails: ['images lab.nodekiln.dev/gone:1 present'],
    },
    {
      name: 'an image is not pinned as locked',
      breaks: () => withImage((image) => [{ ...image, pinned: false }]),
      fails: [`images ${web} pinned`],
    },
    { name: 'an image that nobody locked is there', breaks: () => withImage(() => []), fails: ['images others none'] },
    { name: 'a layer is missing', breaks: async () => aside(await layerOf(web)), fails: complete },
    {
      name: 'a layer is cut short',
      breaks: async () => {
        const layer = await layerOf(web);
        return replaced(layer, async (path) => {
          await copyFile(`${path}.aside`, path);
          await truncate(path, (await stat(path)).size - 1);
        });
      },
      fails: complete,
    },
    {
      name: 'one byte of a layer is another',
      breaks: async () =>
        replaced(await layerOf(web), async (path) => {
          const bytes = await readFile(`${path}.aside`);
          bytes[0] = (bytes[0] ?? 0) ^ 1;
          await writeFile(path, bytes);
        }),
      fails: complete,
    },
    {
      name: 'the store is damaged',
      breaks: () => replaced(storeDatabase, (path) => writeFile(path, Buffer.alloc(65_536, 7))),
      fails: ['images lab.nodekiln.dev/pause:1 present', `images ${web} present`],
    },
  ];
}

async function layerOf(reference: string): Promise<string> {
  const lock = await readLock();
  const digest = lock.images.find((image) => image.reference === reference)?.digest ?? '';
  const document = async (of: string): Promise<Document> =>
    JSON.parse(await readFile(at(blob(of)), 'utf8')) as Document;
  let manifest = await document(digest);
  if (manifest.manifests) manifest = await document(manifest.manifests[0]?.digest ?? '');
  const shared = new Set<string>();
  for (const other of lock.images) if (other.reference !== reference) shared.add(other.digest);
  const layer = manifest.layers?.at(-1)?.digest;
  assert.ok(layer !== undefined && !shared.has(layer));
  return blob(layer);
}

interface Document {
  readonly manifests?: readonly { digest: string }[];
  readonly layers?: readonly { digest: string }[];
}

function blob(digest: string): string {
  return `/var/lib/containerd/io.containerd.content.v1.content/blobs/${digest.replace(':', '/')}`;
}

// ── units, files, cache ──────────────────────────────────────────────────────────────────────────────────────────

function unitCases(): Case[] {
  const unit = '/usr/lib/systemd/system/containerd.service';
  return [
    {
      name: 'containerd starts by itself',
      breaks: () => added(`${units}/multi-user.target.wants/containerd.service`, (path) => symlink(unit, path)),
      fails: ['units containerd.service disabled'],
    },
    {
      name: 'the boot does not start by itself',
      breaks: () => aside(`${units}/multi-user.target.wants/nodekiln-boot.service`),
      fails: ['units nodekiln-boot.service enabled'],
    },
    {
      name: 'another unit starts by itself',
      breaks: () =>
        added(`${units}/multi-user.target.wants/stranger.service`, (path) => symlink('../stranger.service', path)),
      fails: ['units others none enabled'],
    },
    {
      name: 'another unit is masked',
      breaks: () => added(`${units}/systemd-logind.service`, (path) => symlink('/dev/null', path)),
      fails: ['units others none masked'],
    },
  ];
}

function fileCases(): Case[] {
  const defaults = '/etc/nodekiln/image.json';
  return [
    {
      name: 'a file of the manifest has another content',
      breaks: () => withText(defaults, (text) => `${text} `),
      fails: [`files ${defaults} content`],
    },
    {
      name: 'a file of the manifest is missing',
      breaks: () => aside(defaults),
      fails: [`files ${defaults} content`],
    },
    {
      name: 'a file of the manifest has another mode',
      breaks: () => withMode(defaults, 0o600),
      fails: [`files ${defaults} attributes`],
    },
    {
      name: 'a stale version is left in the cache',
      breaks: () => added('/opt/bin/kubelet-1.33.0', (path) => writeFile(path, 'stale')),
      fails: ['cache /opt/bin nothing unexpected'],
    },
    {
      name: 'a temporary file is left in the cache',
      breaks: () => added('/opt/nodekiln/cache/.nodekiln-tmp-1', (path) => writeFile(path, '')),
      fails: ['cache /opt/nodekiln nothing unexpected'],
    },
    {
      name: 'the index of the cache says something else',
      breaks: () =>
        withText('/opt/nodekiln/cache/index.json', (text) =>
          text.replace(/"digest": "sha256:[0-9a-f]{64}"/, `"digest": "sha256:${'0'.repeat(64)}"`),
        ),
      fails: ['cache /opt/nodekiln/cache/index.json as locked'],
    },
    {
      name: 'the index of the cache is damaged',
      breaks: () => withText('/opt/nodekiln/cache/index.json', (text) => text.slice(0, 100)),
      fails: ['cache /opt/nodekiln/cache/index.json readable'],
    },
  ];
}

// ── identity ─────────────────────────────────────────────────────────────────────────────────────────────────────

function identityCases(): Case[] {
  const machineId = ['identity /etc/machine-id empty'];
  return [
    {
      name: 'the machine has an id',
      breaks: () => withText('/etc/machine-id', () => `${'a'.repeat(32)}\n`),
      fails: machineId,
    },
    {
      name: 'the next start would be taken for the first',
      breaks: () => withText('/etc/machine-id', () => 'uninitialized\n'),
      fails: machineId,
    },
    { name: 'there is no machine-id', breaks: () => aside('/etc/machine-id', true), fails: machineId },
    ...traces
      .filter((trace) => trace.class === 'identity')
      .map((trace): Case => {
        const paths = trace.patterns.map((pattern) =>
          pattern.replace(/^~/, '/root').replace(/\*\*$/, 'x').replaceAll('*', 'x'),
        );
        return {
          name: `${trace.title} are left`,
          breaks: () => addedEach(paths),
          // Each of the places is named.
          fails: [`identity ${trace.title} absent`],
          details: paths,
        };
      }),
  ];
}

// ── breaking and repairing ───────────────────────────────────────────────────────────────────────────────────────

/** Moves it away; beside its place, unless anything there would be found as well. */
async function aside(path: string, far = false): Promise<Repair> {
  const real = at(path);
  const kept =
    far || path.startsWith('/opt/') || path.startsWith(units) ? join(dirname(copy.root), 'aside') : `${real}.aside`;
  await rename(real, kept);
  return () => rename(kept, real);
}

/** Moves it away and puts something else there; the original is `PATH.aside` while that is made. */
async function replaced(path: string, make: (path: string) => Promise<void>): Promise<Repair> {
  const real = at(path);
  const kept = join(dirname(copy.root), 'aside');
  await rename(real, kept);
  await link(kept, `${real}.aside`);
  await make(real);
  await rm(`${real}.aside`);
  return () => rename(kept, real);
}

async function added(path: string, make: (path: string) => Promise<void>): Promise<Repair> {
  const real = at(path);
  const first = await mkdir(dirname(real), { recursive: true });
  await make(real);
  return () => rm(first ?? real, { recursive: true });
}

async function addedEach(paths: readonly string[]): Promise<Repair> {
  const repairs: Repair[] = [];
  for (const path of paths) repairs.push(await added(path, (real) => writeFile(real, 'x')));
  return async () => {
    for (const repair of repairs.toReversed()) await repair();
  };
}

async function withMode(path: string, mode: number): Promise<Repair> {
  const before = (await stat(at(path))).mode & 0o7777;
  await chmod(at(path), mode);
  return () => chmod(at(path), before);
}

async function withText(path: string, change: (text: string) => string): Promise<Repair> {
  const before = await readFile(at(path), 'utf8');
  const after = change(before);
  assert.notEqual(after, before);
  await writeFile(at(path), after);
  return () => writeFile(at(path), before);
}

async function readLock(): Promise<ImageLock> {
  return parseImageLock(await readFile(at(imageLockPath), 'utf8'), imageLockPath);
}

function withLock(change: (lock: ImageLock) => ImageLock): Promise<Repair> {
  return withText(imageLockPath, (text) => JSON.stringify(change(parseImageLock(text, imageLockPath))));
}
