/** Names of entries: relative, inside the archive, one spelling. Pure. */
import { unreadable } from '../port/archives.ts';

/** `./usr//bin/kubelet` → `usr/bin/kubelet`; NK_ARTIFACT_UNREADABLE for absolute names, `..` and NUL. */
export function entryName(raw: string, what: string): string {
  // Some builders of images write their root so.
  if (/^\/+$/.test(raw)) return '';
  if (raw.startsWith('/')) throw unreadable(what, `contains the absolute path ${JSON.stringify(raw)}`);
  if (raw.includes('\0')) throw unreadable(what, `contains the name ${JSON.stringify(raw)}`);
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw unreadable(what, `contains the path ${JSON.stringify(raw)}, which leads outside`);
  return parts.join('/');
}
