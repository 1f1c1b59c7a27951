/**
 * What every implementation of the port `Host` must meet, as data: each expectation names what it needs and checks it on
 * a subject. Nothing here belongs to a test runner, so that the same list runs under node:test and as a program inside a
 * lab host.
 */
import assert from 'node:assert/strict';
import type { Endpoint } from '../../src/host/memory/net.ts';
import type { FileWrite, FolderEvent, Host, JobResult, UnitStatus } from '../../src/host/port.ts';
import { textOf } from '../../src/model/bytes.ts';
import { archives } from './archives.ts';
import { net } from './net.ts';
import { signatures } from './signatures.ts';

export interface Subject {
  readonly host: Host;
  /** An empty folder of the host. */
  readonly folder: string;
  /** Ends names of units, so that two runs on one machine do not meet. */
  readonly tag: string;
  /** Makes something answer at an address that the host can reach. */
  readonly serve: (endpoint: Endpoint) => Served | Promise<Served>;
}

export interface Served {
  /** `http://127.0.0.1:40123` */
  readonly url: string;
  close(): void;
}

export interface Expectation {
  readonly name: string;
  readonly needs:
    | 'files'
    | 'state'
    | 'exec'
    | 'clock'
    | 'net'
    | 'archives'
    | 'signatures'
    | 'enablement'
    | 'live units'
    | 'offline units';
  readonly check: (subject: Subject) => Promise<void>;
}

export function file(path: string, content: string, mode = 0o644): FileWrite {
  return { type: 'file', path, content: Buffer.from(content), mode, uid: 0, gid: 0 };
}

const link = (path: string, target: string): FileWrite => ({ type: 'symlink', path, target });
const directory = (path: string, mode: number): FileWrite => ({ type: 'directory', path, mode, uid: 0, gid: 0 });
const code = (expected: string) => ({ code: expected });

/** The names that changed, until this one is among them. */
async function namesUntil(events: AsyncIterator<FolderEvent>, name: string): Promise<string[]> {
  const seen: string[] = [];
  while (!seen.includes(name)) {
    const { value, done } = await events.next();
    if (done === true) throw new Error(`the watch ended before ${name} was seen`);
    if (value.type === 'changed') seen.push(...value.names);
  }
  return seen;
}

/** Whether a name is told of, before the whole folder is. */
async function told(events: AsyncIterator<FolderEvent>, name: string): Promise<boolean> {
  for (;;) {
    const { value, done } = await events.next();
    if (done === true || value.type === 'missing') throw new Error(`the watch lost the folder before ${name} was seen`);
    if (value.type === 'present') return false;
    if (value.names.includes(name)) return true;
  }
}

const files: Expectation[] = [
  {
    name: 'a file is created, left alone, given attributes, replaced',
    needs: 'files',
    check: async ({ host, folder }) => {
      const path = `${folder}/deep/er/file`;
      const write = (content: string, mode: number): Promise<string[]> => host.files.write([file(path, content, mode)]);
      assert.deepEqual(await write('one', 0o600), ['created']);
      assert.deepEqual(await write('one', 0o600), ['unchanged']);
      assert.deepEqual(await write('one', 0o4755), ['attributes']);
      assert.equal((await host.files.stat(path))?.mode, 0o4755);
      assert.deepEqual(await write('two', 0o4755), ['replaced']);
      assert.equal(textOf(await host.files.read(path)), 'two');
      const parent = await host.files.stat(`${folder}/deep`);
      assert.deepEqual([parent?.type, parent?.mode, parent?.uid, parent?.gid], ['directory', 0o755, 0, 0]);
    },
  },
  {
    name: 'new attributes keep the inode, new content does not',
    needs: 'files',
    check: async ({ host, folder }) => {
      const path = `${folder}/file`;
      await host.files.write([file(path, 'one', 0o600)]);
      const first = await host.files.stat(path);
      await host.files.write([file(path, 'one', 0o644)]);
      assert.equal((await host.files.stat(path))?.inode, first?.inode);
      await host.files.write([file(path, 'two', 0o644)]);
      assert.notEqual((await host.files.stat(path))?.inode, first?.inode);
    },
  },
  {
    name: 'owner is as asked for',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([
        { type: 'file', path: `${folder}/f`, content: Buffer.from('x'), mode: 0o640, uid: 12, gid: 34 },
      ]);
      const stat = await host.files.stat(`${folder}/f`);
      assert.deepEqual([stat?.uid, stat?.gid, stat?.mode], [12, 34, 0o640]);
    },
  },
  {
    name: 'mode and owner are put right in place, of what is there',
    needs: 'files',
    check: async ({ host: { files }, folder }) => {
      const wanted = { mode: 0o640, uid: 12, gid: 34 };
      await files.write([file(`${folder}/f`, 'x'), directory(`${folder}/d`, 0o755), link(`${folder}/l`, 'f')]);
      const before = await files.stat(`${folder}/f`);
      for (const name of ['f', 'd', 'missing']) await files.setAttributes(`${folder}/${name}`, wanted);
      for (const name of ['f', 'd']) {
        const { mode, uid, gid } = (await files.stat(`${folder}/${name}`)) ?? {};
        assert.deepEqual({ mode, uid, gid }, wanted, name);
      }
      assert.equal((await files.stat(`${folder}/f`))?.inode, before?.inode);
      assert.equal(await files.stat(`${folder}/missing`), undefined);
    },
  },
  {
    name: 'a symlink at the target is replaced, not followed',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/real`, 'real'), link(`${folder}/link`, 'real')]);
      assert.deepEqual(await host.files.write([file(`${folder}/link`, 'own')]), ['replaced']);
      assert.equal(textOf(await host.files.read(`${folder}/real`)), 'real');
      assert.equal((await host.files.stat(`${folder}/link`))?.type, 'file');
    },
  },
  {
    name: 'a symlink replaces a file, and is unchanged when it leads there already',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/x`, 'x')]);
      assert.deepEqual(await host.files.write([link(`${folder}/x`, '/nowhere')]), ['replaced']);
      assert.deepEqual(await host.files.write([link(`${folder}/x`, '/nowhere')]), ['unchanged']);
      assert.deepEqual(await host.files.write([link(`${folder}/x`, '/elsewhere')]), ['replaced']);
      assert.equal((await host.files.stat(`${folder}/x`))?.target, '/elsewhere');
      assert.equal(await host.files.read(`${folder}/x`), undefined);
    },
  },
  {
    name: 'symlinks in the parents are followed',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([directory(`${folder}/real`, 0o755), link(`${folder}/alias`, `${folder}/real`)]);
      await host.files.write([file(`${folder}/alias/f`, 'x')]);
      assert.equal(textOf(await host.files.read(`${folder}/real/f`)), 'x');
      assert.deepEqual(await host.files.list(`${folder}/alias`), ['f']);
    },
  },
  {
    name: 'a symlink in a folder that others may write to is not followed, and there is nothing behind it',
    needs: 'files',
    check: async ({ host, folder }) => {
      const { files } = host;
      await files.write([
        directory(`${folder}/real`, 0o755),
        file(`${folder}/real/f`, 'x'),
        { type: 'directory', path: `${folder}/shared`, mode: 0o755, uid: 12, gid: 12 },
        link(`${folder}/shared/alias`, `${folder}/real`),
      ]);
      const behind = `${folder}/shared/alias/f`;
      const unsafe = code('NK_PATH_UNSAFE');
      await assert.rejects(files.write([file(behind, 'y')]), unsafe);
      await assert.rejects(files.read(behind), unsafe);
      await assert.rejects(files.list(`${folder}/shared/alias`), unsafe);
      await assert.rejects(files.place(`${folder}/real/f`, behind, { mode: 0o600, uid: 0, gid: 0 }), unsafe);
      await assert.rejects(files.stage(`${folder}/shared/alias`), unsafe);
      assert.equal(await files.stat(behind), undefined);
      assert.deepEqual(await files.remove([behind]), []);
      assert.equal(await files.removeTree(behind), false);
      assert.equal(textOf(await files.read(`${folder}/real/f`)), 'x');
      // The link itself is an entry like any other.
      assert.equal((await files.stat(`${folder}/shared/alias`))?.type, 'symlink');
      assert.deepEqual(await files.write([file(`${folder}/shared/alias`, 'own')]), ['replaced']);
    },
  },
  {
    name: 'one batch may hold a folder, a link to it and a file behind the link, in any order',
    needs: 'files',
    check: async ({ host, folder }) => {
      const outcomes = await host.files.write([
        file(`${folder}/alias/f`, 'x'),
        link(`${folder}/alias`, 'real'),
        directory(`${folder}/real`, 0o700),
      ]);
      assert.deepEqual(outcomes, ['created', 'created', 'created']);
      assert.equal(textOf(await host.files.read(`${folder}/real/f`)), 'x');
      assert.equal((await host.files.stat(`${folder}/real`))?.mode, 0o700);
    },
  },
  {
    name: 'a folder where a file must be is an error and nothing of the batch is written',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([directory(`${folder}/d`, 0o755), file(`${folder}/a`, 'old')]);
      const batch = [file(`${folder}/a`, 'new'), file(`${folder}/d`, 'x')];
      await assert.rejects(host.files.write(batch), code('NK_FILE_WRITE'));
      assert.equal(textOf(await host.files.read(`${folder}/a`)), 'old');
      assert.deepEqual(await host.files.list(folder), ['a', 'd']);
    },
  },
  {
    name: 'a file where a folder must be is an error',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/f`, 'x')]);
      await assert.rejects(host.files.write([directory(`${folder}/f`, 0o755)]), code('NK_FILE_WRITE'));
      await assert.rejects(host.files.write([file(`${folder}/f/below`, 'x')]), code('NK_FILE_WRITE'));
    },
  },
  {
    name: 'two writes to one path are a defect of the caller',
    needs: 'files',
    check: async ({ host, folder }) => {
      await assert.rejects(host.files.write([file(`${folder}/f`, 'a'), file(`${folder}/f`, 'b')]), code('NK_INTERNAL'));
      assert.deepEqual(await host.files.list(folder), []);
    },
  },
  {
    name: 'a folder gets attributes and keeps its content',
    needs: 'files',
    check: async ({ host, folder }) => {
      assert.deepEqual(await host.files.write([directory(`${folder}/d`, 0o755)]), ['created']);
      await host.files.write([file(`${folder}/d/f`, 'x')]);
      assert.deepEqual(await host.files.write([directory(`${folder}/d`, 0o2750)]), ['attributes']);
      assert.deepEqual(await host.files.write([directory(`${folder}/d`, 0o2750)]), ['unchanged']);
      assert.deepEqual(await host.files.list(`${folder}/d`), ['f']);
    },
  },
  {
    name: 'empty and large files arrive whole',
    needs: 'files',
    check: async ({ host, folder }) => {
      const large = Buffer.alloc(3_000_001, 7);
      await host.files.write([
        file(`${folder}/empty`, ''),
        { type: 'file', path: `${folder}/large`, content: large, mode: 0o644, uid: 0, gid: 0 },
      ]);
      assert.equal((await host.files.stat(`${folder}/empty`))?.size, 0);
      assert.ok(large.equals((await host.files.read(`${folder}/large`)) ?? Buffer.alloc(0)));
    },
  },
  {
    name: 'what is missing is undefined, empty or passed over',
    needs: 'files',
    check: async ({ host, folder }) => {
      assert.equal(await host.files.stat(`${folder}/no`), undefined);
      assert.equal(await host.files.read(`${folder}/no`), undefined);
      assert.deepEqual(await host.files.list(`${folder}/no`), []);
      assert.deepEqual(await host.files.remove([`${folder}/no`]), []);
      assert.equal(await host.files.warm([`${folder}/no`]), 0);
      await assert.rejects(host.files.digest(`${folder}/no`), code('ENOENT'));
      await assert.rejects(host.files.writeKernel(`${folder}/no`, '1'), code('ENOENT'));
    },
  },
  {
    name: 'removing takes files, links and empty folders, and leaves the rest',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/d/a`, 'a'), link(`${folder}/d/l`, '/'), file(`${folder}/e/kept`, 'x')]);
      const removed = await host.files.remove([`${folder}/d`, `${folder}/d/a`, `${folder}/d/l`, `${folder}/e`]);
      assert.deepEqual(removed, [`${folder}/d`, `${folder}/d/a`, `${folder}/d/l`]);
      assert.deepEqual(await host.files.list(folder), ['e']);
    },
  },
  {
    name: 'placing shares or copies, and says when there was nothing to do',
    needs: 'files',
    check: async ({ host, folder }) => {
      const [cached, active] = [`${folder}/cache/tool-1`, `${folder}/bin/tool`];
      await host.files.write([file(cached, 'tool', 0o755), link(`${folder}/named`, cached)]);
      const attributes = { mode: 0o755, uid: 0, gid: 0 };
      const method = await host.files.place(cached, active, attributes);
      assert.ok(method === 'hardlink' || method === 'reflink', method);
      if (method === 'hardlink') assert.equal(await host.files.place(cached, active, attributes), 'unchanged');
      assert.equal(await host.files.digest(active), await host.files.digest(cached));
      // Other attributes must not reach the cached file.
      assert.notEqual(await host.files.place(`${folder}/named`, active, { ...attributes, mode: 0o700 }), 'hardlink');
      assert.equal((await host.files.stat(cached))?.mode, 0o755);
      assert.equal((await host.files.stat(active))?.mode, 0o700);
      assert.deepEqual(await host.files.list(`${folder}/bin`), ['tool']);
      await assert.rejects(host.files.place(`${folder}/no`, active, attributes), code('NK_FILE_WRITE'));
    },
  },
  {
    name: 'writing to a placed file does not change the cached one',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/cached`, 'tool', 0o755)]);
      await host.files.place(`${folder}/cached`, `${folder}/active`, { mode: 0o755, uid: 0, gid: 0 });
      await host.files.write([file(`${folder}/active`, 'tool', 0o600)]);
      assert.equal((await host.files.stat(`${folder}/cached`))?.mode, 0o755);
    },
  },
  {
    name: 'digests are SHA-256, warming says how much it read',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/f`, 'abc')]);
      const expected = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
      assert.equal(await host.files.digest(`${folder}/f`), expected);
      assert.equal(await host.files.warm([`${folder}/f`, folder, `${folder}/f`]), 6);
      await assert.rejects(host.files.digest(folder));
    },
  },
  {
    name: 'a file is read in parts, and only as much as the reader takes',
    needs: 'files',
    check: async ({ host, folder }) => {
      const path = `${folder}/f`;
      await host.files.write([file(path, '0123456789'), link(`${folder}/l`, 'f')]);
      const opened = await host.files.open(`${folder}/l`);
      assert.ok(opened);
      assert.deepEqual([opened.stat.size, opened.stat.type], [10, 'file']);
      assert.equal(textOf(await opened.read(2, 3)), '234');
      assert.equal(textOf(await opened.read(8, 5)), '89');
      assert.equal(textOf(await opened.read(10, 5)), '');
      // What is open stays what it was.
      await host.files.write([file(path, 'other')]);
      assert.equal(textOf(await opened.read(0, 4)), '0123');
      await opened.close();
      await opened.close();
      assert.equal(await host.files.open(`${folder}/no`), undefined);
      await assert.rejects(host.files.open(folder), code('EISDIR'));
      await assert.rejects(host.files.read(folder), code('EISDIR'));
      assert.equal(textOf(await host.files.read(path, { maxBytes: 5 })), 'other');
      await assert.rejects(host.files.read(path, { maxBytes: 4 }), code('EFBIG'));
    },
  },
  {
    name: 'a FIFO is refused at once, not waited for',
    needs: 'exec',
    check: async ({ host, folder }) => {
      const path = `${folder}/fifo`;
      await host.files.write([{ type: 'directory', path: folder, mode: 0o755, uid: 0, gid: 0 }]);
      assert.equal((await host.exec.run(['mkfifo', path], { timeoutMs: 5000 })).status, 0);
      assert.equal((await host.files.stat(path))?.type, 'other');
      await assert.rejects(host.files.read(path), code('EINVAL'));
      await assert.rejects(host.files.open(path), code('EINVAL'));
      await assert.rejects(host.files.digest(path), code('EINVAL'));
      assert.equal(await host.files.warm([path]), 0);
      assert.deepEqual(await host.files.entries(folder), [{ name: 'fifo', type: 'other' }]);
      assert.deepEqual(await host.files.remove([path]), [path]);
    },
  },
  {
    name: 'entries come with their types, links by their own',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/f`, 'x'), link(`${folder}/l`, 'd'), directory(`${folder}/d`, 0o755)]);
      assert.deepEqual(await host.files.entries(folder), [
        { name: 'd', type: 'directory' },
        { name: 'f', type: 'file' },
        { name: 'l', type: 'symlink' },
      ]);
      assert.deepEqual(await host.files.entries(`${folder}/no`), []);
      const stat = await host.files.stat(`${folder}/f`);
      assert.equal(stat?.links, 1);
      assert.ok(stat.allocatedBytes >= 0 && stat.allocatedBytes % 512 === 0);
    },
  },
  {
    name: 'a staged file has its name only when it is published',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([link(`${folder}/in/f`, '/nowhere')]);
      const staged = await host.files.stage(`${folder}/in`);
      await Promise.all(['ab', 'c', '', 'defg'].map((part) => staged.append(Buffer.from(part))));
      assert.equal(staged.size, 7);
      assert.equal(textOf(await staged.read(1, 3)), 'bcd');
      assert.equal(textOf(await host.files.read(staged.path)), 'abcdefg');
      await staged.restart();
      await staged.append(Buffer.from('abc'));
      const abc = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
      assert.equal(await staged.digest(), abc);
      assert.equal((await host.files.stat(`${folder}/in/f`))?.type, 'symlink');
      await staged.publish('f', { mode: 0o4750, uid: 0, gid: 0 });
      await staged.discard();
      assert.deepEqual(await host.files.list(`${folder}/in`), ['f']);
      const stat = await host.files.stat(`${folder}/in/f`);
      assert.deepEqual([stat?.type, stat?.mode, stat?.size], ['file', 0o4750, 3]);
      assert.equal(await host.files.digest(`${folder}/in/f`), abc);
      await assert.rejects(staged.append(Buffer.from('x')), code('NK_INTERNAL'));
    },
  },
  {
    name: 'a staged file that is discarded or cannot be published leaves nothing',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([directory(`${folder}/in/d`, 0o755)]);
      const discarded = await host.files.stage(`${folder}/in`);
      await discarded.append(Buffer.from('x'));
      await discarded.discard();
      await discarded.discard();
      const refused = await host.files.stage(`${folder}/in`);
      await assert.rejects(refused.publish('d', { mode: 0o644, uid: 0, gid: 0 }), code('NK_FILE_WRITE'));
      await refused.discard();
      assert.deepEqual(await host.files.list(`${folder}/in`), ['d']);
    },
  },
  {
    name: 'a file that outlives its making goes on where it was, and a claimed folder is one’s own until it is released',
    needs: 'files',
    check: async ({ host: { files }, folder }) => {
      const parts = `${folder}/parts`;
      const [mine, second, another] = await Promise.all(['a', 'a', 'b'].map((name) => files.claimFolder(parts, name)));
      assert.ok(mine !== undefined && second !== undefined && another !== undefined);
      assert.equal(new Set([mine, second, another]).size, 3);
      assert.equal((await files.stat(mine))?.mode, 0o700);
      const first = await files.continue(mine, 'part');
      await first.append(Buffer.from('ab'));
      await first.keep();
      await assert.rejects(first.append(Buffer.from('x')), code('NK_INTERNAL'));
      const beside = await files.claimFolder(parts, 'a');
      assert.deepEqual(await files.list(beside), []);
      await files.releaseFolder(mine);
      const again = await files.claimFolder(parts, 'a');
      assert.equal(await files.stat(mine), undefined);
      const next = await files.continue(again, 'part');
      assert.deepEqual([next.size, textOf(await next.read(0, 9))], [2, 'ab']);
      await next.append(Buffer.from('c'));
      assert.equal(await next.digest(), 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
      await next.publish('whole', { mode: 0o640, uid: 0, gid: 0 });
      assert.deepEqual(await files.list(again), ['whole']);
      const discarded = await files.continue(again, 'part');
      await discarded.append(Buffer.from('x'));
      await discarded.discard();
      assert.deepEqual(await files.list(again), ['whole']);
      await files.write([link(`${again}/link`, 'whole')]);
      await assert.rejects(files.continue(again, 'link'), code('NK_FILE_WRITE'));
      assert.equal(await files.removeTree(again), true);
      assert.deepEqual(await files.list(await files.claimFolder(parts, 'a')), []);
    },
  },
  {
    name: 'trees are removed whole, links in them are not followed',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([
        file(`${folder}/kept/f`, 'x'),
        file(`${folder}/tree/a/b/c`, 'x'),
        link(`${folder}/tree/a/out`, `${folder}/kept`),
        link(`${folder}/alias`, `${folder}/kept`),
      ]);
      assert.equal(await host.files.removeTree(`${folder}/tree`), true);
      assert.equal(await host.files.removeTree(`${folder}/tree`), false);
      assert.equal(await host.files.removeTree(`${folder}/alias`), true);
      assert.deepEqual(await host.files.list(folder), ['kept']);
      assert.equal(await host.files.removeTree(`${folder}/kept/f`), true);
      assert.deepEqual(await host.files.list(`${folder}/kept`), []);
    },
  },
  {
    name: 'moving replaces what has the name and takes a folder with all that is in it',
    needs: 'files',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/a`, 'new'), link(`${folder}/b`, '/nowhere'), file(`${folder}/d/f`, 'x')]);
      await host.files.move(`${folder}/a`, `${folder}/b`);
      assert.equal(textOf(await host.files.read(`${folder}/b`)), 'new');
      await host.files.move(`${folder}/d`, `${folder}/e/d`);
      assert.equal(textOf(await host.files.read(`${folder}/e/d/f`)), 'x');
      assert.deepEqual(await host.files.list(folder), ['b', 'e']);
      await assert.rejects(host.files.move(`${folder}/no`, `${folder}/c`), code('NK_FILE_WRITE'));
      await assert.rejects(host.files.move(`${folder}/b`, `${folder}/e`), code('NK_FILE_WRITE'));
    },
  },
  {
    name: 'a temporary folder is ours alone and goes with its content',
    needs: 'files',
    check: async ({ host, folder }) => {
      const [one, two] = [await host.files.temporaryFolder(folder), await host.files.temporaryFolder(folder)];
      assert.notEqual(one, two);
      assert.deepEqual([(await host.files.stat(one))?.type, (await host.files.stat(one))?.mode], ['directory', 0o700]);
      await host.files.write([file(`${one}/f`, 'x'), file(`${folder}/g`, 'x')]);
      await host.files.sweep([folder]);
      assert.equal((await host.files.list(folder)).length, 3, 'whose process lives stays');
      for (const path of [one, two]) assert.equal(await host.files.removeTree(path), true);
      assert.deepEqual(await host.files.list(folder), ['g']);
    },
  },
  {
    name: 'there is space, also where the folder is still to be made',
    needs: 'files',
    check: async ({ host, folder }) => {
      const { totalBytes, availableBytes } = await host.files.space(`${folder}/not/yet`);
      assert.ok(totalBytes > 0 && availableBytes >= 0 && availableBytes <= totalBytes);
    },
  },
  {
    name: 'a watched folder tells what changed in it, while nobody listens as one',
    needs: 'files',
    check: async ({ host, folder }) => {
      const watched = `${folder}/watched`;
      await host.files.write([directory(watched, 0o755), directory(`${folder}/other`, 0o755)]);
      const watch = await host.files.watch(watched);
      const events = watch[Symbol.asyncIterator]();
      await host.files.write([file(`${folder}/other/x`, 'x'), file(`${watched}/a`, 'x')]);
      await host.files.write([file(`${watched}/b`, 'x')]);
      const seen = await namesUntil(events, 'b');
      assert.ok(seen.includes('a') && !seen.includes('x'), seen.join());
      await host.files.remove([`${watched}/a`]);
      await namesUntil(events, 'a');
      watch.close();
      assert.deepEqual(await events.next(), { done: true, value: undefined });
    },
  },
  {
    name: 'a watched folder tells what was written where it is from what was renamed into place',
    needs: 'files',
    check: async ({ host, folder }) => {
      const watched = `${folder}/watched`;
      await host.files.write([file(`${watched}/a`, 'x'), file(`${watched}/b`, 'x')]);
      const watch = await host.files.watch(watched);
      const events = watch[Symbol.asyncIterator]();
      const inPlace = new Map<string, boolean>();
      const until = async (name: string): Promise<void> => {
        for (let seen: readonly string[] = []; !seen.includes(name);) {
          const { value, done } = await events.next();
          if (done === true || value.type !== 'changed') throw new Error(`the watch did not tell of ${name}`);
          seen = value.names;
          for (const each of seen) inPlace.set(each, value.inPlace.includes(each));
        }
      };
      await host.files.write([file(`${watched}/a`, 'y')]);
      await until('a');
      // The one way of the port to write into a file that is there.
      await host.files.writeKernel(`${watched}/b`, 'y');
      await until('b');
      assert.deepEqual([inPlace.get('a'), inPlace.get('b')], [false, true]);
      await host.files.writeKernel(`${watched}/a`, 'z');
      await host.files.write([file(`${watched}/a`, 'x')]);
      await host.files.write([file(`${watched}/c`, 'x')]);
      await until('c');
      assert.equal(inPlace.get('a'), false, 'what takes its place is whole');
      watch.close();
    },
  },
  {
    name: 'a watched folder may be missing, be renamed, replaced and removed, and is followed by its name',
    needs: 'files',
    check: async ({ host, folder }) => {
      const watched = `${folder}/late/watched`;
      const watch = await host.files.watch(watched);
      const events = watch[Symbol.asyncIterator]();
      const next = async (type: FolderEvent['type']): Promise<void> => {
        for (;;) {
          const { value, done } = await events.next();
          assert.ok(done !== true, `no event ${type}`);
          if (value.type === type) return;
        }
      };
      // A folder that is told to be there is to be read anew: nothing more is said of what was written before.
      const alive = async (name: string): Promise<void> => {
        for (let turn = 1; ; turn += 1) {
          await host.files.write([file(`${watched}/${name}-${turn}`, 'x')]);
          if (await told(events, `${name}-${turn}`)) return;
        }
      };
      await host.files.write([directory(watched, 0o755)]);
      await next('present');
      await alive('one');
      await host.files.move(watched, `${folder}/late/away`);
      await next('missing');
      await host.files.write([file(`${folder}/late/away/unheard`, 'x')]);
      await host.files.move(`${folder}/late/away`, watched);
      await next('present');
      await alive('two');
      await host.files.removeTree(watched);
      await host.files.write([directory(watched, 0o755)]);
      await next('present');
      await alive('three');
      await host.files.move(`${folder}/late`, `${folder}/gone`);
      await next('missing');
      await host.files.write([directory(watched, 0o755)]);
      await next('present');
      await alive('four');
      watch.close();
    },
  },
];

/** What must outlive us and be ours alone: databases and locks. */
const state: Expectation[] = [
  {
    name: 'a database keeps what was committed, and nothing of a transaction that failed',
    needs: 'state',
    check: async ({ host, folder }) => {
      await host.files.write([directory(folder, 0o755)]);
      const path = `${folder}/x.db`;
      const database = await host.databases.open(path, { busyMs: 0 });
      database.exec('PRAGMA journal_mode=WAL; CREATE TABLE words (word TEXT PRIMARY KEY, size INTEGER) STRICT;');
      const insert = database.prepare('INSERT INTO words VALUES (?, ?)');
      assert.equal(
        database.transaction(() => (insert.run('one', 3), insert.run('none', null), 'result')),
        'result',
      );
      const failing = (): void => {
        insert.run('two', 3);
        throw new Error('on the way');
      };
      assert.throws(() => database.transaction(failing), /on the way/);
      assert.throws(() => database.transaction(() => insert.run('one', 0)), code('SQLITE_ERROR'));
      assert.throws(() => database.prepare('SELECT nonsense FROM nowhere'), code('SQLITE_ERROR'));
      database.close();
      database.close();
      assert.equal((await host.files.stat(path))?.mode, 0o600);
      const again = await host.databases.open(path, { busyMs: 0 });
      const words = again.prepare('SELECT * FROM words ORDER BY word');
      assert.deepEqual(
        words.all().map((row) => ({ ...row })),
        [
          { word: 'none', size: null },
          { word: 'one', size: 3 },
        ],
      );
      assert.equal(words.get()?.['word'], 'none');
      assert.equal(again.prepare('SELECT * FROM words WHERE word = ?').get('two'), undefined);
      again.close();
    },
  },
  {
    name: 'a database that is damaged says so',
    needs: 'state',
    check: async ({ host, folder }) => {
      await host.files.write([file(`${folder}/x.db`, 'this is not a database, although it is long enough to be one')]);
      await assert.rejects(async () => {
        const database = await host.databases.open(`${folder}/x.db`, { busyMs: 0 });
        try {
          database.prepare('PRAGMA user_version').get();
        } finally {
          database.close();
        }
      }, code('SQLITE_NOTADB'));
    },
  },
  {
    name: 'a lock is held by one at a time, who is named',
    needs: 'state',
    check: async ({ host, folder }) => {
      const at = `${folder}/new/state`;
      const lock = await host.locks.take(at, { waitMs: 0 });
      assert.equal((await host.files.stat(at))?.mode, 0o700);
      await assert.rejects(host.locks.take(at, { waitMs: 0 }), {
        ...code('NK_STATE_LOCKED'),
        message: new RegExp(`process ${host.program.pid}\\b`),
      });
      await assert.rejects(host.locks.take(at, { waitMs: 30 }), code('NK_STATE_LOCKED'));
      (await host.locks.take(`${folder}/other`, { waitMs: 0 })).release();
      lock.release();
      lock.release();
      (await host.locks.take(at, { waitMs: 0 })).release();
    },
  },
  {
    name: 'a lock is waited for while other work goes on, until a signal',
    needs: 'state',
    check: async ({ host, folder }) => {
      const first = await host.locks.take(folder, { waitMs: 0 });
      const second = host.locks.take(folder, { waitMs: 60_000 });
      await host.clock.sleep(30);
      first.release();
      const held = await second;
      const stop = new AbortController();
      const third = assert.rejects(
        host.locks.take(folder, { waitMs: 60_000, signal: stop.signal }),
        code('NK_INTERRUPTED'),
      );
      await host.clock.sleep(30);
      stop.abort();
      await third;
      held.release();
      await assert.rejects(host.locks.take(folder, { waitMs: 0, signal: stop.signal }));
    },
  },
  {
    name: 'a program knows itself',
    needs: 'clock',
    check: async ({ host: { program, clock } }) => {
      assert.ok(program.pid > 0 && program.processors >= 1);
      assert.ok(program.startedMs > 0 && program.startedMs <= clock.monotonic());
      assert.match(program.architecture, /^[a-z0-9]+$/);
      for (const path of [program.executable, program.workingDirectory]) assert.ok(path.startsWith('/'));
    },
  },
];

const others: Expectation[] = [
  {
    name: 'a program that does not exist is NK_TOOL_MISSING',
    needs: 'exec',
    check: async ({ host }) => {
      await assert.rejects(host.exec.run(['/no/such/program'], { timeoutMs: 1000 }), code('NK_TOOL_MISSING'));
      await assert.rejects(host.exec.run(['no-such-program'], { timeoutMs: 1000 }), code('NK_TOOL_MISSING'));
    },
  },
  {
    name: 'a program gets its arguments, and any status is a result',
    needs: 'exec',
    check: async ({ host }) => {
      const result = await host.exec.run(['sh', '-c', 'echo "$0"; echo oops >&2; exit 3', 'a b'], { timeoutMs: 5000 });
      assert.deepEqual([result.status, result.stdout, result.stderr], [3, 'a b\n', 'oops\n']);
    },
  },
  {
    name: 'a program of low priority says so itself, and one that is not there is missing all the same',
    needs: 'exec',
    check: async ({ host }) => {
      const nice = async (options: { lowPriority?: boolean }): Promise<number> =>
        Number((await host.exec.run(['nice'], { timeoutMs: 5000, ...options })).stdout);
      assert.equal(await nice({ lowPriority: true }), Math.max(10, await nice({})));
      const missing = host.exec.run(['no-such-program'], { timeoutMs: 1000, lowPriority: true });
      await assert.rejects(missing, code('NK_TOOL_MISSING'));
    },
  },
  {
    name: 'a program that stays is killed at its deadline',
    needs: 'exec',
    check: async ({ host }) => {
      await assert.rejects(host.exec.run(['sleep', '60'], { timeoutMs: 50 }), code('NK_TIMEOUT'));
    },
  },
  {
    name: 'the monotonic clock moves with sleep, which can be interrupted',
    needs: 'clock',
    check: async ({ host }) => {
      const before = host.clock.monotonic();
      await host.clock.sleep(30);
      const slept = host.clock.monotonic() - before;
      assert.ok(slept >= 29, `${slept}`);
      const controller = new AbortController();
      const sleeping = host.clock.sleep(60_000, controller.signal);
      controller.abort();
      await assert.rejects(sleeping, code('NK_INTERRUPTED'));
      await assert.rejects(host.clock.sleep(60_000, controller.signal), code('NK_INTERRUPTED'));
    },
  },
];

// ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────

const configFolder = '/etc/systemd/system';

function service(lines: string, unit = ''): string {
  return `[Unit]\n${unit}\n[Service]\n${lines}\n[Install]\nWantedBy=multi-user.target\n`;
}

async function install(
  { host, tag }: Subject,
  units: Readonly<Record<string, string>>,
): Promise<(name: string) => string> {
  const tagged = (name: string): string => `nkt-${tag}-${name}.service`;
  const writes = Object.entries(units).map(([name, content]) =>
    file(
      `${configFolder}/${tagged(name)}`,
      content.replace(/@(\w+)@/g, (_, other: string) => tagged(other)),
    ),
  );
  await host.files.write(writes);
  if (host.units.mode === 'live') await host.units.daemonReload();
  return tagged;
}

async function started(host: Host, name: string): Promise<JobResult> {
  return (await host.units.start(name)).result;
}

async function until(host: Host, name: string, met: (unit: UnitStatus) => boolean): Promise<UnitStatus> {
  for (let tries = 0; tries < 400; tries += 1) {
    const unit = await host.units.get(name);
    if (met(unit)) return unit;
    await host.clock.sleep(25);
  }
  throw new Error(`${name} did not get there: ${JSON.stringify(await host.units.get(name))}`);
}

const enablement: Expectation[] = [
  {
    name: 'enabling and disabling make and remove the links, once',
    needs: 'enablement',
    check: async (subject) => {
      const { host } = subject;
      const unit = await install(subject, { e: service('ExecStart=/bin/sleep 1000') });
      const name = unit('e');
      const path = `${configFolder}/multi-user.target.wants/${name}`;
      assert.equal(await host.units.enablement(name), 'disabled');
      assert.deepEqual(await host.units.setEnablement('enable', [name]), [
        { type: 'symlink', path, source: `${configFolder}/${name}` },
      ]);
      assert.equal(await host.units.enablement(name), 'enabled');
      assert.deepEqual(await host.units.setEnablement('enable', [name]), []);
      assert.equal((await host.files.stat(path))?.target, `${configFolder}/${name}`);
      assert.deepEqual(await host.units.setEnablement('disable', [name]), [{ type: 'unlink', path, source: '' }]);
      assert.equal(await host.units.enablement(name), 'disabled');
      assert.deepEqual(await host.units.setEnablement('disable', [name]), []);
      assert.equal(await host.units.enablement(unit('missing')), '');
      await assert.rejects(host.units.setEnablement('enable', [unit('missing')]), code('NK_UNIT_MISSING'));
    },
  },
  {
    name: 'masking hides a vendor unit, unmasking brings it back',
    needs: 'enablement',
    check: async ({ host, tag }) => {
      const name = `nkt-${tag}-vendor.service`;
      await host.files.write([file(`/usr/lib/systemd/system/${name}`, service('ExecStart=/bin/sleep 1000'))]);
      if (host.units.mode === 'live') await host.units.daemonReload();
      const path = `${configFolder}/${name}`;
      assert.deepEqual(await host.units.setEnablement('mask', [name]), [
        { type: 'symlink', path, source: '/dev/null' },
      ]);
      assert.equal(await host.units.enablement(name), 'masked');
      await assert.rejects(host.units.setEnablement('enable', [name]), code('NK_UNIT_FAILED'));
      assert.deepEqual(await host.units.setEnablement('unmask', [name]), [{ type: 'unlink', path, source: '' }]);
      assert.equal(await host.units.enablement(name), 'disabled');
    },
  },
  {
    name: 'a file in the way of a mask is an error',
    needs: 'enablement',
    check: async (subject) => {
      const unit = await install(subject, { own: service('ExecStart=/bin/sleep 1000') });
      await assert.rejects(subject.host.units.setEnablement('mask', [unit('own')]), code('NK_UNIT_FAILED'));
      await assert.rejects(subject.host.units.setEnablement('enable', ['no type']), code('NK_UNIT_FAILED'));
    },
  },
];

const offline: Expectation[] = [
  {
    name: 'nothing can be started in a root folder',
    needs: 'offline units',
    check: async ({ host }) => {
      assert.equal(host.units.mode, 'offline');
      const calls = [
        host.units.list(),
        host.units.get('a.service'),
        host.units.start('a.service'),
        host.units.daemonReload(),
        host.units.log('a.service', 1),
        host.units.milestones(),
      ];
      for (const call of await Promise.allSettled(calls)) {
        assert.ok(call.status === 'rejected');
        assert.equal(call.reason.code, 'NK_NO_SYSTEMD');
      }
    },
  },
];

const live: Expectation[] = [
  {
    name: 'a service starts, restarts with a new invocation, and stops',
    needs: 'live units',
    check: async (subject) => {
      const { host } = subject;
      const unit = await install(subject, { a: service('ExecStart=/bin/sleep 1000') });
      const name = unit('a');
      const idle = await host.units.get(name);
      assert.deepEqual([idle.loadState, idle.activeState, idle.subState], ['loaded', 'inactive', 'dead']);
      assert.deepEqual([idle.invocationId, idle.activeEnterUsec, idle.mainPid], ['', 0, 0]);
      assert.equal(idle.fragmentPath, `${configFolder}/${name}`);

      assert.equal(await started(host, name), 'done');
      const first = await host.units.get(name);
      assert.deepEqual([first.activeState, first.subState, first.result], ['active', 'running', 'success']);
      assert.match(first.invocationId, /^[0-9a-f]{32}$/);
      assert.ok((first.mainPid ?? 0) > 1);
      assert.ok(first.activeEnterUsec > 0 && first.activeEnterUsec / 1000 <= host.clock.monotonic());
      assert.deepEqual([first.serviceType, first.remainAfterExit, first.restarts], ['simple', false, 0]);

      assert.equal(await started(host, name), 'done');
      assert.equal((await host.units.get(name)).invocationId, first.invocationId);
      assert.equal(await (await host.units.restart(name)).result, 'done');
      assert.notEqual((await host.units.get(name)).invocationId, first.invocationId);
      assert.equal(await (await host.units.stop(name)).result, 'done');
      assert.equal((await host.units.get(name)).activeState, 'inactive');
      assert.equal(await (await host.units.stop(name)).result, 'done');
    },
  },
  {
    name: 'a oneshot ends as it says',
    needs: 'live units',
    check: async (subject) => {
      const { host } = subject;
      const unit = await install(subject, {
        once: service('Type=oneshot\nExecStart=/bin/true'),
        stays: service('Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true'),
        fails: service('Type=oneshot\nExecStart=/bin/false'),
      });
      assert.equal(await started(host, unit('once')), 'done');
      const once = await host.units.get(unit('once'));
      assert.deepEqual([once.activeState, once.result, once.serviceType], ['inactive', 'success', 'oneshot']);
      assert.equal(await started(host, unit('stays')), 'done');
      const stays = await host.units.get(unit('stays'));
      assert.deepEqual([stays.activeState, stays.subState, stays.remainAfterExit], ['active', 'exited', true]);
      assert.equal(await started(host, unit('fails')), 'failed');
      const fails = await host.units.get(unit('fails'));
      assert.deepEqual([fails.activeState, fails.result, fails.execMainStatus], ['failed', 'exit-code', 1]);
      await host.units.resetFailed(unit('fails'));
      assert.equal((await host.units.get(unit('fails'))).activeState, 'inactive');
      await host.units.resetFailed(unit('missing'));
    },
  },
  {
    name: 'a service that exits at once is seen to fail although its job is done',
    needs: 'live units',
    check: async (subject) => {
      const unit = await install(subject, { exits: service('ExecStart=/bin/false') });
      assert.equal(await started(subject.host, unit('exits')), 'done');
      const end = await until(subject.host, unit('exits'), ({ activeState }) => activeState === 'failed');
      assert.deepEqual([end.result, end.execMainStatus], ['exit-code', 1]);
    },
  },
  {
    name: 'a service that keeps failing restarts and then meets the start limit',
    needs: 'live units',
    check: async (subject) => {
      const unit = await install(subject, { loops: service('ExecStart=/bin/false\nRestart=always') });
      await started(subject.host, unit('loops'));
      const end = await until(subject.host, unit('loops'), ({ activeState }) => activeState === 'failed');
      assert.ok((end.restarts ?? 0) >= 4, `${end.restarts}`);
      // Of every run, where there is a journal; the last attempt had no process.
      const said = (await subject.host.units.log(unit('loops'), 50)).filter((line) => /exited, .*status=1/.test(line));
      assert.ok(said.length === 0 || said.length >= 4, said.join('\n'));
    },
  },
  {
    name: 'a start that hangs is canceled by a stop',
    needs: 'live units',
    check: async (subject) => {
      const { host } = subject;
      const unit = await install(subject, { hangs: service('Type=oneshot\nExecStart=/bin/sleep 1000') });
      const job = await host.units.start(unit('hangs'));
      await until(host, unit('hangs'), ({ activeState }) => activeState === 'activating');
      const stop = await host.units.stop(unit('hangs'));
      assert.equal(await job.result, 'canceled');
      assert.equal(await stop.result, 'done');
    },
  },
  {
    name: 'a start that hangs ends at its own timeout',
    needs: 'live units',
    check: async (subject) => {
      const unit = await install(subject, {
        slow: service('Type=oneshot\nTimeoutStartSec=1\nExecStart=/bin/sleep 1000'),
      });
      // The job fails; that it was for time only the unit says.
      assert.equal(await started(subject.host, unit('slow')), 'failed');
      assert.equal((await subject.host.units.get(unit('slow'))).result, 'timeout');
    },
  },
  {
    name: 'a dependency that fails fails the job',
    needs: 'live units',
    check: async (subject) => {
      const unit = await install(subject, {
        broken: service('Type=oneshot\nExecStart=/bin/false'),
        needs: service('ExecStart=/bin/sleep 1000', 'Requires=@broken@\nAfter=@broken@'),
      });
      assert.equal(await started(subject.host, unit('needs')), 'dependency');
      assert.equal((await subject.host.units.get(unit('needs'))).activeState, 'inactive');
      assert.ok((await subject.host.units.dependencies(unit('needs'), 'After')).includes(unit('broken')));
      assert.ok((await subject.host.units.dependencies(unit('needs'), 'Requires')).includes(unit('broken')));
    },
  },
  {
    name: 'what is wanted is started along',
    needs: 'live units',
    check: async (subject) => {
      const unit = await install(subject, {
        helper: service('Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true'),
        main: service('ExecStart=/bin/sleep 1000', 'Wants=@helper@\nAfter=@helper@'),
      });
      assert.equal(await started(subject.host, unit('main')), 'done');
      assert.equal((await subject.host.units.get(unit('helper'))).activeState, 'active');
      await (
        await subject.host.units.stop(unit('main'))
      ).result;
    },
  },
  {
    name: 'missing, masked and broken units cannot be started',
    needs: 'live units',
    check: async (subject) => {
      const { host } = subject;
      const unit = await install(subject, { broken: '[Service]\nType=simple\n' });
      assert.equal((await host.units.get(unit('missing'))).loadState, 'not-found');
      await assert.rejects(host.units.start(unit('missing')), code('NK_UNIT_MISSING'));
      await assert.rejects(host.units.restart(unit('missing')), code('NK_UNIT_MISSING'));
      assert.equal((await host.units.get(unit('broken'))).loadState, 'bad-setting');
      await assert.rejects(host.units.start(unit('broken')), code('NK_UNIT_FAILED'));
      await host.units.setEnablement('mask', [unit('masked')]);
      await host.units.daemonReload();
      assert.equal((await host.units.get(unit('masked'))).loadState, 'masked');
      await assert.rejects(host.units.start(unit('masked')), code('NK_UNIT_FAILED'));
      await assert.rejects(host.units.start('no type'), code('NK_UNIT_FAILED'));
    },
  },
  {
    name: 'a changed file counts after daemon-reload, and says so before',
    needs: 'live units',
    check: async (subject) => {
      const { host } = subject;
      const unit = await install(subject, { changed: service('ExecStart=/bin/sleep 1000') });
      await started(host, unit('changed'));
      assert.equal((await host.units.get(unit('changed'))).needDaemonReload, false);
      const path = `${configFolder}/${unit('changed')}`;
      const dropIn = `${path}.d/50-nodekiln.conf`;
      await host.files.write([
        file(path, service('ExecStart=/bin/sleep 1001')),
        // systemd 252 does not notice this one before the reload.
        file(dropIn, '[Service]\nRemainAfterExit=yes\n'),
      ]);
      assert.equal((await host.units.get(unit('changed'))).needDaemonReload, true);
      await host.units.daemonReload();
      const after = await host.units.get(unit('changed'));
      assert.deepEqual([after.needDaemonReload, after.remainAfterExit, after.dropInPaths], [false, true, [dropIn]]);
      await (
        await host.units.stop(unit('changed'))
      ).result;
    },
  },
  {
    name: 'a unit that can reload reloads, another restarts',
    needs: 'live units',
    check: async (subject) => {
      const { host } = subject;
      const unit = await install(subject, {
        can: service('ExecStart=/bin/sleep 1000\nExecReload=/bin/true'),
        cannot: service('ExecStart=/bin/sleep 1000'),
      });
      for (const name of ['can', 'cannot']) {
        await started(host, unit(name));
        const before = (await host.units.get(unit(name))).invocationId;
        assert.equal(await (await host.units.reloadOrRestart(unit(name))).result, 'done');
        assert.equal((await host.units.get(unit(name))).invocationId === before, name === 'can');
        await (
          await host.units.stop(unit(name))
        ).result;
      }
    },
  },
  {
    name: 'a killed service fails',
    needs: 'live units',
    check: async (subject) => {
      const { host } = subject;
      const unit = await install(subject, { victim: service('ExecStart=/bin/sleep 1000') });
      await started(host, unit('victim'));
      await host.units.kill(unit('victim'), 'SIGKILL');
      const end = await until(host, unit('victim'), ({ activeState }) => activeState === 'failed');
      assert.deepEqual([end.result, end.execMainStatus], ['signal', 9]);
    },
  },
  {
    name: 'units are listed by pattern',
    needs: 'live units',
    check: async (subject) => {
      const { host, tag } = subject;
      const unit = await install(subject, {
        l1: service('ExecStart=/bin/sleep 1000'),
        l2: service('ExecStart=/bin/sleep 1000'),
      });
      await Promise.all(['l1', 'l2'].map((name) => started(host, unit(name))));
      const names = (await host.units.list([`nkt-${tag}-l?.service`])).map(({ name }) => name);
      assert.deepEqual(names.sort(), [unit('l1'), unit('l2')]);
      assert.ok((await host.units.list()).length >= 2);
      assert.deepEqual(await host.units.list(['no-such-*.service']), []);
      await Promise.all(['l1', 'l2'].map(async (name) => (await host.units.stop(unit(name))).result));
    },
  },
  {
    name: 'milestones are on the monotonic clock',
    needs: 'live units',
    check: async ({ host }) => {
      const { userspaceUsec } = await host.units.milestones();
      assert.ok(userspaceUsec > 0 && userspaceUsec / 1000 < host.clock.monotonic());
    },
  },
];

export const expectations: readonly Expectation[] = [
  ...files,
  ...state,
  ...others,
  ...net,
  ...archives,
  ...signatures,
  ...enablement,
  ...offline,
  ...live,
];
