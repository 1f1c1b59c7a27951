/**
 * What a schema says of a value that is walked along with it: whether it is an address, a secret, a map of secrets. Pure.
 */
import type { $ZodType, $ZodTypes } from 'zod/v4/core';
import { namesCredential } from '../model/containerd-configuration.ts';
import { addressChecks, credentialMapChecks, secretChecks, secretMapChecks } from './schema-checks.ts';

/** The schemas that a value may be of: several where a form is yet to be chosen, none where nobody says what is there. */
export type Known = readonly $ZodTypes[];

/** The schemas of a value of this one. */
export function known(schema: $ZodType): Known {
  const one = schema as $ZodTypes;
  const { def } = one._zod;
  if (def.type === 'optional' || def.type === 'nullable') return known(def.innerType);
  if (def.type === 'union') return def.options.flatMap((option) => known(option));
  return [one];
}

/** As `secretText` makes one, without the schema library. */
const secret = [{ _zod: { def: { type: 'string', checks: [{}] } } }] as unknown as Known;
for (const mark of secret[0]?._zod.def.checks ?? []) secretChecks.add(mark);

/** The schemas of what stands in it under a key or an index. */
export function inside(schemas: Known, key: string | number): Known {
  const settings = schemas.filter((one) => hasCredentials([one]));
  if (settings.length > 0) {
    if (typeof key === 'number') return schemas;
    return namesCredential(key) ? [...settings, ...secret] : settings;
  }
  return schemas.flatMap(({ _zod: { def } }) => {
    if (def.type === 'array') return known(def.element);
    if (def.type === 'record') return known(def.valueType);
    const field = def.type === 'object' && Object.hasOwn(def.shape, key) ? def.shape[key] : undefined;
    return field ? known(field) : [];
  });
}

/** It names a place in a network, and may hold a password or a signature. */
export function isAddress(schemas: Known): boolean {
  return isMarked(schemas, addressChecks);
}

/** It is a secret, whatever it is. */
export function isSecret(schemas: Known): boolean {
  return isMarked(schemas, secretChecks);
}

/** Its values are secrets. */
export function isSecretMap(schemas: Known): boolean {
  return isMarked(schemas, secretMapChecks);
}

/** Nobody but its reader knows what is in it, and there may be credentials, known by their names. */
export function hasCredentials(schemas: Known): boolean {
  return isMarked(schemas, credentialMapChecks);
}

function isMarked(schemas: Known, marks: WeakSet<object>): boolean {
  return schemas.some(({ _zod: { def } }) => def.checks?.some((check) => marks.has(check)) === true);
}
