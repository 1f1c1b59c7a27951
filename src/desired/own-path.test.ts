/** Programs of an image on the PATH: what shells make of it, what sudo is told, and what is left to a manifest. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { parseDocument } from '../config/load.ts';
import { exampleFacts } from '../model/facts.ts';
import { reveal, type DesiredState } from '../model/resources.ts';
import {
  cshPath,
  fishPath,
  onThePath,
  parseCshLogin,
  parseSudoers,
  profilePath,
  sudoersPath,
  type OwnPath,
  type Sudoers,
} from './own-path.ts';
import { renderImage } from './render-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-path-'));
after(() => rmSync(folder, { recursive: true }));

const debian = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const usual: OwnPath = { targets: [], program: true, readers: {} };

/** Path → content, mode or target. */
function written(about: Partial<OwnPath>): Record<string, string> {
  return Object.fromEntries(
    onThePath({ ...usual, ...about }).map(({ path, entry }) => {
      if (entry.type === 'symlink') return [path, entry.target];
      assert.ok(entry.type === 'file' && 'text' in entry.content);
      return [path, reveal(entry.content.text)];
    }),
  );
}

describe('a login shell', () => {
  const shells = ['sh', 'bash', 'dash', 'zsh', 'busybox'].filter((name) =>
    ['/bin', '/usr/bin'].some((bin) => existsSync(join(bin, name))),
  );
  const cases: readonly (readonly [before: string, targets: readonly string[], path: string])[] = [
    ['/usr/bin:/bin', [], '/usr/bin:/bin:/opt/bin'],
    ['/opt/bin:/usr/bin:/bin', [], '/opt/bin:/usr/bin:/bin'],
    ['/usr/bin:/bin:/opt/bin', [], '/usr/bin:/bin:/opt/bin'],
    ['/usr/bin:/opt/bin2', [], '/usr/bin:/opt/bin2:/opt/bin'],
    ['', [], '/opt/bin'],
    ['/bin', ['/opt/k8s/bin/kubectl', '/usr/local/bin/crictl'], '/bin:/opt/bin:/opt/k8s/bin'],
    ['/bin', ['/opt/a b/kubectl', '/opt/$HOME/x', '/opt/a:b/x', '/opt/`id`/x', '/opt/;id/x'], '/bin:/opt/bin'],
  ];
  for (const shell of shells)
    for (const [before, targets, path] of cases)
      it(`${shell} makes ${path} of ${before}`, () => {
        const file = join(folder, 'profile.sh');
        writeFileSync(file, written({ targets })[profilePath] ?? '');
        const script = `PATH='${before}'; . ${file}; echo "$PATH\${nodekiln_folder+ and leaves something}"`;
        const argv = [...(shell === 'busybox' ? ['sh'] : []), '-euc', script];
        assert.equal(execFileSync(shell, argv, { encoding: 'utf8' }), `${path}\n`);
      });
});

describe('another shell', () => {
  const csh = { path: cshPath('/etc/profile.d'), readers: { csh: '/etc/profile.d' } } as const;
  const fish = { path: fishPath, readers: { fish: true } } as const;
  const debianLogin = 'if (-e /etc/csh/login.d && `/bin/ls /etc/csh/login.d` != "") then\n';
  for (const [name, text, place] of [
    ['Debian', debianLogin, '/etc/csh/login.d'],
    ['Fedora', 'if ( -d /etc/profile.d ) then\n  foreach i ( /etc/profile.d/*.csh )\n', '/etc/profile.d'],
    ['both, the first that is looked for', `${debianLogin}source /etc/profile.d/a.csh\n`, '/etc/csh/login.d'],
    ['a comment alone', '# see /etc/profile.d\n', undefined],
    ['nothing', '', undefined],
  ] as const)
    it(`csh of ${name} reads ${place ?? 'no file of ours'}`, () => assert.equal(parseCshLogin(text), place));

  it('is told only where it is there', () => {
    const paths = (readers: OwnPath['readers']): string[] => Object.keys(written({ program: false, readers }));
    assert.deepEqual(paths({}), [profilePath]);
    assert.deepEqual(paths(fish.readers), [profilePath, fishPath]);
    assert.deepEqual(paths(csh.readers), [profilePath, '/etc/profile.d/nodekiln.csh']);
    assert.deepEqual(paths({ csh: '/etc/csh/login.d' }), [profilePath, '/etc/csh/login.d/nodekiln.csh']);
  });
});

describe('sudo', () => {
  const sudoers: readonly (readonly [name: string, texts: readonly string[], Sudoers])[] = [
    ['Debian', [`Defaults\tenv_reset\nDefaults\tsecure_path="${debian}"\n`], { securePath: debian }],
    ['Ubuntu', [`Defaults\tsecure_path="${debian}:/snap/bin"\n`], { securePath: `${debian}:/snap/bin` }],
    [
      'RHEL',
      ['Defaults    secure_path = /sbin:/bin:/usr/sbin:/usr/bin\n'],
      { securePath: '/sbin:/bin:/usr/sbin:/usr/bin' },
    ],
    ['none, a comment', ['# Defaults secure_path="/a"\nroot ALL=(ALL) ALL\n'], {}],
    ['among others', ['Defaults env_reset, secure_path=/a\\:/b, insults\n'], { securePath: '/a:/b' }],
    ['continued', ['Defaults env_reset, \\\n  secure_path="/a:/b"\n'], { securePath: '/a:/b' }],
    ['a later file', ['Defaults secure_path="/a"\n', 'Defaults secure_path=/b\n'], { securePath: '/b' }],
    ['taken back', ['Defaults secure_path="/a"\nDefaults !secure_path\n'], {}],
    ['for some', ['Defaults:ann secure_path="/a"\nDefaults>bob secure_path=/b\nDefaults@host secure_path=/c\n'], {}],
    ['not plain', ['Defaults secure_path="/a b:/c"\n'], {}],
    ['exempt_group is another', ['Defaults exempt_group=secure_path\n'], {}],
  ];
  for (const [name, texts, found] of sudoers)
    it(`${name}: ${JSON.stringify(found)}`, () => assert.deepEqual(parseSudoers(texts), found));

  it('keeps what it had, and finds the image’s programs last', () => {
    const told = (about: Partial<OwnPath>): string | undefined =>
      /^Defaults secure_path="(.*)"\n/m.exec(written(about)[sudoersPath] ?? '')?.[1];
    const sudo = (securePath: string): Partial<OwnPath> => ({ readers: { sudoers: { securePath } } });
    assert.equal(told(sudo(`${debian}:/snap/bin`)), `${debian}:/snap/bin:/opt/bin`);
    assert.equal(told(sudo('/opt/bin:/sbin')), '/opt/bin:/sbin');
    assert.equal(told({ ...sudo('/sbin'), targets: ['/opt/k/kubectl'] }), '/sbin:/opt/bin:/opt/k');
    assert.equal(told({ readers: { sudoers: {} } }), undefined, 'it keeps the PATH of who calls it');
    assert.equal(told({}), undefined, 'there is no sudo');
    const [file] = onThePath({ ...usual, ...sudo(debian) }).filter(({ path }) => path === sudoersPath);
    assert.deepEqual(file?.entry.type === 'file' && [file.entry.mode, file.entry.uid, file.entry.gid], ['0440', 0, 0]);
  });
});

describe('a manifest', () => {
  const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec:\n';
  const rendered = async (spec: string): Promise<DesiredState> => {
    const { document } = await parseDocument({ file: 'i.yaml', text: head + spec }, 'ImageManifest');
    return renderImage(document, exampleFacts, { artifactBase: '/m' });
  };
  const ours = async (spec: string): Promise<string[]> =>
    [...(await rendered(spec)).resources.values()].flatMap((one) => (one.kind === 'file' ? [one.path] : []));

  const link = '/opt/bin/nodekiln';
  const cases: readonly (readonly [spec: string, paths: readonly string[]])[] = [
    ['  nodekiln: {}\n', [profilePath, link]],
    ['  nodekiln: {path: true}\n', [profilePath, link]],
    ['  nodekiln: {path: false}\n', []],
    ['  nodekiln: {path: false, agent: true}\n', []],
    ['  nodekiln: {boot: false}\n', [profilePath]],
    ['  nodekiln: {boot: false, agent: true}\n', [profilePath, link]],
    [`  files: [{path: ${link}, content: x}, {path: ${profilePath}, symlink: /dev/null}]\n`, [profilePath, link]],
  ];
  for (const [spec, paths] of cases)
    it(`${spec.trim()}: ${paths.join(' ') || 'nothing'}`, async () => assert.deepEqual(await ours(spec), paths));

  it('puts at these places what it says', async () => {
    const { resources } = await rendered(`  files: [{path: ${profilePath}, symlink: /dev/null}]\n`);
    const file = resources.get(`file:${profilePath}`);
    assert.deepEqual(file?.kind === 'file' && file.entry, { type: 'symlink', target: '/dev/null' });
  });

  it('names folders of its nodes’ programs', async () => {
    const { resources } = await rendered(
      '  nodeConfig: {binaries: {tools: {kubectl: {target: /opt/k8s/bin/kubectl}, crictl: null}}}\n',
    );
    const file = resources.get(`file:${profilePath}`);
    assert.ok(file?.kind === 'file' && file.entry.type === 'file' && 'text' in file.entry.content);
    assert.match(reveal(file.entry.content.text), /in \/opt\/bin \/opt\/k8s\/bin; do/);
  });
});
