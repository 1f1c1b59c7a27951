/**
 * Programs to activate, each with the sources to try in order. Pure.
 */
import { debArch, parseArch, rpmArch, systemdArch } from '../artifacts/arch.ts';
import { sourceOrder } from '../artifacts/order.ts';
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

function sourcesOf(item: ToolItem, policy: NodeSpec['binaries']['policy'], facts: Facts): BinarySource[] {
  const values = templateValues(item.version, facts);
  const order = sourceOrder({
    version: item.version,
    policy,
    ...(item.url !== undefined && { customUrl: expandTemplate(item.url, values) }),
  });
  return order.sources.flatMap((source): BinarySource[] => {
    switch (source.type) {
      case 'custom':
        return [
          {
            type: item.type,
            url: source.url,
            ...(item.member !== undefined && { member: expandTemplate(item.member, values) }),
            ...(item.digest !== undefined && { digest: item.digest }),
          },
        ];
      case 'cache':
        return [{ type: 'cache', version: item.version }];
      // A NodeConfig cannot name these.
      case 'local':
      case 'mirror':
      case 'repository':
      case 'registry':
      case 'tarball':
        return [];
    }
  });
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
