/** The real disk, with a record of everything that changes it and of every sync, in order: what durability is judged by. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import type { Descriptor, Disk } from '../../src/disk/disk.ts';
import { nodeDisk } from '../../src/disk/node-disk.ts';

export interface DiskCall {
  readonly call: string;
  /** What it changes: for a descriptor, what it was opened as. */
  readonly path: string;
  /** Of a rename. */
  readonly from?: string;
}

export interface RecordingDisk {
  readonly disk: Disk;
  readonly calls: DiskCall[];
  /** An entry of somebody else's, in the same order. */
  note(call: string, path: string): void;
}

export function recordDisk(): RecordingDisk {
  const calls: DiskCall[] = [];
  const note = (call: string, path: string, from?: string): void =>
    void calls.push({ call, path, ...(from !== undefined && { from }) });
  const record = (descriptor: Descriptor, path: string): Descriptor => ({
    ...descriptor,
    write: (bytes, position) => (note('write', path), descriptor.write(bytes, position)),
    truncate: (length) => (note('truncate', path), descriptor.truncate(length)),
    chown: (uid, gid) => (note('chown', path), descriptor.chown(uid, gid)),
    chmod: (mode) => (note('chmod', path), descriptor.chmod(mode)),
    // Done when it has returned, not when it was asked for.
    sync: async () => {
      await descriptor.sync();
      note('sync', path);
    },
  });
  const disk: Disk = {
    ...nodeDisk,
    open: async (path, how) => {
      if (how === 'create') note('create', path);
      return record(await nodeDisk.open(path, how), path);
    },
    mkdir: (path, mode) => (note('mkdir', path), nodeDisk.mkdir(path, mode)),
    symlink: (target, path) => (note('symlink', path), nodeDisk.symlink(target, path)),
    link: (from, to) => (note('link', to), nodeDisk.link(from, to)),
    reflink: (from, to) => (note('reflink', to), nodeDisk.reflink(from, to)),
    copy: (from, to) => (note('copy', to), nodeDisk.copy(from, to)),
    rename: (from, to) => (note('rename', to, from), nodeDisk.rename(from, to)),
    unlink: (path) => (note('unlink', path), nodeDisk.unlink(path)),
    rmdir: (path) => (note('rmdir', path), nodeDisk.rmdir(path)),
  };
  return { disk, calls, note };
}

/** Which call it was; the last one unless told otherwise. */
export function callIndex(calls: readonly DiskCall[], call: string, path: string): number {
  return calls.findLastIndex((each) => each.call === call && each.path === path);
}

/** Everything that made the content came before its sync, that before the rename, and the folder's sync after it. */
export function assertDurable(calls: readonly DiskCall[], target: string): void {
  const renamed = callIndex(calls, 'rename', target);
  assert.ok(renamed >= 0, `${target} got its name by no rename`);
  const from = calls[renamed]?.from ?? '';
  assert.equal(dirname(from), dirname(target), 'the temporary name is in the same folder');
  const changed = calls.findLastIndex(({ call, path }) => path === from && call !== 'sync' && call !== 'unlink');
  const synced = callIndex(calls.slice(0, renamed), 'sync', from);
  assert.ok(synced > changed, `the content of ${target} is not synced before its rename`);
  assertSyncedAfter(calls, renamed, dirname(target));
}

/** The folder is synced after that call. */
export function assertSyncedAfter(calls: readonly DiskCall[], index: number, folder: string): void {
  assert.ok(index >= 0, 'there was no such call');
  assert.ok(
    callIndex(calls, 'sync', folder) > index,
    `${folder} is not synced after ${calls[index]?.call} ${calls[index]?.path}`,
  );
}
