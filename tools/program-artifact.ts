/**
 * nodekiln and the Node that runs it as `nodekiln agent bootstrap` installs them on machines that no image was baked for: one OCI
 * artifact in a folder with an OCI layout, and one tar archive. The same input makes the same digests.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { version } from '../src/model/program.ts';

/** What was written. */
export interface ProgramArtifact {
  /** With an OCI layout. */
  readonly folder: string;
  /** `sha256:…` of the manifest: what a reference names. */
  readonly digest: string;
}

export interface ProgramArchive {
  readonly file: string;
  /** `sha256:…` of the file. */
  readonly digest: string;
}

type Parts = Readonly<Record<'node' | 'nodekiln', string>>;

const nameOf = `nodekiln-${version}-${process.arch === 'arm64' ? 'arm64' : 'amd64'}`;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

/** Written anew below `into`. `parts`: paths by their names in the artifact. */
export async function writeProgramArtifact(into: string, parts: Parts): Promise<ProgramArtifact> {
  const folder = join(into, `${nameOf}.oci`);
  const blobs = join(folder, 'blobs', 'sha256');
  await rm(folder, { recursive: true, force: true });
  await mkdir(blobs, { recursive: true });
  const put = async (content: Uint8Array, mediaType: string): Promise<Descriptor> => {
    const hex = createHash('sha256').update(content).digest('hex');
    await writeFile(join(blobs, hex), content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const config = await put(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json');
  const layers: Descriptor[] = [];
  for (const name of ['node', 'nodekiln'] as const)
    layers.push({
      ...(await put(await readFile(parts[name]), 'application/octet-stream')),
      annotations: { 'org.opencontainers.image.title': name },
    });
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    artifactType: 'application/vnd.nodekiln.program.v1',
    config,
    layers,
    annotations: { 'org.opencontainers.image.version': version },
  };
  const descriptor = await put(Buffer.from(JSON.stringify(manifest)), manifestType);
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [{ ...descriptor, annotations: { 'org.opencontainers.image.ref.name': version } }],
  };
  await writeFile(join(folder, 'index.json'), JSON.stringify(index));
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return { folder, digest: descriptor.digest };
}

/** The two files as one tar archive, written anew into `into`. */
export async function writeProgramArchive(into: string, parts: Parts): Promise<ProgramArchive> {
  const file = join(into, `${nameOf}.tar`);
  const blocks: Uint8Array[] = [];
  for (const name of ['node', 'nodekiln'] as const) {
    const content = await readFile(parts[name]);
    blocks.push(tarHeader(name, content.length), content, new Uint8Array(-content.length & 511));
  }
  // The end of an archive.
  const content = Buffer.concat([...blocks, new Uint8Array(1024)]);
  await mkdir(into, { recursive: true });
  await writeFile(file, content);
  return { file, digest: `sha256:${createHash('sha256').update(content).digest('hex')}` };
}

/** Of an executable file of root's that is as old as time (POSIX.1, ustar). */
function tarHeader(name: string, size: number): Uint8Array {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  header.write(name, 0);
  header.write(octal(0o755, 7), 100);
  for (const at of [108, 116]) header.write(octal(0, 7), at);
  header.write(octal(size, 11), 124);
  header.write(octal(0, 11), 136);
  // The checksum counts itself as blanks.
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  header.write(
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
    148,
  );
  return header;
}
