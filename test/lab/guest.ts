/**
 * What a lab host gets on top of its root: one early unit that gives the guest what a real machine would have and a
 * container lacks. It lies in a folder of the lab that is bound over /usr/local/lib/systemd/system, so a host's own
 * file tree stays as it was baked.
 *
 * Why each line is there: runc and the kubelet need writable cgroup controllers (nspawn mounts them read-only), the
 * kubelet refuses to start with foreign values of a few sysctls, reads /dev/kmsg and needs mounts to propagate, and
 * system extension images need loop devices.
 */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the folder is bound in the guest: in systemd's search path and in no package's file list. */
export const guestUnitFolder = '/usr/local/lib/systemd/system';

const earlyUnit = `[Unit]
Description=What a lab host needs to be like a machine of its own
DefaultDependencies=no
After=systemd-journald.service
Before=sysinit.target systemd-sysctl.service systemd-sysext.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh ${guestUnitFolder}/nodekiln-lab-early.sh
`;

/**
 * Settings of the machine's kernel that a guest must not change: in the guest each is a plain file with the value that
 * the kubelet demands, or with the machine's own one, and can be written there without any effect on the machine.
 */
const ownSettings: Readonly<Record<string, string>> = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'vm/max_map_count': '',
  'vm/swappiness': '',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
  'kernel/pid_max': '',
  'fs/file-max': '',
  'fs/inotify/max_user_instances': '',
  'fs/inotify/max_user_watches': '',
};

const earlyScript = `set -u
for controller in /sys/fs/cgroup/*; do
  # Symbolic links are second names of joined controllers; systemd's own hierarchies are writable already.
  [ -d "$controller" ] && [ ! -L "$controller" ] && mount -o remount,rw,bind "$controller" 2>/dev/null
done
mkdir -p /run/nodekiln-lab/sysctl
setting() {
  [ -e "/proc/sys/$1" ] || return 0
  file=/run/nodekiln-lab/sysctl/$(echo "$1" | tr / .)
  if [ -n "$2" ]; then echo "$2" >"$file"; else cat "/proc/sys/$1" >"$file"; fi
  mount --bind "$file" "/proc/sys/$1"
}
${Object.entries(ownSettings)
  .map(([name, value]) => `setting ${name} '${value}'`)
  .join('\n')}
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,rw,bind /proc/sys/net
rm -f /dev/kmsg
mknod -m 0600 /dev/kmsg c 1 11
[ -e /dev/loop-control ] || mknod -m 0600 /dev/loop-control c 10 237
number=0
while [ $number -lt 32 ]; do
  [ -e /dev/loop$number ] || mknod -m 0600 /dev/loop$number b 7 $number
  number=$((number + 1))
done
mount --make-rshared /
exit 0
`;

/** Writes the folder that is bound into a guest. */
export async function writeGuestUnits(dir: string): Promise<void> {
  await mkdir(join(dir, 'sysinit.target.wants'), { recursive: true });
  await writeFile(join(dir, 'nodekiln-lab-early.service'), earlyUnit);
  await writeFile(join(dir, 'nodekiln-lab-early.sh'), earlyScript);
  await symlink('../nodekiln-lab-early.service', join(dir, 'sysinit.target.wants/nodekiln-lab-early.service'));
}
