/**
 * A root that nobody can write to, really mounted so, can be looked at as any other: status, verify, seal --dry-run. What they
 * answer is what they answer of a root that can be written to, which they leave as it is as well.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runCli } from '../../test/run-cli.ts';
import { lookAtJournal, openJournal } from '../apply/journal.ts';
import { exitStatus } from '../errors.ts';
import { sha256 } from '../host/digest.ts';
import { createLinuxHost } from '../host/linux/host.ts';

const manifest = JSON.stringify({
  apiVersion: 'nodekiln.dev/v1alpha1',
  kind: 'ImageManifest',
  spec: { nodekiln: { boot: false } },
});
const database = 'var/lib/nodekiln/state.db';

/** What a machine may have left, and whether looking at it is refused. */
const states: readonly (readonly [name: string, leave: (root: string) => Promise<unknown>])[] = [
  ['closed in order', async () => undefined],
  ['with a log of what was written last', killedWhileOpen],
  [
    'with a log whose index is gone',
    async (root) => {
      await killedWhileOpen(root);
      await rm(join(root, `${database}-shm`));
    },
  ],
  ['cut', (root) => truncate(join(root, database), 5000)],
  ['of garbage', (root) => writeFile(join(root, database), 'no database\n'.repeat(1000))],
  ['lost', (root) => rm(join(root, database))],
  ['without generations', (root) => rm(join(root, 'var/lib/nodekiln/generations'), { recursive: true })],
  ['without state', (root) => rm(join(root, 'var/lib/nodekiln'), { recursive: true })],
];

/** The log of a process that was killed, beside the database: copied from one that has it open. */
async function killedWhileOpen(root: string): Promise<void> {
  const host = createLinuxHost({ root });
  const journal = await openJournal(host);
  journal.setNote('said last', 'before the kill');
  journal.flush();
  const copies = await mkdtemp(join(tmpdir(), 'killed-'));
  for (const suffix of ['', '-wal', '-shm']) await cp(join(root, database + suffix), join(copies, `db${suffix}`));
  journal.close();
  await host.close();
  for (const suffix of ['', '-wal', '-shm']) await cp(join(copies, `db${suffix}`), join(root, database + suffix));
  await rm(copies, { recursive: true });
}

/** Every entry with its size, mode, time of change and content; not the memory that SQLite shares between who reads and writes. */
async function everything(root: string): Promise<string[]> {
  const names = await readdir(root, { recursive: true });
  return Promise.all(
    names.toSorted().map(async (name) => {
      const found = await stat(join(root, name));
      const content = found.isFile() ? sha256(await readFile(join(root, name))) : '';
      return name.endsWith('-shm') ? name : [name, found.size, found.mode, found.mtimeMs, content].join(' ');
    }),
  );
}

const looks: readonly (readonly string[])[] = [
  ['status'],
  ['status', '--check'],
  ['verify'],
  ['verify', '--allow-unsealed'],
  ['seal', '--dry-run'],
  ['facts'],
];

describe('looking at a root', () => {
  let folder = '';
  let baked = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'read-only-'));
    baked = join(folder, 'baked');
    await mkdir(join(baked, 'etc'), { recursive: true });
    await writeFile(join(baked, 'etc/os-release'), 'ID=debian\nVERSION_ID="12"\n');
    const { status, stderr } = await runCli({ 'm.json': manifest }, ['bake', '--root', baked, 'm.json']);
    assert.equal(status, 0, stderr);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const [name, leave] of states)
    it(`with a journal ${name} writes nothing, and is the same where nothing can be written`, async () => {
      const root = join(folder, name.replaceAll(' ', '-'));
      await cp(baked, root, { recursive: true, preserveTimestamps: true });
      await leave(root);
      const before = await everything(root);
      const script = `mount --bind ${root} ${root} && mount -o remount,bind,ro ${root} && exec "$@"`;
      const wrapper = ['unshare', '--mount', 'sh', '-euc', script, 'sh'];
      for (const look of looks) {
        const args = [...look, '--root', root, '--json'];
        const [open, closed] = [await runCli({}, args), await runCli({}, args, { wrapper })];
        const about = `${look.join(' ')}: ${open.stderr}${closed.stderr}`;
        assert.notEqual(open.stdout, '', about);
        assert.deepEqual([closed.stdout, closed.status], [open.stdout, open.status], about);
        assert.deepEqual(await everything(root), before, about);
      }
    });

  for (const [name, make] of Object.entries({
    full: 'mount -t tmpfs -o size=4k tmpfs "$TMPDIR" && ! yes 2>&1 >"$TMPDIR/file" 2>/dev/null',
    'without inodes': 'mount -t tmpfs -o nr_inodes=1 tmpfs "$TMPDIR"',
    'read-only': 'mount -t tmpfs -o ro tmpfs "$TMPDIR"',
    missing: 'rmdir "$TMPDIR"',
    'a file': 'rmdir "$TMPDIR" && : >"$TMPDIR"',
  }))
    it(`sees the same with a folder for temporary files that is ${name}`, async () => {
      const root = join(folder, `temporary-${name.replaceAll(' ', '-')}`);
      await cp(baked, root, { recursive: true });
      await states[2]?.[1](root);
      const temporary = `${root}.temporary`;
      await mkdir(temporary);
      const wrapper = ['unshare', '--mount', 'sh', '-uc', `${make} && exec "$@"`, 'sh'];
      const args = ['status', '--root', root, '--json'];
      const there = await runCli({}, args);
      const { stdout, stderr, status } = await runCli({}, args, { wrapper, env: { TMPDIR: temporary } });
      assert.deepEqual([stdout, status], [there.stdout, there.status], stderr);
      assert.ok(!(await readdir('/dev/shm')).some((entry) => entry.startsWith('nodekiln-look-')));
    });

  it('says where room is missing when no folder for temporary files has any', async () => {
    const root = join(folder, 'temporary-none');
    await cp(baked, root, { recursive: true });
    await states[2]?.[1](root);
    await mkdir(`${root}.temporary`);
    const script = `
      for place in "$TMPDIR" /dev/shm /run; do
        mount -t tmpfs -o size=4k tmpfs $place && yes >$place/file 2>/dev/null
      done
      exec "$@"`;
    const wrapper = ['unshare', '--mount', 'sh', '-uc', script, 'sh'];
    const env = { TMPDIR: `${root}.temporary` };
    const { stderr, status } = await runCli({}, ['status', '--root', root], { wrapper, env });
    assert.equal(status, exitStatus.state, stderr);
    assert.match(stderr, /^error NK_STATE_UNUSABLE: .*state\.db: \S+\.temporary\/\S+: no space left/m);
    assert.match(stderr, /^hint: Free space or inodes/m);
  });

  it('sees what a log holds that nobody has put into the database yet', async () => {
    for (const [name, leave] of states.slice(1, 3)) {
      const root = join(folder, `logged-${name.replaceAll(' ', '-')}`);
      await cp(baked, root, { recursive: true });
      await leave(root);
      const host = createLinuxHost({ root });
      const journal = await lookAtJournal(host);
      assert.equal(journal?.note('said last'), 'before the kill', name);
      journal.close();
      await host.close();
    }
  });
});
