/** The schema of a published boot result. */
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

export const bootResult = looseObject({
  apiVersion: literal('nodekiln.dev/v1alpha1'),
  kind: literal('BootResult'),
  nodekilnVersion: string(),
  runtime: exactOptional(string()),
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
