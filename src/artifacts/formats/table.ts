/** Every package form there is, in the order in which the first bytes are asked. */
import { deb } from './deb.ts';
import { file } from './file.ts';
import type { Format, FormatName } from './format.ts';
import { rpm } from './rpm.ts';
import { tarball } from './tarball.ts';

export const formats = { deb, rpm, tarball, file } as const satisfies Readonly<Record<FormatName, Format>>;

/** First bytes by which a form is told. */
export const headBytes = 512;

/** The form of a file by its first bytes; what is none of the others is a plain file. */
export function detectFormat(head: Uint8Array): Format {
  return Object.values(formats).find((format) => format.matches(head)) ?? file;
}
