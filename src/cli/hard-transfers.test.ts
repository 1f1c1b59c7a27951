/**
 * What disks and processes may meet while something is fetched or unpacked, made for real: each is refused in words, with a
 * code, the place and what to do; nothing half-done stays, and once it is over the same command succeeds.
 */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  buildDeb,
  buildRpm,
  buildTarball,
  programBytes,
  removeFolder,
  temporaryFolder,
} from '../../test/support/artifacts.ts';
import { runCli, type RunResult } from '../../test/run-cli.ts';
import { artifact, image, startRegistry, type TestRegistry } from '../../test/servers/registry.ts';

const program = programBytes(1_500_000, 5);
const member = ['--member', 'usr/bin/tool'];

interface Work {
  /** Without `--to`. */
  readonly args: () => readonly string[];
  /** Keeps what came for the next run. */
  readonly keepsParts: boolean;
}

let folder = '';
let server: Server;
let registry: TestRegistry;

const works: Readonly<Record<string, Work>> = {
  'a file of a web server': {
    args: () => ['artifact', 'fetch', `http://127.0.0.1:${(server.address() as AddressInfo).port}/tool`],
    keepsParts: true,
  },
  'a file of a registry': {
    args: () => ['artifact', 'fetch', '--plain-http', `${registry.host}/tool:1`],
    keepsParts: true,
  },
  'a file out of a container image': {
    args: () => ['artifact', 'fetch', '--plain-http', `${registry.host}/image:1`, ...member],
    keepsParts: false,
  },
  'a file of this machine': { args: () => ['artifact', 'fetch', join(folder, 'tool')], keepsParts: false },
  'a member of a .deb': { args: () => ['artifact', 'extract', join(folder, 'tool.deb'), ...member], keepsParts: false },
  'a member of a .rpm': { args: () => ['artifact', 'extract', join(folder, 'tool.rpm'), ...member], keepsParts: false },
  'a member of a tarball': {
    args: () => ['artifact', 'extract', join(folder, 'tool.tar.zst'), ...member],
    keepsParts: false,
  },
};

interface Place {
  /** Shell; `$to` is the folder that it goes to, `$cache` where parts are kept. */
  readonly make: string;
  readonly end: string;
  readonly run?: string;
  readonly said: RegExp;
  /** Of those alone that keep parts. */
  readonly ofParts?: true;
}

const places: Readonly<Record<string, Place>> = {
  'a full disk': {
    make: 'mount -t tmpfs -o size=256k tmpfs "$to"',
    end: 'mount -o remount,size=100m "$to"',
    said: /no space|room|free/i,
  },
  'no inodes': {
    make: 'mount -t tmpfs -o nr_inodes=1 tmpfs "$to"',
    end: 'mount -o remount,nr_inodes=100 "$to"',
    said: /no space/i,
  },
  'a file system that cannot be written to': {
    make: 'mount -t tmpfs -o ro tmpfs "$to"',
    end: 'mount -o remount,rw "$to"',
    said: /read-only/i,
  },
  'an immutable folder': { make: 'chattr +i "$to"', end: 'chattr -i "$to"', said: /not permitted/i },
  'a folder in its place': { make: 'mkdir "$to/tool"', end: 'rmdir "$to/tool"', said: /folder/i },
  'a mount point in its place': {
    make: ': >"$to/tool" && mount --bind "$to/tool" "$to/tool"',
    end: 'umount "$to/tool" && rm "$to/tool"',
    said: /mount|in use/i,
  },
  'a limit on the size of files': { make: 'true', end: 'true', run: "trap '' XFSZ; ulimit -f 64;", said: /too large/i },
  'a full disk for parts': {
    make: 'mount -t tmpfs -o size=256k tmpfs "$cache"',
    end: 'mount -o remount,size=8m "$cache"',
    said: /no space|room|free/i,
    ofParts: true,
  },
};

async function inShell(work: Work, script: string): Promise<RunResult & { readonly about: string }> {
  const around = `
    to=$PWD/to cache=$PWD/cache
    mkdir "$to" "$cache" && export XDG_CACHE_HOME="$cache"
    ${script}
    cmp "$to/tool" "${join(folder, 'tool')}" && ls -A "$to"`;
  const wrapper = ['unshare', '--mount', 'bash', '-uc', around, 'bash'];
  const result = await runCli({}, [...work.args(), '--to', 'to/tool'], { wrapper });
  return { ...result, about: `${result.stdout}${result.stderr}` };
}

describe('there is', { concurrency: 3 }, () => {
  before(async () => {
    folder = temporaryFolder();
    const files = { 'usr/bin/tool': program };
    const spec = { name: 'tool', version: '1.0', files };
    buildTarball(folder, 'tool.tar.zst', { files, compression: 'zstd' });
    const layer = readFileSync(buildTarball(folder, 'layer', { files, compression: 'gzip' }));
    renameSync(buildDeb(folder, spec), join(folder, 'tool.deb'));
    renameSync(buildRpm(folder, spec), join(folder, 'tool.rpm'));
    writeFileSync(join(folder, 'tool'), program);
    server = createServer((_, response) => response.end(program));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    registry = await startRegistry();
    await registry.push({ repository: 'tool', tag: '1', ...artifact({ tool: program }) });
    await registry.push({ repository: 'image', tag: '1', ...image([layer]) });
  });
  after(async () => {
    server.close();
    await registry.close();
    removeFolder(folder);
  });

  for (const [what, work] of Object.entries(works))
    for (const [name, { make, end, run = '', said, ofParts }] of Object.entries(places)) {
      if (ofParts && !work.keepsParts) continue;
      it(`${name}, where ${what} goes: says so, leaves nothing, and succeeds when it is over`, async () => {
        const { stdout, stderr, about } = await inShell(
          work,
          `(${make}) && before=$(ls -A "$to")
          (${run} exec "$@") && echo 'it succeeded' || echo "status $?"
          [ "$(ls -A "$to")" = "$before" ] && echo 'left as it was'
          (${end})
          "$@" >&2 && echo 'then it succeeded'`,
        );
        assert.match(stdout, /^status [1-9]/m, about);
        assert.match(stderr, /^error NK_(?!INTERNAL)[A-Z_]+: /m, about);
        assert.match(stderr, said, about);
        assert.doesNotMatch(stderr, /\bE[A-Z]{4,}\b(?!\))/, 'a name of the system, without words');
        assert.match(stderr, /^hint: ./m, about);
        assert.match(stdout, /^left as it was\nthen it succeeded\ntool$/m, about);
      });
    }

  for (const [what, work] of Object.entries(works)) {
    it(`a limit on open files, while ${what} comes: says so, and succeeds with enough of them`, async () => {
      const { stdout, about } = await inShell(
        work,
        `for limit in $(seq 18 40); do
          said=$( (ulimit -n $limit; exec "$@") 2>&1) && break
          case $said in *'error NK_'*) printf '%s\n' "$said"; [ -z "$(ls -A "$to")" ] || echo 'something is left' ;; esac
        done`,
      );
      assert.match(stdout, /^tool$/m, about);
      assert.doesNotMatch(stdout, /NK_INTERNAL|something is left/, about);
      assert.equal(stdout.match(/^hint: ./gm)?.length, stdout.match(/^error .*$/gm)?.length, about);
    });

    it(`an end by SIGKILL at any time, while ${what} comes: the next one succeeds and clears away`, async () => {
      const { stdout, about } = await inShell(
        work,
        'for ms in $(seq 200 50 600); do timeout -s KILL 0.$ms "$@" >&2; done; "$@" >&2',
      );
      assert.match(stdout, /^tool$/m, about);
      assert.doesNotMatch(stdout, /nodekiln-tmp/, about);
    });
  }
});
