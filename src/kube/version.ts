/** Versions of objects (`metadata.resourceVersion`) as API servers of Kubernetes have them: numbers that grow. Pure. */

/** Numbers are compared, anything else is not. */
export function isBefore(version: string, other: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(other)) return false;
  return BigInt(version) < BigInt(other);
}
