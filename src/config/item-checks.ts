/** What is asked of files, units and actions beyond the types of their fields: for their schemas. Pure. */
import type { ParsePayload } from 'zod/v4/core';
import { making } from './schema-checks.ts';

/** Exactly one of these says what a file is. A later source that sets one replaces the others. */
export const fileForms = ['content', 'contentBase64', 'symlink', 'directory'] as const;

interface Deferred {
  readonly path?: string;
  readonly name?: string;
  readonly deferrable?: boolean | undefined;
}

/** What must be in place before kubelet starts is not deferrable. */
export const neverDeferred = making(
  (isNever: (key: string) => boolean, key: 'path' | 'name') => (payload: ParsePayload<Deferred>) => {
    const subject = payload.value[key];
    if (payload.value.deferrable !== true || subject === undefined || !isNever(subject)) return;
    payload.issues.push({
      code: 'custom',
      message: `cannot be true: ${subject} must be in place before kubelet starts (kernel settings, mounts, identity, trust and runtime configuration are never deferrable)`,
      path: ['deferrable'],
      input: true,
    });
  },
);

export function isBase64(payload: ParsePayload<string>): void {
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(payload.value.replaceAll(/\s/g, '')))
    return;
  payload.issues.push({ code: 'custom', message: 'must be base64', input: undefined });
}

export function hasOneForm(payload: ParsePayload<Record<string, unknown>>): void {
  const used = fileForms.filter((form) => payload.value[form] !== undefined);
  if (used.length < 2) return;
  payload.issues.push({
    code: 'custom',
    message: `cannot stand beside ${used[0]}: a file has only one of ${fileForms.join(', ')}`,
    path: [used[1] ?? ''],
    input: undefined,
  });
}

/** A manifest is not merged with anything, so each file must say what it is. */
export function haveForms(
  payload: ParsePayload<readonly { readonly [Form in (typeof fileForms)[number]]?: unknown }[]>,
): void {
  for (const [index, file] of payload.value.entries()) {
    if (fileForms.some((form) => file[form] !== undefined)) continue;
    payload.issues.push({
      code: 'custom',
      message: `has no content: give one of ${fileForms.join(', ')}`,
      path: [index],
      input: undefined,
    });
  }
}

/** One of two fields, and not both. */
export const hasOneOf = making((one: string, other: string) => (payload: ParsePayload<Record<string, unknown>>) => {
  if ((payload.value[one] === undefined) !== (payload.value[other] === undefined)) return;
  payload.issues.push({ code: 'custom', message: `must have one of ${one} and ${other}`, input: undefined });
});

export function beginsWithProgram(payload: ParsePayload<string[]>): void {
  if (payload.value[0]) return;
  payload.issues.push({ code: 'custom', message: 'must begin with the program to run', input: undefined });
}
