/** Canonical JSON (keys sorted, undefined left out): equal values give equal text on every run and host. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    const map: Readonly<Record<string, unknown>> = { ...inner };
    return Object.fromEntries(
      Object.keys(map)
        .sort()
        .map((key) => [key, map[key]]),
    );
  });
}
