/**
 * Root at work where other users may write: no link of theirs is followed, and a folder that they exchange for one while we
 * work leads nowhere. Judged by what lies outside: it stays as it was, and nothing of it is read.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { snapshotTree } from '../../../test/lab/tree.ts';
import type { Disk } from '../../disk/disk.ts';
import { nodeDisk } from '../../disk/node-disk.ts';
import { errnoOf, NodekilnError } from '../../errors.ts';
import { bytesOf, textOf } from '../../model/bytes.ts';
import type { Files } from '../port.ts';
import { createLinuxFiles } from './files.ts';

const stranger = 65_534;
const root = { uid: 0, gid: 0 };
const secret = 'of somebody else';

/** Everything that goes to a path; what it gives back are the texts that it came by. */
const works: Readonly<Record<string, (files: Files, folder: string) => Promise<(string | undefined)[]>>> = {
  file: (files, folder) =>
    put(files, { type: 'file', path: `${folder}/f`, content: bytesOf('ours'), mode: 0o600, ...root }),
  'file below a new folder': (files, folder) =>
    put(files, { type: 'file', path: `${folder}/new/f`, content: bytesOf('ours'), mode: 0o600, ...root }),
  folder: (files, folder) => put(files, { type: 'directory', path: `${folder}/made`, mode: 0o700, ...root }),
  attributes: (files, folder) => put(files, { type: 'directory', path: `${folder}/kept`, mode: 0o777, ...root }),
  link: (files, folder) => put(files, { type: 'symlink', path: `${folder}/l`, target: '/ours' }),
  staged: async (files, folder) => {
    const staged = await files.stage(folder);
    try {
      await staged.append(bytesOf('ours'));
      await staged.publish('f', { mode: 0o600, ...root });
    } finally {
      await staged.discard();
    }
    return [];
  },
  'temporary folder': async (files, folder) => {
    await files.removeTree(await files.temporaryFolder(folder));
    return [];
  },
  placed: async (files, folder) => {
    await files.place('/source', `${folder}/f`, { mode: 0o755, ...root });
    return [];
  },
  'placed from there': async (files, folder) => {
    await files.place(`${folder}/f`, '/placed', { mode: 0o600, ...root });
    return [textOf(await files.read('/placed'))];
  },
  moved: async (files, folder) => {
    await files.write([{ type: 'file', path: '/from', content: bytesOf('ours'), mode: 0o600, ...root }]);
    await files.move('/from', `${folder}/f`);
    return [];
  },
  'moved from there': async (files, folder) => {
    await files.move(`${folder}/f`, '/moved');
    return [textOf(await files.read('/moved'))];
  },
  removed: async (files, folder) => {
    await files.remove([`${folder}/f`, `${folder}/empty`]);
    return [];
  },
  'removed tree': async (files, folder) => {
    await files.removeTree(`${folder}/kept`);
    return [];
  },
  swept: async (files, folder) => {
    await files.sweep([folder]);
    return [];
  },
  read: async (files, folder) => [textOf(await files.read(`${folder}/f`))],
  opened: async (files, folder) => {
    const file = await files.open(`${folder}/f`);
    try {
      return [textOf(await file?.read(0, 100))];
    } finally {
      await file?.close();
    }
  },
  listed: (files, folder) => files.list(folder),
};

async function put(files: Files, write: Parameters<Files['write']>[0][number]): Promise<never[]> {
  await files.write([write]);
  return [];
}

/** `ENOENT` and the like: there was nothing just then. */
const refusals = ['NK_PATH_UNSAFE', 'NK_FILE_WRITE', 'ENOENT', 'ENOTDIR', 'EISDIR'];

describe('where others may write', { skip: process.getuid?.() === 0 ? false : 'root is who must not follow' }, () => {
  let scratch = '';
  let outside = '';
  let counter = 0;
  before(() => {
    scratch = mkdtempSync('/var/tmp/nodekiln-unsafe-');
    chmodSync(scratch, 0o755);
    outside = join(scratch, 'outside');
    mkdirSync(join(outside, 'kept/in'), { recursive: true });
    mkdirSync(join(outside, 'empty'));
    writeFileSync(join(outside, 'f'), secret, { mode: 0o600 });
    writeFileSync(join(outside, 'kept/f'), secret);
    writeFileSync(join(outside, '.nodekiln-tmp-1-1-1'), 'of a process that ended');
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  /** A folder of the stranger's in a root of its own: files of the root, files of the machine, and how each calls the folder. */
  function place(disk: Disk = nodeDisk): {
    readonly folder: string;
    readonly views: readonly [string, Files, string][];
  } {
    counter += 1;
    const top = join(scratch, String(counter));
    const folder = join(top, 'srv/app');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(top, 'source'), 'source');
    chownSync(folder, stranger, stranger);
    const machine = createLinuxFiles('/', disk);
    // The machine's paths below the same top, so that both do the same work.
    const below = (path: string): string => (path.startsWith(top) ? path : top + path);
    const asMachine = new Proxy(machine, {
      get: (files, name: keyof Files) =>
        name === 'place' || name === 'move'
          ? (from: string, to: string, attributes: never) => files[name](below(from), below(to), attributes)
          : name === 'write'
            ? (writes: Parameters<Files['write']>[0]) =>
                files.write(writes.map((write) => ({ ...write, path: below(write.path) })))
            : name === 'read'
              ? (path: string) => files.read(below(path))
              : files[name],
    });
    return {
      folder,
      views: [
        ['a root folder', createLinuxFiles(top, disk), '/srv/app'],
        ['the machine', asMachine, folder],
      ],
    };
  }

  for (const [name, work] of Object.entries(works)) {
    test(`a stranger’s link is not followed: ${name}`, async () => {
      const unchanged = await snapshotTree(outside, ['/']);
      const { folder, views } = place();
      symlinkSync(outside, join(folder, 'd'));
      lchownSync(join(folder, 'd'), stranger, stranger);
      for (const [view, files, path] of views) {
        const found = await work(files, `${path}/d`).catch((thrown: unknown) => {
          assert.ok(thrown instanceof NodekilnError, String(thrown));
          assert.equal(thrown.code, 'NK_PATH_UNSAFE', view);
          assert.match(thrown.message, /srv\/app\/d is a link/);
          assert.doesNotMatch(thrown.message, /proc\/self/);
          return [];
        });
        assert.deepEqual(found, [], view);
        assert.deepEqual(await snapshotTree(outside, ['/']), unchanged, view);
      }
    });
  }

  for (const [name, work] of Object.entries({
    read: (files, path) => files.read(path),
    opened: (files, path) => files.open(path),
    digested: (files, path) => files.digest(path),
    placed: (files, path) => files.place(path, '/placed', { mode: 0o600, ...root }),
    'written to as the kernel’s': (files, path) => files.writeKernel(path, 'ours'),
  } satisfies Record<string, (files: Files, path: string) => Promise<unknown>>)) {
    test(`nor is one at the end of the path: ${name}`, async () => {
      for (const mode of [0o755, 0o1777]) {
        const { folder, views } = place();
        if (mode === 0o1777) chownSync(folder, 0, 0);
        chmodSync(folder, mode);
        symlinkSync(join(outside, 'f'), join(folder, 'f'));
        lchownSync(join(folder, 'f'), stranger, stranger);
        for (const [view, files, path] of views) {
          // The folder is known by then.
          assert.deepEqual(await files.list(path), ['f']);
          await assert.rejects(work(files, `${path}/f`), { code: 'NK_PATH_UNSAFE' }, view);
        }
      }
      assert.equal(readFileSync(join(outside, 'f'), 'utf8'), secret);
    });
  }

  for (const work of [
    'read',
    'opened',
    'listed',
    'removed',
    'removed tree',
    'swept',
    'moved from there',
    'placed from there',
  ]) {
    test(`what was not there is not looked for behind a link that comes: ${work}`, async () => {
      const unchanged = await snapshotTree(outside, ['/']);
      const { folder, views } = place();
      const link = join(folder, 'd');
      const disk: Disk = {
        ...nodeDisk,
        look: (path) => {
          const found = nodeDisk.look(path);
          if (!found && path.endsWith('/d')) symlinkSync(outside, link);
          return found;
        },
      };
      const files = createLinuxFiles('/', disk);
      const found = await works[work]!(files, `${views[1]?.[2]}/d`).catch((thrown: unknown) => {
        assert.ok(refusals.includes(errnoOf(thrown) ?? ''), String(thrown));
        return [];
      });
      assert.ok(existsSync(link), 'it came');
      assert.ok(
        found.every((text) => text === undefined),
        String(found),
      );
      assert.deepEqual(await snapshotTree(outside, ['/']), unchanged);
    });
  }

  for (const work of ['file', 'folder', 'link', 'staged', 'temporary folder', 'placed', 'moved'])
    test(`a folder that goes while it is written to is told: ${work}`, async () => {
      let path = '';
      const inIt = (name: unknown): boolean => typeof name === 'string' && /\/fd\/\d+\/(?!d$)[^/]+$/.test(name);
      const makes = ['mkdir', 'symlink', 'copy', 'reflink', 'link', 'rename'];
      const disk = new Proxy(nodeDisk, {
        get: (of, name: string) => {
          const call: unknown = Reflect.get(of, name);
          if (typeof call !== 'function') return call;
          return (...given: unknown[]): unknown => {
            const isMaking = name === 'open' ? given[1] === 'create' : makes.includes(name);
            if (isMaking && given.some(inIt)) rmSync(path, { recursive: true, force: true });
            return Reflect.apply(call, of, given);
          };
        },
      });
      const { folder, views } = place(disk);
      path = join(folder, 'd');
      writeFileSync(join(folder, '../../source'), 'source');
      for (const [view, files, at] of views) {
        mkdirSync(path);
        chownSync(path, stranger, stranger);
        await assert.rejects(works[work]!(files, `${at}/d`), (thrown) => {
          assert.ok(thrown instanceof NodekilnError);
          assert.equal(thrown.code, 'NK_PATH_UNSAFE', `${view}: ${thrown.message}`);
          assert.match(thrown.message, /srv\/app\/d was removed or exchanged/);
          return true;
        });
        assert.ok(!existsSync(path));
      }
    });

  const unsafe: Readonly<Record<string, (folder: string) => void>> = {
    'root’s link in a folder of a stranger': (folder) => symlinkSync(outside, join(folder, 'd')),
    'root’s link in a folder that everybody may write to': (folder) => {
      chownSync(folder, 0, 0);
      chmodSync(folder, 0o777);
      symlinkSync(outside, join(folder, 'd'));
    },
    'root’s link in a folder that a group may write to': (folder) => {
      chownSync(folder, 0, stranger);
      chmodSync(folder, 0o775);
      symlinkSync(outside, join(folder, 'd'));
    },
    'a stranger’s link in a sticky folder': (folder) => {
      chownSync(folder, 0, 0);
      chmodSync(folder, 0o1777);
      symlinkSync(outside, join(folder, 'd'));
      lchownSync(join(folder, 'd'), stranger, stranger);
    },
    'root’s link in a stranger’s sticky folder': (folder) => {
      chmodSync(folder, 0o1777);
      symlinkSync(outside, join(folder, 'd'));
    },
    'a link to a stranger’s link': (folder) => {
      symlinkSync(outside, join(folder, 'theirs'));
      symlinkSync(join(folder, 'theirs'), join(folder, '../d'));
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      symlinkSync(outside, join(folder, 'theirs'));
      chownSync(folder, stranger, stranger);
      symlinkSync('../d', join(folder, 'd'));
    },
  };
  for (const [name, lay] of Object.entries(unsafe)) {
    test(`not followed: ${name}`, async () => {
      const { folder, views } = place();
      lay(folder);
      const [, files, path] = views[1] ?? assert.fail();
      await assert.rejects(works['file']!(files, `${path}/d`), { code: 'NK_PATH_UNSAFE' });
      await assert.rejects(works['read']!(files, `${path}/d`), { code: 'NK_PATH_UNSAFE' });
      assert.equal(await files.stat(`${path}/d/f`), undefined);
      assert.equal(readFileSync(join(outside, 'f'), 'utf8'), secret);
    });
  }

  const safe: Readonly<Record<string, (folder: string, to: string) => void>> = {
    'root’s link in root’s folder': (folder, to) => {
      chownSync(folder, 0, 0);
      symlinkSync(to, join(folder, 'd'));
    },
    'a stranger’s link in root’s folder, where only root could lay it': (folder, to) => {
      chownSync(folder, 0, 0);
      symlinkSync(to, join(folder, 'd'));
      lchownSync(join(folder, 'd'), stranger, stranger);
    },
    'root’s link in a sticky folder': (folder, to) => {
      chownSync(folder, 0, 0);
      chmodSync(folder, 0o1777);
      symlinkSync(to, join(folder, 'd'));
    },
    'a stranger’s own folder': (folder) => {
      mkdirSync(join(folder, 'd'));
      chownSync(join(folder, 'd'), stranger, stranger);
    },
    'root’s folder in a stranger’s': (folder) => mkdirSync(join(folder, 'd')),
    'a folder that is yet to be made in a stranger’s': () => undefined,
  };
  for (const [name, lay] of Object.entries(safe)) {
    test(`gone through: ${name}`, async () => {
      const { folder, views } = place();
      const to = join(folder, '../to');
      mkdirSync(to);
      lay(folder, '../to');
      for (const [view, files, path] of views) {
        for (const work of ['file', 'read', 'file below a new folder', 'staged', 'placed', 'listed', 'removed'])
          await works[work]!(files, `${path}/d`);
        await works['file']!(files, `${path}/d`);
        assert.equal(readFileSync(join(folder, 'd/new/f'), 'utf8'), 'ours', view);
        assert.equal(textOf(await files.read(`${path}/d/f`)), 'ours', view);
        assert.equal((await files.stat(`${path}/d/f`))?.type, 'file', view);
      }
    });
  }

  const open: Readonly<Record<string, (file: string) => void>> = {
    'a stranger’s file': (file) => chownSync(file, stranger, stranger),
    'a stranger’s file of mode 0400': (file) => {
      chmodSync(file, 0o400);
      chownSync(file, stranger, stranger);
    },
    'a file that everybody may write to': (file) => chmodSync(file, 0o666),
    'a file that a group may write to': (file) => chmodSync(file, 0o664),
    'a file with another name': (file) => linkSync(file, `${file}.other`),
  };
  for (const [name, leave] of Object.entries(open)) {
    test(`becomes a file of its own, whoever has it open: ${name}`, async () => {
      const { folder, views } = place();
      for (const [view, files, path] of views) {
        const file = join(folder, view.replaceAll(' ', '-'));
        writeFileSync(file, 'ours', { mode: 0o644 });
        leave(file);
        const descriptor = openSync(file, 'r+');
        const content = bytesOf('ours');
        await files.write([{ type: 'file', path: join(path, basename(file)), content, mode: 0o600, ...root }]);
        writeSync(descriptor, 'theirs');
        closeSync(descriptor);
        assert.equal(readFileSync(file, 'utf8'), 'ours', view);
        const { mode, uid, nlink } = lstatSync(file);
        assert.deepEqual([mode & 0o7777, uid, nlink], [0o600, 0, 1], view);
      }
    });
  }

  /** As the stranger: now a folder has the name, now a link to elsewhere, at once (renameat2(2)) or with nothing between. */
  const swapping = `
    my ($path, $to) = @ARGV;
    umask 0;
    mkdir $path; mkdir "$path/kept";
    open(my $file, '>', "$path/f"); print $file 'theirs'; close $file;
    symlink $to, "$path.link";
    syswrite STDOUT, 'begun';
    for (my ($away, $link) = ("$path.away", "$path.link"); ; ) {
      syscall(316, -100, $path, -100, $link, 2) for 1 .. 4;
      rename $path, $away;
      rename($away, $path) or rename($path, $path . rand) && rename($away, $path);
    }`;

  async function whileSwapped(path: string, work: () => Promise<void>): Promise<void> {
    const swapper = spawn('perl', ['-e', swapping, path, outside], {
      uid: stranger,
      gid: stranger,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(swapper.stdout, 'data');
      await work();
    } finally {
      swapper.kill('SIGKILL');
      await once(swapper, 'exit');
    }
  }

  /** What they write lies there, or the link is told; where they write from, it may be gone just then. */
  const writes = ['file', 'file below a new folder', 'folder', 'attributes', 'link', 'staged', 'placed', 'moved'];
  const rounds = 150;
  test(`nothing lands outside while the folder is exchanged, in ${rounds} rounds of each work`, async () => {
    const unchanged = await snapshotTree(outside, ['/']);
    for (const view of [0, 1]) {
      const { folder, views } = place();
      const [name, files, path] = views[view] ?? assert.fail();
      let done = 0;
      await whileSwapped(join(folder, 'd'), async () => {
        for (const [of, work] of Object.entries(works)) {
          for (let round = 0; round < rounds; round += 1) {
            const found = await work(files, `${path}/d`).catch((thrown: unknown) => {
              if (writes.includes(of)) assert.equal(errnoOf(thrown), 'NK_PATH_UNSAFE', `${of}: ${String(thrown)}`);
              if (!refusals.includes(errnoOf(thrown) ?? '')) throw thrown;
              return undefined;
            });
            if (found) done += 1;
            assert.ok(!found?.some((text) => text === secret || text === 'empty'), name);
          }
        }
      });
      assert.ok(done > rounds, `${name}: ${done} works came through`);
      assert.deepEqual(await snapshotTree(outside, ['/']), unchanged, name);
    }
  });

  test('a root folder that has become a stranger’s link leads nowhere', async () => {
    const unchanged = await snapshotTree(outside, ['/']);
    const { folder } = place();
    const top = join(folder, 'root');
    mkdirSync(top);
    const files = createLinuxFiles(top);
    await works['file']!(files, '/etc');
    rmSync(top, { recursive: true });
    symlinkSync(outside, top);
    for (const work of ['file', 'staged', 'folder', 'read'])
      await assert.rejects(works[work]!(files, '/kept'), { code: 'NK_PATH_UNSAFE' }, work);
    assert.deepEqual(await snapshotTree(outside, ['/']), unchanged);
  });

  test('a root folder that is exchanged itself leads nowhere', async () => {
    const unchanged = await snapshotTree(outside, ['/']);
    const { folder } = place();
    const top = join(folder, 'root');
    await whileSwapped(top, async () => {
      const files = createLinuxFiles(top);
      for (let round = 0; round < 1000; round += 1) {
        await works['file']!(files, '/etc').catch((thrown: unknown) => {
          if (!refusals.includes(errnoOf(thrown) ?? '')) throw thrown;
        });
      }
    });
    assert.deepEqual(await snapshotTree(outside, ['/']), unchanged);
    assert.ok(existsSync(outside));
  });
});
