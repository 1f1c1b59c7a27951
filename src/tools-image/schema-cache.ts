/** The schema of what is kept on disk about one metadata address. */
import { int, literal, nullable, object, optional, string } from 'zod/mini';

export const metadataRecord = object({
  version: literal(1),
  location: string(),
  /** The last good document and the times, in milliseconds since the epoch, at which it came and was last confirmed. */
  good: nullable(
    object({
      json: string(),
      fetchedAt: int(),
      etag: optional(string()),
      /** How many of its entries could not be read when it came; more of them are damage of ours. */
      passedOver: optional(int()),
    }),
  ),
  /** Attempts that failed since; the last one's message. */
  failures: int(),
  failedAt: int(),
  error: string(),
});
