/**
 * Where a NodeConfig source holds secrets. Pure.
 */
import type { Path } from './paths.ts';
import type { NodeSpecDocument } from './schema-node.ts';

/** Paths inside the spec. */
export function secretPaths(spec: NodeSpecDocument): Path[] {
  const { proxy } = spec.network ?? {};
  const paths: Path[] = [];
  if (spec.cluster?.bootstrapToken !== undefined) paths.push(['cluster', 'bootstrapToken']);
  for (const scheme of ['http', 'https'] as const) {
    if (/\/\/[^/@]*@/.test(proxy?.[scheme] ?? '')) paths.push(['network', 'proxy', scheme]);
  }
  if (/\/\/[^/@]*@/.test(spec.binaries?.transfer?.proxy ?? '')) paths.push(['binaries', 'transfer', 'proxy']);
  for (const [index, file] of (spec.files ?? []).entries()) if (file.sensitive) paths.push(['files', index]);
  for (const [index, unit] of (spec.units ?? []).entries()) if (unit.sensitive) paths.push(['units', index]);
  return paths;
}
