/**
 * A newer program that a bootstrap brings to an agent that runs: put aside whole, then given to the errand, which puts it in place
 * and brings the one before back when it does not come up. One record on the disk says that it is to be done: killed anywhere,
 * either nothing has happened or the errand goes on.
 */
import type { Files, Host } from '../../host/port.ts';
import { readMarker, writeMarker } from '../bootstrap-marker.ts';
import { saveBefore } from './before.ts';
import { runErrand } from './errand-unit.ts';
import { programPaths } from './own-part.ts';
import { writeTrial, type Failure } from './trial.ts';

/** Beside the program, from where programs may run; on one file system with it no byte is copied. */
export const offerFolder = '/opt/nodekiln/offer';
const attributes = { mode: 0o755, uid: 0, gid: 0 };
const offered = programPaths.map((path) => [path.replace(/^.*\//, `${offerFolder}/`), path] as const);

/**
 * With the host's lock, while no agent gives way to another. `folder`: with both files. NK_UNIT_FAILED: the errand does not
 * start; the agent tries that again.
 */
export async function offerProgram(host: Host, folder: string, digest: string): Promise<void> {
  const { files } = host;
  for (const [aside] of offered) await files.place(aside.replace(offerFolder, folder), aside, attributes);
  const saved = await saveBefore(files, programPaths, []);
  await writeTrial(files, { state: 'released', configures: false, offer: digest, saved });
  await runErrand(host, 'restart');
}

/** The runtime first: a program is never without one that is at least of its age. Done again after a crash. */
export async function placeOffer(files: Files): Promise<void> {
  for (const [aside, path] of offered) await files.place(aside, path, attributes);
}

/** It was tried and taken back: user data does not bring it again. */
export async function refuseOffer(files: Files, digest: string, failure: Failure): Promise<void> {
  const { digest: applied = '' } = (await readMarker(files)) ?? {};
  await writeMarker(files, { digest: applied, refused: { digest, ...failure } });
  await files.removeTree(offerFolder);
}
