/** What packages may make us do, unless a caller is stricter. */
import type { ArchiveLimits } from '../../host/port.ts';

/** See `ArchiveLimits`. */
export type Limits = ArchiveLimits;

export const defaultLimits: Limits = {
  memberBytes: 2 * 1024 ** 3,
  totalBytes: 4 * 1024 ** 3,
  members: 200_000,
  headerBytes: 32 * 1024 ** 2,
};
