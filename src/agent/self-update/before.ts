/** What the agent that runs now was started with, kept aside until another one has taken over. */
import { NodekilnError } from '../../errors.ts';
import type { Files } from '../../host/port.ts';
import { unitPaths } from '../../kinds/unit/definition.ts';
import type { Touched } from '../../model/steps.ts';
import { agentUnit } from '../../model/agent-identity.ts';
import { programPaths, type OwnPart } from './own-part.ts';
import type { Saved } from './trial.ts';

/** Beside the program, from where programs may run; on one file system with it no byte is copied. */
export const beforeFolder = '/opt/nodekiln/before';
/** The program of before, which the errand runs. */
export const programBefore = programPaths.map((path) => `${beforeFolder}/${path.slice(path.lastIndexOf('/') + 1)}`);

/** Places of the own part, also of what nothing asks for now, and of the program whatever changes. */
export function ownPlaces({ ids, resources }: OwnPart, touched: ReadonlyMap<string, Touched>): string[] {
  const earlier = [...ids].flatMap((id) => touched.get(id)?.definitions ?? []);
  const places = [...resources, ...earlier].flatMap((resource) => {
    if (resource.kind === 'file') return [resource.path];
    return resource.kind === 'unit' ? unitPaths(resource, undefined) : [];
  });
  return [...new Set([...programPaths, `/etc/systemd/system/${agentUnit}`, ...places])];
}

/** Keeps what is at these places, but for those that are kept already. NK_AGENT_UPDATE_FAILED for what is no file. */
export async function saveBefore(files: Files, places: readonly string[], saved: readonly Saved[]): Promise<Saved[]> {
  const all = [...saved];
  const known = new Set(saved.map(({ path }) => path));
  if (known.size === 0) await files.removeTree(beforeFolder);
  for (const path of places) {
    if (known.has(path)) continue;
    const found = await files.stat(path);
    if (found && found.type !== 'file')
      throw new NodekilnError('NK_AGENT_UPDATE_FAILED', `${path} is no regular file: it cannot be put back`);
    if (!found) {
      all.push({ path });
      continue;
    }
    const program = programPaths.findIndex((one) => one === path);
    const to = programBefore[program] ?? `${beforeFolder}/${all.length}`;
    const attributes = { mode: found.mode, uid: found.uid, gid: found.gid };
    await files.place(path, to, attributes);
    all.push({ path, copy: { path: to, ...attributes } });
  }
  return all;
}

export async function bringBack(files: Files, saved: readonly Saved[]): Promise<void> {
  await files.remove(saved.filter(({ copy }) => !copy).map(({ path }) => path));
  for (const { path, copy } of saved) if (copy) await files.place(copy.path, path, copy);
}
