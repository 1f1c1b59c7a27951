/**
 * Which mounts nobody writes through: proc_pid_mountinfo(5). Modes of what lies there say nothing of who can change it.
 *
 * Read-only is what is mounted so, unless the same part of its file system is also mounted to be written where we can see it.
 * Pure.
 */

interface Mount {
  readonly id: string;
  readonly device: string;
  /** The part of the file system that is mounted. */
  readonly root: string;
  readonly isReadOnly: boolean;
}

/** Of the mount with this number, as /proc/self/fdinfo/FD tells it. False when there is none. */
export function isReadOnlyMount(mountinfo: string, id: string): boolean {
  const mounts = mountinfo.split('\n').flatMap((line) => mountOf(line) ?? []);
  const mount = mounts.find((each) => each.id === id);
  if (!mount) return false;
  return mounts.every((each) => each.isReadOnly || each.device !== mount.device || !overlap(each.root, mount.root));
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` */
function mountOf(line: string): Mount | undefined {
  const [own = '', system = ''] = line.split(' - ');
  const [id, , device, root, , options] = own.split(' ');
  const systemOptions = system.split(' ')[2];
  if (id === undefined || device === undefined || root === undefined || options === undefined) return undefined;
  return { id, device, root, isReadOnly: isReadOnly(options) || isReadOnly(systemOptions ?? '') };
}

function isReadOnly(options: string): boolean {
  return options.split(',').includes('ro');
}

function overlap(one: string, other: string): boolean {
  const [left, right] = [`${one}/`.replace('//', '/'), `${other}/`.replace('//', '/')];
  return left.startsWith(right) || right.startsWith(left);
}
