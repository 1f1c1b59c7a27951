/**
 * Durations in documents: `500ms`, `90s`, `5m`, `1h30m`, as Kubernetes writes them. The one place that turns them
 * into milliseconds. Pure.
 */

const unitMs = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

/** With as many digits as Kubernetes takes (292 years): more would be no exact number of milliseconds. */
export const durationPattern = /^(?=\d)(\d{1,7}h)?(\d{1,9}m(?!s))?(\d{1,10}s)?(\d{1,13}ms)?$/;

/** Milliseconds of a duration that matches `durationPattern`; RangeError for any other text. */
export function parseDuration(text: string): number {
  if (!durationPattern.test(text)) throw new RangeError(`not a duration: ${text}`);
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|h|m|s)/g)) total += Number(amount) * unitMs[unitName(unit)];
  return total;
}

function unitName(unit: string | undefined): keyof typeof unitMs {
  return unit === 'h' || unit === 'm' || unit === 's' ? unit : 'ms';
}
