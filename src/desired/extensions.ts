/**
 * System extensions of a node, each with the sources to try in order: local, registry, address, archive. Pure.
 */
import { parseArch } from '../model/arch.ts';
import type { ExtensionItem, NodeSpec } from '../config/complete.ts';
import { expandTemplate, type TemplateValues } from '../config/template.ts';
import type { Facts } from '../model/facts.ts';
import { base } from './render-items.ts';
import type { ExtensionResource, ExtensionSource, UnitResource } from '../model/resources.ts';
import { reveal } from '../model/resources.ts';
import { addressed, templateValues, transferSettings } from './sources.ts';

export function extensionOf(
  item: ExtensionItem,
  context: { spec: NodeSpec; facts: Facts; origin: string | undefined },
): ExtensionResource {
  const { spec, facts, origin } = context;
  const transfer = transferSettings(spec.binaries.transfer);
  return {
    kind: 'extension',
    id: `extension:${item.name}`,
    ...base({ scope: 'shared', origin }),
    name: item.name,
    ...(item.version !== undefined && { version: item.version }),
    architecture: parseArch(facts.arch.cpu),
    sources: sourcesOf(item, facts),
    ...(item.digest !== undefined && { digest: item.digest }),
    tools: item.tools,
    ...(transfer && { transfer }),
  };
}

function sourcesOf(item: ExtensionItem, facts: Facts): ExtensionSource[] {
  const { path, registry, revision, plainHttp, signature, url, tarball } = item;
  const sources: ExtensionSource[] = [];
  if (path !== undefined) sources.push({ type: 'local', path });
  if (registry !== undefined) {
    sources.push({
      type: 'registry',
      reference: registry,
      ...(revision !== undefined && { revision }),
      ...(plainHttp === true && { plainHttp }),
      ...(signature && { signature }),
    });
  }
  if (url !== undefined) sources.push({ type: 'url', url });
  if (tarball) {
    const values = (tool: string): TemplateValues => templateValues(tool, item.version ?? '0', facts);
    const { member, digest } = tarball;
    const expanded = (tool: string): [string, string][] =>
      member === undefined ? [] : [[tool, expandTemplate(member, values(tool))]];
    sources.push({
      type: 'tarball',
      from: addressed(expandTemplate(reveal(tarball.url), values(item.name))),
      members: Object.fromEntries(item.tools.flatMap(expanded)),
      ...(digest !== undefined && { digest }),
    });
  }
  return sources;
}

/** systemd's own unit merges the extensions at every later start of the machine, before kubelet. */
export function mergeUnit(): UnitResource {
  return {
    kind: 'unit',
    id: 'unit:systemd-sysext.service',
    ...base({ scope: 'shared' }),
    name: 'systemd-sysext.service',
    dropIns: [],
    enablement: 'enabled',
    inputs: [],
    onChange: 'none',
    readiness: { type: 'active' },
    deadlineMs: 60_000,
  };
}
