/** The schema of what is kept beside a part of a transfer. Bytes. */
import { exactOptional, number, object, optional, string } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';

export const partState = object({
  /** Digest of the address, which may hold secrets. */
  address: string(),
  /** The start of the machine in which it was written. */
  boot: string(),
  validator: optional(string()),
  total: optional(number()),
  /** What was synced at an orderly end. */
  kept: exactOptional(object({ size: number(), digest: string() })),
});

export type PartState = Infer<typeof partState>;
