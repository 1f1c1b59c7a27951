/**
 * Canonical JSON (keys sorted, undefined left out) and fingerprints: equal values give equal text on every run and host.
 */
import { createHash } from 'node:crypto';

export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

/** `sha256:<hex>` of text or bytes. */
export function sha256(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** Fingerprint of a value by its canonical JSON. */
export function fingerprint(value: unknown): string {
  return sha256(canonicalJson(value));
}
