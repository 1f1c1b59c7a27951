/** Which version of its configuration a host's containerd is given. Pure. */
import { isMap } from '../config/paths.ts';
import type { Facts } from '../model/facts.ts';
import { parseVersion } from '../model/version.ts';

type Known = Pick<Facts, 'containerdVersion' | 'containerdConfiguration'>;

/** Since 2.1 there may be several folders of network plugins; the setting for one is on its way out. */
export function hasPluginFolders({ containerdVersion }: Known): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(containerdVersion ?? '') ?? [];
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 1);
}

/** containerd 2 also reads version 2, so that is what a host with an unknown containerd gets, unless it has one of version 3. */
export function configurationVersion({ containerdVersion, containerdConfiguration = {} }: Known): 2 | 3 {
  if (containerdVersion === undefined)
    return Object.values(containerdConfiguration).some((settings) => isMap(settings) && settings['version'] === 3)
      ? 3
      : 2;
  const major = Number(parseVersion(containerdVersion).upstream.split('.')[0]);
  return major >= 2 ? 3 : 2;
}
