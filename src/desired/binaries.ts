/**
 * Programs to activate, each with the sources to try in order. Pure.
 */
import { parseArch } from '../model/arch.ts';
import type { NodeSpec, ToolItem } from '../config/complete.ts';
import { parseSize } from '../config/size.ts';
import type { Facts } from '../model/facts.ts';
import { base } from './render-items.ts';
import type { BinaryResource, CachePolicy } from '../model/resources.ts';
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

/** One version beside the one in use is enough to go back. */
const defaultKeep = 1;

export function cachePolicy(item: NodeSpec['binaries']['cache']): CachePolicy | undefined {
  if (!item) return undefined;
  const maxBytes = item.maxSize === undefined ? undefined : parseSize(item.maxSize);
  return { keep: item.keep ?? defaultKeep, ...(maxBytes !== undefined && { maxBytes }) };
}
