import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createLinuxHost } from '../../host/linux/host.ts';
import type { OpenFile } from '../../host/port.ts';
import { elfArchitecture, readElf, type Elf } from '../../host/elf/elf.ts';
import { checkLibraries, type MissingLibrary } from './libraries.ts';
import { removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';

const folder = temporaryFolder();
after(() => removeFolder(folder));
const hostArch = process.arch === 'x64' ? 'amd64' : 'arm64';
const { local } = createLinuxHost();

async function using<Result>(path: string, work: (file: OpenFile) => Promise<Result>): Promise<Result> {
  const file = await local.open(path);
  assert.ok(file);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

const elfOf = (path: string): Promise<Elf | undefined> => using(path, readElf);

/** What the program at a path of this machine misses in a root. */
const missingIn = (path: string, root: string): Promise<MissingLibrary[]> =>
  using(path, (file) => checkLibraries(createLinuxHost({ root }).files, file, basename(path)));

describe('readElf', () => {
  it('agrees with readelf about needed libraries and wanted versions', async () => {
    for (const path of ['/bin/bash', '/usr/bin/dpkg', process.execPath]) {
      const elf = await elfOf(path);
      const dynamic = execFileSync('readelf', ['-dW', path], { encoding: 'utf8' });
      const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]);
      assert.ok(needed.length > 0);
      assert.deepEqual(elf?.needed, needed, path);
      const text = execFileSync('readelf', ['-VW', path], { encoding: 'utf8' });
      const wanted = new Set(
        [...text.slice(text.indexOf('.gnu.version_r')).matchAll(/Name: (\S+) {2}Flags/g)].map((match) => match[1]),
      );
      assert.deepEqual(new Set(Object.values(elf?.versions ?? {}).flat()), wanted, path);
      assert.equal(elf?.architecture, hostArch);
      assert.match(elf?.interpreter ?? '', /ld-linux/);
    }
  });

  it('describes what is no ELF, or a damaged one, as nothing', async () => {
    const path = join(folder, 'mutant');
    writeFileSync(path, '#!/bin/sh\n');
    assert.equal(await elfOf(path), undefined);
    assert.equal(elfArchitecture(Buffer.alloc(5)), undefined);
    const original = readFileSync('/bin/true');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(1500), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(original.length),
        async (changes, length) => {
          const bytes = Buffer.from(original.subarray(0, length));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          writeFileSync(path, bytes);
          await elfOf(path);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('knows architectures by the header alone', () => {
    const header = Buffer.alloc(20);
    header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    for (const [machine, architecture] of [
      [62, 'amd64'],
      [183, 'arm64'],
      [22, 'machine-22'],
    ] as const) {
      header.writeUInt16LE(machine, 18);
      assert.equal(elfArchitecture(header), architecture);
    }
  });
});

describe('checkLibraries', () => {
  it('finds nothing to say about a program of this machine', async () => {
    assert.deepEqual(await missingIn('/bin/bash', '/'), []);
    assert.deepEqual(await missingIn(process.execPath, '/'), []);
  });

  it('names the loader, the library and the symbol version that a root lacks', async () => {
    const root = join(folder, 'root');
    mkdirSync(root);
    const bash = await elfOf('/bin/bash');
    const missing = await missingIn('/bin/bash', root);
    assert.deepEqual(
      missing.map((one) => one.library),
      [bash?.interpreter, ...(bash?.needed ?? [])],
    );

    // A root with another library under libc's name: there, but without any symbol version.
    const interpreter = bash?.interpreter ?? '';
    for (const [from, to] of [
      [interpreter, interpreter],
      ['/bin/true', '/usr/lib/libc.so.6'],
      ['/bin/true', '/usr/lib/libtinfo.so.6'],
    ] as const) {
      mkdirSync(dirname(join(root, to)), { recursive: true });
      copyFileSync(realpathSync(from), join(root, to));
    }
    const versions = await missingIn('/bin/bash', root);
    const libc = versions.find((one) => one.library === 'libc.so.6' && one.neededBy === 'bash');
    assert.deepEqual(libc?.versions, bash?.versions['libc.so.6']);
    assert.ok((libc?.versions.length ?? 0) > 0);
    assert.ok(!versions.some((one) => one.library === interpreter));
  });

  it('says nothing about scripts and static programs', async () => {
    const script = join(folder, 'script');
    writeFileSync(script, '#!/bin/sh\n');
    const nowhere = join(folder, 'nowhere');
    mkdirSync(nowhere);
    assert.deepEqual(await missingIn(script, nowhere), []);
  });
});
