/** Versions that the files of real programs state, made by Go's own linker and by binutils. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createLinuxHost } from '../linux/host.ts';
import { removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { packageNote } from '../../../test/support/package-note.ts';
import { ensurePrograms } from '../../../test/servers/programs.ts';
import { statedVersion, type StatedVersion } from './stated-version.ts';

const folder = temporaryFolder();
after(() => removeFolder(folder));
const { local } = createLinuxHost();

async function stated(path: string): Promise<StatedVersion | undefined> {
  const file = await local.open(path);
  assert.ok(file);
  try {
    return await statedVersion(file);
  } finally {
    await file.close();
  }
}

const sources: Readonly<Record<string, string>> = {
  'go.mod': 'module example.org/tool\n\ngo 1.21\n',
  'main.go': `package main

import "example.org/tool/version"

var version_ = "unset"
var Version = "unset"
var releaseName = "9.9.9"

func main() { println(Version, version.GitVersion(), version_, releaseName) }
`,
  'version/version.go': `package version

var gitVersion = "v0.0.0-master"
var Version = "1.0.0-dev"
var theirs = "5.5.5"

func GitVersion() string { return gitVersion + Version + theirs }
`,
};

let built = 0;
function build(ldflags: string, ...flags: string[]): string {
  const path = join(folder, `tool-${built++}`);
  const env = { ...process.env, GOFLAGS: '-mod=mod', GOPROXY: 'off', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' };
  execFileSync('go', ['build', '-buildvcs=false', '-o', path, '-ldflags', ldflags, ...flags, '.'], {
    cwd: join(folder, 'source'),
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return path;
}

const at = 'example.org/tool/version';

describe('the version that a program states', () => {
  before(() => {
    for (const [name, text] of Object.entries(sources)) {
      mkdirSync(join(folder, 'source', 'version'), { recursive: true });
      writeFileSync(join(folder, 'source', name), text);
    }
  });

  for (const [what, flags, others, expected] of [
    ['what the linker was told', `-X ${at}.gitVersion=v1.34.3`, [], 'v1.34.3'],
    ['so without symbols', `-s -w -X ${at}.gitVersion=v1.34.3`, [], 'v1.34.3'],
    [
      'so in quotes, among other flags',
      `-w -X '${at}.gitVersion=v1.34.3-rc.1' -extldflags "-static"`,
      [],
      'v1.34.3-rc.1',
    ],
    ['so by its symbol where flags are not kept', `-X ${at}.gitVersion=v1.34.10`, ['-trimpath'], 'v1.34.10'],
    ['Kubernetes’ name before others', `-X ${at}.gitVersion=v1.34.3 -X ${at}.Version=7.7.7`, [], 'v1.34.3'],
    [
      'its own before another’s',
      `-X main.Version=2.1.0 -X example.com/other/pkg.Version=0.3.0`,
      ['-trimpath=false'],
      '2.1.0',
    ],
  ] as const)
    it(`is ${what}`, async () => {
      const version = await stated(build(flags, ...others));
      assert.equal(version?.version, expected, JSON.stringify(version));
    });

  it('is unknown where nothing, or nothing that can be told from others, is stated', async () => {
    assert.equal(await stated(build(`-s -w -X ${at}.gitVersion=v1.34.3`, '-trimpath')), undefined);
    assert.equal(await stated(build(`-s -w -X main.version=1.0.0 -X main.Version=2.0.0`)), undefined);
    assert.equal(await stated(build(`-s -w -X main.Version=latest`)), undefined);
    assert.equal(await stated('/bin/true'), undefined);
    const script = join(folder, 'script');
    writeFileSync(script, '#!/bin/sh\n');
    assert.equal(await stated(script), undefined);
  });

  it('is that of a package’s note', async () => {
    const note = packageNote({ type: 'deb', os: 'debian', name: 'tool', version: '2.0.5-1' });
    const [noteFile, program] = [join(folder, 'note'), join(folder, 'noted')];
    writeFileSync(noteFile, note);
    copyFileSync('/bin/true', program);
    await ensurePrograms([{ program: 'objcopy', package: 'binutils', why: 'adds notes to programs' }]);
    execFileSync('objcopy', ['--add-section', `.note.package=${noteFile}`, program]);
    assert.deepEqual(await stated(program), { version: '2.0.5-1', from: 'package note' });
  });

  it('of a damaged program is unknown, or what it states, and never an error', async () => {
    const original = readFileSync(build(`-X ${at}.gitVersion=v1.34.3`));
    const info = original.indexOf(Buffer.from('\xff Go buildinf:', 'latin1'));
    const table = Number(original.readBigUInt64LE(40));
    const place = fc.oneof(
      fc.nat(63),
      fc.integer({ min: info, max: info + 400 }),
      fc.integer({ min: table, max: table + 1600 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.option(fc.nat(original.length), { nil: original.length }),
        async (changes, length) => {
          const bytes = Buffer.from(original.subarray(0, length));
          for (const [index, value] of changes) if (index < bytes.length) bytes[index] = value;
          await statedVersion({ read: (from, count) => Promise.resolve(bytes.subarray(from, from + count)) });
        },
      ),
      { numRuns: 200 },
    );
  });
});
