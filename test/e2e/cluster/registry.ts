/** A private registry in a lab's network, for its hosts: nothing on them trusts it but what they are told. */
import { readFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { networkAddress, type Lab } from '../../lab/lab.ts';
import { run } from '../../lab/run.ts';
import { issueCertificate, makeAuthority } from '../../servers/certificates.ts';
import { ociManifest, type Pushed, type TestRegistry } from '../../servers/registry.ts';

export interface LabRegistry {
  /** `10.77.0.254:5000` */
  readonly host: string;
  /** Path of its authority's certificate on the machine. */
  readonly authority: string;
}

/** Serves what the registry on loopback holds, also what it will; ends with the lab. */
export async function serveInLab(lab: Lab, { storage }: Pick<TestRegistry, 'storage'>): Promise<LabRegistry> {
  const folder = await mkdtemp(join(lab.disk, '_registry-'));
  const authority = await makeAuthority(folder, 'ca');
  const tls = await issueCertificate(folder, 'server', authority, {
    subject: `/CN=${networkAddress}`,
    names: [`IP:${networkAddress}`],
  });
  const host = `${networkAddress}:5000`;
  const config = join(folder, 'registry.json');
  await writeFile(
    config,
    JSON.stringify({ version: 0.1, storage: { filesystem: { rootdirectory: storage } }, http: { addr: host, tls } }),
  );
  lab.spawnInNetwork(['docker-registry', 'serve', config], { stdio: 'ignore' });
  return { host, authority: authority.certificate };
}

/** What an archive in the OCI layout holds: its one image. */
export async function imageIn(archive: string, lab: Lab): Promise<Omit<Pushed, 'repository'>> {
  const folder = await mkdtemp(join(lab.disk, '_image-'));
  try {
    await run(['tar', '--extract', '--file', archive, '--directory', folder]);
    const blob = (digest: string): Promise<Buffer> =>
      readFile(join(folder, 'blobs/sha256', digest.slice('sha256:'.length)));
    // The lab wrote it.
    const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as { manifests: [{ digest: string }] };
    const manifest = JSON.parse((await blob(index.manifests[0].digest)).toString()) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    const digests = [manifest.config, ...manifest.layers].map(({ digest }) => digest);
    return { mediaType: ociManifest, blobs: await Promise.all(digests.map(blob)), manifest };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
