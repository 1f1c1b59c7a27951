/** A plain file: it is its own only member, with an empty name. */
import type { Format } from './format.ts';

export const file: Format = {
  name: 'file',
  matches: () => true,
  open: async ({ reader }) => ({
    info: { format: 'file', compression: 'none' },
    part: { position: 0, length: reader.size },
    form: { type: 'plain' },
  }),
};
