/**
 * Programs of a root folder that is not running, with what package managers expect: /proc, a few devices that hold nothing,
 * the machine's network and resolver. They may change the root and nothing beside it (sandbox/sandbox.ts); all that is
 * mounted for them lives in namespaces of the program and ends with it, however it ends. A program that is `confined` may
 * change nothing at all.
 */
import { existsSync, lstatSync } from 'node:fs';
import { nodeDisk } from '../../disk/node-disk.ts';
import { createPathResolver } from '../../disk/resolve.ts';
import { join } from '../../model/path.ts';
import type { Exec } from '../port.ts';
import { runProgram } from './exec.ts';
import { runConfined } from './sandbox/run.ts';
import { confined, requireSandbox, resultOfConfined } from './sandbox/sandbox.ts';

const resolverFile = '/etc/resolv.conf';

/**
 * Root, the resolver's place and the program are arguments, never part of the text. Nothing of the root is changed: a file
 * is covered, and a place in /run, where nothing lies while nothing runs, is made in a /run of the program's own. What is the machine's is mounted
 * read-only, so that not even its mode can be changed.
 */
const script = `
root=$1 resolver=$2; shift 2
fail() { echo "sandbox: $1 cannot be mounted in $root" >&2; exit 125; }
folder() { [ -d "$root$1" ] && [ ! -L "$root$1" ]; }
mount --rbind "$root" "$root" && mount --options remount,bind,nodev "$root" || fail /
if folder /proc; then
  mount --types proc --options nosuid,nodev,noexec proc "$root/proc" || fail /proc
  for path in sys sysrq-trigger irq bus fs; do
    [ ! -e "$root/proc/$path" ] || { mount --bind "$root/proc/$path" "$root/proc/$path" &&
      mount --options remount,bind,ro "$root/proc/$path"; } || fail "/proc/$path"
  done
  for path in kcore keys timer_list; do
    [ ! -e "$root/proc/$path" ] || mount --bind /dev/null "$root/proc/$path" || fail "/proc/$path"
  done
fi
if folder /dev; then
  mount --types tmpfs --options mode=0755,nosuid,size=64m tmpfs "$root/dev" || fail /dev
  for device in null zero full random urandom tty; do
    : > "$root/dev/$device" && mount --bind "/dev/$device" "$root/dev/$device" &&
      mount --options remount,bind,ro "$root/dev/$device" || fail "/dev/$device"
  done
  mkdir -m 1777 "$root/dev/shm" && mkdir "$root/dev/pts" &&
  mount --types devpts --options newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts" || fail /dev/pts
  ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"; ln -s fd/0 "$root/dev/stdin"
  ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
fi
case $resolver in
  '') ;;
  "$root"/run/*)
    mount --types tmpfs --options mode=0755 tmpfs "$root/run" &&
    mkdir -p "\${resolver%/*}" && cat ${resolverFile} > "$resolver" || fail ${resolverFile} ;;
  *) mount --bind ${resolverFile} "$resolver" && mount --options remount,bind,ro "$resolver" || fail ${resolverFile} ;;
esac
exec "$@"
`;

const namespaces = ['--mount', '--uts', '--ipc', '--pid', '--cgroup', '--fork'];

/** The command that runs a program of a root so that it can change the root alone. */
export function rootCommand(
  root: string,
  { who, resolver = '' }: { readonly who: 'installer' | 'importer'; readonly resolver?: string },
  argv: readonly string[],
): string[] {
  const own = who === 'importer' ? ['--net', '--kill-child=SIGTERM'] : ['--kill-child=SIGKILL'];
  const mounts = ['sh', '-c', script, 'sh', root, resolver];
  return ['unshare', ...namespaces, ...own, ...mounts, ...confined(root, who, argv)];
}

export function createRootExec(root: string): Exec {
  return {
    run: async (argv, options) => {
      if (options.confined === true) return runConfined(runProgram, { root, argv, options });
      requireSandbox(argv, 'installer');
      const command = rootCommand(root, { who: 'installer', resolver: await resolverPlace(root) }, argv);
      return resultOfConfined(argv, await runProgram(command, { ...options, name: argv[0] ?? '' }));
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
