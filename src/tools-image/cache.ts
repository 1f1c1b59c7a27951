/**
 * What is kept on disk about one metadata address, so that a restarted process neither asks again too early nor forgets
 * the last good document: the document as received, when it came, and when the next attempt is due after failures.
 * A file that cannot be read, is damaged or belongs to another address is as good as none.
 */
import type { infer as Infer } from 'zod/mini';
import { createDigest } from '../host/digest.ts';
import type { Files } from '../host/port.ts';
import { readMetadata } from './metadata.ts';
import { metadataRecord } from './schema-cache.ts';
import { join } from '../model/path.ts';
import { bytesOf, textOf } from '../model/bytes.ts';

export type MetadataRecord = Infer<typeof metadataRecord>;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Of an address that nothing is known about yet. */
export function emptyRecord(location: string): MetadataRecord {
  return { version: 1, location, good: null, failures: 0, failedAt: 0, error: '' };
}

/** One file per address; its name says nothing of the address, which may hold credentials. */
export function cacheFile(folder: string, location: string): string {
  return join(folder, `${createDigest().update(location).hex().slice(0, 16)}.json`);
}

/** The record of an address, or an empty one. */
export async function readRecord(files: Files, file: string, location: string): Promise<MetadataRecord> {
  try {
    const content = await files.read(file);
    const record = metadataRecord.parse(JSON.parse(textOf(content) ?? 'null'));
    if (record.location !== location) return emptyRecord(location);
    const { good } = record;
    const isAsItCame = good === null || readMetadata(good.json, file).passedOver.length === (good.passedOver ?? 0);
    return isAsItCame ? record : emptyRecord(location);
  } catch {
    return emptyRecord(location);
  }
}

/** 0600: the address may hold credentials. NK_FILE_WRITE. */
export async function writeRecord(
  files: Files,
  file: string,
  { record, owner }: { record: MetadataRecord; owner: Owner },
): Promise<void> {
  const content = bytesOf(`${JSON.stringify(record)}\n`);
  await files.write([{ type: 'file', path: file, content, mode: 0o600, ...owner }]);
}
