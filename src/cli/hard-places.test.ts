/**
 * What a disk and a process may meet, made for real around a bake: each is refused in words, with a code that is none of ours
 * going wrong, the place and what to do; nothing half-done stays, and once it is over the same bake succeeds.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exitStatus } from '../errors.ts';
import { runCli } from '../../test/run-cli.ts';

const image = JSON.stringify({
  apiVersion: 'nodekiln.dev/v1alpha1',
  kind: 'ImageManifest',
  spec: {
    nodekiln: { boot: false },
    files: [
      { path: '/etc/app/one', content: 'one\n' },
      { path: '/etc/app/two', content: 'two\n'.repeat(50_000) },
      { path: '/etc/three', content: 'three\n' },
    ],
  },
});

interface Place {
  readonly name: string;
  /** Shell, in a root of its own (`$PWD`) and a mount namespace of its own, where /tmp is writable. */
  readonly make: string;
  readonly end: string;
  /** In front of the program. */
  readonly run?: string;
  readonly said: RegExp;
}

const system = "mkdir -p etc && printf 'ID=debian\\nVERSION_ID=12\\n' >etc/os-release";
const filled = (options: string): string => `mount -t tmpfs -o ${options} tmpfs "$root" && cd "$root" && ${system}`;
const places: readonly Place[] = [
  {
    name: 'a full disk',
    make: filled('size=128k'),
    end: 'mount -o remount,size=8m .',
    said: /no space/i,
  },
  {
    name: 'a disk that is full for our own state',
    make: 'mkdir -p var/lib && mount -t tmpfs -o size=12k,mode=0755 tmpfs var/lib',
    end: 'mount -o remount,size=8m var/lib',
    said: /var\/lib\/nodekiln/,
  },
  {
    name: 'no inodes',
    make: filled('nr_inodes=6'),
    end: 'mount -o remount,nr_inodes=1000 .',
    said: /no space|inodes|var\/lib\/nodekiln/i,
  },
  {
    name: 'a file system that cannot be written to',
    make: 'mount --bind . . && cd . && mount -o remount,bind,ro "$PWD"',
    end: 'mount -o remount,bind,rw "$PWD"',
    said: /read-only/i,
  },
  {
    name: 'a read-only folder within',
    make: 'mkdir -p etc/app && mount --bind etc/app etc/app && mount -o remount,bind,ro etc/app',
    end: 'umount etc/app',
    said: /etc\/app.*read-only/i,
  },
  {
    name: 'a mount point where a file goes',
    make: 'mkdir -p etc && echo other >etc/three && mount --bind etc/three etc/three',
    end: 'umount etc/three',
    said: /etc\/three.*(?:mount|busy)/i,
  },
  {
    name: 'a folder where a file goes',
    make: 'mkdir -p etc/app/one/mine',
    end: 'rm -r etc/app/one',
    said: /etc\/app\/one.*folder|directory/i,
  },
  {
    name: 'a file where a folder goes',
    make: 'mkdir -p etc && echo mine >etc/app',
    end: 'rm etc/app',
    said: /etc\/app.*(?:folder|directory)/i,
  },
  {
    name: 'a link that leads to itself',
    make: 'mkdir -p etc && ln -s app etc/app',
    end: 'rm etc/app',
    said: /etc\/app.*link/i,
  },
  {
    name: 'a file where our own state goes',
    make: 'mkdir -p var/lib && echo mine >var/lib/nodekiln',
    end: 'rm var/lib/nodekiln',
    said: /var\/lib\/nodekiln/,
  },
  {
    name: 'an immutable file where one goes',
    make: 'mkdir -p etc && echo mine >etc/three && chattr +i etc/three',
    end: 'chattr -i etc/three',
    said: /etc\/three.*not permitted/i,
  },
  {
    name: 'an immutable folder where a file goes',
    make: 'mkdir -p etc/app && chattr +i etc/app',
    end: 'chattr -i etc/app',
    said: /etc\/app.*not permitted/i,
  },
  {
    name: 'an immutable folder of our own state',
    make: 'mkdir -p -m 700 var/lib/nodekiln && chattr +i var/lib/nodekiln',
    end: 'chattr -i var/lib/nodekiln',
    said: /var\/lib\/nodekiln/,
  },
  {
    name: 'a limit on the size of files',
    make: 'true',
    end: 'true',
    run: "trap '' XFSZ; ulimit -f 64;",
    said: /too large|limit|var\/lib\/nodekiln/i,
  },
];

describe('a bake meets', () => {
  for (const { name, make, end, run = '', said } of places)
    it(`${name}: says so, leaves nothing half-done, and succeeds when it is over`, async () => {
      const script = `
        here=$PWD
        root=$here/root && mkdir root && cd root && export root && ${system} && (${make})
        cd "$root"
        (cd "$here" && ${run} exec "$@" --root "$root") && echo 'it succeeded' || echo "status $?"
        echo "left: $(find . -xdev \\( -name '*.tmp' -o -name '.nodekiln*' \\) -not -path './var/lib/nodekiln/*' | xargs)"
        (${end})
        (cd "$here" && exec "$@" --root "$root" >&2) && echo 'then it succeeded'
        cat etc/app/one etc/three
        `;
      const wrapper = ['unshare', '--mount', 'sh', '-uc', script, 'sh'];
      const { stdout, stderr } = await runCli({ 'm.json': image }, ['bake', 'm.json'], { wrapper });
      const about = `${stdout}${stderr}`;
      assert.match(
        stdout,
        new RegExp(`^status (?:${exitStatus.apply}|${exitStatus.host}|${exitStatus.state})$`, 'm'),
        about,
      );
      assert.match(stderr, /^error NK_(?!INTERNAL)[A-Z_]+: /m, about);
      assert.match(stderr, said, about);
      assert.doesNotMatch(stderr, /\bE[A-Z]{4,}\b(?!\))/, 'a name of the system, without words');
      assert.match(stderr, /^hint: ./m, about);
      assert.match(stdout, /^left: $/m, about);
      assert.match(stdout, /^then it succeeded\none\nthree$/m, about);
    });

  for (const name of ['lock.pid', 'lock.db', 'state.db', 'generations/1.json', '../../../opt/nodekiln/image.lock.json'])
    it(`a file of elsewhere that is mounted over ${name} of ours, and leaves it as it is`, async () => {
      const script = `
        root=$PWD/root state=$PWD/root/var/lib/nodekiln; mkdir -p -m 700 $state/generations $root/opt/nodekiln
        (cd $root && ${system})
        printf '%s' "$0" >precious; : >$state/${name}; mount --bind precious $state/${name}
        "$@" --root "$root" >&2
        cat precious`;
      // Whole for who would take it for a database, and for who would take it for nothing of ours.
      const wrapper = ['unshare', '--mount', 'sh', '-uc', script, name === 'lock.db' ? '' : 'precious'];
      const { stdout, stderr } = await runCli({ 'm.json': image }, ['bake', 'm.json'], { wrapper });
      assert.equal(stdout, name === 'lock.db' ? '' : 'precious', stderr);
      assert.doesNotMatch(stderr, /NK_INTERNAL/);
    });

  const long = 'n'.repeat(300);
  const text = (path: string): string => image.replace('/etc/three', path);
  for (const [what, document, said] of [
    ['a name that is longer than any may be', text(`/etc/${long}`), /n{20}/],
    ['a folder with such a name', text(`/etc/${long}/three`), /n{20}/],
    ['a path that is longer than any may be', text(`/etc${`/${long.slice(0, 200)}`.repeat(25)}`), /n{20}/],
    ['a path with NUL in it', text(String.raw`/etc/a\u0000b`), /files\[2\]\.path/],
    ['JSON without end', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, /more than 200 deep/],
    ['YAML that holds itself', 'apiVersion: &x\n  a: *x\n', /refers to what it stands in itself/],
  ] as const)
    it(`${what}: says so, and leaves nothing half-done`, async () => {
      const script = `
        root=$PWD/root && mkdir root && (cd root && ${system})
        "$@" --root "$root" || echo "status $?"
        echo "left: $(find "$root" -name '*.tmp' -o -name '.nodekiln*' | xargs)"`;
      const wrapper = ['sh', '-uc', script, 'sh'];
      const { stdout, stderr } = await runCli({ 'm.json': document }, ['bake', 'm.json'], { wrapper });
      assert.match(stdout, /^status \d+$/m, stderr);
      assert.match(stderr, /^error NK_(?!INTERNAL)[A-Z_]+: /m, stderr.slice(0, 2000));
      assert.match(stderr, said);
      assert.match(stderr, /^hint: ./m);
      assert.match(stdout, /^left: $/m);
    });

  it('a limit on open files, wherever the last one is: says so, and succeeds with enough of them', async () => {
    const script = `
      root=$PWD/root && mkdir root && (cd root && ${system})
      for limit in $(seq 20 45); do
        said=$( (ulimit -n $limit; exec "$@" --root "$root") 2>&1) && break
        case $said in *'error NK_'*) printf '%s\n' "$said" ;; esac
      done
      cat "$root/etc/three"`;
    const wrapper = ['sh', '-uc', script, 'sh'];
    const { stdout } = await runCli({ 'm.json': image }, ['bake', 'm.json'], { wrapper });
    assert.match(stdout, /^three$/m, stdout);
    const errors = stdout.match(/^error .*$/gm) ?? [];
    assert.ok(errors.length >= 3, stdout);
    assert.doesNotMatch(errors.join(), /NK_INTERNAL/);
    assert.equal(stdout.match(/^hint: ./gm)?.length, errors.length);
    assert.match(stdout, /open files/);
  });
});
