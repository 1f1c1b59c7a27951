/**
 * Credentials that are renewed on disk: token files, client certificates, authorities. They are looked at before each
 * request, since a file can be replaced in more ways than its times tell; they are parsed again only when they differ.
 */
import type { Files } from '../host/port.ts';
import { equalBytes } from '../model/bytes.ts';
import { readKubeconfig } from './kubeconfig.ts';
import type { ApiServer } from './kubeconfig.ts';

/** Whom to trust and who we are now. */
export type Credentials = () => Promise<ApiServer>;

/**
 * Those of a kubeconfig and of the files it names. While they cannot be read, as in the middle of being replaced, those
 * of before are given; without any, what `readKubeconfig` throws. `file`: absolute.
 */
export function kubeconfigCredentials(files: Files, file: string): Credentials {
  let last: { readonly api: ApiServer; readonly read: ReadonlyMap<string, Uint8Array | undefined> } | undefined;
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
      last = { api: await readKubeconfig(noting, file), read };
    } catch (thrown) {
      if (!last) throw thrown;
    }
    return last.api;
  };
}
