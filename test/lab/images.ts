/**
 * Tiny container images as OCI archives that `ctr image import` takes: one layer with a static busybox and its names,
 * written here byte for byte, so that the digests are the same on every machine with the same busybox.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import type { Pack } from 'tar-stream';
import { architecture } from './binaries.ts';

export interface ImageRecipe {
  /** The full name with tag that the image gets on import, e.g. `lab.nodekiln.dev/pause:1`. */
  readonly name: string;
  readonly entrypoint: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}

const epoch = new Date(0);
const applets = ['cat', 'echo', 'hostname', 'httpd', 'ls', 'ps', 'sh', 'sleep', 'wget'];

function digest(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

async function bytes(archive: Pack): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

async function layer(busybox: Uint8Array, files: Readonly<Record<string, string>>): Promise<Buffer> {
  const archive = pack();
  for (const folder of ['bin/', 'tmp/', 'www/']) {
    archive.entry({ name: folder, type: 'directory', mode: folder === 'tmp/' ? 0o1777 : 0o755, mtime: epoch });
  }
  archive.entry({ name: 'bin/busybox', mode: 0o755, mtime: epoch }, Buffer.from(busybox));
  for (const name of applets) {
    archive.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox', mtime: epoch });
  }
  for (const [name, content] of Object.entries(files)) {
    archive.entry({ name, mode: 0o644, mtime: epoch }, content);
  }
  archive.finalize();
  return bytes(archive);
}

/** Writes the archive of one image to `path`; returns its manifest's digest (`sha256:…`). */
export async function writeImage(path: string, busyboxPath: string, recipe: ImageRecipe): Promise<string> {
  const tar = await layer(await readFile(busyboxPath), recipe.files ?? {});
  const zipped = gzipSync(tar, { level: 6 });
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      created: epoch.toISOString(),
      config: { Entrypoint: recipe.entrypoint, Env: ['PATH=/bin'], WorkingDir: '/' },
      rootfs: { type: 'layers', diff_ids: [`sha256:${digest(tar)}`] },
      history: [{ created: epoch.toISOString(), created_by: 'nodekiln lab' }],
    }),
  );
  const oci = 'application/vnd.oci.image';
  const describe = (mediaType: string, content: Uint8Array): { mediaType: string; digest: string; size: number } => ({
    mediaType,
    digest: `sha256:${digest(content)}`,
    size: content.byteLength,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${oci}.manifest.v1+json`,
      config: describe(`${oci}.config.v1+json`, config),
      layers: [describe(`${oci}.layer.v1.tar+gzip`, zipped)],
    }),
  );
  const described = describe(`${oci}.manifest.v1+json`, manifest);
  const index = {
    schemaVersion: 2,
    mediaType: `${oci}.index.v1+json`,
    manifests: [
      {
        ...described,
        annotations: {
          'io.containerd.image.name': recipe.name,
          'org.opencontainers.image.ref.name': recipe.name.split(':').pop() ?? 'latest',
        },
        platform: { architecture, os: 'linux' },
      },
    ],
  };
  const archive = pack();
  const put = (name: string, content: string | Buffer): void => {
    archive.entry({ name, mode: 0o644, mtime: epoch }, content);
  };
  put('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  put('index.json', JSON.stringify(index));
  for (const blob of [manifest, config, zipped]) put(`blobs/sha256/${digest(blob)}`, blob);
  archive.finalize();
  await pipeline(archive, createWriteStream(path));
  return described.digest;
}
