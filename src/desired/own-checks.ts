/** `verify` of an ImageManifest: what the image's lock keeps of it for `nodekiln verify`. Pure. */
import type { ImageManifest } from '../config/schema-image.ts';
import { parseSize } from '../config/size.ts';
import { nothingLeft } from '../config/completion.ts';

type Wanted = NonNullable<ImageManifest['spec']['verify']>;

/** An account as it is written: `root` or a number. */
const accountOf = (id: number | 'root'): number => (id === 'root' ? 0 : id);

/** The checks as data, each list there; undefined when the manifest has none. */
export function ownChecks(wanted: Wanted | undefined) {
  if (!wanted) return undefined;
  const { absent = [], present = [], units = [], noLogins = false, freeSpace, ...rest } = wanted;
  nothingLeft(rest);
  const freeBytes = freeSpace === undefined ? undefined : parseSize(freeSpace);
  return {
    absent: [...absent],
    present: present.map(({ path, type, mode, owner, group, ...restOfEntry }) => {
      nothingLeft(restOfEntry);
      return {
        path,
        ...(type !== undefined && { type }),
        ...(mode !== undefined && { mode: mode.padStart(4, '0').slice(-4) }),
        ...(owner !== undefined && { uid: accountOf(owner) }),
        ...(group !== undefined && { gid: accountOf(group) }),
      };
    }),
    units: units.map(({ name, state }) => ({ name, state })),
    noLogins,
    ...(freeBytes !== undefined && { freeBytes }),
  };
}
