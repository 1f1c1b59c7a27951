/**
 * The header `Retry-After` in milliseconds: seconds or a date, RFC 9110 §10.2.3; undefined when it is neither. `now`:
 * milliseconds since the epoch.
 */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
