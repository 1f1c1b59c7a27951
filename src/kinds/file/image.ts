/**
 * Effects of files that come out of container images: fetched from a registry by layers, no container runtime is asked and
 * nothing is left in its store. What was placed is remembered by a seal, so that it is neither read nor fetched again while
 * it stays as it is.
 *
 * Errors: those of artifacts/sources/oci, NK_NO_SPACE, NK_ARTIFACT_DIGEST, NK_FILE_WRITE.
 */
import { extractMember } from '../../artifacts/extract.ts';
import { progressText } from '../../artifacts/sources/progress.ts';
import { requireSpace } from '../../artifacts/space.ts';
import { NodekilnError } from '../../errors.ts';
import type { Files } from '../../host/port.ts';
import { dirname } from '../../model/path.ts';
import type { FileSeal } from '../../model/records.ts';
import type { FileResource } from '../../model/resources.ts';
import type { FileObservation } from '../../model/steps.ts';
import type { Notes, ObserveContext, PerformContext } from '../performer.ts';
import { keepOriginal, observeEntry } from './apply.ts';
import { copyFile } from './copy.ts';
import { compareEntry, placedFrom, wantedEntry, type PlacedEntry } from './entry.ts';

/** Whether its bytes come out of an image. */
export function isOfImage({ entry }: FileResource): boolean {
  return entry.type === 'file' && 'image' in entry.content;
}

/** The entry at the path, with what we placed there; read only when its seal does not hold. */
export async function observePlaced(
  { host, notes }: Pick<ObserveContext, 'host' | 'notes'>,
  path: string,
): Promise<FileObservation> {
  const seal = notes?.seal(path);
  const placed = seal?.from === undefined ? {} : { placed: { digest: seal.digest, from: seal.from } };
  const stat = await host.files.stat(path);
  if (stat?.type === 'file' && seal && holds(seal, stat)) {
    const { mode, uid, gid } = stat;
    return { kind: 'file', entry: { type: 'file', digest: seal.digest, mode, uid, gid }, ...placed };
  }
  return { kind: 'file', entry: await observeEntry(host.files, path), ...placed };
}

function holds(seal: FileSeal, stat: Parameters<typeof sealed>[0]): boolean {
  const now = sealed(stat);
  return seal.size === now.size && seal.mtimeNs === now.mtimeNs && seal.inode === now.inode;
}

function sealed({ size, mtimeNs, inode }: NonNullable<Awaited<ReturnType<Files['stat']>>>): Omit<FileSeal, 'digest'> {
  return { size, mtimeNs: String(mtimeNs), inode: String(inode) };
}

/** Puts the file at its path; what is there already with the right content only gets its attributes. Errors above. */
export async function performPlace(
  context: PerformContext,
  resource: FileResource,
  action: { readonly path: string; readonly keepOriginal: boolean },
): Promise<void> {
  const { host, signal } = context;
  const { path } = action;
  const wanted = wantedEntry(resource);
  if (wanted.type !== 'placed') throw new NodekilnError('NK_INTERNAL', `${resource.id} is of no image`);
  if (action.keepOriginal) await keepOriginal(host.files, path);
  const { mode, uid, gid } = wanted;
  const { entry, placed } = await observePlaced(context, path);
  const differs = compareEntry(wanted, entry, placed)?.facets.some((facet) => facet !== 'attributes') ?? false;
  if (!differs && entry.type === 'file') {
    await copyFile(host.files, { from: path, to: path, mode, uid, gid }, signal);
    return seal(context, wanted, { path, digest: entry.digest });
  }
  const digest = await fetchInto(context, resource, { path, wanted });
  return seal(context, wanted, { path, digest });
}

async function fetchInto(
  context: PerformContext,
  resource: FileResource,
  { path, wanted }: { path: string; wanted: PlacedEntry },
): Promise<string> {
  const { host, signal, downloads } = context;
  const { transfer, ...image } = wanted.image;
  const fetched = await downloads.fetch(
    { type: 'image-file', ...image },
    { transfer, signal, onProgress: (progress) => context.progress(progressText(progress), progress) },
  );
  await requireSpace(host.files, dirname(path), { bytes: fetched.size, what: resource.id });
  const { digest, size } = await context.unpacking(() =>
    extractMember(host, {
      source: fetched.path,
      what: fetched.location,
      format: 'file',
      files: host.files,
      to: path,
      mode: wanted.mode,
      owner: { uid: wanted.uid, gid: wanted.gid },
      digest: fetched.digest,
      packageDigest: false,
      ...(signal && { signal }),
    }),
  );
  context.notes.setArtifact(resource.id, { location: fetched.location, digest, size });
  context.detail(`placed from ${fetched.location}`);
  return digest;
}

/** What another agent placed from this image counts as placed by us, as it is now. */
export async function sealInPlace(
  about: { readonly host: PerformContext['host']; readonly notes: Pick<Notes, 'setSeal'> },
  resource: FileResource,
): Promise<void> {
  const wanted = wantedEntry(resource);
  const entry = wanted.type === 'placed' ? await observeEntry(about.host.files, resource.path) : undefined;
  if (wanted.type === 'placed' && entry?.type === 'file')
    await seal(about, wanted, { path: resource.path, digest: entry.digest });
}

async function seal(
  { host, notes }: { readonly host: PerformContext['host']; readonly notes: Pick<Notes, 'setSeal'> },
  { image }: PlacedEntry,
  { path, digest }: { path: string; digest: string },
): Promise<void> {
  const stat = await host.files.stat(path);
  if (stat) notes.setSeal(path, { ...sealed(stat), digest, from: placedFrom(image) });
}
