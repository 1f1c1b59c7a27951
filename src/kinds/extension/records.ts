/** The folder of extensions' images, and beside them what we made of each: a record in force and one of a fetched candidate. */
import type { Files } from '../../host/port.ts';
import type { ExtensionRecord } from '../../model/steps.ts';
import { bytesOf, textOf } from '../../model/bytes.ts';
import { extensionRecord } from './schema.ts';

export const imagesFolder = '/var/lib/nodekiln/extensions';

type Which = 'record' | 'candidate';

function recordPath(name: string, which: Which): string {
  return `${imagesFolder}/${name}.${which}.json`;
}

/** Undefined when there is none, or none that can be read: then it is made anew. */
export async function readRecord(files: Files, name: string, which: Which): Promise<ExtensionRecord | undefined> {
  const content = await files.read(recordPath(name, which));
  if (!content) return undefined;
  try {
    const { version, path, digest, ...rest } = extensionRecord.parse(JSON.parse(textOf(content)));
    return {
      ...rest,
      ...(version !== undefined && { version }),
      ...(path !== undefined && { path }),
      ...(digest !== undefined && { digest }),
    };
  } catch {
    return undefined;
  }
}

/** For root alone, durable when it returns. */
export async function writeRecords(files: Files, which: Which, records: readonly ExtensionRecord[]): Promise<void> {
  await files.write([
    { type: 'directory', path: imagesFolder, mode: 0o755, uid: 0, gid: 0 },
    ...records.map((content) => ({
      type: 'file' as const,
      path: recordPath(content.name, which),
      content: bytesOf(`${JSON.stringify(content)}\n`),
      mode: 0o600,
      uid: 0,
      gid: 0,
    })),
  ]);
}

/** Those that are missing are passed over. */
export async function removeRecords(files: Files, which: Which, names: readonly string[]): Promise<void> {
  await files.remove(names.map((name) => recordPath(name, which)));
}
