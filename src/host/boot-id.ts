/** Which start of the machine this is, as the kernel says it: another text after each one. */
import { textOf } from '../model/bytes.ts';
import type { Files } from './port.ts';

const bootIdPath = '/proc/sys/kernel/random/boot_id';

/** '' where nothing says it. */
export async function readBootId(files: Pick<Files, 'read'>): Promise<string> {
  return textOf(await files.read(bootIdPath).catch(() => undefined))?.trim() ?? '';
}
