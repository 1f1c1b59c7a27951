/** A plain file: it is its own only member, with an empty name. */
import type { Format, Visitor } from './format.ts';
import type { ByteReader } from './reader.ts';

export const file: Format = {
  name: 'file',
  matches: () => true,
  async walk(reader: ByteReader, visitor: Visitor): Promise<void> {
    visitor.package({ format: 'file', compression: 'none' });
    // The size is known only at the end.
    await visitor.entry({ name: '', type: 'file', size: -1, mode: 0o755 }, reader.rest());
  },
};
