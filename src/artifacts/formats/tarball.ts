/** Tar archives, plain or compressed with gzip, zstd, xz or bzip2. */
import { latin1Of } from '../../model/bytes.ts';
import { compressionBytes, detectCompression } from './compression.ts';
import type { Format } from './format.ts';

export const tarball: Format = {
  name: 'tarball',
  matches: (head) => detectCompression(head) !== 'none' || latin1Of(head.subarray(257, 262)) === 'ustar',
  open: async ({ reader }) => ({
    info: { format: 'tarball', compression: detectCompression(await reader.peek(0, compressionBytes)) },
    part: { position: 0, length: reader.size },
    form: { type: 'tar' },
  }),
};
