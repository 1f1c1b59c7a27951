/** What a folder of documents says, and when it is taken at its word: on a machine in memory, and on a real file system. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createLinuxHost } from '../../host/linux/host.ts';
import { createMemoryMachine, type MemoryMachine } from '../../host/memory/machine.ts';
import type { FileWrite, Host } from '../../host/port.ts';
import { openFolder } from './folder.ts';
import { settledReading, settleMs, type DocumentSource } from './source.ts';
import { openSource } from './table.ts';

const folder = '/etc/documents';

function file(name: string, text: string, mode = 0o600): FileWrite {
  return { type: 'file', path: `${folder}/${name}`, content: Buffer.from(text), mode, uid: 0, gid: 0 };
}

const directory: FileWrite = { type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 };

/** A folder in memory, watched; `changes` counts what the watch told. */
async function watched(...writes: readonly FileWrite[]): Promise<{
  readonly machine: MemoryMachine;
  readonly host: Host;
  readonly source: DocumentSource;
  readonly changes: () => number;
  readonly stop: () => Promise<void>;
}> {
  const machine = createMemoryMachine();
  await machine.files.write([directory, ...writes]);
  await machine.clock.sleep(1000);
  const host = machine.open();
  const source = openFolder(folder, { host });
  const abort = new AbortController();
  let changes = 0;
  const begun = Promise.withResolvers<void>();
  const ended = (async () => {
    for await (const _change of source.watch(abort.signal)) {
      changes += 1;
      begun.resolve();
    }
  })();
  await begun.promise;
  return {
    machine,
    host,
    source,
    changes: () => changes,
    stop: () => {
      abort.abort();
      return ended;
    },
  };
}

describe('a folder of documents', () => {
  it('is read in lexical order, without what is no document', async () => {
    const { source, stop } = await watched(
      file('20-b.yml', 'b'),
      file('10-a.yaml', 'a'),
      file('30-c.json', 'c'),
      file('.40-d.yaml', 'd'),
      file('50-e.yaml~', 'e'),
      file('60-f.yaml.tmp', 'f'),
      file('readme.txt', 'g'),
    );
    const { texts, whole } = await source.read();
    assert.deepEqual(
      texts.map(({ file: path, text }) => [path, text]),
      [
        [`${folder}/10-a.yaml`, 'a'],
        [`${folder}/20-b.yml`, 'b'],
        [`${folder}/30-c.json`, 'c'],
      ],
    );
    assert.equal(whole, true);
    await stop();
  });

  it('has a digest of names and texts, and of nothing else', async () => {
    const { source, machine, stop } = await watched(file('a.yaml', 'a'));
    const { digest } = await source.read();
    await machine.files.write([file('a.yaml', 'a', 0o640), file('notes.txt', 'n')]);
    assert.equal((await source.read()).digest, digest);
    await machine.files.write([file('a.yaml', 'b')]);
    assert.notEqual((await source.read()).digest, digest);
    await machine.files.write([file('a.yaml', 'a')]);
    await machine.files.move(`${folder}/a.yaml`, `${folder}/b.yaml`);
    assert.notEqual((await source.read()).digest, digest);
    await stop();
  });

  it('that is empty has no documents; one that is not there is unknown', async () => {
    const { source, machine, stop } = await watched();
    assert.deepEqual((await source.read()).texts, []);
    await machine.files.move(folder, '/etc/away');
    await assert.rejects(source.read(), {
      code: 'NK_DOCUMENT_MISSING',
      message: `the folder ${folder} does not exist`,
    });
    await stop();
  });

  it('that goes while it is read is unknown, too', async () => {
    const machine = createMemoryMachine();
    await machine.files.write([directory, file('a.yaml', 'a')]);
    const host = machine.open();
    const going: Host = {
      ...host,
      files: {
        ...host.files,
        list: async (path) => {
          await machine.files.removeTree(folder);
          return host.files.list(path);
        },
      },
    };
    await assert.rejects(openFolder(folder, { host: going }).read(), { code: 'NK_DOCUMENT_MISSING' });
  });

  it('is made where there is nothing, and left alone where there is something', async () => {
    const machine = createMemoryMachine();
    const source = openFolder(folder, { host: machine.open() });
    assert.equal(await source.make?.(), true);
    assert.equal((await machine.files.stat(folder))?.mode, 0o700);
    await machine.files.write([{ ...directory, mode: 0o750 }]);
    assert.equal(await source.make?.(), false);
    assert.equal((await machine.files.stat(folder))?.mode, 0o750);
  });

  it('gives what a symlink leads to, with the mode of that', async () => {
    const { source, stop } = await watched(file('..data/a.yaml', 'a', 0o644), {
      type: 'symlink',
      path: `${folder}/a.yaml`,
      target: '..data/a.yaml',
    });
    const { texts } = await source.read();
    assert.deepEqual(
      texts.map(({ text, mode }) => [text, mode]),
      [['a', 0o644]],
    );
    await stop();
  });
});

describe('a document', () => {
  it('renamed into place while the folder is watched is whole at once', async () => {
    const { source, machine, changes, stop } = await watched(file('a.yaml', 'a'));
    const before = changes();
    await machine.files.write([file('a.yaml', 'b'), file('b.yaml', 'c')]);
    const { texts, whole } = await source.read();
    assert.deepEqual([texts.map(({ text }) => text), whole], [['b', 'c'], true]);
    assert.ok(changes() > before);
    await stop();
  });

  it('written in place is not, until nothing has been written for a while', async () => {
    const { source, machine, stop } = await watched(file('a.yaml', 'a'));
    const { clock } = machine;
    await machine.files.writeKernel(`${folder}/a.yaml`, 'hal');
    const startMs = clock.monotonic();
    assert.equal((await source.read()).whole, false);
    clock.after(settleMs - 10, () => void machine.files.writeKernel(`${folder}/a.yaml`, 'half of it'));
    const settled = await settledReading(source, clock);
    assert.equal(settled.texts[0]?.text, 'half of it\n');
    assert.ok(clock.monotonic() - startMs >= 2 * settleMs - 10);
    await stop();
  });

  it('that came just now and is empty is about to be written', async () => {
    const { source, machine, stop } = await watched();
    await machine.files.write([file('a.yaml', '')]);
    assert.equal((await source.read()).whole, false);
    await machine.clock.sleep(settleMs);
    assert.equal((await source.read()).whole, true);
    await stop();
  });

  it('written to just before the folder was watched is read again; an old one is not', async () => {
    const machine = createMemoryMachine();
    await machine.files.write([file('a.yaml', 'a')]);
    const source = openFolder(folder, { host: machine.open() });
    assert.equal((await source.read()).whole, false);
    await machine.clock.sleep(settleMs);
    assert.equal((await source.read()).whole, true);
  });

  it('that is written to without end is taken as it is after a second', async () => {
    const { source, machine, stop } = await watched(file('a.yaml', 'a'));
    const { clock } = machine;
    const startMs = clock.monotonic();
    let ended = false;
    const write = (): void => {
      if (ended || clock.monotonic() - startMs > 5000) return;
      void machine.files.writeKernel(`${folder}/a.yaml`, String(clock.monotonic()));
      clock.after(20, write);
    };
    write();
    const { texts } = await settledReading(source, clock);
    ended = true;
    assert.equal(texts.length, 1);
    assert.ok(clock.monotonic() - startMs < 3000);
    await stop();
  });

  it('waited for is interrupted by the signal', async () => {
    const { source, machine, stop } = await watched(file('a.yaml', 'a'));
    await machine.files.writeKernel(`${folder}/a.yaml`, 'b');
    const abort = new AbortController();
    machine.clock.after(settleMs / 2, () => abort.abort());
    await assert.rejects(settledReading(source, machine.clock, abort.signal), { code: 'NK_INTERRUPTED' });
    await stop();
  });
});

describe('a folder that is watched', () => {
  it('may be renamed away, be replaced and come back', async () => {
    const { source, machine, changes, stop } = await watched(file('a.yaml', 'a'));
    const texts = async (): Promise<string[]> =>
      (await settledReading(source, machine.clock)).texts.map(({ text }) => text);
    let seen = changes();
    const told = async (): Promise<void> => {
      await machine.clock.sleep(1);
      assert.ok(changes() > seen);
      seen = changes();
    };
    await machine.files.move(folder, '/etc/away');
    await told();
    await assert.rejects(source.read(), { code: 'NK_DOCUMENT_MISSING' });
    await machine.files.write([file('b.yaml', 'b')]);
    await told();
    assert.deepEqual(await texts(), ['b']);
    await machine.files.removeTree(folder);
    await machine.files.move('/etc/away', folder);
    await told();
    assert.deepEqual(await texts(), ['a']);
    await machine.files.write([file('a.yaml', 'c')]);
    await told();
    assert.deepEqual(await texts(), ['c']);
    await stop();
  });
});

describe('what is no document', () => {
  let root = '';
  const onDisk = async (prepare: (path: string) => void): Promise<void> => {
    root = mkdtempSync(join(tmpdir(), 'nodekiln-documents-'));
    try {
      prepare(join(root, 'a.yaml'));
      const host = createLinuxHost({ root });
      await openFolder('/', { host }).read();
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  };
  const refused = (message: RegExp) => ({ code: 'NK_DOCUMENT_MISSING', message });

  it('is refused and never waited for: a FIFO', async () => {
    await assert.rejects(
      onDisk((path) => execFileSync('mkfifo', [path])),
      refused(/is no regular file/),
    );
  });
  it('is refused: a device that a symlink leads to', async () => {
    await assert.rejects(
      onDisk((path) => execFileSync('mknod', [path, 'c', '1', '5'])),
      refused(/is no regular file/),
    );
  });
  it('is refused: a file without end', async () => {
    await assert.rejects(
      onDisk((path) => {
        writeFileSync(path, '');
        truncateSync(path, 2 ** 36);
      }),
      refused(/is larger than/),
    );
  });
  it('is refused: a socket', async () => {
    const listen = `require('node:net').createServer().listen(process.argv[1], () => process.exit())`;
    await assert.rejects(
      onDisk((path) => execFileSync(process.execPath, ['-e', listen, path])),
      refused(/nothing is at its other end/),
    );
  });
  it('is refused: a folder', async () => {
    await assert.rejects(
      onDisk((path) => execFileSync('mkdir', [path])),
      refused(/is a folder/),
    );
  });
});

describe('an address of a source', () => {
  it('names a scheme that is known and a place', () => {
    const host = createMemoryMachine().open();
    assert.equal(openSource('dir:/etc/x', { host }).address, 'dir:/etc/x');
    for (const address of ['/etc/x', 'file:/etc/x', 'dir:etc', 'dir:', '', 'constructor:/x'])
      assert.throws(() => openSource(address, { host }), { code: 'NK_USAGE' }, address);
  });
});
