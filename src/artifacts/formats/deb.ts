/**
 * Debian packages, deb(5): an ar archive of `debian-binary`, `control.tar[.gz|.xz|.zst]` and `data.tar[.*]`, in this
 * order. Only the control file's name, version and architecture are read; maintainer scripts are never looked at.
 */
import { decompress, detectCompression } from './decompress.ts';
import type { Format, PackageInfo, Visitor } from './format.ts';
import type { Account } from './limits.ts';
import { ByteReader } from './reader.ts';
import { walkTar } from './tar.ts';
import { unreadable } from './unreadable.ts';

const magic = '!<arch>\n';

export const deb: Format = {
  name: 'deb',
  matches: (head) => head.toString('latin1', 0, 8) === magic && head.toString('latin1', 8, 21) === 'debian-binary',
  walk,
};

async function walk(reader: ByteReader, visitor: Visitor, account: Account): Promise<void> {
  if ((await reader.take(8)).toString('latin1') !== magic) throw unreadable(reader.what, 'is no Debian package');
  const seen: string[] = [];
  let control: Partial<PackageInfo> = {};
  while (!(await reader.atEnd())) {
    const { name, size } = await readArHeader(reader);
    const end = reader.position + size;
    const part = partOf(name);
    expectOrder(part, name, seen, reader.what);
    switch (part) {
      case 'debian-binary':
        account.checkHeader(size, 'a debian-binary');
        if (!(await reader.take(size)).toString('latin1').startsWith('2.'))
          throw unreadable(reader.what, 'is no Debian package of format 2');
        break;
      case 'control.tar':
        control = await readControl(await openTar(reader, size, account), account);
        break;
      case 'data.tar': {
        const compression = detectCompression(await reader.peek(Math.min(6, size)));
        visitor.package({ format: 'deb', compression, ...control });
        const tar = await openTar(reader, size, account);
        await walkTar(tar, (entry, content) => visitor.entry(entry, content), account);
        await tar.close();
        break;
      }
      case undefined:
        break;
    }
    await reader.skip(end - reader.position + (size % 2));
  }
  if (!seen.includes('data.tar')) throw unreadable(reader.what, 'ends before its data.tar');
}

const parts = ['debian-binary', 'control.tar', 'data.tar'] as const;

function partOf(name: string): (typeof parts)[number] | undefined {
  const plain = name.replace(/(\.tar)\.(?:gz|xz|zst|bz2)$/, '$1');
  return parts.find((part) => part === plain);
}

/** The three parts come once each and in order; others are allowed when their name begins with `_`, or after the data. */
function expectOrder(part: string | undefined, name: string, seen: string[], what: string): void {
  if (part === undefined && (name.startsWith('_') || seen.length === parts.length)) return;
  if (part === undefined || parts[seen.length] !== part)
    throw unreadable(
      what,
      `has the part ${JSON.stringify(name)} where ${parts[seen.length] ?? 'nothing more'} belongs`,
    );
  seen.push(part);
}

async function readArHeader(reader: ByteReader): Promise<{ name: string; size: number }> {
  const header = (await reader.take(60)).toString('latin1');
  const size = header.slice(48, 58).trim();
  if (!/^\d{1,10}$/.test(size) || header.slice(58) !== '`\n') throw unreadable(reader.what, 'has a damaged ar header');
  return { name: header.slice(0, 16).trim().replace(/\/$/, ''), size: Number(size) };
}

async function openTar(reader: ByteReader, size: number, account: Account): Promise<ByteReader> {
  const compression = detectCompression(await reader.peek(Math.min(6, size)));
  return new ByteReader(account.meter(decompress(compression, reader.stream(size), reader.what)), reader.what);
}

async function readControl(tar: ByteReader, account: Account): Promise<Partial<PackageInfo>> {
  let text: string | undefined;
  const read = async (name: string, size: number, content: AsyncIterable<Buffer>): Promise<void> => {
    if (name !== 'control') return;
    if (text !== undefined) throw unreadable(tar.what, 'has two control files');
    account.checkHeader(size, 'a control file');
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk);
    text = Buffer.concat(chunks).toString('utf8');
  };
  await walkTar(tar, (entry, content) => read(entry.name, entry.size, content), account);
  await tar.close();
  if (text === undefined) throw unreadable(tar.what, 'has no control file');
  const fields = new Map(
    [...text.matchAll(/^([A-Za-z-]+):[ \t]*(.*?)[ \t]*$/gm)].map((match) => [match[1]?.toLowerCase(), match[2]]),
  );
  const [name, version, architecture] = [fields.get('package'), fields.get('version'), fields.get('architecture')];
  if (!name || !version || !architecture)
    throw unreadable(tar.what, 'has a control file without Package, Version or Architecture');
  return { name, version, architecture };
}
