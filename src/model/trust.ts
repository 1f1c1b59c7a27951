/**
 * Who else can change an entry of a file system. Root and we ourselves may do anything; every other user is somebody else,
 * and so is every member of a group: the rule of sshd's StrictModes (sshd_config(5)). One group is no group: that of a user
 * alone, which distributions give the user's own number and which comes with the umask 002.
 */
import type { Attributes } from './files.ts';

/** By whom we run. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** Root, or we ourselves. */
export function isOwn(uid: number, self: Identity): boolean {
  return uid === 0 || uid === self.uid;
}

/** Whether its mode lets more than its owner write to it. */
export function isWritableByMore({ mode, uid, gid }: Attributes, self: Identity): boolean {
  const isPrivateGroup = self.uid !== 0 && uid === self.uid && gid === self.gid && gid === uid;
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && !isPrivateGroup);
}

/** Whether somebody else can change it: of a folder, which names are in it. */
export function isOthers(entry: Attributes, self: Identity): boolean {
  return !isOwn(entry.uid, self) || isWritableByMore(entry, self);
}

/** Whether nobody else can put something in the place of this entry of the folder. In a sticky one only its owner can. */
export function isFixed(folder: Attributes, entry: Attributes, self: Identity): boolean {
  if (!isOthers(folder, self)) return true;
  return isOwn(folder.uid, self) && (folder.mode & 0o1000) !== 0 && isOwn(entry.uid, self);
}

/** Something on the way to a file that somebody else can change. */
export interface Exposure {
  readonly path: string;
  /** As in "PATH …": `belongs to user 1000`. */
  readonly why: string;
  /** A command. */
  readonly remedy: string;
}

/** An entry in a folder that a path leads through. */
export interface Passed {
  readonly folder: Named;
  readonly entry: Named;
}

interface Named extends Attributes {
  readonly path: string;
}

/** The first of what a path leads through that somebody else can change, the end of it included; a link is who laid it. */
export function exposureOf(way: readonly Passed[], trusted: readonly [Identity, ...Identity[]]): Exposure | undefined {
  const [self] = trusted;
  for (const { folder, entry } of way) {
    if (trusted.some((each) => isFixed(folder, entry, each))) continue;
    const isSticky = isOwn(folder.uid, self) && (folder.mode & 0o1000) !== 0;
    return reasonOf(isSticky ? entry : folder, self);
  }
  const end = way.at(-1)?.entry;
  return end && trusted.every((each) => isOthers(end, each)) ? reasonOf(end, self) : undefined;
}

function reasonOf({ path, uid, mode }: Named, self: Identity): Exposure {
  if (!isOwn(uid, self)) return { path, why: `belongs to user ${uid}`, remedy: `chown ${self.uid} ${path}` };
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  return { path, why: `can be written to by others (mode ${octal})`, remedy: `chmod go-w ${path}` };
}
