/** JSON Schema of our kinds, for editors. Pure. */
import { toJSONSchema, type ZodMiniType } from 'zod/mini';
import { kinds, type DocumentKind } from './kinds.ts';

/** Of the version 2020-12. */
export async function jsonSchema(kind: DocumentKind): Promise<Record<string, unknown>> {
  return {
    $id: `https://nodekiln.dev/schemas/v1alpha1/${kind}.json`,
    title: kind,
    ...fieldsOf(await kinds[kind]()),
  };
}

/** The same of any schema, without a name. */
export function fieldsOf(schema: ZodMiniType): Record<string, unknown> {
  return toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
}
