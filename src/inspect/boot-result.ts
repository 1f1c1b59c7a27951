/** Reads a published boot result. NK_STATE_UNUSABLE when the text is none. */
import { NodekilnError } from '../errors.ts';
import { bootResult } from './schema-boot-result.ts';
import { milestoneNames, type BootResult } from '../telemetry/result.ts';

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
