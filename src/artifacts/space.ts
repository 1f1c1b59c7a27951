/** Whether there is room for what is about to come, asked before it is fetched: a file system that is full harms whatever writes to it. */
import { NodekilnError } from '../errors.ts';
import type { Files } from '../host/port.ts';

/** What stays free for others. */
const reserveBytes = 64 * 1024 ** 2;

/** NK_NO_SPACE. */
export async function requireSpace(
  files: Pick<Files, 'space'>,
  folder: string,
  { bytes, what }: { readonly bytes: number; readonly what: string },
): Promise<void> {
  const { availableBytes } = await files.space(folder);
  if (availableBytes >= bytes + reserveBytes) return;
  throw new NodekilnError(
    'NK_NO_SPACE',
    `${what} needs ${inMebibytes(bytes)} at ${folder}, where ${inMebibytes(availableBytes)} are free and ${inMebibytes(reserveBytes)} are to stay so`,
    { resource: what },
  );
}

function inMebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`;
}
