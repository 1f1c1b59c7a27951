/**
 * The key of a certificate that is asked for: on the disk before it is asked with, so that whoever is killed meanwhile asks
 * again for the same.
 */
import type { Host } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import type { FileWrite } from '../model/files.ts';
import { agentFolder } from '../model/state-paths.ts';

/** That of a request that may be under way, else a new one: PKCS #8 in PEM. `path`: in the agent's folder. */
export async function keptKey(
  { files, signatures }: Pick<Host, 'files' | 'signatures'>,
  path: string,
): Promise<string> {
  const content = await files.read(path);
  const before = content && textOf(content);
  if (before !== undefined && (await signatures.publicKeyOf(before))) return before;
  const key = await signatures.newKey();
  await files.write([{ type: 'directory', path: agentFolder, mode: 0o700, uid: 0, gid: 0 }, secretFile(path, key)]);
  return key;
}

/** For root's eyes. */
export function secretFile(path: string, text: string): FileWrite {
  return { type: 'file', path, content: bytesOf(text), mode: 0o600, uid: 0, gid: 0 };
}
