/** Reads a document of this part from YAML or JSON text against a schema, every problem with line and path. */
import type { ZodMiniType } from 'zod/mini';
import { invalidDocument } from './invalid.ts';
import { forbiddenKey, formatPath } from './paths.ts';
import { positionsOf } from './positions.ts';
import { problemsOf } from './problems.ts';
import { halfCharacter } from './unwritable.ts';
import { parseYaml } from './yaml.ts';
import { NodekilnError } from '../errors.ts';

/** NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID. Messages never quote the text: it may be secret. */
export async function parseAs<Output>(
  { file, text }: { readonly file: string; readonly text: string },
  schema: ZodMiniType<Output>,
  kind: string,
): Promise<Output> {
  const { value, root } = await parseYaml(file, text);
  const forbidden = forbiddenKey(value);
  if (forbidden)
    throw new NodekilnError('NK_DOCUMENT_INVALID', `${file}: a key cannot be called __proto__`, {
      place: { file, path: formatPath(forbidden) },
    });
  const half = halfCharacter(value);
  if (half)
    throw new NodekilnError('NK_DOCUMENT_INVALID', `${file}: ${formatPath(half.path)} ${half.message}`, {
      place: { file, path: formatPath(half.path) },
    });
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = problemsOf(result.error.issues, { file, value, positions: positionsOf(text, root) });
  const { message, place } = invalidDocument(`${file} is not a valid ${kind}`, problems);
  throw new NodekilnError('NK_DOCUMENT_INVALID', message, {
    problems,
    ...(place && { place }),
    hint: 'Correct the places named.',
  });
}
