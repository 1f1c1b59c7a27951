/**
 * The program that a bootstrap brings. Its files are whole, checked and known to run here, beside those in use, before any of
 * them gets its name: a rename each, the runtime first, so that no program is ever without one that is at least of its age.
 */
import { withHostLock } from '../apply/run.ts';
import { NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { programFolder } from '../model/state-paths.ts';
import { compareSemver } from '../model/version.ts';
import { fetchProgram, nameOf, programFiles, type FetchOptions, type ProgramOrigin } from './program-origin.ts';
import { agentUnit } from '../model/agent-identity.ts';
import { offerProgram } from './self-update/offer.ts';
import { readTrial } from './self-update/trial.ts';
import { inTemporaryFolder } from '../host/temporary-folder.ts';

export interface ProgramOptions extends FetchOptions {
  readonly origin: ProgramOrigin;
}

/** From where programs may run, and on one file system with those in use. */
const besideFolder = '/opt/nodekiln';
const attributes = { mode: 0o755, uid: 0, gid: 0 };
const versionMs = 30_000;
const lockWaitMs = 60_000;

/**
 * False when there is a program: a bake or an update put it there, and knows better than user data of the machine's first day.
 * NK_AGENT_UPDATE_FAILED for one that does not run on this machine.
 */
export async function installProgram(host: Host, options: ProgramOptions): Promise<boolean> {
  // What a run that was killed left beside it.
  await host.files.sweep([besideFolder]);
  if (await host.files.stat(`${programFolder}/nodekiln`)) return false;
  await withFetched(host, options, ({ folder }) => switchTo(host, folder));
  return true;
}

/**
 * `kept`: the one in use is as new. `placed`: there is no agent that runs. `offered`: the errand puts it in place, and brings the
 * one in use back when it does not come up. `busy`: the agent is becoming another one now.
 */
export type Replaced = 'kept' | 'placed' | 'offered' | 'busy';

/** NK_AGENT_UPDATE_FAILED as above; NK_STATE_LOCKED; NK_STATE_NEWER; NK_UNIT_FAILED. */
export async function replaceProgram(host: Host, options: ProgramOptions, digest: string): Promise<Replaced> {
  const { files, units } = host;
  await files.sweep([besideFolder]);
  const trial = await readTrial(files);
  // Whoever was killed while it waited goes on with that.
  if (trial) return trial.offer === digest ? 'offered' : 'busy';
  return withFetched(host, options, async ({ folder, version }) => {
    const used = await versionIn(host, programFolder);
    if (used !== undefined && compareSemver(version, used) <= 0) return 'kept';
    const waiting = { waitMs: lockWaitMs, ...(options.signal && { signal: options.signal }) };
    // The agent has it while it makes itself another one.
    return withHostLock(host, waiting, async () => {
      if (await readTrial(files)) return 'busy';
      if ((await units.get(agentUnit)).activeState !== 'active') {
        await switchTo(host, folder);
        return 'placed';
      }
      await offerProgram(host, folder, digest);
      return 'offered';
    });
  });
}

interface Fetched {
  readonly folder: string;
  readonly version: string;
}

async function withFetched<T>(
  host: Host,
  { origin, ...options }: ProgramOptions,
  use: (fetched: Fetched) => Promise<T>,
): Promise<T> {
  const { files } = host;
  return inTemporaryFolder(files, besideFolder, async (temporary) => {
    await fetchProgram(host, origin, { ...options, folder: temporary });
    const folder = `${temporary}/ready`;
    for (const file of programFiles) await files.place(`${temporary}/${file}`, `${folder}/${file}`, attributes);
    const version = await versionIn(host, folder);
    if (version === undefined)
      throw new NodekilnError('NK_AGENT_UPDATE_FAILED', `the program of ${nameOf(origin)} does not run here`);
    return use({ folder, version });
  });
}

async function switchTo({ files }: Host, folder: string): Promise<void> {
  for (const file of programFiles) await files.place(`${folder}/${file}`, `${programFolder}/${file}`, attributes);
}

/** As the program says itself; undefined when it does not run. */
async function versionIn({ exec }: Host, folder: string): Promise<string | undefined> {
  try {
    const { status, stdout } = await exec.run([`${folder}/node`, `${folder}/nodekiln`, 'version', '--json'], {
      timeoutMs: versionMs,
    });
    const { data } = JSON.parse(stdout) as { readonly data?: { readonly nodekiln?: unknown } };
    return status === 0 && typeof data?.nodekiln === 'string' ? data.nodekiln : undefined;
  } catch {
    return undefined;
  }
}
