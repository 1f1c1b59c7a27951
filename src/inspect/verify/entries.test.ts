/** What a lock holds besides programs and files, and what a manifest wants, on a real root that is changed in one place. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { emptyImageLock } from '../../../test/support/image-lock.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import { findExtensions } from '../../image/extensions.ts';
import type { ImageLock, OwnChecks } from '../../image/image-lock.ts';
import type { Check } from './check.ts';
import { checkEntries, checkExtensions } from './entries.ts';
import { checkOwn } from './own-checks.ts';

const folder = temporaryFolder();
after(() => removeFolder(folder));
const root = join(folder, 'root');
const at = (path: string): string => join(root, path);

function put(path: string, content: string, mode = 0o644): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), content);
  chmodSync(at(path), mode);
}

function link(path: string, target: string): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  rmSync(at(path), { force: true });
  symlinkSync(target, at(path));
}

const failed = (checks: readonly Check[]): string[] =>
  checks.filter(({ status }) => status === 'failed').map(({ subject, property }) => `${subject} ${property}`);

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
  put('/opt/extensions/kubelet.raw', 'image');
  link('/etc/extensions/kubelet.raw', '/opt/extensions/kubelet.raw');
  put('/var/lib/extensions/tree/usr/bin/tool', '#!/bin/sh\n', 0o755);
  put('/usr/lib/confexts/words.raw', 'more');
  put('/opt/tree/usr/bin/tool', '#!/bin/sh\n', 0o755);
  link('/var/lib/extensions/linked', '/opt/tree');
  link('/etc/app.link', 'app');
  mkdirSync(at('/etc/app.d'), { mode: 0o750 });
  put('/etc/passwd', 'root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/sh\n');
  put('/etc/shadow', 'root:*:20000::::::\nada:!:20000::::::\n', 0o640);
});

describe('links, folders and extensions of an image', () => {
  const changes: Readonly<Record<string, readonly [change: () => void, ...fails: string[]]>> = {
    nothing: [() => undefined],
    'a link is redirected': [() => link('/etc/app.link', '/etc/shadow'), '/etc/app.link link'],
    'a link is removed': [() => rmSync(at('/etc/app.link')), '/etc/app.link link'],
    'a link is a file now': [() => (rmSync(at('/etc/app.link')), put('/etc/app.link', 'x')), '/etc/app.link link'],
    'a folder is open to others': [() => chmodSync(at('/etc/app.d'), 0o757), '/etc/app.d folder'],
    'a folder has another owner': [() => chownSync(at('/etc/app.d'), 5, 0), '/etc/app.d folder'],
    'a folder is a link now': [
      () => (rmSync(at('/etc/app.d'), { recursive: true }), link('/etc/app.d', '/tmp')),
      '/etc/app.d folder',
    ],
    'an extension is another image': [
      () => put('/opt/extensions/kubelet.raw', 'other'),
      '/etc/extensions/kubelet.raw as locked',
    ],
    'an extension leads elsewhere': [
      () => (put('/opt/copy.raw', 'image'), link('/etc/extensions/kubelet.raw', '/opt/copy.raw')),
      '/etc/extensions/kubelet.raw as locked',
    ],
    'an extension is gone': [() => rmSync(at('/usr/lib/confexts/words.raw')), '/usr/lib/confexts/words.raw as locked'],
    'an extension leads to nothing': [
      () => rmSync(at('/opt/extensions/kubelet.raw')),
      '/etc/extensions/kubelet.raw as locked',
    ],
    'a folder that is an extension holds more': [
      () => put('/var/lib/extensions/tree/usr/bin/more', 'x'),
      '/var/lib/extensions/tree as locked',
    ],
    'a folder that an extension leads to holds more': [
      () => put('/opt/tree/usr/bin/more', 'x'),
      '/var/lib/extensions/linked as locked',
    ],
    'a file in a folder that an extension leads to may be set to run as root': [
      () => chmodSync(at('/opt/tree/usr/bin/tool'), 0o4755),
      '/var/lib/extensions/linked as locked',
    ],
    'an extension belongs to somebody else': [
      () => chownSync(at('/usr/lib/confexts/words.raw'), 5, 0),
      '/usr/lib/confexts/words.raw as locked',
    ],
    'what an extension leads to can be written to': [
      () => chmodSync(at('/opt/extensions/kubelet.raw'), 0o666),
      '/etc/extensions/kubelet.raw as locked',
    ],
    'the folder of what an extension leads to can be written to': [
      () => chmodSync(at('/opt/extensions'), 0o777),
      '/etc/extensions/kubelet.raw as locked',
    ],
    'a folder of extensions is a link to one that holds the same': [
      () => (renameSync(at('/usr/lib/confexts'), at('/usr/lib/others')), link('/usr/lib/confexts', 'others')),
    ],
    'an extension came along': [() => put('/etc/extensions/stranger.raw', 'x'), 'others none'],
    'a folder that is an extension came along': [
      () => put('/usr/local/lib/extensions/stranger/usr/bin/x', 'x'),
      'others none',
    ],
  };
  for (const [what, [change, ...fails]] of Object.entries(changes))
    it(`are checked: ${what}`, async () => {
      const { files } = createLinuxHost({ root });
      const lock: ImageLock = {
        ...emptyImageLock,
        links: [{ path: '/etc/app.link', target: 'app' }],
        folders: [{ path: '/etc/app.d', mode: '0750', uid: 0, gid: 0 }],
        extensions: await findExtensions(files),
      };
      assert.equal(lock.extensions?.length, 4);
      change();
      const others = new Set<string>();
      const found = [...(await checkEntries(files, lock, others)), ...(await checkExtensions(files, lock, others))];
      assert.deepEqual(failed(found), fails);
    });

  it('are left alone where the node’s own documents decided since, and where an earlier lock says nothing', async () => {
    const { files } = createLinuxHost({ root });
    const lock = { ...emptyImageLock, links: [{ path: '/etc/app.link', target: 'other' }], extensions: [] };
    const others = new Set(['/etc/app.link', ...(await findExtensions(files)).map(({ path }) => path)]);
    assert.deepEqual(failed(await checkEntries(files, lock, others)), []);
    assert.deepEqual(failed(await checkExtensions(files, lock, others)), []);
    assert.deepEqual(await checkExtensions(files, emptyImageLock, new Set()), []);
  });
});

describe('what a manifest wants of an image', () => {
  const none: OwnChecks = { absent: [], present: [], units: [], noLogins: false };
  const cases: readonly (readonly [
    what: string,
    wanted: Partial<OwnChecks>,
    change: () => void,
    ...fails: string[],
  ])[] = [
    ['nothing at a path', { absent: ['/etc/none'] }, () => undefined],
    ['nothing at a path where a file is', { absent: ['/etc/passwd'] }, () => undefined, '/etc/passwd absent'],
    [
      'nothing at a path where a link to nothing is',
      { absent: ['/etc/app.link'] },
      () => undefined,
      '/etc/app.link absent',
    ],
    ['a path', { present: [{ path: '/etc/app.d', type: 'directory', mode: '0750', uid: 0, gid: 0 }] }, () => undefined],
    ['a path that is missing', { present: [{ path: '/x' }] }, () => undefined, '/x present'],
    [
      'a path of another kind',
      { present: [{ path: '/etc/app.d', type: 'file' }] },
      () => undefined,
      '/etc/app.d present',
    ],
    [
      'a path of another mode',
      { present: [{ path: '/etc/app.d', mode: '0755' }] },
      () => undefined,
      '/etc/app.d present',
    ],
    [
      'a path of another user',
      { present: [{ path: '/etc/app.d', uid: 0 }] },
      () => chownSync(at('/etc/app.d'), 4, 0),
      '/etc/app.d present',
    ],
    ['a path of another group', { present: [{ path: '/etc/app.d', gid: 7 }] }, () => undefined, '/etc/app.d present'],
    ['a unit that is not there', { units: [{ name: 'ssh.service', state: 'absent' }] }, () => undefined],
    [
      'a unit',
      { units: [{ name: 'ssh.service', state: 'masked' }] },
      () => link('/etc/systemd/system/ssh.service', '/dev/null'),
    ],
    [
      'a unit that is enabled after all',
      { units: [{ name: 'ssh.service', state: 'disabled' }] },
      () => {
        put(
          '/usr/lib/systemd/system/ssh.service',
          '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
        );
        link('/etc/systemd/system/multi-user.target.wants/ssh.service', '/usr/lib/systemd/system/ssh.service');
      },
      'ssh.service disabled',
    ],
    ['no log-ins', { noLogins: true }, () => undefined],
    [
      'no log-ins, with a password',
      { noLogins: true },
      () => put('/etc/shadow', 'root:$y$j9T$x:1::::::\n'),
      'log-ins none',
    ],
    ['no log-ins, with none needed', { noLogins: true }, () => put('/etc/shadow', 'root::1::::::\n'), 'log-ins none'],
    [
      'no log-ins, with an account outside of shadow',
      { noLogins: true },
      () => put('/etc/passwd', 'root::0:0::/root:/bin/sh\n'),
      'log-ins none',
    ],
    [
      'no log-ins, with a key',
      { noLogins: true },
      () => put('/home/ada/.ssh/authorized_keys', '# mine\nssh-ed25519 AAAA ada\n'),
      'log-ins none',
    ],
    [
      'no log-ins, with a link of the account to keys',
      { noLogins: true },
      () => {
        put('/srv/keys', 'ssh-ed25519 AAAA ada\n');
        link('/home/ada/.ssh/authorized_keys', '/srv/keys');
        chownSync(at('/home/ada/.ssh'), 1000, 1000);
      },
      'log-ins none',
    ],
    [
      'no log-ins, with a link of the account to a folder of keys',
      { noLogins: true },
      () => {
        put('/srv/ssh/authorized_keys', 'ssh-ed25519 AAAA ada\n');
        link('/home/ada/.ssh', '/srv/ssh');
        chownSync(at('/home/ada'), 1000, 1000);
      },
      'log-ins none',
    ],
    [
      'no log-ins, with keys that are no file',
      { noLogins: true },
      () => mkdirSync(at('/home/ada/.ssh/authorized_keys'), { recursive: true }),
      'log-ins none',
    ],
    [
      'no log-ins, with a file of keys without any',
      { noLogins: true },
      () => put('/home/ada/.ssh/authorized_keys', '# none\n\n'),
    ],
    ['room', { freeBytes: 1 }, () => undefined],
    ['more room than there is', { freeBytes: 2 ** 60 }, () => undefined, 'free space at least 1073741824 GiB'],
  ];
  for (const [what, wanted, change, ...fails] of cases)
    it(`is checked: ${what}`, async () => {
      change();
      const host = createLinuxHost({ root });
      assert.deepEqual(failed(await checkOwn(host, { ...emptyImageLock, checks: { ...none, ...wanted } })), fails);
    });
});
