/**
 * The header `Retry-After` in milliseconds: seconds or a date, RFC 9110 §10.2.3; undefined when it is neither. A date counts
 * from the server's own time where it says it (`Date`), else from `now`, milliseconds since the epoch: its clock and ours need
 * not agree.
 */
export function retryAfterMs(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const { 'retry-after': header, date = '' } = headers;
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const [until, from] = [Date.parse(header), Date.parse(date)];
  return Number.isNaN(until) ? undefined : Math.max(0, until - (Number.isNaN(from) ? now : from));
}
