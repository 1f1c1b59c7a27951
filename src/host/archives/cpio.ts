/**
 * A streaming reader of RPM's payload: cpio's "new ASCII" form (070701, 070702) and RPM's own stripped one for files
 * above 4 GiB (07070X), whose entries only name a file's index in the header. Source: cpio(5), rpm's lib/cpio.c.
 */
import { unreadable } from '../port/archives.ts';
import type { ArchiveEntry, ArchiveForm, EntryType } from '../port/archives.ts';
import type { Account } from './account.ts';
import { entryName } from './entry-name.ts';
import type { ByteReader } from './reader.ts';

type Listed = Extract<ArchiveForm, { type: 'cpio' }>['files'];

const fileTypes: Readonly<Record<number, EntryType>> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'symlink',
  0o020000: 'device',
  0o060000: 'device',
};

/** `listed`: what entries of the stripped form point into. */
export async function walkCpio(
  reader: ByteReader,
  listed: Listed,
  {
    visit,
    account,
  }: { visit: (entry: ArchiveEntry, content: AsyncIterable<Buffer>) => Promise<void>; account: Account },
): Promise<void> {
  for (let entry = await readEntry(reader, listed, account); entry; entry = await readEntry(reader, listed, account)) {
    const end = reader.position + entry.size;
    await visit(entry, reader.stream(entry.size));
    await reader.skip(end - reader.position + padding(end));
  }
  for await (const chunk of reader.rest()) {
    if (chunk.some((byte) => byte !== 0)) throw unreadable(reader.what, 'has data after the end of its payload');
  }
}

/** Undefined at the trailer. */
async function readEntry(reader: ByteReader, listed: Listed, account: Account): Promise<ArchiveEntry | undefined> {
  const magic = (await reader.take(6)).toString('latin1');
  if (magic === '07070X') {
    const file = listed[hex(await reader.take(8), 0, reader.what)];
    await reader.skip(padding(reader.position));
    if (!file) throw unreadable(reader.what, 'has a payload entry that its header does not list');
    account.countMember();
    return file;
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
  if (name === 'TRAILER!!!') return undefined;
  account.countMember();
  const type = fileTypes[mode & 0o170000] ?? 'other';
  return { name: entryName(name, reader.what), type, mode: mode & 0o7777, size, links };
}

function hex(bytes: Buffer, at: number, what: string): number {
  const text = bytes.toString('latin1', at, at + 8);
  if (!/^[0-9A-Fa-f]{8}$/.test(text)) throw unreadable(what, 'has a damaged payload: a number is no hexadecimal one');
  return Number.parseInt(text, 16);
}

function padding(position: number): number {
  return (4 - (position % 4)) % 4;
}
