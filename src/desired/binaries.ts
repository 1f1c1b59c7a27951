/**
 * Programs to activate, each with the sources to try in order. Pure.
 */
import { debArch, parseArch, rpmArch, systemdArch } from '../artifacts/arch.ts';
import { parseVersion } from '../artifacts/version.ts';
import type { NodeSpec, ToolItem } from '../config/complete.ts';
import { expandTemplate } from '../config/template.ts';
import type { TemplateValues } from '../config/template.ts';
import type { Facts } from './facts.ts';
import { base } from './render-items.ts';
import type { BinaryResource, BinarySource } from './resources.ts';

export function binaryOf(
  tool: string,
  item: ToolItem,
  context: { policy: NodeSpec['binaries']['policy']; facts: Facts; origin: string | undefined },
): BinaryResource {
  return {
    kind: 'binary',
    id: `binary:${tool}`,
    ...base({ ...item, origin: context.origin }),
    tool,
    version: item.version,
    sources: sourcesOf(item, context.policy, context.facts),
    place: { type: 'activate', target: item.target },
  };
}

/** A custom URL is the only source when there is one: it is never passed over for a public one. */
function sourcesOf(item: ToolItem, policy: NodeSpec['binaries']['policy'], facts: Facts): BinarySource[] {
  if (item.url !== undefined) {
    const values = templateValues(item.version, facts);
    return [
      {
        type: item.type,
        url: expandTemplate(item.url, values),
        ...(item.member !== undefined && { member: expandTemplate(item.member, values) }),
        ...(item.digest !== undefined && { digest: item.digest }),
      },
    ];
  }
  switch (policy) {
    case 'cache-first':
    case 'cache-only':
      return [{ type: 'cache', version: item.version }];
    case 'package':
      return [];
  }
}

/** What placeholders stand for, for one version on one machine. */
export function templateValues(version: string, facts: Facts): TemplateValues {
  const arch = parseArch(facts.arch.cpu);
  return {
    version,
    upstream: parseVersion(version).upstream,
    arch,
    debArch: debArch(arch),
    rpmArch: rpmArch(arch),
    systemdArch: systemdArch(arch),
  };
}
