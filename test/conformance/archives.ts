/** What the archives and signatures of every port must do. */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { ArchiveReading, ArchiveRequest, Archives, OpenFile, StagedFile } from '../../src/host/port.ts';
import { textOf } from '../../src/model/bytes.ts';
import { cpio, tar } from '../support/tar.ts';
import type { Expectation, Subject } from './host.ts';

const code = (expected: string, message = /./) => ({ code: expected, message });
const hex = (algorithm: string, bytes: Uint8Array): string => createHash(algorithm).update(bytes).digest('hex');

const limits = { memberBytes: 1_000_000, totalBytes: 2_000_000, members: 100, headerBytes: 10_000 };
const kubelet = Buffer.from('kubelet, many times\n'.repeat(10_000));
const members = tar([
  { name: './usr/', type: '5' },
  { name: './usr/bin/', type: '5' },
  { name: './usr/bin/kubelet', content: kubelet },
  { name: 'usr/share/readme', content: 'read me' },
  { name: 'usr/bin/link', type: '2', target: 'kubelet' },
  { name: 'usr/bin/kubelet', content: 'another' },
  { name: 'about.json', content: ' {"a": 1}' },
]);

type Asked = Omit<ArchiveRequest, 'file' | 'what' | 'limits'> & { readonly limits?: Partial<ArchiveRequest['limits']> };

interface Bench {
  readonly archives: Archives;
  readonly staged: StagedFile;
  /** Reads an archive of these bytes. */
  readonly read: (bytes: Uint8Array, asked: Asked) => Promise<ArchiveReading>;
  readonly open: (bytes: Uint8Array) => Promise<OpenFile>;
}

async function onBench({ host, folder }: Subject, work: (bench: Bench) => Promise<void>): Promise<void> {
  const opened: OpenFile[] = [];
  const open = async (bytes: Uint8Array): Promise<OpenFile> => {
    const path = `${folder}/archive`;
    await host.files.write([{ type: 'file', path, content: bytes, mode: 0o644, uid: 0, gid: 0 }]);
    const file = await host.files.open(path);
    assert.ok(file);
    opened.push(file);
    return file;
  };
  const staged = await host.files.stage(folder);
  const read = async (bytes: Uint8Array, asked: Asked): Promise<ArchiveReading> =>
    host.archives.read({ ...asked, file: await open(bytes), what: 'x.tar', limits: { ...limits, ...asked.limits } });
  try {
    await work({ archives: host.archives, staged, read, open });
  } finally {
    for (const file of opened) await file.close();
    await staged.discard();
  }
}

const plain = { compression: 'none', form: { type: 'tar' } } as const;

export const archives: readonly Expectation[] = [
  {
    name: 'a member goes into a staged file, with every digest from one pass',
    needs: 'archives',
    check: (subject) =>
      onBench(subject, async ({ read, staged }) => {
        for (const [compression, part] of [
          ['none', members],
          ['gzip', gzipSync(members)],
          ['zstd', zstdCompressSync(members)],
        ] as const) {
          await staged.restart();
          const bytes = Buffer.concat([Buffer.from('before'), part, Buffer.from('after it')]);
          const said = await read(bytes, {
            compression,
            form: { type: 'tar' },
            part: { position: 6, length: part.length },
            take: { names: ['usr/bin/kubelet', 'bin/kubelet'], into: staged, digest: 'md5' },
            tell: { names: ['usr/bin/kubelet', 'usr/bin', 'usr/bin/link'] },
            digests: { file: true, part: 'sha512' },
          });
          assert.equal(await staged.digest(), `sha256:${hex('sha256', kubelet)}`);
          assert.deepEqual(
            [said.fileDigest, said.partDigest, said.taken?.digest],
            [`sha256:${hex('sha256', bytes)}`, hex('sha512', part), hex('md5', kubelet)],
            compression,
          );
          assert.deepEqual(
            said.entries.map(({ name, type, size, target }) => [name, type, size, target]),
            [
              ['usr/bin', 'directory', 0, undefined],
              ['usr/bin/kubelet', 'file', kubelet.length, undefined],
              ['usr/bin/link', 'symlink', 0, 'kubelet'],
              ['usr/bin/kubelet', 'file', 7, undefined],
            ],
          );
          assert.deepEqual([said.members, said.memberBytes], [7, kubelet.length + 7 + 7 + 9]);
        }
        await staged.publish('kubelet', { mode: 0o755, uid: 0, gid: 0 });
        const { files } = subject.host;
        assert.equal((await files.stat(`${subject.folder}/kubelet`))?.mode, 0o755);
        assert.equal(await files.digest(`${subject.folder}/kubelet`), `sha256:${hex('sha256', kubelet)}`);
      }),
  },
  {
    name: 'contents are kept by name, or when they look like JSON; the first entries are told',
    needs: 'archives',
    check: (subject) =>
      onBench(subject, async ({ read }) => {
        const names = ['usr/share/readme', 'usr/bin/kubelet'];
        const named = await read(members, { ...plain, keep: { names, upTo: 100 } });
        assert.deepEqual(
          named.entries.map(({ name, content }) => [name, content && textOf(content)]),
          [
            ['usr/share/readme', 'read me'],
            ['usr/bin/kubelet', 'another'],
          ],
        );
        const json = await read(members, { ...plain, keep: { only: 'json', upTo: 100 } });
        assert.deepEqual(
          json.entries.map(({ content }) => content && textOf(content)),
          [' {"a": 1}'],
        );
        const first = await read(members, { ...plain, tell: { first: 2 } });
        assert.deepEqual([first.entries.length, first.members, first.fileDigest], [2, 7, '']);
      }),
  },
  {
    name: 'an RPM’s payload is read in both of its forms',
    needs: 'archives',
    check: (subject) =>
      onBench(subject, async ({ read, staged }) => {
        const files = [
          { name: 'usr/bin/a', type: 'file', size: 3, mode: 0o755 },
          { name: 'usr/bin/b', type: 'file', size: 5, mode: 0o700 },
        ] as const;
        const sizes = new Map(files.map(({ name, size }) => [name, size]));
        const asked = {
          compression: 'none',
          form: { type: 'cpio', files },
          take: { names: ['usr/bin/b'], into: staged },
          tell: 'all',
        } as const;
        const newc = [
          { name: './usr/bin/a', content: 'abc', links: 2 },
          { name: './usr/bin/b', content: 'defgh' },
        ];
        const stripped = [
          { name: '', index: 1, content: 'defgh' },
          { name: '', index: 0, content: 'abc' },
        ];
        for (const form of [newc, stripped]) {
          await staged.restart();
          const said = await read(cpio(form), asked);
          assert.equal(textOf(await staged.read(0, 100)), 'defgh');
          assert.deepEqual(new Map(said.entries.map(({ name, size }) => [name, size])), sizes);
        }
        assert.equal((await read(cpio(newc), asked)).entries[0]?.links, 2);
        await assert.rejects(
          read(cpio([{ name: '', index: 2 }]), asked),
          code('NK_ARTIFACT_UNREADABLE', /does not list/),
        );
      }),
  },
  {
    name: 'a plain file is its own member, and may be empty',
    needs: 'archives',
    check: (subject) =>
      onBench(subject, async ({ read, staged }) => {
        const asked = { compression: 'none', form: { type: 'plain' }, take: { names: [''], into: staged } } as const;
        assert.equal((await read(kubelet, asked)).taken?.size, kubelet.length);
        assert.equal(await staged.digest(), `sha256:${hex('sha256', kubelet)}`);
        await staged.restart();
        assert.equal((await read(new Uint8Array(), asked)).taken?.size, 0);
      }),
  },
  {
    name: 'what is damaged, truncated, hostile or too much is refused',
    needs: 'archives',
    check: (subject) =>
      onBench(subject, async ({ read, staged }) => {
        const take = { names: ['usr/bin/kubelet'], into: staged };
        const refused = async (bytes: Uint8Array, why: RegExp, asked: Partial<Asked> = {}): Promise<void> => {
          await staged.restart();
          await assert.rejects(read(bytes, { ...plain, take, ...asked }), code('NK_ARTIFACT_UNREADABLE', why));
        };
        const packed = gzipSync(members);
        await refused(packed.subarray(0, -9), /x\.tar cannot be decompressed/, { compression: 'gzip' });
        await refused(Buffer.concat([packed, packed.subarray(0, 9)]), /./, { compression: 'gzip' });
        await refused(members.subarray(0, 5_000), /too early/);
        await refused(members, /too early/, { part: { position: 0, length: members.length + 1 } });
        await refused(tar([{ name: '/etc/passwd', content: 'x' }]), /absolute/);
        await refused(tar([{ name: 'a/../../b', content: 'x' }]), /outside/);
        await refused(Buffer.concat([members, Buffer.from('more')]), /after the end/);
        await refused(members, /a member of .* allowed/, { limits: { memberBytes: 1_000 } });
        await refused(packed, /unpacks to more/, { compression: 'gzip', limits: { totalBytes: 10_000 } });
        await refused(members, /more than 3 members/, { limits: { members: 3 } });
        await refused(tar([{ name: 'x', type: 'L', size: 20_000 }]), /a tar header of 20000 bytes/);
        const json = { only: 'json', upTo: 5_000 } as const;
        const many = tar(Array.from({ length: 3 }, () => ({ name: 'a', content: `{${' '.repeat(4_000)}}` })));
        await refused(many, /says more about its members/, { keep: json });
      }),
  },
  {
    name: 'a compressed file comes out as it is unpacked, up to a limit',
    needs: 'archives',
    check: (subject) =>
      onBench(subject, async ({ archives: subjectArchives, open }) => {
        const file = await open(gzipSync(kubelet));
        const asked = { file, what: 'x.gz', compression: 'gzip' } as const;
        const all = async (totalBytes: number): Promise<string> => {
          const pieces: Uint8Array[] = [];
          for await (const piece of subjectArchives.unpack({ ...asked, totalBytes })) pieces.push(piece);
          return textOf(Buffer.concat(pieces));
        };
        assert.equal(await all(kubelet.length), kubelet.toString());
        await assert.rejects(all(kubelet.length - 1), code('NK_ARTIFACT_UNREADABLE'));
      }),
  },
  {
    name: 'a signal interrupts the reading of an archive',
    needs: 'archives',
    check: (subject) =>
      onBench(subject, async ({ read }) => {
        const { signal } = { signal: AbortSignal.abort() };
        await assert.rejects(read(members, { ...plain, signal }), code('NK_INTERRUPTED'));
      }),
  },
  {
    name: 'signatures by keys are told good from bad, and keys from other text',
    needs: 'archives',
    check: async ({ host: { signatures } }) => {
      const content = Buffer.from('signed');
      for (const pair of [
        generateKeyPairSync('ec', { namedCurve: 'P-256' }),
        generateKeyPairSync('rsa', { modulusLength: 2048 }),
        generateKeyPairSync('ed25519'),
      ]) {
        const { privateKey, publicKey } = pair;
        const digest = publicKey.asymmetricKeyType === 'ed25519' ? undefined : 'sha256';
        const signature = sign(digest, content, privateKey);
        const key = String(publicKey.export({ type: 'spki', format: 'pem' }));
        assert.equal(await signatures.byKey({ key, content, signature }), 'good');
        assert.equal(await signatures.byKey({ key, content: Buffer.from('other'), signature }), 'bad');
        assert.equal(await signatures.byKey({ key, content, signature: new Uint8Array() }), 'bad');
      }
      const none = { content, signature: content };
      assert.equal(await signatures.byKey({ key: 'no key', ...none }), 'no-key');
      const identity = { bundle: '{}', trustedRoot: '{}', identity: '^x$', issuer: 'x' };
      assert.match((await signatures.byIdentity(identity)) ?? '', /./);
    },
  },
];
