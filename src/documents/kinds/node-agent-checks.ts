/** What is asked of a NodeAgentConfiguration beyond the types of its fields: for its schema. Pure. */
import type { ParsePayload } from 'zod/v4/core';
import { parseDuration } from '../../config/duration.ts';
import { absolutePathPattern, hasText, making } from '../../config/schema-checks.ts';

export const atLeast = making((least: string) => (payload: ParsePayload<string>): void => {
  if (parseDuration(payload.value) >= parseDuration(least)) return;
  payload.issues.push({ code: 'custom', message: `must be at least ${least}`, input: payload.value });
});

const isText = hasText('');

/** '' is none. */
export function namesKubeconfig({ value, issues }: ParsePayload<Readonly<Record<string, unknown>>>): void {
  const { kubeconfig } = value;
  if (kubeconfig === undefined || kubeconfig === '') return;
  if (typeof kubeconfig === 'string' && absolutePathPattern.test(kubeconfig) && isText(kubeconfig)) return;
  issues.push({
    code: 'custom',
    message: 'must be an absolute path, or empty',
    path: ['kubeconfig'],
    input: kubeconfig,
  });
}
