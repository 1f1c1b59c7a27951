/** Every package form there is, in the order in which the first bytes are asked. */
import { deb } from './deb.ts';
import { file } from './file.ts';
import type { Format, FormatName } from './format.ts';
import { rpm } from './rpm.ts';
import { tarball } from './tarball.ts';

export const formats: Readonly<Record<FormatName, Format>> = { deb, rpm, tarball, file };

export function detectFormat(head: Buffer): Format {
  return Object.values(formats).find((format) => format.matches(head)) ?? file;
}
