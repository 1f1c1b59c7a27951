/**
 * Entries of the file system as planning sees them: what a resource wants at a path, and how that compares with what is
 * there. Pure; shared by files, unit files and drop-ins.
 */
import { sha256 } from '../../host/digest.ts';
import { bytesOf, fromBase64 } from '../../model/bytes.ts';
import type { FileContent, FileResource, SensitiveText } from '../../model/resources.ts';
import { isSensitive, reveal } from '../../model/resources.ts';
import type { Content, EntryObservation, Facet, WriteEntry } from '../../model/steps.ts';
import type { Difference } from '../planner.ts';

export function contentOf(content: FileContent): Content {
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

/** What a file resource wants at its path. Modes are octal text in documents, bits from here on. */
export function wantedEntry(resource: FileResource): WriteEntry {
  const { entry } = resource;
  switch (entry.type) {
    case 'file': {
      const content = contentOf(entry.content);
      return {
        type: 'file',
        digest: digestOf(content),
        mode: parseMode(entry.mode),
        uid: entry.uid,
        gid: entry.gid,
        content,
      };
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

/** How the entry at a path differs from the wanted one; undefined when it does not. Contents are named by digest only. */
export function compareEntry(wanted: WriteEntry, observed: EntryObservation): Difference | undefined {
  if (observed.type === 'absent') return { facets: ['presence'], details: ['is missing'] };
  if (observed.type !== wanted.type)
    return { facets: ['content'], details: [`is a ${observed.type}, wanted a ${wanted.type}`] };
  if (wanted.type === 'symlink') {
    if (observed.type === 'symlink' && observed.target === wanted.target) return undefined;
    return { facets: ['content'], details: [`points elsewhere, wanted ${wanted.target}`] };
  }
  const facets: Facet[] = [];
  const details: string[] = [];
  if (wanted.type === 'file' && observed.type === 'file' && wanted.digest !== observed.digest) {
    facets.push('content');
    details.push('has other content');
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
