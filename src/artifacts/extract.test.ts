import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { errors, NodekilnError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { extractMember } from './extract.ts';
import type { ExtractOptions } from './extract.ts';
import { defaultLimits } from './formats/limits.ts';
import { withPackage } from './formats/open.ts';
import { inspectArtifact } from './inspect.ts';
import {
  buildDeb,
  buildRpm,
  buildTarball,
  inPieces,
  programBytes,
  removeFolder,
  temporaryFolder,
} from '../../test/support/artifacts.ts';
import { tar, tarHeader, type TarMember } from '../../test/support/tar.ts';

const folder = temporaryFolder();
const host = createLinuxHost();
after(() => removeFolder(folder));

const kubelet = programBytes(700_001, 1);
const files = { 'usr/bin/kubelet': kubelet, 'usr/share/doc/kubelet/readme': 'read me\n', 'etc/kubelet.conf': '' };
const sha256 = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** A package of headers alone: tags with their type, text, and so many values, which are empty when there are several. */
function rpmWith(tags: readonly (readonly [tag: number, type: number, text: string, count?: number])[]): Buffer {
  const values = tags.map(([, , text, count = 1]) =>
    Buffer.concat([Buffer.from(`${text}\0`), Buffer.alloc(count - 1)]),
  );
  const header = (entries: number, store: Buffer): Buffer => {
    const intro = Buffer.alloc(16);
    intro.writeUInt32BE(0x8eade801, 0);
    intro.writeUInt32BE(entries, 8);
    intro.writeUInt32BE(store.length, 12);
    return intro;
  };
  let offset = 0;
  const index = tags.map(([tag, type, , count = 1], i) => {
    const entry = Buffer.alloc(16);
    for (const [at, value] of [tag, type, offset, count].entries()) entry.writeUInt32BE(value, 4 * at);
    offset += values[i]?.length ?? 0;
    return entry;
  });
  const lead = Buffer.alloc(96);
  lead.writeUInt32BE(0xedabeedb, 0);
  const store = Buffer.concat(values);
  return Buffer.concat([lead, header(0, Buffer.alloc(0)), header(tags.length, store), ...index, store]);
}

function failsWith(code: ErrorCode, pattern = /./): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof NodekilnError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.match(thrown.message, pattern);
    assert.ok(errors[code]);
    return true;
  };
}

/** Extracts into a fresh folder and says what was left there. */
async function extractInto(name: string, options: Omit<ExtractOptions, 'to'>): Promise<string[]> {
  const target = join(folder, name);
  mkdirSync(target);
  try {
    await extractMember(host, { ...options, to: join(target, 'out') });
  } catch (thrown) {
    assert.deepEqual(readdirSync(target), [], 'nothing is left behind');
    throw thrown;
  }
  return readdirSync(target);
}

describe('real packages', () => {
  const spec = { name: 'kubelet', version: '1.34.1', release: '5.azl3', epoch: 1, files };
  const built = new Map<string, string>();
  before(() => {
    for (const compression of ['none', 'gzip', 'xz', 'zstd'] as const) {
      mkdirSync(join(folder, `deb-${compression}`));
      built.set(`deb ${compression}`, buildDeb(join(folder, `deb-${compression}`), spec, compression));
    }
    for (const compression of ['none', 'gzip', 'xz', 'lzma', 'zstd', 'bzip2'] as const) {
      mkdirSync(join(folder, `rpm-${compression}`));
      built.set(`rpm ${compression}`, buildRpm(join(folder, `rpm-${compression}`), spec, compression));
      built.set(`tarball ${compression}`, buildTarball(folder, `x-${compression}.tar`, { files, compression }));
    }
  });

  const kinds = [
    'deb none',
    'deb gzip',
    'deb xz',
    'deb zstd',
    'rpm none',
    'rpm gzip',
    'rpm xz',
    'rpm lzma',
    'rpm zstd',
    'rpm bzip2',
    'tarball none',
    'tarball gzip',
    'tarball xz',
    'tarball lzma',
    'tarball zstd',
    'tarball bzip2',
  ];
  for (const kind of kinds) {
    it(`${kind}: takes the member out, whole, executable, with the digests of both`, async () => {
      const path = built.get(kind) ?? '';
      const [format, compression] = kind.split(' ');
      const to = join(folder, 'out');
      const extracted = await extractMember(host, {
        source: path,
        member: ['usr/bin/kubelet', 'usr/local/bin/kubelet'],
        to,
        mode: 0o750,
      });
      assert.ok(readFileSync(to).equals(kubelet));
      assert.equal(statSync(to).mode & 0o7777, 0o750);
      assert.deepEqual(
        [
          extracted.format,
          extracted.package.compression,
          extracted.member,
          extracted.size,
          extracted.digest,
          extracted.packageDigest,
          extracted.packageSize,
          extracted.mode,
        ],
        [
          format,
          compression,
          'usr/bin/kubelet',
          kubelet.length,
          sha256(kubelet),
          sha256(readFileSync(path)),
          statSync(path).size,
          0o755,
        ],
      );
      if (format !== 'tarball') {
        const { name, version, architecture } = extracted.package;
        assert.deepEqual(
          [name, version, architecture],
          ['kubelet', '1:1.34.1-5.azl3', format === 'deb' ? 'amd64' : 'x86_64'],
        );
      }
    });

    it(`${kind}: is inspected`, async () => {
      const inspection = await inspectArtifact(host, built.get(kind) ?? '');
      const seen = inspection.entries.filter((entry) => entry.type === 'file').map((entry) => [entry.name, entry.size]);
      assert.deepEqual(
        new Map(seen as [string, number][]),
        new Map(Object.entries(files).map(([name, content]) => [name, content.length])),
      );
      assert.equal(inspection.unpackedSize, kubelet.length + 8);
    });

    it(`${kind}: truncated anywhere is refused and leaves nothing`, async () => {
      const bytes = readFileSync(built.get(kind) ?? '');
      const cuts = [
        0,
        1,
        7,
        59,
        100,
        511,
        512,
        1024,
        bytes.length >> 1,
        bytes.length - 1024,
        bytes.length - 512,
        bytes.length - 9,
        bytes.length - 1,
      ];
      for (const cut of cuts) {
        const at = Math.max(0, cut);
        // Half a package still begins like one, so it is never taken for a plain file.
        const format = kind.split(' ')[0] as 'deb' | 'rpm' | 'tarball';
        const options = { source: one(bytes.subarray(0, at)), format, what: 'cut', member: 'usr/bin/kubelet' };
        // A plain tar is blocked to 10 KiB with zeros, which nobody misses.
        const harmless = kind === 'tarball none' && bytes.subarray(at).every((byte) => byte === 0);
        if (harmless) continue;
        await assert.rejects(
          extractInto(`cut-${kind}-${at}`, options),
          (thrown) => {
            assert.ok(
              thrown instanceof NodekilnError && /^NK_ARTIFACT_(UNREADABLE|MEMBER)$/.test(thrown.code),
              `at ${at}: ${String(thrown)}`,
            );
            return true;
          },
          `cut at ${at} of ${bytes.length}`,
        );
      }
    });
  }

  it('reads a package in pieces of any size', async () => {
    for (const kind of kinds) {
      const source = built.get(kind) ?? '';
      const options = { source, member: './usr/bin/kubelet', to: join(folder, 'out') };
      const extracted = await extractMember(inPieces(host, 1013), options);
      assert.equal(extracted.digest, sha256(kubelet), kind);
    }
  });

  it('runs no maintainer script', () => {
    for (const name of readdirSync(folder, { recursive: true }))
      assert.ok(!String(name).endsWith('script-ran'), String(name));
  });

  it('agrees with dpkg-deb, rpm and tar about names and versions', () => {
    const debVersion = execFileSync('dpkg-deb', ['-f', built.get('deb zstd') ?? '', 'Version'], {
      encoding: 'utf8',
    }).trim();
    const rpmVersion = execFileSync('rpm', ['-qp', '--qf', '%{EVR}', built.get('rpm zstd') ?? ''], {
      encoding: 'utf8',
    }).trim();
    assert.deepEqual([debVersion, rpmVersion], ['1:1.34.1-5.azl3', '1:1.34.1-5.azl3']);
  });

  it('refuses a payload or a header changed after it was signed', async () => {
    const bytes = readFileSync(built.get('rpm none') ?? '');
    const inPayload = Buffer.from(bytes);
    const at = bytes.indexOf(kubelet.subarray(1000, 1064)) + 3;
    inPayload[at] = (inPayload[at] ?? 0) ^ 1;
    await assert.rejects(
      extractInto('rpm-payload', { source: one(inPayload), what: 'x.rpm', member: 'usr/bin/kubelet' }),
      failsWith('NK_ARTIFACT_UNREADABLE', /promises/),
    );
    const beside = Buffer.from(bytes);
    beside[bytes.indexOf('read me\n')] = 0x52;
    await assert.rejects(
      extractInto('rpm-beside', { source: one(beside), what: 'x.rpm', member: 'usr/bin/kubelet' }),
      failsWith('NK_ARTIFACT_UNREADABLE', /payload that does not match/),
    );
    const inHeader = Buffer.from(bytes);
    const summary = bytes.indexOf('made by a test');
    inHeader[summary] = 0x4d;
    await assert.rejects(
      extractInto('rpm-header', { source: one(inHeader), what: 'x.rpm', member: 'usr/bin/kubelet' }),
      failsWith('NK_ARTIFACT_UNREADABLE', /header that does not match/),
    );
  });

  it('refuses an RPM whose header says more than it may, however small that is', async () => {
    const millions = 8_000_000;
    for (const [tag, name] of Object.entries({ 1117: 'names', 1118: 'folders', 1035: 'digests', 1036: 'links' })) {
      const bytes = rpmWith([
        [1000, 6, 'x'],
        [1001, 6, '1'],
        [1002, 6, '1'],
        [1022, 6, 'noarch'],
        [Number(tag), 8, '', millions],
      ]);
      await assert.rejects(
        extractInto(`rpm-${name}`, { source: one(bytes), what: 'x.rpm', member: 'usr/bin/kubelet' }),
        failsWith('NK_ARTIFACT_UNREADABLE', new RegExp(`${millions} values of tag ${tag}, more than the 200000`)),
      );
    }
    for (const tag of [1028, 1030, 1116]) {
      const bytes = rpmWith([
        [1000, 6, 'x'],
        [tag, 2, '', millions],
      ]);
      await assert.rejects(
        extractInto(`rpm-${tag}`, { source: one(bytes), what: 'x.rpm', member: 'usr/bin/kubelet' }),
        failsWith('NK_ARTIFACT_UNREADABLE', /values of tag/),
      );
    }
  });

  it('holds the payload of an RPM against what its header lists', async () => {
    const source = { path: built.get('rpm none') ?? '', what: 'x.rpm', limits: defaultLimits };
    await withPackage(host, source, async ({ judge }) => {
      assert.ok(judge);
      const listed = { name: 'usr/bin/kubelet', type: 'file', size: kubelet.length, mode: 0o755 } as const;
      assert.deepEqual(judge([listed]), [listed]);
      // Of hard links only the last carries the content.
      assert.equal(judge([{ ...listed, size: 0, links: 2 }])[0]?.type, 'hardlink');
      for (const [other, why] of [
        [{ ...listed, name: 'usr/bin/stranger' }, /does not list so/],
        [{ ...listed, type: 'symlink' }, /does not list so/],
        [{ ...listed, size: 1 }, /another size/],
        [{ ...listed, size: 0, links: 1 }, /another size/],
      ] as const)
        assert.throws(() => judge([other]), failsWith('NK_ARTIFACT_UNREADABLE', why));
    });
  });

  it('checks digests that were asked for before anything gets its name', async () => {
    const source = built.get('deb gzip') ?? '';
    const wrong = `sha256:${'0'.repeat(64)}`;
    await assert.rejects(
      extractInto('digest', { source, member: 'usr/bin/kubelet', digest: wrong }),
      failsWith('NK_ARTIFACT_DIGEST', /usr\/bin\/kubelet/),
    );
    await assert.rejects(
      extractInto('package-digest', { source, member: 'usr/bin/kubelet', packageDigest: wrong }),
      failsWith('NK_ARTIFACT_DIGEST'),
    );
    const unmet = extractInto('check', {
      source,
      member: 'usr/bin/kubelet',
      check: () => Promise.reject(new NodekilnError('NK_ARTIFACT_VERSION', 'no')),
    });
    await assert.rejects(unmet, failsWith('NK_ARTIFACT_VERSION'));
  });

  it('names what is missing (E22, E25) and what the format really is', async () => {
    const source = built.get('rpm zstd') ?? '';
    await assert.rejects(
      extractInto('missing', { source, member: 'usr/bin/kubectl' }),
      failsWith('NK_ARTIFACT_MEMBER', /does not contain usr\/bin\/kubectl/),
    );
    await assert.rejects(
      extractInto('empty', { source, member: 'etc/kubelet.conf' }),
      failsWith('NK_ARTIFACT_MEMBER', /is empty/),
    );
    await assert.rejects(extractInto('unnamed', { source }), failsWith('NK_ARTIFACT_MEMBER', /no member was named/));
    await assert.rejects(
      extractInto('folder', { source: built.get('tarball gzip') ?? '', member: 'usr/bin' }),
      failsWith('NK_ARTIFACT_MEMBER', /directory/),
    );
    await assert.rejects(
      extractInto('other', { source, format: 'deb', member: 'usr/bin/kubelet' }),
      failsWith('NK_ARTIFACT_UNREADABLE', /is no deb/),
    );
    await assert.rejects(
      extractInto('absent', { source: join(folder, 'absent.deb'), member: 'x' }),
      failsWith('NK_ARTIFACT_MISSING'),
    );
    const both = extractInto('both', { source, member: ['usr/bin/kubelet', 'usr/share/doc/kubelet/readme'] });
    await assert.rejects(both, failsWith('NK_ARTIFACT_MEMBER', /contains both/));
  });

  it('finds the member in its other usual place (E24)', async () => {
    const path = buildRpm(join(folder, 'rpm-gzip'), {
      name: 'tool',
      version: '1.0.0',
      files: { 'usr/local/bin/tool': 'x' },
    });
    const extracted = await extractMember(host, {
      source: path,
      member: ['usr/bin/tool', 'usr/local/bin/tool'],
      to: join(folder, 'out'),
    });
    assert.equal(extracted.member, 'usr/local/bin/tool');
  });

  it('replaces a symlink at the target and never writes through it', async () => {
    writeFileSync(join(folder, 'elsewhere'), 'mine');
    symlinkSync('elsewhere', join(folder, 'link'));
    await extractMember(host, {
      source: built.get('deb zstd') ?? '',
      member: 'usr/bin/kubelet',
      to: join(folder, 'link'),
    });
    assert.equal(readFileSync(join(folder, 'elsewhere'), 'utf8'), 'mine');
    assert.ok(readFileSync(join(folder, 'link')).equals(kubelet));
  });

  it('takes a plain file as it is', async () => {
    writeFileSync(join(folder, 'plain'), kubelet);
    const extracted = await extractMember(host, { source: join(folder, 'plain'), to: join(folder, 'out') });
    assert.deepEqual(
      [extracted.format, extracted.digest, extracted.packageDigest],
      ['file', sha256(kubelet), sha256(kubelet)],
    );
    writeFileSync(join(folder, 'nothing'), '');
    await assert.rejects(
      extractInto('nothing-out', { source: join(folder, 'nothing') }),
      failsWith('NK_ARTIFACT_UNREADABLE', /is empty/),
    );
  });

  it('gives the result a name made from what it found', async () => {
    const extracted = await extractMember(host, {
      source: built.get('deb zstd') ?? '',
      member: 'usr/bin/kubelet',
      to: { directory: join(folder, 'named'), name: (found) => `kubelet-${found.package.version?.replace(':', '_')}` },
    });
    assert.equal(extracted.path, join(folder, 'named', 'kubelet-1_1.34.1-5.azl3'));
    assert.ok(existsSync(extracted.path));
  });

  it('refuses what stands after the end of a compressed part', async () => {
    for (const kind of ['tarball gzip', 'tarball zstd', 'tarball xz', 'rpm gzip', 'rpm zstd', 'rpm xz']) {
      const bytes = Buffer.concat([readFileSync(built.get(kind) ?? ''), Buffer.from('more')]);
      await assert.rejects(
        extractInto(`after-${kind}`, { source: one(bytes), what: kind, member: 'usr/bin/kubelet' }),
        failsWith('NK_ARTIFACT_UNREADABLE'),
        kind,
      );
    }
    const bytes = Buffer.concat([readFileSync(built.get('tarball none') ?? ''), Buffer.from('more')]);
    await assert.rejects(
      extractInto('after-tar', { source: one(bytes), what: 'tar', member: 'usr/bin/kubelet' }),
      failsWith('NK_ARTIFACT_UNREADABLE'),
    );
  });
});

let written = 0;
/** A package made of these bytes. */
function one(bytes: Buffer): string {
  const path = join(folder, `written-${++written}`);
  writeFileSync(path, bytes);
  return path;
}

// ── archives nobody should make ──────────────────────────────────────────────────────────────────────────────────

const good: TarMember = { name: 'usr/bin/kubelet', content: 'kubelet' };

describe('hostile archives', () => {
  const cases: readonly [string, readonly TarMember[], ErrorCode, RegExp][] = [
    ['an absolute path', [good, { name: '/etc/passwd', content: 'x' }], 'NK_ARTIFACT_UNREADABLE', /absolute/],
    [
      'a path that leads out',
      [good, { name: 'usr/../../etc/passwd', content: 'x' }],
      'NK_ARTIFACT_UNREADABLE',
      /outside/,
    ],
    [
      'a hard link out',
      [good, { name: 'usr/bin/x', type: '1', target: '../../etc/shadow' }],
      'NK_ARTIFACT_UNREADABLE',
      /outside/,
    ],
    [
      'an absolute hard link',
      [good, { name: 'usr/bin/x', type: '1', target: '/etc/shadow' }],
      'NK_ARTIFACT_UNREADABLE',
      /absolute/,
    ],
    [
      'a symlink as the member',
      [{ ...good, type: '2', target: '/etc/passwd', content: '' }],
      'NK_ARTIFACT_MEMBER',
      /symlink/,
    ],
    [
      'a hard link as the member',
      [{ ...good, type: '1', target: 'usr/bin/other', content: '' }],
      'NK_ARTIFACT_MEMBER',
      /hardlink/,
    ],
    [
      'a symlink above the member',
      [{ name: 'usr/bin', type: '2', target: '/tmp' }, good],
      'NK_ARTIFACT_MEMBER',
      /usr\/bin, .* symlink/,
    ],
    [
      'a symlink above the member, after it',
      [good, { name: 'usr', type: '2', target: '/tmp' }],
      'NK_ARTIFACT_MEMBER',
      /usr, .* symlink/,
    ],
    ['a file above the member', [{ name: 'usr/bin', content: 'x' }, good], 'NK_ARTIFACT_MEMBER', /usr\/bin, .* file/],
    ['a device as the member', [{ ...good, type: '3', content: '' }], 'NK_ARTIFACT_MEMBER', /device/],
    ['a pipe as the member', [{ ...good, type: '6', content: '' }], 'NK_ARTIFACT_MEMBER', /regular/],
    ['the member twice', [good, { ...good, content: 'another' }], 'NK_ARTIFACT_MEMBER', /twice/],
    [
      'the member twice under two spellings',
      [good, { ...good, name: './usr//bin/./kubelet' }],
      'NK_ARTIFACT_MEMBER',
      /twice/,
    ],
    ['a size that lies', [{ ...good, size: 1_000_000 }], 'NK_ARTIFACT_UNREADABLE', /too early/],
    ['a size beyond the limit', [{ ...good, size: 0o77777777777 }], 'NK_ARTIFACT_UNREADABLE', /allowed/],
    [
      'an enormous long name',
      [{ name: 'x', type: 'L', size: 0o7777777777 }, good],
      'NK_ARTIFACT_UNREADABLE',
      /allowed/,
    ],
    [
      'a pax size that lies',
      [{ name: 'x', type: 'x', content: '16 size=9999999\n' }, good],
      'NK_ARTIFACT_UNREADABLE',
      /./,
    ],
    [
      'a pax path that leads out',
      [{ name: 'x', type: 'x', content: '18 path=../../etc\n' }, good],
      'NK_ARTIFACT_UNREADABLE',
      /outside/,
    ],
    [
      'a damaged pax record',
      [{ name: 'x', type: 'x', content: '99 path=abc\n' }, good],
      'NK_ARTIFACT_UNREADABLE',
      /pax/,
    ],
    [
      'a sparse file',
      [{ name: 'x', type: 'x', content: '22 GNU.sparse.major=1\n' }, good],
      'NK_ARTIFACT_UNREADABLE',
      /sparse/,
    ],
  ];
  for (const [title, members, code, pattern] of cases) {
    it(`refuses ${title}`, async () => {
      await assert.rejects(
        extractInto(title, { source: one(tar(members)), what: 'x.tar', member: 'usr/bin/kubelet' }),
        failsWith(code, pattern),
      );
    });
  }

  it('accepts the same archive without the trick', async () => {
    assert.deepEqual(
      await extractInto('good', {
        source: one(tar([{ name: 'usr/bin/', type: '5' }, good])),
        member: 'usr/bin/kubelet',
      }),
      ['out'],
    );
  });

  it('stops at too many members and at a bomb', async () => {
    const block = Buffer.concat(Array.from({ length: 1_000 }, () => tarHeader({ name: 'x' })));
    const many = zstdCompressSync(Buffer.concat(Array.from({ length: 210 }, () => block)));
    await assert.rejects(
      extractInto('members', { source: one(many), member: 'usr/bin/kubelet' }),
      failsWith('NK_ARTIFACT_UNREADABLE', /members/),
    );
    const bomb = join(folder, 'bomb.tar.zst');
    execFileSync('sh', ['-c', `{ cat; head -c 400M /dev/zero; } | zstd -q -o ${bomb}`], {
      input: tarHeader({ name: 'zeros', size: 400 * 1024 ** 2 }),
    });
    assert.ok(statSync(bomb).size < 100_000);
    await assert.rejects(
      extractInto('bomb-out', { source: bomb, member: 'usr/bin/kubelet', limits: { totalBytes: 64 * 1024 ** 2 } }),
      failsWith('NK_ARTIFACT_UNREADABLE', /unpacks to more/),
    );
  });

  it('refuses Debian packages with parts missing, twice or in another order', async () => {
    const part = (name: string, content: Buffer): Buffer =>
      Buffer.concat([
        Buffer.from(`${name.padEnd(16)}0           0     0     100644  ${String(content.length).padEnd(10)}\`\n`),
        content,
        Buffer.alloc(content.length % 2),
      ]);
    const version = part('debian-binary', Buffer.from('2.0\n'));
    const control = part(
      'control.tar',
      tar([{ name: './control', content: 'Package: kubelet\nVersion: 1.0\nArchitecture: all\n' }]),
    );
    const data = part('data.tar', tar([good]));
    const package_ = (...parts: Buffer[]): string => one(Buffer.concat([Buffer.from('!<arch>\n'), ...parts]));
    assert.deepEqual(
      await extractInto('deb-good', { source: package_(version, control, data), member: 'usr/bin/kubelet' }),
      ['out'],
    );
    const wrong: Record<string, Buffer[]> = {
      missing: [version, control],
      order: [version, data, control],
      twice: [version, control, data, data],
      doubled: [version, control, control, data],
      foreign: [version, part('evil', Buffer.from('x')), control, data],
      cut: [version, control, data, part('_more', Buffer.alloc(100)).subarray(0, 100)],
      unpadded: [version, control, data, part('_odd', Buffer.from('x')).subarray(0, 61)],
    };
    for (const [name, parts] of Object.entries(wrong)) {
      await assert.rejects(
        extractInto(`deb-${name}`, { source: package_(...parts), what: 'x.deb', member: 'usr/bin/kubelet' }),
        failsWith('NK_ARTIFACT_UNREADABLE'),
        name,
      );
    }
  });

  it('says which write failed and leaves nothing on a full disk', async () => {
    const mount = join(folder, 'full');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount]);
    try {
      const path = join(folder, 'big');
      writeFileSync(path, programBytes(300_000, 4));
      appendFileSync(path, 'x');
      await assert.rejects(
        extractMember(host, { source: path, to: join(mount, 'out') }),
        failsWith('NK_FILE_WRITE', /ENOSPC/),
      );
      assert.deepEqual(readdirSync(mount), []);
    } finally {
      execFileSync('umount', [mount]);
    }
  });
});
