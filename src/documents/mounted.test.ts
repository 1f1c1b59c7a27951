/**
 * Documents in folders that are mounted read-only, as kubelet mounts the volumes of pods: a ConfigMap's folder has the mode 0777
 * and links within, and nobody writes to it. Real mounts, in a namespace of their own.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { isReadOnlyMount } from '../disk/mounts.ts';

const text = '{"apiVersion":"nodekiln.dev/v1alpha1","kind":"NodeConfig","spec":{"kubernetes":{"version":"1.34.3"}}}';

/** Reads it in every way, and says what came of each. */
const reader = `
  const [, root] = process.argv;
  const { createLinuxHost } = await import('${import.meta.resolve('../host/linux/host.ts')}');
  const { bootTexts, namedTexts } = await import('${import.meta.resolve('./documents.ts')}');
  const { openSource } = await import('${import.meta.resolve('./sources/table.ts')}');
  const folder = '/etc/nodekiln/conf.d', file = folder + '/node.yaml';
  const host = createLinuxHost({ root });
  const ways = [
    () => bootTexts(host.files),
    () => namedTexts(host.files, [file]),
    async () => (await openSource('dir:' + folder, { host }).read()).texts,
    () => namedTexts(host.local, [root + file]),
  ];
  for (const read of ways)
    console.log(await read().then((texts) => texts.map(({ text }) => text.length > 0 ? 'read' : 'empty').join() || 'none',
      (error) => error.code + ' ' + error.message));
`;

/** As kubelet's AtomicWriter leaves it. */
const laid = `mkdir ..v1 && printf '%s' '${text}' >..v1/node.yaml && ln -s ..v1 ..data && ln -s ..data/node.yaml node.yaml`;
const configMap = `mkdir -p volume conf.d && chmod 0777 volume && (cd volume && ${laid})`;
const readOnly = 'mount --bind volume conf.d && mount -o remount,bind,ro conf.d';
const disk = 'mount -t tmpfs -o mode=0755 tmpfs . && cd "$PWD"';

/** Shell in /etc/nodekiln of the root. */
const layouts: Readonly<Record<string, { readonly lay: string; readonly said: RegExp }>> = {
  'a ConfigMap': {
    lay: `mkdir -p conf.d volume && mount -t tmpfs -o mode=0755 tmpfs volume && (cd volume && ${configMap}) &&
      mount --bind volume/volume conf.d && mount -o remount,bind,ro conf.d && umount volume`,
    said: /^read$/,
  },
  'a Secret': {
    lay: `mkdir -p conf.d && mount -t tmpfs -o mode=1777 tmpfs conf.d && (cd conf.d && ${laid}) && mount -o remount,bind,ro conf.d`,
    said: /^read$/,
  },
  'a Secret for a group': {
    lay: `mkdir -p conf.d && mount -t tmpfs -o mode=3777 tmpfs conf.d && (cd conf.d && ${laid} && chgrp -R 2000 . && chmod 2775 ..v1 && chmod 0660 ..v1/node.yaml) && mount -o remount,bind,ro conf.d`,
    said: /^read$/,
  },
  'a file system that is read-only itself': {
    lay: `mkdir -p conf.d && mount -t tmpfs -o mode=0777 tmpfs conf.d && (cd conf.d && ${laid}) && mount -o remount,ro conf.d`,
    said: /^read$/,
  },
  'one file of a ConfigMap (subPath)': {
    lay: `mkdir -p conf.d volume && mount -t tmpfs -o mode=0777 tmpfs volume && (cd volume && ${laid} && chmod 0666 ..v1/node.yaml) &&
      touch conf.d/node.yaml && mount --bind volume/..v1/node.yaml conf.d/node.yaml && mount -o remount,bind,ro conf.d/node.yaml && umount volume`,
    said: /^read$/,
  },
  'a ConfigMap that is mounted to be written': {
    lay: `mkdir -p conf.d && mount -t tmpfs -o mode=0777 tmpfs conf.d && cd conf.d && ${laid}`,
    said: /^NK_(PATH_UNSAFE|DOCUMENT_EXPOSED) .*conf\.d/,
  },
  'a folder that is read-only here and not there': {
    lay: `${disk} && ${configMap} && ${readOnly}`,
    said: /^NK_(PATH_UNSAFE|DOCUMENT_EXPOSED) .*conf\.d/,
  },
  'a part of a folder that is mounted to be written elsewhere': {
    lay: `mkdir -p conf.d volume whole && mount -t tmpfs -o mode=0777 tmpfs whole && (cd whole && ${configMap}) &&
      mount --bind whole/volume/..v1 volume && mount --bind whole/volume conf.d && mount -o remount,bind,ro conf.d && umount whole`,
    said: /^NK_(PATH_UNSAFE|DOCUMENT_EXPOSED) .*conf\.d/,
  },
  'a document of another user': {
    lay: `mkdir -p conf.d && mount -t tmpfs -o mode=0777 tmpfs conf.d && (cd conf.d && ${laid} && chown 65534 ..v1/node.yaml) && mount -o remount,ro conf.d`,
    said: /^NK_DOCUMENT_EXPOSED .*belongs to user 65534/,
  },
  'a link of another user': {
    lay: `mkdir -p conf.d && mount -t tmpfs -o mode=1777 tmpfs conf.d && (cd conf.d && ${laid} && chown -h 65534 node.yaml) && mount -o remount,rw conf.d`,
    said: /^NK_PATH_UNSAFE /,
  },
  'a folder above that everybody may write to': {
    lay: `mkdir -p conf.d && mount -t tmpfs -o mode=0777 tmpfs conf.d && (cd conf.d && ${laid}) && mount -o remount,ro conf.d && chmod 0777 .`,
    said: /^NK_(PATH_UNSAFE|DOCUMENT_EXPOSED) .*\/etc\/nodekiln/,
  },
};

describe('documents in', { skip: process.getuid?.() === 0 ? false : 'only root mounts' }, () => {
  let root = '';
  beforeEach(() => (root = mkdtempSync('/var/tmp/nodekiln-mounted-')));
  afterEach(() => rmSync(root, { recursive: true }));

  for (const [name, { lay, said }] of Object.entries(layouts))
    it(name, async () => {
      const script = `umask 022; mkdir -p "$1/etc/nodekiln"; cd "$1/etc/nodekiln"; (${lay}) >&2; exec "$2" --input-type=module -e "$3" "$1"`;
      const argv = ['--mount', 'sh', '-euc', script, 'sh', root, process.execPath, reader];
      const { stdout } = await promisify(execFile)('unshare', argv);
      const lines = stdout.trim().split('\n');
      assert.equal(lines.length, 4, stdout);
      for (const line of lines) assert.match(line, said, join('', stdout));
    });
});

describe('a mount', () => {
  const configMapOf = (options: string, more: readonly string[] = []): string =>
    [
      '100 90 0:50 / / rw,relatime - overlay overlay rw',
      `110 100 8:1 /var/lib/kubelet/pods/u/volumes/kubernetes.io~configmap/c /etc/nodekiln\\040x ${options} master:7 - ext4 /dev/sda1 rw`,
      '111 100 8:1 /var/lib/kubelet/pods/u/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw',
      ...more,
      '',
    ].join('\n');
  const cases: Readonly<Record<string, { readonly mountinfo: string; readonly is: boolean }>> = {
    'of a pod': { mountinfo: configMapOf('ro,relatime'), is: true },
    'to be written': { mountinfo: configMapOf('rw,relatime'), is: false },
    'beside the whole disk': {
      mountinfo: configMapOf('ro', ['112 100 8:1 / /host rw - ext4 /dev/sda1 rw']),
      is: false,
    },
    'beside the whole disk, read-only': {
      mountinfo: configMapOf('ro', ['112 100 8:1 / /host ro - ext4 /dev/sda1 rw']),
      is: true,
    },
    'beside a folder of it': {
      mountinfo: configMapOf('ro', [
        '112 100 8:1 /var/lib/kubelet/pods/u/volumes/kubernetes.io~configmap/c/..data /w rw - ext4 /dev/sda1 rw',
      ]),
      is: false,
    },
    'beside a folder with a name that begins alike': {
      mountinfo: configMapOf('ro', [
        '112 100 8:1 /var/lib/kubelet/pods/u/volumes/kubernetes.io~configmap/cc /w rw - ext4 /dev/sda1 rw',
      ]),
      is: true,
    },
    'beside another disk': { mountinfo: configMapOf('ro', ['112 100 8:2 / /host rw - ext4 /dev/sdb1 rw']), is: true },
    'that is not told of': { mountinfo: '', is: false },
  };
  for (const [name, { mountinfo, is }] of Object.entries(cases))
    it(`${name} is ${is ? '' : 'not '}one that nobody writes through`, () => {
      assert.equal(isReadOnlyMount(mountinfo, '110'), is);
    });
});
