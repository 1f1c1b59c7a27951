/** Sizes in documents and on command lines: `3GiB`, `800MB`, `1.5 GiB`. The one place that turns them into bytes. Pure. */

export const sizePattern = /^\d+(?:\.\d+)? ?(?:B|kB|MB|GB|KiB|MiB|GiB)$/;

const units: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** `3GiB`, `800 MB` → bytes; undefined when it is none. Pure. */
export function parseSize(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text) ?? [];
  const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined;
  return number === undefined || factor === undefined ? undefined : Math.round(Number(number) * factor);
}

/** `1.21 GiB`. Pure. */
export function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    const factor = units[unit] ?? 1;
    if (bytes >= factor)
      return `${(bytes / factor).toFixed(bytes >= 100 * factor ? 0 : bytes >= 10 * factor ? 1 : 2)} ${unit}`;
  }
  return `${bytes} B`;
}
