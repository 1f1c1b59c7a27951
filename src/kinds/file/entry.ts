/**
 * Entries of the file system as planning sees them: what a resource wants at a path, and how that compares with what is
 * there. Pure; shared by files, unit files and drop-ins.
 */
import { sha256 } from '../../host/digest.ts';
import { bytesOf, fromBase64 } from '../../model/bytes.ts';
import type { FileResource, ImageFile, InlineContent, SensitiveText } from '../../model/resources.ts';
import { isSensitive, reveal } from '../../model/resources.ts';
import type { Content, EntryObservation, Facet, FileObservation, WriteEntry } from '../../model/steps.ts';
import type { Difference } from '../planner.ts';

function contentOf(content: InlineContent): Content {
  if ('text' in content) return { encoding: 'utf8', data: reveal(content.text), sensitive: isSensitive(content.text) };
  return { encoding: 'base64', data: reveal(content.base64), sensitive: isSensitive(content.base64) };
}

export function contentBytes(content: Content): Uint8Array {
  return content.encoding === 'utf8' ? bytesOf(content.data) : fromBase64(content.data);
}

function digestOf(content: Content): string {
  return sha256(content.encoding === 'utf8' ? content.data : contentBytes(content));
}

/** A text file of root's, as unit files and drop-ins are. */
export function textEntry(text: string | SensitiveText): WriteEntry {
  const content = contentOf({ text });
  return {
    type: 'file',
    digest: digestOf(content),
    mode: content.sensitive ? 0o600 : 0o644,
    uid: 0,
    gid: 0,
    content,
  };
}

/** A file out of an image: what it must be is known by which file it is, and by its digest only where one is asked for. */
export interface PlacedEntry {
  readonly type: 'placed';
  readonly image: ImageFile;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Which file of which image: equal words, equal bytes, as long as nobody moves the tag. */
export function placedFrom({ reference, member, architecture = '' }: ImageFile): string {
  return [reference, member, architecture].join(' ').trim();
}

/** What a file resource wants at its path. Modes are octal text in documents, bits from here on. */
export function wantedEntry(resource: FileResource): WriteEntry | PlacedEntry {
  const { entry } = resource;
  switch (entry.type) {
    case 'file': {
      const attributes = { mode: parseMode(entry.mode), uid: entry.uid, gid: entry.gid };
      if ('image' in entry.content) return { type: 'placed', image: entry.content.image, ...attributes };
      const content = contentOf(entry.content);
      return { type: 'file', digest: digestOf(content), ...attributes, content };
    }
    case 'directory':
      return { type: 'directory', mode: parseMode(entry.mode), uid: entry.uid, gid: entry.gid };
    case 'symlink':
      return { type: 'symlink', target: entry.target };
  }
}

export function parseMode(text: string): number {
  return Number.parseInt(text, 8);
}

export function formatMode(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/**
 * How the entry at a path differs from the wanted one; undefined when it does not. Contents are named by digest only.
 * `placed`: what we last took out of an image for this path.
 */
export function compareEntry(
  wanted: WriteEntry | PlacedEntry,
  observed: EntryObservation,
  placed?: FileObservation['placed'],
): Difference | undefined {
  if (observed.type === 'absent') return { facets: ['presence'], details: ['is missing'] };
  const type = wanted.type === 'placed' ? 'file' : wanted.type;
  if (observed.type !== type) return { facets: ['content'], details: [`is a ${observed.type}, wanted a ${type}`] };
  if (wanted.type === 'symlink') {
    if (observed.type === 'symlink' && observed.target === wanted.target) return undefined;
    return { facets: ['content'], details: [`points elsewhere, wanted ${wanted.target}`] };
  }
  const facets: Facet[] = [];
  const details: string[] = [];
  const other = observed.type === 'file' ? contentDifference(wanted, observed.digest, placed) : undefined;
  if (other !== undefined) {
    facets.push('content');
    details.push(other);
  }
  if (observed.type === 'file' || observed.type === 'directory') {
    if (observed.mode !== wanted.mode)
      details.push(`mode ${formatMode(observed.mode)}, wanted ${formatMode(wanted.mode)}`);
    if (observed.uid !== wanted.uid || observed.gid !== wanted.gid) {
      details.push(`owner ${observed.uid}:${observed.gid}, wanted ${wanted.uid}:${wanted.gid}`);
    }
    if (details.length > facets.length) facets.push('attributes');
  }
  return facets.length === 0 ? undefined : { facets, details };
}

/** In what a file's content is another than the wanted one. */
function contentDifference(
  wanted: WriteEntry | PlacedEntry,
  digest: string,
  placed: FileObservation['placed'],
): string | undefined {
  if (wanted.type === 'file') return wanted.digest === digest ? undefined : 'has other content';
  if (wanted.type !== 'placed') return undefined;
  const { image } = wanted;
  if (image.digest !== undefined) return image.digest === digest ? undefined : 'has other content';
  if (placed?.from !== placedFrom(image)) return `is not known to be ${image.member} of ${image.reference}`;
  return placed.digest === digest ? undefined : 'was changed since it was placed';
}
