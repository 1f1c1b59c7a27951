/**
 * The last way to an extension: one of our own, a folder, made of the programs of an archive. It is merged, switched and
 * rolled back like any other, so nothing else has to know. Whole or not there: made under a temporary name and renamed.
 *
 * NK_ARTIFACT_MEMBER when the archive lacks a program; those of the source and of extract.ts.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { systemdArch } from '../../model/arch.ts';
import { extractMember } from '../../artifacts/extract.ts';
import { usualMembers } from '../../artifacts/cache/fill.ts';
import type { SourceSpec } from '../../artifacts/sources/source.ts';
import { reveal, type ExtensionResource, type ExtensionSource } from '../../model/resources.ts';
import type { PerformContext } from '../performer.ts';
import type { FetchOptions } from '../downloads.ts';
import { imagesFolder } from './records.ts';
import { dirname, join } from '../../model/path.ts';

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
  const real = (await context.host.files.realPath?.(target)) ?? target;
  const making = `${real}.new`;
  await rm(making, { recursive: true, force: true });
  try {
    const release = join(making, `usr/lib/extension-release.d/extension-release.${name}`);
    await mkdir(dirname(release), { recursive: true });
    // Its programs are checked against nothing but this host, where they were fetched for it.
    await writeFile(release, `ID=_any\nARCHITECTURE=${systemdArch(architecture)}\n`);
    for (const tool of tools) {
      await extractMember({
        source: fetched.path,
        what: fetched.location,
        member: source.members[tool] ?? usualMembers(tool),
        to: join(making, 'usr/bin', tool),
        packageDigest: false,
        ...(options.signal && { signal: options.signal }),
      });
    }
    await rm(real, { recursive: true, force: true });
    await rename(making, real);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  context.detail(`made of ${fetched.location}`);
  return target;
}

function specOf({ from, digest }: Tarball, architecture: string): SourceSpec {
  const expected = digest === undefined ? {} : { digest };
  if (from.type === 'url') return { type: 'http', url: reveal(from.url), ...expected };
  return { type: 'oci', reference: from.reference, architecture, ...expected };
}
