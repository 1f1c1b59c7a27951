/**
 * nodekiln and the Node that runs it as one OCI artifact, in a folder with an OCI layout: what `nodekiln agent bootstrap`
 * installs on machines that no image was baked for. The same input makes the same digest.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { version } from '../src/model/program.ts';

export interface ProgramArtifact {
  readonly folder: string;
  /** `sha256:…` of the manifest: what a reference names. */
  readonly digest: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

/** Written anew below `into`. `parts`: paths by their names in the artifact. */
export async function writeProgramArtifact(
  into: string,
  parts: Readonly<Record<'node' | 'nodekiln', string>>,
): Promise<ProgramArtifact> {
  const folder = join(into, `nodekiln-${version}-${process.arch === 'arm64' ? 'arm64' : 'amd64'}.oci`);
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
