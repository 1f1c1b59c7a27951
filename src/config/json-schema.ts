/** JSON Schema of our kinds, for editors. Pure. */
import { toJSONSchema } from 'zod/mini';
import { kinds } from './load.ts';
import type { DocumentKind } from './load.ts';

/** Of the version 2020-12. */
export async function jsonSchema(kind: DocumentKind): Promise<Record<string, unknown>> {
  return {
    $id: `https://nodekiln.dev/schemas/v1alpha1/${kind}.json`,
    title: kind,
    ...toJSONSchema(await kinds[kind](), { io: 'input', target: 'draft-2020-12' }),
  };
}
