/** Why an output did not take what was written to it, as far as that is a failure. Pure. */
import { errnoOf } from '../errors.ts';

/** Undefined for a reader that went away, and for a stream that had failed before and said so. */
export function outputFailure(thrown: unknown): Error | undefined {
  if (['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED'].includes(errnoOf(thrown) ?? '')) return undefined;
  return thrown instanceof Error ? thrown : undefined;
}
