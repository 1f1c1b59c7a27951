/**
 * Digests: `sha256:<hex>` of what is in memory at once, and running ones for what comes in pieces.
 */
import { createHash, hash } from 'node:crypto';
import { canonicalJson } from '../model/canonical.ts';

/** By their names in OCI digests, package metadata and hash functions' own standards. */
export type DigestAlgorithm = 'sha256' | 'sha512' | 'sha384' | 'sha224' | 'sha1' | 'md5';

/** A digest in the making. */
export interface RunningDigest {
  /** Takes what comes next; text counts as UTF-8. Returns itself. */
  update(part: string | Uint8Array): RunningDigest;
  /** Of everything so far, in hex; more may follow. */
  hex(): string;
}

export function createDigest(algorithm: DigestAlgorithm = 'sha256'): RunningDigest {
  const hash = createHash(algorithm);
  const digest: RunningDigest = {
    update: (part) => (hash.update(part), digest),
    hex: () => hash.copy().digest('hex'),
  };
  return digest;
}

/** `sha256:<hex>` of text (as UTF-8) or bytes. */
export function sha256(content: string | Uint8Array): string {
  return `sha256:${hash('sha256', content)}`;
}

/** Fingerprint of a value by its canonical JSON: `sha256:<hex>`, the same on every run and host. */
export function fingerprint(value: unknown): string {
  return sha256(canonicalJson(value));
}
