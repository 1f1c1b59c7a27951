/** Reads a published boot result. NK_STATE_UNUSABLE when the text is none. */
import {
  array,
  boolean,
  enum as oneOf,
  exactOptional,
  literal,
  looseObject,
  number,
  optional,
  string,
  unknown,
} from 'zod/mini';
import { NodekilnError } from '../errors.ts';
import { milestoneNames, type BootResult } from '../telemetry/result.ts';

const step = looseObject({
  id: string(),
  resource: string(),
  phase: oneOf(['goal', 'deferred']),
  status: oneOf(['done', 'failed', 'skipped', 'interrupted']),
  startMs: number(),
  endMs: number(),
  needs: array(string()),
  details: array(string()),
  error: optional(unknown()),
});

const bootResult = looseObject({
  apiVersion: literal('nodekiln.dev/v1alpha1'),
  kind: literal('BootResult'),
  nodekilnVersion: string(),
  bootId: string(),
  unit: exactOptional(string()),
  outcome: oneOf(['converged', 'degraded', 'failed']),
  unchanged: boolean(),
  generation: optional(number()),
  finishedAt: string(),
  milestones: array(looseObject({ name: string(), atMs: number() })),
  spans: array(looseObject({ name: string(), startMs: number(), endMs: number() })),
  steps: array(step),
  delays: exactOptional(array(looseObject({ resource: string(), ms: number() }))),
  join: exactOptional(
    looseObject({
      nodeName: string(),
      goal: oneOf(['healthz', 'registered', 'ready']),
      reached: exactOptional(oneOf(['credential', 'registered', 'ready'])),
      obstacle: optional(unknown()),
    }),
  ),
  warnings: array(string()),
  error: optional(unknown()),
});

export function parseBootResult(text: string, file: string): BootResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unusable(file, 'it is not JSON', cause);
  }
  // The verb `boot --json` prints the same thing in an envelope.
  const inner =
    typeof value === 'object' && value !== null && 'data' in value && !('steps' in value) ? value.data : value;
  const parsed = bootResult.safeParse(inner);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw unusable(file, `${issue?.path.join('.') ?? 'it'}: ${issue?.message ?? 'is not valid'}`, parsed.error);
  }
  const { milestones, generation, ...rest } = parsed.data;
  // A later version may know milestones that we do not.
  const known = milestones.flatMap(({ name, atMs }) => {
    const match = milestoneNames.find((candidate) => candidate === name);
    return match === undefined ? [] : [{ name: match, atMs }];
  });
  return { ...rest, generation, milestones: known };
}

function unusable(file: string, why: string, cause: unknown): NodekilnError {
  return new NodekilnError('NK_STATE_UNUSABLE', `${file} is not a boot result: ${why}`, {
    cause,
    hint: 'Give a file that `nodekiln boot` wrote.',
  });
}
