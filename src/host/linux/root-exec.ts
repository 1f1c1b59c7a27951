/**
 * Programs in a root folder that is not running, with what package managers expect: /proc, the devices and the machine's
 * resolver. All of it lives in mount and process namespaces of the program and ends with it, however it ends.
 */
import { existsSync, lstatSync } from 'node:fs';
import { nodeDisk } from '../../disk/node-disk.ts';
import { createPathResolver } from '../../disk/resolve.ts';
import { join } from '../../model/path.ts';
import type { Exec } from '../port.ts';
import { createLinuxExec } from './exec.ts';

const resolverFile = '/etc/resolv.conf';

/**
 * Root, the resolver's place and the program are arguments, never part of the text. Nothing of the root is changed: a file
 * is covered, and a place in /run, where nothing lies while nothing runs, is made in a /run of the program's own.
 */
const script = `
root=$1 resolver=$2; shift 2
mount --types proc proc "$root/proc" || exit 126
mount --rbind /dev "$root/dev" || exit 126
case $resolver in
  '') ;;
  "$root"/run/*)
    mount --types tmpfs --options mode=0755 tmpfs "$root/run" &&
    mkdir -p "\${resolver%/*}" && cat ${resolverFile} > "$resolver" || exit 126 ;;
  *) mount --bind ${resolverFile} "$resolver" || exit 126 ;;
esac
exec chroot "$root" "$@"
`;

export function createRootExec(root: string): Exec {
  const machine = createLinuxExec('/');
  return {
    run: async (argv, options) => {
      const prefix = ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script, 'sh'];
      return machine.run([...prefix, root, await resolverPlace(root), ...argv], options);
    },
  };
}

/** Where a program in the root looks for its resolver, in our own file system; empty when it cannot be given one there. */
export async function resolverPlace(root: string): Promise<string> {
  if (!existsSync(resolverFile)) return '';
  // A circle of links leads nowhere.
  const place = await createPathResolver(nodeDisk, root)
    .target(resolverFile)
    .catch(() => '');
  if (place === '') return '';
  const stat = lstatSync(place, { throwIfNoEntry: false });
  const run = join(root, 'run');
  if (place.startsWith(`${run}/`) && lstatSync(run, { throwIfNoEntry: false })?.isDirectory() === true) return place;
  return stat?.isFile() === true ? place : '';
}
