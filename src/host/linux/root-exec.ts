/**
 * Programs in a root folder that is not running, with what package managers expect: /proc, the devices and the machine's
 * resolver. All of it lives in mount and process namespaces of the program and ends with it, however it ends.
 */
import type { Exec } from '../port.ts';
import { createLinuxExec } from './exec.ts';

/** Root and program are arguments, never part of the text. A resolver file of the root is covered, not changed. */
const script = `
root=$1; shift
mount --types proc proc "$root/proc" || exit 126
mount --rbind /dev "$root/dev" || exit 126
if [ -f "$root/etc/resolv.conf" ] && [ ! -L "$root/etc/resolv.conf" ]; then mount --bind /etc/resolv.conf "$root/etc/resolv.conf" || exit 126; fi
exec chroot "$root" "$@"
`;

export function createRootExec(root: string): Exec {
  const machine = createLinuxExec('/');
  return {
    run: (argv, options) =>
      machine.run(
        ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script, 'sh', root, ...argv],
        options,
      ),
  };
}
