/**
 * nodekiln and what runs it out of a registry. The files are whole and checked, beside those in use, before any of them gets its
 * name: a rename each, the runtime first, so that no program is ever without one that is at least of its age.
 */
import { fetchTo } from '../artifacts/fetch-to.ts';
import type { HttpClient } from '../artifacts/sources/http-client.ts';
import { NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { programFolder } from '../model/state-paths.ts';
import { compareSemver } from '../model/version.ts';
import { trialPath } from './self-update/trial.ts';

export interface ProgramOptions {
  /** An OCI artifact of `./dev build`, by digest. */
  readonly image: string;
  /** Asked before its registry, in order: addresses as in `hosts.toml`, with or without a path. */
  readonly mirrors?: readonly string[];
  /** Speak plain HTTP with its registry. */
  readonly plainHttp?: boolean;
  /** Speaks to the registry, with whatever authorities it is trusted by. */
  readonly client: HttpClient;
  /** For fetching, retries included. */
  readonly budgetMs: number;
  readonly signal?: AbortSignal;
}

/** The program last: where it is, what runs it is there, too. */
const programFiles = ['node', 'nodekiln'] as const;
/** From where programs may run, and on one file system with those in use. */
const besideFolder = '/opt/nodekiln';
const attributes = { mode: 0o755, uid: 0, gid: 0 };
const versionMs = 30_000;

/** False when there is a program: a bake or an update put it there, and knows better than user data of the machine's first day. */
export async function installProgram(host: Host, options: ProgramOptions): Promise<boolean> {
  // What a run that was killed left beside it.
  await host.files.sweep([besideFolder]);
  if (await host.files.stat(`${programFolder}/nodekiln`)) return false;
  await withFetched(host, options, (folder) => switchTo(host, folder));
  return true;
}

/**
 * False when the one in use is as new, or a document is replacing it now. NK_AGENT_UPDATE_FAILED when the new one does not run
 * on this machine; the other stays.
 */
export async function replaceProgram(
  host: Host,
  options: ProgramOptions,
  beforeSwitch: () => Promise<void>,
): Promise<boolean> {
  await host.files.sweep([besideFolder]);
  if (await host.files.stat(trialPath)) return false;
  return withFetched(host, options, async (folder) => {
    const node = `${folder}/offered-node`;
    await host.files.place(`${folder}/node`, node, attributes);
    const offered = await versionOf(host, [node, `${folder}/nodekiln`]);
    const used = await versionOf(host, [`${programFolder}/node`, `${programFolder}/nodekiln`]);
    if (offered === undefined)
      throw new NodekilnError('NK_AGENT_UPDATE_FAILED', `the program of ${options.image} does not run here`);
    if (used !== undefined && compareSemver(offered, used) <= 0) return false;
    await beforeSwitch();
    await switchTo(host, folder);
    return true;
  });
}

async function withFetched<T>(host: Host, options: ProgramOptions, use: (folder: string) => Promise<T>): Promise<T> {
  const { files, program } = host;
  const folder = await files.temporaryFolder(besideFolder);
  try {
    for (const file of programFiles)
      await fetchTo(
        {
          type: 'oci',
          reference: options.image,
          file,
          architecture: program.architecture,
          plainHttp: options.plainHttp ?? false,
        },
        `${folder}/${file}`,
        {
          ...host,
          base: '/',
          client: options.client,
          budgetMs: options.budgetMs,
          mirrors: (options.mirrors ?? []).map((url) => ({ host: '_default', url })),
          ...(options.signal && { signal: options.signal }),
        },
      );
    return await use(folder);
  } finally {
    await files.removeTree(folder);
  }
}

async function switchTo({ files }: Host, folder: string): Promise<void> {
  for (const file of programFiles) await files.place(`${folder}/${file}`, `${programFolder}/${file}`, attributes);
}

/** As it says itself; undefined when it does not run. */
async function versionOf({ exec }: Host, program: readonly string[]): Promise<string | undefined> {
  try {
    const { status, stdout } = await exec.run([...program, 'version', '--json'], {
      timeoutMs: versionMs,
    });
    const { data } = JSON.parse(stdout) as { readonly data?: { readonly nodekiln?: unknown } };
    return status === 0 && typeof data?.nodekiln === 'string' ? data.nodekiln : undefined;
  } catch {
    return undefined;
  }
}
