/** An error that was stored as JSON (`NodekilnError.toJSON`) as an error again. Undefined for anything else. */
import { errors, NodekilnError, type ErrorCode, type Place, type Problem } from '../errors.ts';

export function errorFrom(value: unknown): NodekilnError | undefined {
  if (value instanceof NodekilnError) return value;
  if (!isRecord(value) || !isErrorCode(value['code']) || typeof value['message'] !== 'string') return undefined;
  const { code, message, hint, resource, lines, problems, place } = value;
  const where = placeFrom(place);
  return new NodekilnError(code, message, {
    ...(typeof hint === 'string' && { hint }),
    ...(typeof resource === 'string' && { resource }),
    ...(Array.isArray(lines) && { lines: lines.filter((line) => typeof line === 'string') }),
    ...(Array.isArray(problems) && { problems: problems.flatMap(problemFrom) }),
    ...(where && { place: where }),
  });
}

function problemFrom(value: unknown): Problem[] {
  if (!isRecord(value) || typeof value['message'] !== 'string') return [];
  const { message, hint } = value;
  const place = placeFrom(value['place']);
  return [{ message, ...(typeof hint === 'string' && { hint }), ...(place && { place }) }];
}

function placeFrom(value: unknown): Place | undefined {
  if (!isRecord(value) || typeof value['file'] !== 'string') return undefined;
  const { file, line, column, path } = value;
  return {
    file,
    ...(typeof line === 'number' && { line }),
    ...(typeof column === 'number' && { column }),
    ...(typeof path === 'string' && { path }),
  };
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errors, value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
