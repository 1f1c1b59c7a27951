import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { NodekilnError } from '../../errors.ts';
import type { Files, FileWrite } from '../port.ts';
import type { Disk } from '../../disk/disk.ts';
import { nodeDisk } from '../../disk/node-disk.ts';
import { snapshotTree } from '../../../test/lab/tree.ts';
import { createLinuxFiles } from './files.ts';
import { textOf } from '../../model/bytes.ts';

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function file(path: string, content: string, mode = 0o644): FileWrite {
  return { type: 'file', path, content: Buffer.from(content), mode, ...owner };
}

describe('Linux files in a root folder', () => {
  let scratch = '';
  before(() => {
    scratch = mkdtempSync('/var/tmp/nodekiln-files-');
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  function root(name: string): string {
    const path = join(scratch, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  for (const [work, run] of Object.entries<(files: Files, path: string) => Promise<unknown>>({
    stat: (files, path) => files.stat(path),
    read: (files, path) => files.read(path),
    open: (files, path) => files.open(path),
    list: (files, path) => files.list(path),
    sweep: (files, path) => files.sweep([path]),
    remove: (files, path) => files.remove([path]),
    'remove a tree': (files, path) => files.removeTree(path),
    'set attributes': (files, path) => files.setAttributes(path, { mode: 0o600, ...owner }),
  }))
    test(`nothing is asked of the disk in a folder that is not there: ${work}`, async () => {
      const folder = root('missing');
      mkdirSync(join(folder, 'etc'), { recursive: true });
      const asked: string[] = [];
      const disk = new Proxy(nodeDisk, {
        get: (of, name: keyof Disk) => {
          if (name !== 'look' && name !== 'self') asked.push(name);
          return of[name];
        },
      });
      await run(createLinuxFiles(folder, disk), '/etc/missing.d/entry');
      assert.deepEqual(asked, []);
    });

  test('symlinks are read as the host would read them and never lead out of the root', async () => {
    const folder = root('symlinks');
    const outside = join(scratch, 'outside');
    writeFileSync(outside, 'outside');
    mkdirSync(join(folder, 'etc'));
    symlinkSync('/etc', join(folder, 'absolute'));
    symlinkSync('../../../../../../../..', join(folder, 'etc/up'));
    symlinkSync('loop', join(folder, 'loop'));
    const files = createLinuxFiles(folder);

    await files.write([file('/absolute/a', 'a'), file('/etc/up/etc/b', 'b'), file('/../../c', 'c')]);

    assert.equal(readFileSync(join(folder, 'etc/a'), 'utf8'), 'a');
    assert.equal(readFileSync(join(folder, 'etc/b'), 'utf8'), 'b');
    assert.equal(readFileSync(join(folder, 'c'), 'utf8'), 'c');
    assert.equal(textOf(await files.read('/absolute/a')), 'a');
    symlinkSync(outside, join(folder, 'etc/leak'));
    assert.equal(await files.read('/etc/leak'), undefined);
    await assert.rejects(files.write([file('/loop/x', 'x')]), { code: 'NK_FILE_WRITE' });
  });

  test('any path stays inside the root', async () => {
    const folder = root('any');
    const files = createLinuxFiles(folder);
    mkdirSync(join(folder, 'd'));
    symlinkSync('/d/../../../..', join(folder, 'd/l'));
    symlinkSync('..', join(folder, 'd/p'));
    const part = fc.constantFrom('..', '.', 'd', 'l', 'p', 'x', '');
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 8 }), async (parts) => {
        const before = readdirSync(scratch);
        await files.write([file(`/${parts.join('/')}/name`, 'content')]).catch(() => undefined);
        assert.deepEqual(readdirSync(scratch), before);
      }),
      { numRuns: 100 },
    );
  });

  test('nothing that is staged, moved, placed, emptied or removed leaves the root', async () => {
    const folder = root('all');
    const outside = join(scratch, 'outside-all');
    mkdirSync(join(outside, 'kept'), { recursive: true });
    writeFileSync(join(outside, 'kept/f'), 'outside');
    mkdirSync(join(folder, 'd'));
    symlinkSync(outside, join(folder, 'd/absolute'));
    symlinkSync('../../outside-all', join(folder, 'd/relative'));
    const files = createLinuxFiles(folder);
    const before = await snapshotTree(outside, ['/']);
    await files.write([file('/source', 'x')]);
    for (const link of ['absolute', 'relative']) {
      const at = `/d/${link}`;
      const staged = await files.stage(`${at}/kept`);
      await staged.append(Buffer.from('staged'));
      await staged.publish('f', { mode: 0o600, ...owner });
      await files.removeTree(await files.temporaryFolder(`${at}/kept`));
      await files.place('/source', `${at}/kept/placed`, { mode: 0o600, ...owner });
      await files.move(`${at}/kept/placed`, `${at}/kept/moved`);
      await files.sweep([`${at}/kept`]);
      assert.deepEqual(await files.list(`${at}/kept`), ['f', 'moved']);
      assert.equal(textOf(await files.read(`${at}/kept/f`)), 'staged');
      await files.removeTree(`${at}/kept`);
      await files.removeTree(at);
      assert.deepEqual(await snapshotTree(outside, ['/']), before, link);
    }
  });

  test('a folder that becomes a symlink while its tree is removed leads nowhere', async () => {
    const folder = root('swapped');
    const outside = join(scratch, 'outside-swapped');
    mkdirSync(outside);
    writeFileSync(join(outside, 'kept'), 'outside');
    for (const moment of ['listed', 'refused', 'opened']) {
      mkdirSync(join(folder, moment, 'inner'), { recursive: true });
      writeFileSync(join(folder, moment, 'inner/kept'), 'ours');
      const swap = (): void => {
        renameSync(join(folder, moment, 'inner'), join(folder, `${moment}-away`));
        symlinkSync(outside, join(folder, moment, 'inner'));
      };
      const disk: Disk = {
        ...nodeDisk,
        unlink: async (path) => {
          try {
            await nodeDisk.unlink(path);
          } catch (thrown) {
            // A folder, as the system says: it is about to be opened.
            if (moment === 'refused' && path.endsWith('/inner')) swap();
            throw thrown;
          }
        },
        readdir: async (path) => {
          const entries = await nodeDisk.readdir(path);
          if (moment === 'listed' && entries.some(({ name }) => name === 'inner')) swap();
          // By now the folder is open: its own entries are removed, wherever it has gone.
          if (moment === 'opened' && entries.some(({ name }) => name === 'kept')) swap();
          return entries;
        },
      };
      await createLinuxFiles(folder, disk)
        .removeTree(`/${moment}`)
        .catch(() => undefined);
      assert.deepEqual(readdirSync(outside), ['kept'], moment);
    }
  });

  test('mode is exact whatever the umask, also of parents made on the way (X6)', async () => {
    const folder = root('umask');
    const before = process.umask(0o077);
    try {
      await createLinuxFiles(folder).write([
        file('/a/b/f', 'x', 0o4755),
        { type: 'directory', path: '/d', mode: 0o1777, ...owner },
      ]);
    } finally {
      process.umask(before);
    }
    assert.equal(lstatSync(join(folder, 'a/b/f')).mode & 0o7777, 0o4755);
    assert.equal(lstatSync(join(folder, 'a/b')).mode & 0o7777, 0o755);
    assert.equal(lstatSync(join(folder, 'd')).mode & 0o7777, 0o1777);
  });

  test('new attributes do not reach other names of the same inode', async () => {
    const folder = root('links');
    writeFileSync(join(folder, 'cached'), 'x', { mode: 0o755 });
    linkSync(join(folder, 'cached'), join(folder, 'active'));

    assert.deepEqual(await createLinuxFiles(folder).write([file('/active', 'x', 0o600)]), ['replaced']);

    assert.equal(lstatSync(join(folder, 'cached')).mode & 0o777, 0o755);
    assert.equal(lstatSync(join(folder, 'active')).mode & 0o777, 0o600);
  });

  test('what a process left goes when it has ended, whether or not somebody has waited for it', async () => {
    const folder = root('ended');
    // Its child is a zombie, and it itself goes on.
    const parent = spawn('perl', ['-e', 'my $child = fork; exit unless $child; syswrite STDOUT, $child; sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [said] = (await once(parent.stdout, 'data')) as [Buffer];
      const names = [];
      for (const pid of [Number(said), parent.pid ?? 0]) {
        for (let state = ''; pid !== parent.pid && state !== 'Z';)
          state = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.[0] ?? '';
        const start = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[19];
        names.push(`.nodekiln-tmp-${pid}-${start}-1`);
        mkdirSync(join(folder, names.at(-1) ?? ''));
      }
      await createLinuxFiles(folder).sweep(['/']);
      assert.deepEqual(readdirSync(folder), names.slice(1));
    } finally {
      parent.kill('SIGKILL');
      await once(parent, 'exit');
    }
  });

  test('a batch that fails leaves every target and no temporary file', async () => {
    const folder = root('failure');
    const files = createLinuxFiles(folder);
    await files.write([file('/a', 'old')]);
    mkdirSync(join(folder, 'folder'));
    writeFileSync(join(folder, 'plain'), '');

    await assert.rejects(
      files.write([file('/a', 'new'), file('/folder', 'x'), file('/b', 'x')]),
      (error: unknown) =>
        error instanceof NodekilnError && error.code === 'NK_FILE_WRITE' && error.message.includes('/folder'),
    );
    await assert.rejects(files.write([file('/plain/x', 'x')]), { code: 'NK_FILE_WRITE' });

    assert.equal(readFileSync(join(folder, 'a'), 'utf8'), 'old');
    assert.deepEqual(readdirSync(folder).sort(), ['a', 'folder', 'plain']);
  });

  test('what a killed process left is removed by the next write, what a living one works on is not', async () => {
    const folder = root('killed');
    const module = (name: string): string =>
      JSON.stringify(fileURLToPath(new URL(`../../disk/${name}.ts`, import.meta.url)));
    const program = `
      import { nodeDisk } from ${module('node-disk')};
      import { temporaryIn } from ${module('temporaries')};
      import { mkdirSync, writeFileSync } from 'node:fs';
      writeFileSync(temporaryIn(nodeDisk, ${JSON.stringify(folder)}), 'half');
      mkdirSync(temporaryIn(nodeDisk, ${JSON.stringify(folder)}));
      console.log('ready');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const files = createLinuxFiles(folder);

    await files.write([file('/a', 'a')]);
    assert.equal(readdirSync(folder).length, 3);

    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.deepEqual(await files.write([file('/a', 'a')]), ['unchanged']);
    assert.deepEqual(readdirSync(folder), ['a']);
  });

  test('killed at any moment, every file is whole and the next run leaves nothing behind', async () => {
    const folder = root('torn');
    const program = `
      import { createLinuxFiles } from ${JSON.stringify(fileURLToPath(new URL('files.ts', import.meta.url)))};
      const files = createLinuxFiles(${JSON.stringify(folder)});
      process.stdout.write('ready');
      for (let round = 0; ; round += 1) {
        const content = Buffer.alloc(20000, 97 + (round % 26));
        const attributes = { mode: 0o640, uid: ${owner.uid}, gid: ${owner.gid} };
        const paths = Array.from({ length: 12 }, (_, index) => '/d' + (index % 3) + '/f' + index);
        await files.write(paths.map((path) => ({ type: 'file', path, content, ...attributes })));
        if (round % 3 === 2) await files.remove(paths.slice(6));
      }`;
    const wanted = Array.from({ length: 12 }, (_, index) => file(`/d${index % 3}/f${index}`, 'end'));
    for (let kill = 0; kill < 6; kill += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      await sleep(10 + 7 * kill);
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        if (!/\/f\d+$/.test(path)) continue;
        const content = readFileSync(join(folder, path));
        assert.ok(
          content.length === 3 || (content.length === 20000 && content.every((byte) => byte === content[0])),
          path,
        );
      }
      await createLinuxFiles(folder).write(wanted);
      const left = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('/'));
      assert.deepEqual(left.sort(), wanted.map(({ path }) => path.slice(1)).sort());
    }
  });

  test('placing never consumes the source and gives each target its own attributes', async () => {
    const folder = root('place');
    const files = createLinuxFiles(folder);
    await files.write([file('/cache/tool-1', 'tool', 0o755)]);
    const same = { mode: 0o755, ...owner };

    const first = await files.place('/cache/tool-1', '/bin/tool', same);
    assert.ok(first === 'hardlink' || first === 'reflink');
    const again = await files.place('/cache/tool-1', '/bin/tool', same);
    assert.equal(again, first === 'hardlink' ? 'unchanged' : first);
    await files.place('/cache/tool-1', '/bin/private', { mode: 0o700, ...owner });

    assert.equal(lstatSync(join(folder, 'cache/tool-1')).mode & 0o777, 0o755);
    assert.equal(lstatSync(join(folder, 'bin/private')).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(join(folder, 'bin')).sort(), ['private', 'tool']);
    assert.deepEqual(readdirSync(join(folder, 'cache')), ['tool-1']);
  });

  test('placing goes across file systems', async () => {
    const other = mkdtempSync('/dev/shm/nodekiln-place-');
    try {
      const source = join(other, 'tool');
      writeFileSync(source, 'tool');
      chmodSync(source, 0o755);
      const target = join(root('across'), 'tool');
      assert.equal(await createLinuxFiles('/').place(source, target, { mode: 0o755, ...owner }), 'copy');
      assert.equal(readFileSync(target, 'utf8'), 'tool');
      assert.ok(existsSync(source));
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  test('removing reports what went and passes over what is missing or in use', async () => {
    const folder = root('remove');
    const files = createLinuxFiles(folder);
    await files.write([file('/d/a', 'a'), file('/e/b', 'b'), { type: 'symlink', path: '/d/s', target: '/e' }]);

    const removed = await files.remove(['/d', '/d/a', '/d/s', '/e', '/missing', '/d/a/x']);

    assert.deepEqual(removed, ['/d', '/d/a', '/d/s']);
    assert.deepEqual(readdirSync(folder), ['e']);
  });

  test('a watched folder behind symlinks is followed when one of them leads elsewhere', async () => {
    const folder = root('watched');
    for (const name of ['one', 'two']) mkdirSync(join(folder, name), { recursive: true });
    symlinkSync('one', join(folder, 'link'));
    const files = createLinuxFiles('/');
    const watch = await files.watch(join(folder, 'link'));
    const events = watch[Symbol.asyncIterator]();
    const untilPresent = async (): Promise<void> => {
      for (;;) {
        const { value, done } = await events.next();
        assert.ok(done !== true);
        if (value.type === 'present') return;
      }
    };
    const untilNamed = async (name: string): Promise<void> => {
      for (;;) {
        const { value, done } = await events.next();
        assert.ok(done !== true);
        if (value.type === 'changed' && value.names.includes(name)) return;
      }
    };
    writeFileSync(join(folder, 'one/a'), '');
    await untilNamed('a');
    symlinkSync('two', join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'link'));
    await untilPresent();
    writeFileSync(join(folder, 'two/b'), '');
    await untilNamed('b');
    watch.close();
  });
});
