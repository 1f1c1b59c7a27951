import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { ensurePrograms } from '../../test/servers/programs.ts';
import { removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';
import { packageNote } from '../../test/support/package-note.ts';
import { script, smallRoot } from '../../test/support/small-root.ts';
import { writtenByUs } from '../model/containerd-configuration.ts';
import type { Facts } from '../model/facts.ts';
import { readContainerd } from './containerd-facts.ts';
import { createLinuxHost } from './linux/host.ts';
import { createMemoryMachine } from './memory/machine.ts';
import { originalPaths } from './originals.ts';
import type { FileWrite } from './port.ts';

function file(path: string, content: string): FileWrite {
  return { type: 'file', path, content: Buffer.from(content), mode: 0o644, uid: 0, gid: 0 };
}

async function containerd(...writes: FileWrite[]): Promise<Partial<Facts>> {
  const said = (version: string) => () => ({
    stdout: `containerd github.com/containerd/containerd/v2 ${version} 1234567\n`,
  });
  const machine = createMemoryMachine();
  machine.program('/usr/local/bin/containerd', said('v2.1.4'));
  machine.program('/opt/b/containerd', said('1.7.24~ds1 1.7.24~ds1-6'));
  await machine.files.write([...writes, file('/usr/local/bin/containerd', ''), file('/opt/b/containerd', '')]);
  return readContainerd(machine.open());
}

const unit = (start: string): FileWrite =>
  file('/usr/lib/systemd/system/containerd.service', `[Service]\nExecStart=${start}\n`);
const dropIn = (start: string): FileWrite =>
  file('/etc/systemd/system/containerd.service.d/10-mine.conf', `[Service]\nExecStart=\nExecStart=${start}\n`);
const dpkg = (name: string, version: string): FileWrite =>
  file('/var/lib/dpkg/status', `Package: ${name}\nStatus: install ok installed\nVersion: ${version}\n\n`);
const list = (name: string): FileWrite =>
  file(`/var/lib/dpkg/info/${name}.list`, '/.\n/usr\n/usr/bin\n/usr/bin/containerd\n');
const debian = [dpkg('containerd', '1.7.24~ds1-6'), list('containerd')];

for (const [name, writes, version] of [
  ['nothing', [], undefined],
  ['a package without a unit', debian, '1.7.24'],
  ['the package’s own program', [...debian, unit('/usr/bin/containerd')], '1.7.24'],
  [
    'the same before /usr was merged',
    [
      dpkg('containerd', '1.6.20~ds1-1'),
      file('/var/lib/dpkg/info/containerd.list', '/bin/containerd\n'),
      unit('/usr/bin/containerd'),
    ],
    '1.6.20',
  ],
  ['Docker’s package', [dpkg('containerd.io', '2.1.4-1'), list('containerd.io'), unit('/usr/bin/containerd')], '2.1.4'],
  [
    'Microsoft’s package',
    [dpkg('moby-containerd', '2.0.0-ubuntu24.04u1'), list('moby-containerd'), unit('/usr/bin/containerd')],
    '2.0.0',
  ],
  ['another beside the package', [...debian, unit('/usr/local/bin/containerd')], '2.1.4'],
  [
    'another by a drop-in',
    [...debian, unit('/usr/bin/containerd'), dropIn('-/usr/local/bin/containerd --log-level debug')],
    '2.1.4',
  ],
  ['a program that systemd finds', [...debian, unit('containerd')], '2.1.4'],
  ['a program that systemd does not find', [...debian, unit('other/containerd')], '1.7.24'],
  ['no package', [unit('/opt/b/containerd')], '1.7.24'],
  ['a program that is not there', [unit('/opt/none/containerd')], undefined],
  ['a program in a variable', [...debian, unit('${BIN}/containerd')], '1.7.24'],
] as const)
  test(`containerd’s version is that of what its unit starts: ${name}`, async () =>
    assert.equal((await containerd(...writes)).containerdVersion, version));

/** Of the root that an image is made in. */
describe('in a root folder', () => {
  const folder = temporaryFolder();
  after(() => removeFolder(folder));
  before(() => ensurePrograms([{ program: 'objcopy', package: 'binutils', why: 'adds notes to programs' }]));

  async function versionIn(put: (root: string, program: string) => void): Promise<string | undefined> {
    const root = smallRoot(folder);
    chmodSync(root, 0o755);
    const program = join(root, 'usr/bin/containerd');
    put(root, program);
    mkdirSync(join(root, 'usr/lib/systemd/system'), { recursive: true });
    const text = '[Service]\nExecStart=/usr/bin/containerd\n';
    writeFileSync(join(root, 'usr/lib/systemd/system/containerd.service'), text);
    const host = createLinuxHost({ root });
    try {
      return (await readContainerd(host)).containerdVersion;
    } finally {
      await host.close();
    }
  }

  for (const [what, version, put] of [
    [
      'its package’s note',
      '2.1.4',
      (root: string, program: string) => {
        const file = join(root, 'note');
        writeFileSync(file, packageNote({ type: 'rpm', name: 'containerd', version: '2.1.4-3.fc42' }));
        copyFileSync('/bin/true', program);
        execFileSync('objcopy', ['--add-section', `.note.package=${file}`, program]);
      },
    ],
    [
      'what it prints',
      '1.7.24',
      (root: string) =>
        script(root, 'containerd', 'echo "containerd github.com/containerd/containerd v1.7.24 1234567"'),
    ],
    ['nothing that it prints', undefined, (root: string) => script(root, 'containerd', 'echo containerd')],
    ['nothing, as it fails', undefined, (root: string) => script(root, 'containerd', 'exit 3')],
    [
      'nothing, as it is of another machine',
      undefined,
      (_root: string, program: string) => writeFileSync(program, '\x7fELF', { mode: 0o755 }),
    ],
  ] as const)
    it(`a containerd of no package is of the version that it says: ${what}`, async () =>
      assert.equal(await versionIn(put), version));
});

test('a configuration that the unit names', async () => {
  const reads = async (start: string): Promise<unknown> => (await containerd(...debian, unit(start))).containerdReads;
  assert.equal(await reads('/usr/bin/containerd'), undefined);
  assert.equal(await reads('/usr/bin/containerd --config /etc/containerd/config.toml'), undefined);
  for (const start of [
    '--config /etc/other.toml',
    '--config=/etc/other.toml',
    '-c /etc/other.toml',
    '-config "/etc/other.toml"',
  ])
    assert.equal(await reads(`/usr/bin/containerd ${start}`), '/etc/other.toml');
  assert.equal(await reads('/usr/bin/containerd --config ${FILE}'), undefined);
});

const config = '/etc/containerd/config.toml';
const { content, about } = originalPaths(config);
const generation = (text: string): FileWrite =>
  file('/var/lib/nodekiln/generations/3.json', JSON.stringify({ id: `file:${config}`, text }));

for (const [name, writes, found] of [
  ['none', [], undefined],
  ['somebody’s', [file(config, 'root = "/a"')], { [config]: { root: '/a' } }],
  ['ours', [file(config, `${writtenByUs}root = "/a"`)], undefined],
  [
    'somebody’s, kept when ours was written',
    [file(config, `${writtenByUs}root = "/b"`), file(content, 'root = "/a"'), file(about, '{}')],
    { [config]: { root: '/a' } },
  ],
  ['another document’s of ours', [file(config, 'root = "/a"'), generation('root = "/a"')], undefined],
  [
    'somebody’s, where a killed run was about to write ours',
    [file(config, 'root = "/a"'), generation(writtenByUs)],
    { [config]: { root: '/a' } },
  ],
  [
    'with imports',
    [
      file(config, 'imports = ["conf.d/*.toml", "/etc/more.toml"]'),
      file('/etc/containerd/conf.d/99-b.toml', 'b = 1'),
      file('/etc/containerd/conf.d/10-a.toml', 'imports = ["/etc/containerd/config.toml"]'),
      file('/etc/containerd/conf.d/readme', 'x'),
      file('/etc/more.toml', 'c = 1'),
    ],
    {
      [config]: { imports: ['conf.d/*.toml', '/etc/more.toml'] },
      '/etc/containerd/conf.d/10-a.toml': { imports: ['/etc/containerd/config.toml'] },
      '/etc/containerd/conf.d/99-b.toml': { b: 1 },
      '/etc/more.toml': { c: 1 },
    },
  ],
  [
    'with a password',
    [file(config, '[plugins.x.registry.configs.a.auth]\nusername = "u"\npassword = "p"')],
    {
      [config]: {
        plugins: { x: { registry: { configs: { a: { auth: { username: 'u', password: { sensitive: 'p' } } } } } } },
      },
    },
  ],
] as const)
  test(`containerd’s configuration before us: ${name}`, async () =>
    assert.deepEqual((await containerd(...writes)).containerdConfiguration, found));

test('a configuration that nobody can read is told in words', async () =>
  assert.equal(typeof (await containerd(file(config, 'a = = b'))).containerdConfiguration?.[config], 'string'));
