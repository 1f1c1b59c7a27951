/**
 * A streaming reader of RPM's payload: cpio's "new ASCII" form (070701, 070702) and RPM's own stripped one for files
 * above 4 GiB (07070X), whose entries only name a file's index in the header. Source: cpio(5), rpm's lib/cpio.c.
 */
import type { EntryType } from './format.ts';
import type { Account } from './limits.ts';
import type { ByteReader } from './reader.ts';
import { unreadable } from './unreadable.ts';

/** An entry as the payload states it; the caller gives it its meaning. */
export type CpioEntry =
  | {
      readonly form: 'newc';
      readonly name: string;
      readonly type: EntryType;
      readonly mode: number;
      readonly size: number;
      readonly links: number;
    }
  | { readonly form: 'stripped'; readonly index: number };

/** `size` says how many bytes of content an entry has, once its form is known. */
export interface CpioVisitor {
  size(entry: CpioEntry): number;
  entry(entry: CpioEntry, content: AsyncIterable<Buffer>): Promise<void>;
}

const fileTypes: Readonly<Record<number, EntryType>> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'symlink',
  0o020000: 'device',
  0o060000: 'device',
};

export async function walkCpio(reader: ByteReader, visitor: CpioVisitor, account: Account): Promise<void> {
  for (;;) {
    const entry = await readHeader(reader, account);
    if (entry.form === 'newc' && entry.name === 'TRAILER!!!') break;
    account.countMember();
    const size = visitor.size(entry);
    const end = reader.position + size;
    await visitor.entry(entry, reader.stream(size));
    await reader.skip(end - reader.position + padding(end));
  }
  for await (const chunk of reader.rest()) {
    if (chunk.some((byte) => byte !== 0)) throw unreadable(reader.what, 'has data after the end of its payload');
  }
}

async function readHeader(reader: ByteReader, account: Account): Promise<CpioEntry> {
  const magic = (await reader.take(6)).toString('latin1');
  if (magic === '07070X') {
    const index = hex(await reader.take(8), 0, reader.what);
    await reader.skip(padding(reader.position));
    return { form: 'stripped', index };
  }
  if (magic !== '070701' && magic !== '070702')
    throw unreadable(reader.what, 'has a damaged payload: an entry does not begin with the cpio magic');
  const header = await reader.take(104);
  const field = (at: number): number => hex(header, at * 8, reader.what);
  const [mode, links, size, nameSize] = [field(1), field(4), field(6), field(11)];
  account.checkHeader(nameSize, 'a name');
  if (nameSize === 0) throw unreadable(reader.what, 'has a payload entry without a name');
  const name = (await reader.take(nameSize)).toString('utf8', 0, nameSize - 1);
  await reader.skip(padding(reader.position));
  return { form: 'newc', name, type: fileTypes[mode & 0o170000] ?? 'other', mode: mode & 0o7777, size, links };
}

function hex(bytes: Buffer, at: number, what: string): number {
  const text = bytes.toString('latin1', at, at + 8);
  if (!/^[0-9A-Fa-f]{8}$/.test(text)) throw unreadable(what, 'has a damaged payload: a number is no hexadecimal one');
  return Number.parseInt(text, 16);
}

function padding(position: number): number {
  return (4 - (position % 4)) % 4;
}
