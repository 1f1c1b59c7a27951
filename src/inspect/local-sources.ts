/**
 * Sources of a plan that are on the machine itself, a folder with packages or extensions, looked at as whoever carries the plan
 * out would: what they hold, or why they do not serve. Nothing is changed; only headers are read.
 */
import { asNodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { packageIn } from '../kinds/binary/artifacts.ts';
import { localExtension } from '../kinds/extension/fetch.ts';
import type { Change } from '../model/steps.ts';
import type { BinaryResource, ExtensionResource } from '../model/resources.ts';
import type { LocalSources, PlannedSource } from './plan-sources.ts';

/** Of the programs and extensions that change. */
export async function lookAtLocalSources(
  host: Pick<Host, 'files' | 'local' | 'archives'>,
  changes: readonly Change[],
): Promise<LocalSources> {
  const found = await Promise.all(
    changes.map(async ({ desired }) => {
      const look = desired && lookerOf(host, desired);
      return look && ([desired.id, await verdict(look)] as const);
    }),
  );
  return new Map(found.filter((one) => one !== undefined));
}

function lookerOf(
  host: Pick<Host, 'files' | 'local' | 'archives'>,
  resource: NonNullable<Change['desired']>,
): (() => Promise<string>) | undefined {
  if (resource.kind === 'binary') return folderOf(host, resource);
  if (resource.kind === 'extension') return extensionOf(host, resource);
  return undefined;
}

function folderOf(host: Pick<Host, 'local' | 'archives'>, resource: BinaryResource) {
  for (const source of resource.sources) {
    if (source.type === 'cache' || source.from.type !== 'folder') continue;
    const { path } = source.from;
    return () => packageIn(host, path, { resource, source });
  }
  return undefined;
}

function extensionOf(host: Pick<Host, 'files' | 'local' | 'archives'>, resource: ExtensionResource) {
  const source = resource.sources.find(({ type }) => type === 'local');
  return source?.type === 'local' ? () => localExtension(host, resource, source.path) : undefined;
}

async function verdict(look: () => Promise<string>): Promise<Pick<PlannedSource, 'part' | 'why'>> {
  try {
    return { part: 'serves', why: await look() };
  } catch (thrown) {
    return { part: 'refused', why: asNodekilnError(thrown).message };
  }
}
