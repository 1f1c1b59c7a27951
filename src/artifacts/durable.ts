/** Small pieces of durable writing that extraction and downloads share. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

export async function writeFully(handle: FileHandle, chunk: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, at + done);
    done += bytesWritten;
  }
}

/** Makes a rename in the folder survive power loss. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
