/**
 * Programs to activate, each with the sources to try in order. Pure.
 */
import { parseArch } from '../artifacts/arch.ts';
import type { NodeSpec, ToolItem } from '../config/complete.ts';
import type { Facts } from './facts.ts';
import { base } from './render-items.ts';
import type { BinaryResource } from './resources.ts';
import { toolSources, transferSettings } from './sources.ts';

export function binaryOf(
  tool: string,
  item: ToolItem,
  context: { binaries: NodeSpec['binaries']; facts: Facts; origin: string | undefined },
): BinaryResource {
  const { binaries, facts, origin } = context;
  const { sources, passedOver } = toolSources(tool, item, { binaries, facts });
  const transfer = transferSettings(binaries.transfer);
  return {
    kind: 'binary',
    id: `binary:${tool}`,
    ...base({ ...item, origin }),
    tool,
    version: item.version,
    architecture: parseArch(facts.arch.cpu),
    sources,
    passedOver,
    ...(transfer && { transfer }),
    place: { type: 'activate', target: item.target },
  };
}
