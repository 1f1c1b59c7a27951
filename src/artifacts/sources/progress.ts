/** How far a transfer is, for people: `45.2 of 98.1 MB, 12.0 MB/s, 4 s left`. Pure. */
import type { Progress } from './download.ts';

/** Without what is not known: the total, the time left. */
export function progressText({ receivedBytes, totalBytes, bytesPerSecond, remainingMs }: Progress): string {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const amount =
    totalBytes === undefined
      ? `${megabytes(receivedBytes)} MB`
      : `${megabytes(receivedBytes)} of ${megabytes(totalBytes)} MB`;
  const left = remainingMs === undefined ? '' : `, ${Math.ceil(remainingMs / 1000)} s left`;
  return `${amount}, ${megabytes(bytesPerSecond)} MB/s${left}`;
}
