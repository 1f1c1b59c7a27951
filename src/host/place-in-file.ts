/** Which bytes of a file an answer brings (RFC 9110, 14.4 and 15.3.7). Pure. */
import type { HttpDownload, HttpHeaders, StagedFile } from './port.ts';

/** Its bytes, from `start` to before `end`, and how many the file has. */
export interface PlaceInFile {
  readonly start: number;
  /** Of a part. */
  readonly end?: number | undefined;
  /** Unknown of a whole file when it is not said. */
  readonly total: number | undefined;
}

/** 203: the whole, from a proxy that may have changed it (RFC 9110, 15.3.4). */
export function isWhole(status: number): boolean {
  return status === 200 || status === 203;
}

const range = /^bytes (\d{1,15})-(\d{1,15})\/(?:(\d{1,15})|\*)$/;

/**
 * Undefined for what does not go on where the file ends now: any part when the whole was asked for, several parts, another
 * part than the next one, a part that contradicts itself.
 */
export function placeInFile(
  { status, headers }: { readonly status: number; readonly headers: HttpHeaders },
  { into, size, headers: asked }: Pick<HttpDownload, 'size' | 'headers'> & { readonly into: Pick<StagedFile, 'size'> },
): PlaceInFile | undefined {
  const length = lengthIn(headers);
  if (isWhole(status)) return { start: 0, total: length };
  if (status !== 206 || asked?.['range'] === undefined) return undefined;
  const [, first, last, whole] = range.exec(headers['content-range']?.trim() ?? '') ?? [];
  if (first === undefined || last === undefined) return undefined;
  const start = Number(first);
  const end = Number(last) + 1;
  const total = whole === undefined ? size : Number(whole);
  // Of how many, nobody knows: no end could be told from a cut.
  if (total === undefined) return undefined;
  if (start !== into.size || end <= start || end > total || (length ?? end - start) !== end - start) return undefined;
  return { start, end, total };
}

function lengthIn(headers: HttpHeaders): number | undefined {
  const stated = headers['content-length'];
  return stated !== undefined && /^\d{1,15}$/.test(stated) ? Number(stated) : undefined;
}
