/** Copies on one host, of whatever size. */
import type { Attributes, Files } from '../../host/port.ts';
import { basename, dirname } from '../../model/path.ts';

const chunkBytes = 4 * 1024 * 1024;

/** Durable and whole, or not at all. False when there is no regular file to copy. NK_FILE_WRITE. */
export async function copyFile(
  files: Files,
  { from, to, ...attributes }: Attributes & { readonly from: string; readonly to: string },
  signal?: AbortSignal,
): Promise<boolean> {
  const file = await files.open(from);
  if (!file) return false;
  try {
    const copy = await files.stage(dirname(to));
    try {
      for (let position = 0; position < file.stat.size; position += chunkBytes) {
        signal?.throwIfAborted();
        await copy.append(await file.read(position, chunkBytes));
      }
      await copy.publish(basename(to), attributes);
      return true;
    } finally {
      await copy.discard();
    }
  } finally {
    await file.close();
  }
}
