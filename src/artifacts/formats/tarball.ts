/** Tar archives, plain or compressed with gzip, zstd, xz or bzip2. */
import { decompress, detectCompression } from './decompress.ts';
import type { Format, Visitor } from './format.ts';
import type { Account } from './limits.ts';
import { ByteReader } from './reader.ts';
import { walkTar } from './tar.ts';

export const tarball: Format = {
  name: 'tarball',
  matches: (head) => detectCompression(head) !== 'none' || head.toString('latin1', 257, 262) === 'ustar',
  walk,
};

async function walk(reader: ByteReader, visitor: Visitor, account: Account): Promise<void> {
  const compression = detectCompression(await reader.peek(6));
  visitor.package({ format: 'tarball', compression });
  const tar = new ByteReader(account.meter(decompress(compression, reader.rest(), reader.what)), reader.what);
  await walkTar(tar, (entry, content) => visitor.entry(entry, content), account);
  await tar.close();
}
