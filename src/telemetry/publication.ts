/** The published result of a boot: `/var/lib/nodekiln/boot/result.json`, whole or absent. */
import { NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { bootResultPath, lastResultPath } from '../model/state-paths.ts';
import type { BootResult } from './result.ts';
import { textOf } from '../model/bytes.ts';

const folder = bootResultPath.slice(0, bootResultPath.lastIndexOf('/'));

/**
 * A run that did nothing does not replace the record of the boot that did the work in the same start of the machine,
 * however either ended: it is beside it as `last.json`. Every start has a result of its own. NK_STATE_UNUSABLE when neither
 * can be written.
 */
export async function publishResult(host: Host, result: BootResult): Promise<void> {
  const content = new TextEncoder().encode(`${JSON.stringify(result, undefined, 2)}\n`);
  try {
    await host.files.write([{ type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 }]);
    const previous = result.steps.length === 0 ? await readResult(host) : undefined;
    const keep = previous !== undefined && previous.steps.length > 0 && previous.bootId === result.bootId;
    const path = keep ? lastResultPath : bootResultPath;
    await host.files.write([{ type: 'file', path, content, mode: 0o600, uid: 0, gid: 0 }]);
    // What it says was before this run.
    if (!keep) await host.files.remove([lastResultPath]);
  } catch (cause) {
    throw new NodekilnError('NK_STATE_UNUSABLE', `${bootResultPath} cannot be written`, { cause });
  }
}

/** The published result, if any; one that cannot be read is none. */
async function readResult(host: Host): Promise<BootResult | undefined> {
  const content = await host.files.read(bootResultPath);
  if (!content) return undefined;
  try {
    return JSON.parse(textOf(content)) as BootResult;
  } catch {
    return undefined;
  }
}
