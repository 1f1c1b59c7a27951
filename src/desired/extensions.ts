/**
 * System extensions of a node, each with the sources to try in order: local, registry, address, archive. Pure.
 */
import { parseArch } from '../model/arch.ts';
import type { NodeSpec } from '../config/complete.ts';
import type { ExtensionItem } from '../config/complete-items.ts';
import { nothingLeft } from '../config/completion.ts';
import { ownUnitDefaults } from '../config/defaults.ts';
import { parseDuration } from '../config/duration.ts';
import { expandTemplate, type TemplateValues } from '../config/template.ts';
import type { Facts } from '../model/facts.ts';
import { base } from './render-items.ts';
import type { ExtensionResource, ExtensionSource, UnitResource } from '../model/resources.ts';
import { reveal } from '../model/resources.ts';
import { addressed, signatureOf, templateValues, transferSettings } from './sources.ts';

export function extensionOf(
  item: ExtensionItem,
  context: { spec: NodeSpec; facts: Facts; origin: string | undefined },
): ExtensionResource {
  const { spec, facts, origin } = context;
  const transfer = transferSettings(spec.binaries.transfer);
  const { digest, ...rest } = item;
  const { name, version, tools } = rest;
  return {
    kind: 'extension',
    id: `extension:${name}`,
    ...base({ scope: 'shared', origin }),
    name,
    ...(version !== undefined && { version }),
    architecture: parseArch(facts.arch.cpu),
    sources: sourcesOf(rest, facts),
    ...(digest !== undefined && { digest }),
    tools,
    ...(transfer && { transfer }),
  };
}

function sourcesOf(item: Omit<ExtensionItem, 'digest'>, facts: Facts): ExtensionSource[] {
  const { name, version = '0', tools, path, registry, revision, plainHttp, signature, url, tarball, ...rest } = item;
  nothingLeft(rest);
  const sources: ExtensionSource[] = [];
  if (path !== undefined) sources.push({ type: 'local', path });
  if (registry !== undefined) {
    sources.push({
      type: 'registry',
      reference: registry,
      ...(revision !== undefined && { revision }),
      ...(plainHttp === true && { plainHttp }),
      ...(signature && { signature: signatureOf(signature) }),
    });
  }
  if (url !== undefined) sources.push({ type: 'url', url });
  if (tarball) {
    const values = (tool: string): TemplateValues => templateValues(tool, version, facts);
    const { url: archive, member, digest, ...restOfTarball } = tarball;
    nothingLeft(restOfTarball);
    const expanded = (tool: string): [string, string][] =>
      member === undefined ? [] : [[tool, expandTemplate(member, values(tool))]];
    sources.push({
      type: 'tarball',
      from: addressed(expandTemplate(reveal(archive), values(name))),
      members: Object.fromEntries(tools.flatMap(expanded)),
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
    ...base(ownUnitDefaults['systemd-sysext.service']),
    name: 'systemd-sysext.service',
    dropIns: [],
    enablement: 'enabled',
    inputs: [],
    onChange: ownUnitDefaults['systemd-sysext.service'].onChange,
    readiness: { type: 'active' },
    deadlineMs: parseDuration(ownUnitDefaults['systemd-sysext.service'].deadline),
  };
}
