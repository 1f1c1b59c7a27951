/**
 * The last way to an extension: one of our own, a folder, made of the programs of an archive. It is merged, switched and
 * rolled back like any other, so nothing else has to know. Whole or not there: made under a temporary name and renamed.
 *
 * NK_ARTIFACT_MEMBER when the archive lacks a program; those of the source and of extract.ts.
 */
import { systemdArch } from '../../model/arch.ts';
import { extractMember } from '../../artifacts/extract.ts';
import { usualMembers } from '../../artifacts/cache/fill.ts';
import type { SourceSpec } from '../../artifacts/sources/source.ts';
import { reveal, type ExtensionResource, type ExtensionSource } from '../../model/resources.ts';
import type { PerformContext } from '../performer.ts';
import type { FetchOptions } from '../downloads.ts';
import { imagesFolder } from './records.ts';
import { bytesOf } from '../../model/bytes.ts';
import { rootFile } from '../../model/files.ts';
import { join } from '../../model/path.ts';
import { inTemporaryFolder } from '../../host/temporary-folder.ts';

const owner = { uid: 0, gid: 0 };

type Tarball = Extract<ExtensionSource, { type: 'tarball' }>;

/** The folder, as seen on the host. */
export async function extensionFromTarball(
  context: PerformContext,
  resource: ExtensionResource,
  { source, options }: { source: Tarball; options: FetchOptions },
): Promise<string> {
  const { name, version = '0', architecture, tools } = resource;
  const fetched = await context.downloads.fetch(specOf(source, architecture), options);
  const label = `${name}-v${version.replace(/^v/, '')}-tarball-${systemdArch(architecture)}`;
  const target = join(imagesFolder, label);
  const { files } = context.host;
  // Its programs are checked against nothing but this host, where they were fetched for it.
  const about = `ID=_any\nARCHITECTURE=${systemdArch(architecture)}\n`;
  await inTemporaryFolder(files, imagesFolder, async (making) => {
    await files.write([
      { type: 'directory', path: making, mode: 0o755, ...owner },
      rootFile(join(making, `usr/lib/extension-release.d/extension-release.${name}`), bytesOf(about), 0o644),
    ]);
    for (const tool of tools) {
      await extractMember(context.host, {
        source: fetched.path,
        what: fetched.location,
        member: source.members[tool] ?? usualMembers(tool),
        files,
        to: join(making, 'usr/bin', tool),
        owner,
        packageDigest: false,
        ...(options.signal && { signal: options.signal }),
      });
    }
    await files.removeTree(target);
    await files.move(making, target);
  });
  context.detail(`made of ${fetched.location}`);
  return target;
}

function specOf({ from, digest }: Tarball, architecture: string): SourceSpec {
  const expected = digest === undefined ? {} : { digest };
  if (from.type === 'url') return { type: 'http', url: reveal(from.url), ...expected };
  return { type: 'oci', reference: from.reference, architecture, ...expected };
}
