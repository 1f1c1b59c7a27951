/**
 * Programs to activate, each with the sources to try in order. Pure.
 */
import { parseArch } from '../model/arch.ts';
import type { NodeSpec } from '../config/complete.ts';
import type { ToolItem } from '../config/complete-items.ts';
import { nothingLeft } from '../config/completion.ts';
import { parseSize } from '../config/size.ts';
import type { Facts } from '../model/facts.ts';
import { base, splitPolicy } from './render-items.ts';
import type { BinaryResource, CachePolicy } from '../model/resources.ts';
import { toolSources, transferSettings } from './sources.ts';

interface Context {
  readonly policy: NodeSpec['binaries']['policy'];
  readonly sources: NodeSpec['binaries']['sources'];
  readonly transfer: NodeSpec['binaries']['transfer'];
  readonly facts: Facts;
  readonly origin: string | undefined;
}

export function binaryOf(tool: string, item: ToolItem, context: Context): BinaryResource {
  const { facts, origin } = context;
  const { policy, own } = splitPolicy(item);
  const { version, target, ...ofSources } = own;
  const { sources, passedOver } = toolSources(tool, { version, ...ofSources }, context);
  const transfer = transferSettings(context.transfer);
  return {
    kind: 'binary',
    id: `binary:${tool}`,
    ...base({ ...policy, origin }),
    tool,
    version,
    architecture: parseArch(facts.arch.cpu),
    sources,
    passedOver,
    ...(transfer && { transfer }),
    place: { type: 'activate', target },
  };
}

/** One version beside the one in use is enough to go back. */
const defaultKeep = 1;

export function cachePolicy(item: NodeSpec['binaries']['cache']): CachePolicy | undefined {
  if (!item) return undefined;
  const { keep = defaultKeep, maxSize, ...rest } = item;
  nothingLeft(rest);
  const maxBytes = maxSize === undefined ? undefined : parseSize(maxSize);
  return { keep, ...(maxBytes !== undefined && { maxBytes }) };
}
