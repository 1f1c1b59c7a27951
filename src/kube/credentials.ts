/**
 * Credentials that are renewed: token files, client certificates and authorities on disk, and those that a program gives.
 * Files are looked at before each request, since a file can be replaced in more ways than its times tell; they are parsed
 * again only when they differ. What a program gave serves until it expires or is refused.
 */
import { asNodekilnError, type NodekilnError } from '../errors.ts';
import type { Clock, Exec, Files } from '../host/port.ts';
import { equalBytes } from '../model/bytes.ts';
import { runExecPlugin, type ExecPlugin } from './exec-credential.ts';
import { readKubeconfig, readKubeconfigWithPlugin } from './kubeconfig.ts';
import type { ApiServer, ApiServerWithPlugin, KubeconfigOptions } from './kubeconfig.ts';

/** Whom to trust and who we are now. `refused`: what was given before, and an API server answered 401. */
export type Credentials = (refused?: ApiServer) => Promise<ApiServer>;

export interface KubeconfigCredentialsOptions extends KubeconfigOptions {
  /** Runs the credential program of a kubeconfig that has one. Absent: such a kubeconfig is refused. */
  readonly programs?: { readonly exec: Exec; readonly clock: Clock };
  /** Told once for each reason why those of before are given still. */
  readonly onTrouble?: (trouble: NodekilnError) => void;
}

/** So long before it expires a credential is asked for again: a request under way must not meet its end. */
const renewBeforeMs = 10_000;

/**
 * Those of a kubeconfig and of the files it names. While they cannot be read, as in the middle of being replaced, those
 * of before are given; without any, what `readKubeconfig` throws. `file`: absolute.
 */
export function kubeconfigCredentials(
  files: Files,
  file: string,
  options: KubeconfigCredentialsOptions = {},
): Credentials {
  const { programs, onTrouble } = options;
  const onDisk = readAgainWhenChanged(files, file, options);
  if (!programs) return onDisk;
  /** `about`: what was read from disk for it. */
  let given: { readonly about: string; readonly expiresAt: number; readonly api: ApiServer } | undefined;
  let running: Promise<ApiServer> | undefined;
  const run = async (plugin: ExecPlugin, trusted: ApiServer, about: string): Promise<ApiServer> => {
    const { expiresAt = Infinity, ...shown } = await runExecPlugin(programs.exec, plugin);
    const api = { ...trusted, ...shown };
    given = { about, expiresAt, api };
    return api;
  };
  return async (refused) => {
    const read = await onDisk();
    const { exec: plugin, ...trusted } = read;
    if (!plugin) return read;
    const about = JSON.stringify(read);
    const usable = given?.about === about && given.api !== refused ? given : undefined;
    if (usable && usable.expiresAt - renewBeforeMs > programs.clock.now()) return usable.api;
    // Those who ask at the same time share one run.
    running ??= run(plugin, trusted, about).finally(() => (running = undefined));
    try {
      return await running;
    } catch (thrown) {
      // What has not expired may still do.
      if (!usable || usable.expiresAt <= programs.clock.now()) throw thrown;
      onTrouble?.(asNodekilnError(thrown));
      return usable.api;
    }
  };
}

function readAgainWhenChanged(
  files: Files,
  file: string,
  { context, programs, onTrouble }: KubeconfigCredentialsOptions,
): () => Promise<ApiServerWithPlugin> {
  let last:
    | { readonly api: ApiServerWithPlugin; readonly read: ReadonlyMap<string, Uint8Array | undefined> }
    | undefined;
  let said = '';
  const readFrom = programs ? readKubeconfigWithPlugin : readKubeconfig;
  const unchanged = async (read: ReadonlyMap<string, Uint8Array | undefined>): Promise<boolean> => {
    const same = await Promise.all(
      [...read].map(async ([path, before]) => {
        const now = await files.read(path).catch(() => undefined);
        return now !== undefined && before !== undefined && equalBytes(now, before);
      }),
    );
    return same.every(Boolean);
  };
  return async () => {
    if (last && (await unchanged(last.read))) return last.api;
    const read = new Map<string, Uint8Array | undefined>();
    const noting: Pick<Files, 'read'> = {
      read: async (path, options) => {
        const content = await files.read(path, options);
        read.set(path, content);
        return content;
      },
    };
    try {
      last = { api: await readFrom(noting, file, context === undefined ? {} : { context }), read };
      said = '';
    } catch (thrown) {
      if (!last) throw thrown;
      const trouble = asNodekilnError(thrown);
      if (trouble.message !== said) onTrouble?.(trouble);
      said = trouble.message;
    }
    return last.api;
  };
}
