/**
 * From a parsed text to a checked OperatingSystemConfig. Unknown keys are told, but no errors; keys that are null count as
 * absent, as they do for Kubernetes. Pure.
 */
import { invalidDocument } from '../../../config/invalid.ts';
import { isMap, valueAt } from '../../../config/paths.ts';
import { problemsOf, type Issue, type ParsedDocument } from '../../../config/problems.ts';
import type { Problem } from '../../../errors.ts';
import { brokenRules } from './rules.ts';
import { kindName, operatingSystemConfigSchema, type OperatingSystemConfig } from './schema.ts';

export interface ReadDocument {
  readonly document: OperatingSystemConfig;
  /** Keys that nobody knows, each with its place. */
  readonly unknownKeys: readonly Problem[];
}

/** NK_DOCUMENT_INVALID with every problem and its place. Messages never quote what files and units hold. */
export function readOperatingSystemConfig(parsed: ParsedDocument): ReadDocument {
  const value = withoutNulls(parsed.value);
  const result = operatingSystemConfigSchema.safeParse(value);
  const issues: readonly Issue[] = result.error?.issues ?? [];
  const [unknown, wrong] = [issues.filter(isUnknown), issues.filter((issue) => !isUnknown(issue))];
  const problems = problemsOf([...wrong, ...brokenRules(value)], parsed);
  if (problems.length > 0) throw invalidDocument(`${parsed.file} is not a valid ${kindName}`, problems);
  if (result.success) return { document: result.data, unknownKeys: [] };
  for (const { path, keys = [] } of unknown) {
    const map = valueAt(value, path as (string | number)[]);
    if (isMap(map)) for (const key of keys) delete map[key];
  }
  return { document: operatingSystemConfigSchema.parse(value), unknownKeys: problemsOf(unknown, parsed) };
}

function isUnknown({ code }: Issue): boolean {
  return code === 'unrecognized_keys';
}

/** A copy. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item));
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => (inner === null ? [] : [[key, withoutNulls(inner)] as const])),
  );
}
