/** Hostile programs in real sandboxes: each tries what its name says, as a program of an image and as a script of a package. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ExecOptions, ExecResult } from '../../port.ts';
import { createLinuxExec } from '../exec.ts';
import { createRootExec } from '../root-exec.ts';
import { readerOutputBytes } from './sandbox.ts';
import { systemCallFilter } from './system-calls.ts';

const scratch = mkdtempSync('/var/tmp/nodekiln-sandbox-');
const root = join(scratch, 'root');
const outside = join(scratch, 'outside');
after(() => rmSync(scratch, { recursive: true, force: true }));

before(() => {
  for (const folder of ['proc', 'dev', 'sys', 'run', 'tmp', 'etc', 'inner'])
    mkdirSync(join(root, folder), { recursive: true });
  mkdirSync(join(root, 'open'));
  chmodSync(join(root, 'open'), 0o777);
  for (const program of ['/usr/bin/perl', '/usr/bin/dash', '/usr/bin/sleep']) install(program);
  writeFileSync(join(root, 'etc/resolv.conf'), '');
  writeFileSync(outside, 'mine');
});

/** A program of this machine with its libraries. */
function install(program: string): void {
  const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  for (const path of [program, ...libraries]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(realpathSync(path), join(root, path));
  }
}

/** The roots here have no locales. */
const env = { LANG: 'C' };
type Options = Partial<ExecOptions>;
const perl = (code: string, options: Options = {}): Promise<ExecResult> =>
  createRootExec(root).run(['/usr/bin/perl', '-e', code], { timeoutMs: 10_000, env, ...options });

/** Numbers of system calls on this machine: mount, ptrace, unshare, chroot, mknodat, setns. */
const calls =
  process.arch === 'x64'
    ? { mount: 165, ptrace: 101, unshare: 272, chroot: 161, mknodat: 259, prctl: 157, bpf: 321, mountSetattr: 442 }
    : { mount: 40, ptrace: 117, unshare: 97, chroot: 51, mknodat: 33, prctl: 167, bpf: 280, mountSetattr: 442 };

/** Code of perl that ends with 7 when the attempt succeeded. Nobody succeeds; what would succeed does no harm. */
const attempts: Readonly<Record<string, string>> = {
  'changing a setting of the kernel': `open(F, '>', '/proc/sys/kernel/hostname') and exit 7`,
  'resetting the machine by a key': `open(F, '>', '/proc/sysrq-trigger') and exit 7`,
  'reading the memory of the kernel': `open(F, '<', '/proc/kcore') and read(F, $x, 1) and exit 7`,
  'making a device': `syscall(${calls.mknodat}, -100, my $p = '/inner/d', 060600, 0x800) == 0 and exit 7`,
  mounting: `syscall(${calls.mount}, my $a = 'x', my $b = '/inner', my $c = 'tmpfs', 0, 0) == 0 and exit 7`,
  'making the root writable': `syscall(${calls.mountSetattr}, -100, my $p = '/', 0, my $a = pack('Q4', 0, 1, 0, 0), 32) == 0 and exit 7`,
  'a user namespace': `syscall(${calls.unshare}, 0x10000000) == 0 and exit 7`,
  'a mount namespace': `syscall(${calls.unshare}, 0x20000) == 0 and exit 7`,
  'tracing process 1': `syscall(${calls.ptrace}, 16, 1, 0, 0) == 0 and exit 7`,
  'tracing at all': `syscall(${calls.ptrace}, 0, 0, 0, 0) == 0 and exit 7`,
  'a program for the kernel': `$! = 0; syscall(${calls.bpf}, 0, my $a = pack('Q8'), 64); $! + 0 == 1 or exit 7`,
  'the root of process 1': `(-e '/proc/1/root/proc' or opendir(D, '/proc/1/root')) and exit 7`,
  'the memory of process 1': `open(F, '<', '/proc/1/mem') and exit 7`,
  'a file of the machine by its path': `-e '${outside}' and exit 7`,
  'a file of the machine by a way up': `-e '../../../../../..${outside}' and exit 7`,
  'leaving by a second chroot': `if (syscall(${calls.chroot}, my $p = '/inner') == 0) { chdir '..' for 1 .. 64; syscall(${calls.chroot}, my $q = '.'); -e '${outside}' and exit 7 }`,
  'killing process 1, and going on': `kill 'KILL', 1; select(undef, undef, undef, 0.2); exit 7 unless kill(0, $$)`,
  'the machine’s disks': `opendir(D, '/dev'); for (grep { /^(vd|sd|nvme|loop|mem|kmsg|fuse)/ } readdir D) { open(F, '<', "/dev/$_") and exit 7 }`,
};

/** What only a reader may not. */
const attemptsOfReaders: Readonly<Record<string, string>> = {
  'writing into the root': `open(F, '>', '/open/x') and exit 7`,
  'writing into /tmp': `open(F, '>', '/tmp/x') and exit 7`,
  'writing into /dev': `open(F, '>', '/dev/x') and exit 7`,
  'a device but the one that holds nothing': `opendir(D, '/dev'); for (readdir D) { /^(\\.+|null)$/ or exit 7 }`,
  'changing a device': `chmod 0666, '/dev/null' and exit 7`,
  'making a folder': `mkdir '/run/x' and exit 7`,
  'making a folder where anybody may': `mkdir '/open/folder' and exit 7`,
  'a socket of the internet': `socket(S, 2, 1, 0) and exit 7`,
  'a socket of this machine': `socket(S, 1, 1, 0) and exit 7`,
  'reading what is root’s alone': `open(F, '<', '/etc/secret') and exit 7`,
  'becoming root': `$> = 0; $< = 0; ($> == 0 or $< == 0) and exit 7`,
  'gaining rights by a program': `open(F, '<', '/proc/self/status'); join('', <F>) =~ /NoNewPrivs:\\s1/ or exit 7`,
  chroot: `syscall(${calls.chroot}, my $p = '/inner') == 0 and exit 7`,
};

for (const [who, confined] of [
  ['a program of an image', true],
  ['a script of a package', false],
] as const)
  describe(who, () => {
    before(() => writeFileSync(join(root, 'etc/secret'), 'secret', { mode: 0o600 }));
    for (const [what, code] of Object.entries({ ...attempts, ...(confined && attemptsOfReaders) }))
      it(`does not succeed in ${what}`, async () => {
        const { status, stderr } = await perl(`${code}; exit 3`, { confined });
        assert.equal(status, 3, stderr);
        assert.equal(readFileSync(outside, 'utf8'), 'mine');
      });

    it('starts, says what it says, and has its status', async () => {
      const said = await perl('print "out"; print STDERR "err"; exit 9', { confined });
      assert.deepEqual([said.status, said.stdout, said.stderr], [9, 'out', 'err']);
      const killed = await perl('kill "SEGV", $$; sleep 1', { confined });
      assert.equal(killed.status, 128 + 11);
      await assert.rejects(createRootExec(root).run(['nowhere'], { timeoutMs: 5_000, confined }), {
        code: 'NK_TOOL_MISSING',
      });
    });

    it('leaves nothing behind that sleeps, whatever it does not to be found', async () => {
      const name = `nodekiln-sleeper-${confined}`;
      const hidden = `$SIG{$_} = 'IGNORE' for keys %SIG; syscall(${calls.prctl}, 1, 0, 0, 0, 0); fork; setpgrp; $0 = '${name}';`;
      const started = performance.now();
      await assert.rejects(perl(`${hidden} sleep 600`, { confined, timeoutMs: 1_000 }), {
        code: 'NK_TIMEOUT',
        message: /perl did not end/,
      });
      assert.ok(performance.now() - started < 9_000, 'it was waited for');
      for (let waited = 0; running(name) && waited < 3_000; waited += 50)
        await new Promise((resolve) => setTimeout(resolve, 50));
      assert.ok(!running(name), 'it is still there');
    });
  });

function running(name: string): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(name);
    } catch {
      return false;
    }
  });
}

describe('a program of an image', () => {
  it('ends when it prints without end', async () => {
    const { status, stdout } = await perl('print "y" x 65536 while 1', { confined: true, maxOutput: 1_000 });
    assert.equal(status, 137);
    assert.equal(stdout.length, 1_000);
    const allowed = await perl(`print 'y' x ${readerOutputBytes / 2}`, { confined: true });
    assert.equal(allowed.status, 0);
  });

  it('cannot fill the machine with processes', async () => {
    const count = 'my $n = 0; $n++ while ($n < 2000 and defined(my $p = fork) and ($p or (sleep(5), exit))); print $n';
    const { stdout } = await perl(count, { confined: true });
    assert.ok(Number(stdout) < 256, `${stdout} processes`);
    const bomb = perl('fork while 1', { confined: true, timeoutMs: 1_000 });
    await assert.rejects(bomb, { code: 'NK_TIMEOUT' });
    assert.equal((await perl('exit 0', { confined: true })).status, 0);
  });

  it('has namespaces of its own for everything, and is no user of the machine', async () => {
    const kinds = ['mnt', 'uts', 'ipc', 'net', 'pid', 'cgroup'];
    const { stdout } = await perl(`print readlink("/proc/self/ns/$_"), "\\n" for qw(${kinds.join(' ')})`, {
      confined: true,
    });
    const own = stdout.trim().split('\n');
    assert.equal(own.length, kinds.length);
    const mine = kinds.map((kind) => execFileSync('readlink', [`/proc/self/ns/${kind}`], { encoding: 'utf8' }).trim());
    assert.deepEqual(
      own.filter((name, index) => name === mine[index]),
      [],
    );
    assert.match((await perl('print "$< $>"', { confined: true })).stdout, /^(?!0 |.* 0$)\d+ \d+$/);
  });

  it('of the running machine is held the same way', async () => {
    const run = (code: string) =>
      createLinuxExec().run(['/usr/bin/perl', '-e', code], { timeoutMs: 10_000, env, confined: true });
    for (const [what, code] of Object.entries({ ...attempts, ...attemptsOfReaders })) {
      if (what.startsWith('a file of the machine')) continue;
      const { status, stderr } = await run(`${code}; exit 3`);
      assert.equal(status, 3, `${what}: ${stderr}`);
    }
    assert.equal((await run(`open(F, '>', '${scratch}/x') and exit 7; exit 3`)).status, 3);
    assert.equal((await run(`-e '/run/systemd' and exit 7; exit 3`)).status, 3);
  });
});

describe('a script of a package', () => {
  it('changes the root, and nothing of the machine that it needs', async () => {
    const script = `open(F, '>', '/inner/x') or exit 7; print F 'kept'; close F; chown 5, 6, '/inner/x' or exit 8;
      open(N, '>', '/dev/null') or exit 9; print N 'x'; close N;
      for ('/dev/null', '/dev/zero', '/etc/resolv.conf') { chmod +(stat)[2] & 07777, $_ and exit 10 } open(R, '>>', '/etc/resolv.conf') and exit 11;
      unlink '/dev/null'; exit 0`;
    const { status, stderr } = await perl(script);
    assert.equal(status, 0, stderr);
    assert.equal(readFileSync(join(root, 'inner/x'), 'utf8'), 'kept');
    assert.deepEqual([statSync(join(root, 'inner/x')).uid, statSync(join(root, 'inner/x')).gid], [5, 6]);
    assert.equal(statSync('/dev/null').mode & 0o777, 0o666);
    assert.deepEqual(readdirSync(join(root, 'dev')), []);
    assert.ok(!existsSync(join(root, 'proc/self')));
  });

  it('is not led out of the root by its folders, either', async () => {
    const other = join(scratch, 'linked');
    mkdirSync(other);
    for (const name of ['usr', 'lib', 'lib64', 'inner', 'etc'])
      if (existsSync(join(root, name))) execFileSync('cp', ['-a', join(root, name), other]);
    const target = join(scratch, 'target');
    mkdirSync(target);
    for (const name of ['proc', 'dev', 'sys', 'run']) execFileSync('ln', ['-s', target, join(other, name)]);
    for (const confined of [true, false]) {
      const { status, stderr } = await createRootExec(other).run(['/usr/bin/dash', '-c', 'exit 4'], {
        timeoutMs: 10_000,
        env,
        confined,
      });
      assert.equal(status, 4, stderr);
    }
    assert.deepEqual(readdirSync(target), []);
  });
});

describe('the filter of system calls', () => {
  it('is whole for both architectures: each jump leads to an instruction, the last one answers', () => {
    for (const architecture of ['x64', 'arm64'] as const)
      for (const who of ['reader', 'installer'] as const) {
        const bytes = systemCallFilter(architecture, who);
        const count = bytes.length / 8;
        assert.ok(count < 4096);
        for (let at = 0; at < count; at++) {
          const code = bytes.readUInt16LE(at * 8);
          if ((code & 0x07) !== 0x05) continue;
          const [yes, no] = [bytes.readUInt8(at * 8 + 2), bytes.readUInt8(at * 8 + 3)];
          assert.ok(at + 1 + Math.max(yes, no) < count);
        }
        assert.equal(bytes.readUInt16LE((count - 1) * 8), 0x06);
      }
  });
});
