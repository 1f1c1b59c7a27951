/**
 * Where a NodeConfig source holds secrets. Pure.
 */
import { holdsSecret } from '../model/shown-address.ts';
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
  const { sources, tools = {} } = spec.binaries ?? {};
  const addresses: (readonly [Path, string | undefined])[] = [
    [['binaries', 'sources', 'tarball', 'url'], sources?.tarball?.url],
  ];
  for (const [name, tool] of Object.entries(tools)) {
    const path = ['binaries', 'tools', name];
    addresses.push([[...path, 'url'], tool.url], [[...path, 'privateUrl'], tool.privateUrl]);
    addresses.push([[...path, 'sources', 'tarball', 'url'], tool.sources?.tarball?.url]);
  }
  for (const [index, { url, tarball }] of (spec.extensions ?? []).entries()) {
    const path = ['extensions', index];
    addresses.push([[...path, 'url'], url], [[...path, 'tarball', 'url'], tarball?.url]);
  }
  for (const [path, address] of addresses) if (holdsSecret(address ?? '')) paths.push([...path]);
  for (const [index, file] of (spec.files ?? []).entries()) if (file.sensitive) paths.push(['files', index]);
  for (const [index, unit] of (spec.units ?? []).entries()) if (unit.sensitive) paths.push(['units', index]);
  return paths;
}
