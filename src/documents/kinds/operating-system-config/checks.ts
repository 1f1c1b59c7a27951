/** What is asked of an OperatingSystemConfig beyond the types of its fields: for its schema. Pure. */
import type { ParsePayload } from 'zod/v4/core';
import { isRegistry } from '../../../model/reference.ts';

/** systemd's limit of a unit's name, and the file systems' of an entry. */
export const longestName = 255;
export const longestPath = 4095;

export const dnsSubdomain =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const contentForms = ['inline', 'secretRef', 'imageRef'] as const;

export function endsInName(path: string): boolean {
  return !path.endsWith('/');
}

export function isShortPath(path: string): boolean {
  return path.length <= longestPath && path.split('/').every(isShortName);
}

export function isShortName(name: string): boolean {
  return name.length <= longestName;
}

export function areModeBits(bits: number): boolean {
  return bits >= 0 && bits <= 0o7777;
}

/** `_default`, or a host or an address with an optional port. */
export function isUpstream(upstream: string): boolean {
  if (upstream === '_default') return true;
  const name = upstream.replace(/:\d+$/, '');
  return isRegistry(upstream) && (name.startsWith('[') || dnsSubdomain.test(name));
}

export function isServerUrl(address: string): boolean {
  return !/^https?:/.test(address) || URL.canParse(address);
}

export function isEncoded({ value, issues }: ParsePayload<{ encoding?: string | undefined; data: string }>): void {
  if (value.encoding !== 'b64' || base64.test(value.data.replaceAll(/\s/g, ''))) return;
  issues.push({ code: 'custom', message: 'must be base64', path: ['data'], input: undefined });
}

export function hasOneContent({ value, issues }: ParsePayload<Record<string, unknown>>): void {
  const used = contentForms.filter((form) => value[form] !== undefined);
  if (used.length === 1) return;
  const message = used.length === 0 ? `must have one of ${contentForms.join(', ')}` : `has both ${used.join(' and ')}`;
  issues.push({ code: 'custom', message, input: undefined });
}

export function namesTable({ value, issues }: ParsePayload<string[]>): void {
  if (value.length > 0) return;
  issues.push({ code: 'custom', message: 'must name at least one table', path: [], input: undefined });
}

export function removesWithoutValues({
  value: { op, values },
  issues,
}: ParsePayload<{ op?: string | undefined; values?: unknown }>): void {
  if (op !== 'remove' || values === undefined) return;
  issues.push({ code: 'custom', message: 'cannot stand beside op: remove', path: ['values'], input: undefined });
}
