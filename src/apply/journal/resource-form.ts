/** Whether what was read back is a resource, as far as all that handles one of its kind relies on it. */
import { isMap } from '../../config/paths.ts';
import { resourceKinds, type Resource, type ResourceKind } from '../../model/resources.ts';

type Form = 'text' | 'number' | 'truth' | 'list' | 'map';

const ofAll: Readonly<Record<string, Form>> = {
  id: 'text',
  scope: 'text',
  deferrable: 'truth',
  importance: 'text',
  needs: 'list',
};

const ofKind: { readonly [Kind in ResourceKind]: Readonly<Record<string, Form>> } = {
  file: { path: 'text', entry: 'map' },
  unit: { name: 'text', dropIns: 'list', inputs: 'list', onChange: 'text', readiness: 'map', deadlineMs: 'number' },
  binary: { tool: 'text', version: 'text', sources: 'list', place: 'map' },
  extension: { name: 'text', architecture: 'text', sources: 'list', tools: 'list' },
  image: { reference: 'text' },
  kernel: { setting: 'map' },
  action: { argv: 'list', guard: 'map', timeoutMs: 'number' },
};

/** Fields of a list or map are not looked into: what is cut or overwritten rarely leaves the outer form. */
export function isResource(value: unknown): value is Resource {
  if (!isMap(value)) return false;
  const kind = resourceKinds.find((known) => known === value['kind']);
  if (kind === undefined || !String(value['id']).startsWith(`${kind}:`)) return false;
  return Object.entries({ ...ofAll, ...ofKind[kind] }).every(([field, form]) => isOf(value[field], form));
}

function isOf(value: unknown, form: Form): boolean {
  switch (form) {
    case 'list':
      return Array.isArray(value);
    case 'map':
      return isMap(value);
    case 'text':
      return typeof value === 'string';
    case 'number':
      return typeof value === 'number';
    case 'truth':
      return typeof value === 'boolean';
  }
}
