/** Programs of the machine that work needs, one after the other taken away: what is missing is said, with what to install. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runCli, type RunResult } from '../../test/run-cli.ts';
import { buildTarball, programBytes, removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';
import { exitStatus } from '../errors.ts';
import { createLinuxExec } from '../host/linux/exec.ts';
import { programPackages } from '../host/program-packages.ts';

const folder = temporaryFolder();
let server: Server;
let url = '';

before(async () => {
  const files = { 'usr/bin/hello': programBytes(20_000, 1) };
  for (const compression of ['xz', 'lzma', 'bzip2', 'gzip', 'zstd'] as const)
    buildTarball(folder, `${compression}.tar`, { files, compression });
  server = createServer((_request, response) => response.end('-----BEGIN PGP SIGNED MESSAGE-----\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  removeFolder(folder);
});

/** As on a machine where these are not. */
function without(programs: readonly string[]): string[] {
  const script = `
    upper=$(mktemp -d); mount -t tmpfs tmpfs "$upper"; mkdir "$upper/new" "$upper/work"
    mount -t overlay -o "lowerdir=/usr/bin,upperdir=$upper/new,workdir=$upper/work" bin /usr/bin
    # What the root's programs need.
    [ ! -d root ] || for file in /bin/sh $(ldd /bin/sh | grep -o '/[^ ]*'); do
      mkdir -p "root\${file%/*}"; cp -L "$file" "root$file"
    done
    for name in $1; do rm "/usr/bin/$name"; done
    shift; umount -l "$upper"; rmdir "$upper"; exec "$@"`;
  return ['unshare', '--mount', 'sh', '-euc', script, 'sh', programs.join(' ')];
}

const extract = (file: string): string[] => {
  return ['artifact', 'extract', join(folder, file), '--member', 'usr/bin/hello', '--to', 'out'];
};

/** Components of an image; its root is a folder with a name. */
function bake(
  components: string,
  programs: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  return runCli(
    {
      ...more,
      'root/etc/os-release': 'ID=debian\nVERSION_ID="13"\n',
      tool: '#!/bin/sh\necho tool 1.2.3\n',
      'image.yaml': `apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nmetadata: { name: small }\nspec:\n  nodekiln: { boot: false, agent: false, path: false }\n  components:\n${components}`,
    },
    ['bake', 'image.yaml', '--root', 'root', '--json'],
    { wrapper: without(programs) },
  );
}

const cached =
  '    - { name: tool, action: cache, builds: [{ version: 1.2.3, source: { type: file, path: tool } }] }\n';
const installed = '    - { name: tools, action: install, source: { type: apt, packages: [hello] } }\n';

describe(
  'a program that is missing',
  { skip: process.getuid?.() === 0 ? false : 'only root takes programs away' },
  () => {
    it('is named with what to install, whichever it is', async () => {
      const exec = createLinuxExec();
      for (const [name, packages] of Object.entries(programPackages))
        await assert.rejects(
          exec.run([name], { timeoutMs: 5_000, env: { PATH: folder } }),
          (error: Error & { hint?: string }) => {
            assert.equal(error.message, `cannot run ${name}: no such program`);
            for (const each of packages) assert.ok(error.hint?.includes(each), error.hint);
            return true;
          },
        );
    });

    it('that nobody knows is named', async () => {
      await assert.rejects(createLinuxExec().run(['/x/constructor'], { timeoutMs: 5_000 }), {
        code: 'NK_TOOL_MISSING',
        hint: 'Install the program named.',
      });
    });

    for (const [program, form, hint] of [
      [
        'xz',
        'lzma',
        /Install the package xz-utils \(Debian, Ubuntu\) or xz \(RPM distributions\), or repack it with zstd\./,
      ],
      ['bzip2', 'bzip2', /Install the package bzip2, or repack it with zstd\./],
    ] as const)
      it(`is ${program} for what ${form} has compressed`, async () => {
        const { status, stderr } = await runCli({}, extract(`${form}.tar`), { wrapper: without([program]) });
        assert.equal(status, exitStatus.host, stderr);
        assert.match(stderr, /^error NK_TOOL_MISSING: .*\.tar is compressed, and the program that decompresses it/m);
        assert.match(stderr, hint);
      });

    it('is not missed for other forms', async () => {
      for (const form of ['xz', 'gzip', 'zstd']) {
        const { status, stderr } = await runCli({}, extract(`${form}.tar`), { wrapper: without(['xz', 'bzip2']) });
        assert.equal(status, 0, stderr);
      }
    });

    it('is gpgv for packages of a repository', async () => {
      const source = `{ type: apt, url: "${url}", suite: stable, components: [main], signedBy: key.asc }`;
      const [begin, end] = ['BEGIN', 'END'].map((word) => `-----${word} PGP PUBLIC KEY BLOCK-----`);
      const component = `    - { name: tool, action: cache, builds: [{ version: 1.2.3, source: ${source} }] }\n`;
      const { status, stdout } = await bake(component, ['gpgv'], { 'key.asc': `${begin}\n\neA==\n${end}\n` });
      assert.equal(status, exitStatus.host, stdout);
      assert.match(stdout, /gpgv is not installed/);
      assert.match(stdout, /Install the package gpgv \(Debian, Ubuntu\) or gnupg2 \(RPM distributions\)\./);
    });

    for (const [program, hint] of [
      ['perl', /perl-base \(Debian, Ubuntu\) or perl-interpreter/],
      ['unshare', /Install the package util-linux\./],
      ['mount', /Install the package mount \(Debian, Ubuntu\) or util-linux/],
    ] as const) {
      it(`is ${program} for packages of the distribution`, async () => {
        const { status, stdout } = await bake(installed, [program]);
        assert.equal(status, exitStatus.host, stdout);
        assert.match(stdout, new RegExp(`cannot run .*: ${program} is not installed, and without it no program`));
        assert.match(stdout, hint);
      });

      if (program === 'mount') continue;
      it(`is ${program} for versions of programs, which are unknown then`, async () => {
        const { status, stdout, files } = await bake(cached, [program]);
        assert.equal(status, 0, stdout);
        assert.match(
          stdout,
          new RegExp(
            `binary:tool-1\\.2\\.3: its version is unknown: cannot run /opt/bin/tool-1\\.2\\.3: ${program} is not`,
          ),
        );
        assert.doesNotMatch(files['root/opt/nodekiln/image.lock.json'] ?? 'nothing', /"(?:prints|states)"|nothing/);
      });
    }

    it('is none where all are there', async () => {
      const { status, stdout, files } = await bake(cached, []);
      assert.equal(status, 0, stdout);
      assert.match(files['root/opt/nodekiln/image.lock.json'] ?? '', /"line": ?"tool 1\.2\.3"/);
    });
  },
);
