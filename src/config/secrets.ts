/**
 * Where a NodeConfig source holds secrets, by the types of its fields. Pure.
 */
import { holdsSecret } from '../model/shown-address.ts';
import { isMap, type Path } from './paths.ts';
import { nodeSpec, type NodeSpecDocument } from './schema-node.ts';
import { inside, isAddress, isSecret, known, type Known } from './typed.ts';

/** Paths inside the spec. Environments are not among them: what they hold is not shown, and need not be secret. */
export function secretPaths(spec: NodeSpecDocument): Path[] {
  const paths = secretsIn(spec, known(nodeSpec), []);
  for (const [index, file] of (spec.files ?? []).entries()) if (file.sensitive) paths.push(['files', index]);
  for (const [index, unit] of (spec.units ?? []).entries()) if (unit.sensitive) paths.push(['units', index]);
  return paths;
}

function secretsIn(value: unknown, schemas: Known, path: Path): Path[] {
  if (typeof value === 'string')
    return (isAddress(schemas) ? holdsSecret(value) : isSecret(schemas)) ? [[...path]] : [];
  const inner = Array.isArray(value) ? value.entries() : isMap(value) ? Object.entries(value) : [];
  return [...inner].flatMap(([key, item]: readonly [string | number, unknown]) =>
    secretsIn(item, inside(schemas, key), [...path, key]),
  );
}
