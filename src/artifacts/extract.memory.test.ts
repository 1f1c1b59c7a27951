/** What extraction promises, on a machine in memory and with archives of a few bytes. Real packages: `extract.test.ts`. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { sha256 } from '../host/digest.ts';
import { createMemoryMachine, type MemoryMachine } from '../host/memory/machine.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { rootFile } from '../model/files.ts';
import { tar, type TarMember } from '../../test/support/tar.ts';
import { extractMember, type Extracted, type ExtractOptions } from './extract.ts';

const kubelet: TarMember = { name: 'usr/bin/kubelet', content: 'the program' };
const source = '/in/tools.tar';

let machine: MemoryMachine;
beforeEach(() => {
  machine = createMemoryMachine();
});

type Options = Omit<Partial<ExtractOptions>, 'source'>;

async function extract(content: Uint8Array, options: Options): Promise<Extracted> {
  await machine.files.write([rootFile(source, content, 0o644)]);
  return extractMember(machine.open(), { source, to: '/out/program', ...options });
}

const taken = (members: readonly TarMember[], options: Options = {}): Promise<Extracted> =>
  extract(tar(members), { member: 'usr/bin/kubelet', ...options });

const inFolder = (path: string): Promise<string[]> => machine.files.list(path);
const at = async (path: string): Promise<string | undefined> => textOf(await machine.files.read(path));

/** What is refused leaves nothing. */
async function refused(work: Promise<unknown>, code: string, message: RegExp): Promise<NodekilnError> {
  const thrown: unknown = await work.then(
    () => assert.fail('it is not refused'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof NodekilnError, String(thrown));
  assert.equal(thrown.code, code, thrown.message);
  assert.match(thrown.message, message);
  assert.deepEqual(await inFolder('/out'), []);
  return thrown;
}

describe('a member', () => {
  it('is published whole and executable, with what is known of it and of its package', async () => {
    const archive = tar([kubelet]);
    const extracted = await extract(archive, { member: 'usr/bin/kubelet' });
    assert.deepEqual(extracted, {
      path: '/out/program',
      format: 'tarball',
      member: 'usr/bin/kubelet',
      digest: sha256(bytesOf('the program')),
      size: 11,
      mode: 0o755,
      packageDigest: sha256(archive),
      packageSize: archive.length,
      package: { format: 'tarball', compression: 'none' },
    });
    assert.equal(await at('/out/program'), 'the program');
    assert.equal((await machine.files.stat('/out/program'))?.mode, 0o755);
    assert.deepEqual(await inFolder('/out'), ['program']);
  });

  it('has the mode and the owner that are asked for', async () => {
    await taken([kubelet], { mode: 0o640, owner: { uid: 7, gid: 8 } });
    const stat = await machine.files.stat('/out/program');
    assert.deepEqual([stat?.mode, stat?.uid, stat?.gid], [0o640, 7, 8]);
  });

  it('goes to the files that are named', async () => {
    const other = createMemoryMachine();
    await taken([kubelet], { files: other.open().files });
    assert.equal(textOf(await other.files.read('/out/program')), 'the program');
    assert.equal(await at('/out/program'), undefined);
  });

  it('gets a name made from what was found, which has no path yet', async () => {
    const seen: string[] = [];
    const extracted = await taken([kubelet], {
      to: {
        directory: '/out',
        name: ({ member, path }) => {
          seen.push(path);
          return `${member.replaceAll('/', '-')}-1`;
        },
      },
    });
    assert.deepEqual([extracted.path, seen], ['/out/usr-bin-kubelet-1', ['']]);
    assert.equal(await at('/out/usr-bin-kubelet-1'), 'the program');
  });

  for (const spelled of ['usr/bin/kubelet', './usr/bin/kubelet', '/usr/bin/kubelet', './/usr/bin/kubelet'])
    it(`is found as ${spelled}`, async () => {
      assert.equal((await taken([kubelet], { member: spelled })).member, 'usr/bin/kubelet');
      assert.equal((await taken([kubelet], { member: [spelled, 'bin/kubelet'] })).member, 'usr/bin/kubelet');
    });

  it('whose name begins with a dot is another', async () => {
    await refused(
      taken([kubelet], { member: '.usr/bin/kubelet' }),
      'NK_ARTIFACT_MEMBER',
      /contain \.usr\/bin\/kubelet/,
    );
  });

  it('may have folders and other files beside it', async () => {
    const around = [
      { name: 'usr/', type: '5' },
      { name: 'usr/bin/', type: '5' },
      { name: 'usr/bin/kube', content: 'another' },
      { name: 'usr/binary', type: '2', target: 'bin' },
    ];
    assert.equal((await taken([...around, kubelet])).digest, sha256(bytesOf('the program')));
  });
});

describe('a plain file', () => {
  it('is its own member, without a name', async () => {
    const extracted = await extract(bytesOf('the program'), {});
    assert.deepEqual([extracted.format, extracted.member], ['file', '']);
    assert.deepEqual([extracted.digest, extracted.packageDigest], Array(2).fill(sha256(bytesOf('the program'))));
    assert.equal(await at('/out/program'), 'the program');
  });

  it('is taken by who names several members that may be there', async () => {
    const member = ['usr/bin/kubelet', 'kubelet'];
    assert.equal((await extract(bytesOf('the program'), { member })).member, '');
  });

  const noPackages: Readonly<Record<string, Uint8Array>> = {
    'a page of a portal': bytesOf('<!DOCTYPE html><html><body>Please log in</body></html>'),
    'an answer in words': bytesOf('not found\n'),
    zeros: new Uint8Array(4096),
    'a zip archive': Uint8Array.from([0x50, 0x4b, 3, 4, ...new Uint8Array(60)]),
    'an archive of ar that is no .deb': bytesOf(
      '!<arch>\nsomething.o/    0           0     0     644     4         `\nabcd',
    ),
    'a program': Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, ...new Uint8Array(60)]),
  };
  for (const [what, content] of Object.entries(noPackages))
    it(`is refused where a member of it is asked for: ${what}`, async () => {
      await assert.rejects(
        extract(content, { member: 'usr/bin/kubelet' }),
        (thrown) =>
          thrown instanceof NodekilnError && ['NK_ARTIFACT_MEMBER', 'NK_ARTIFACT_UNREADABLE'].includes(thrown.code),
      );
      assert.equal(await at('/out/program'), undefined);
    });

  it('is what an archive is when the form is told', async () => {
    const archive = tar([kubelet]);
    assert.equal((await extract(archive, { format: 'file' })).digest, sha256(archive));
  });
});

describe('a member is refused', () => {
  const cases: readonly [string, readonly TarMember[], Options, RegExp][] = [
    ['when none is named', [kubelet], { member: [] }, /is a tarball, and no member was named/],
    ['when it is not there', [{ ...kubelet, name: 'usr/bin/kubectl' }], {}, /does not contain usr\/bin\/kubelet$/],
    ['when none of several is', [kubelet], { member: ['a/x', 'b/x'] }, /does not contain a\/x or b\/x$/],
    ['when it is there twice', [kubelet, kubelet], {}, /contains usr\/bin\/kubelet twice/],
    [
      'when two of several are there',
      [kubelet, { name: 'bin/kubelet', content: 'x' }],
      { member: ['usr/bin/kubelet', 'bin/kubelet'] },
      /contains both usr\/bin\/kubelet and bin\/kubelet/,
    ],
    ['when it is a link', [{ ...kubelet, type: '2', content: '', target: 'x' }], {}, /no regular file but a symlink/],
    ['when it is a folder', [{ name: 'usr/bin/kubelet/', type: '5' }], {}, /no regular file but a directory/],
    ['when it is empty', [{ name: 'usr/bin/kubelet' }], {}, /usr\/bin\/kubelet is empty/],
    [
      'when a link leads to it',
      [{ name: 'usr', type: '2', target: '/tmp' }, kubelet],
      {},
      /usr, which should be the folder of usr\/bin\/kubelet, is a symlink/,
    ],
    [
      'when a file stands where its folder should be',
      [{ name: 'usr/bin', content: 'x' }, kubelet],
      {},
      /usr\/bin, which should be the folder of usr\/bin\/kubelet, is a file/,
    ],
  ];
  for (const [when, members, options, message] of cases)
    it(when, async () => {
      const thrown = await refused(taken(members, options), 'NK_ARTIFACT_MEMBER', message);
      assert.equal(thrown.resource, source);
    });

  it('when nothing is said of members at all', async () => {
    await refused(extract(tar([kubelet]), {}), 'NK_ARTIFACT_MEMBER', /no member was named/);
  });
});

describe('an artifact is refused', () => {
  const wrong = sha256(bytesOf('another'));

  it('when it is not of the form that was told', async () => {
    await refused(taken([kubelet], { format: 'rpm' }), 'NK_ARTIFACT_UNREADABLE', /is no rpm/);
  });

  it('when its member is larger than is allowed, and only then', async () => {
    await refused(taken([kubelet], { limits: { memberBytes: 10 } }), 'NK_ARTIFACT_UNREADABLE', /allowed/);
    await taken([kubelet], { limits: { memberBytes: 11 } });
  });

  it('when it has another digest', async () => {
    const packageDigest = wrong;
    const thrown = await refused(taken([kubelet], { packageDigest }), 'NK_ARTIFACT_DIGEST', /^\/in\/tools\.tar has /);
    assert.match(thrown.message, new RegExp(`${sha256(tar([kubelet]))}, not ${wrong}$`));
    assert.equal(thrown.resource, source);
    await taken([kubelet], { packageDigest: sha256(tar([kubelet])) });
  });

  it('when its member has another digest', async () => {
    const digest = wrong;
    await refused(taken([kubelet], { digest }), 'NK_ARTIFACT_DIGEST', /^usr\/bin\/kubelet of \/in\/tools\.tar has /);
    await refused(extract(bytesOf('x'), { digest }), 'NK_ARTIFACT_DIGEST', /^\/in\/tools\.tar has /);
    await taken([kubelet], { digest: sha256(bytesOf('the program')) });
  });

  it('under the name that messages have for it', async () => {
    const what = 'kubelet 1.34';
    await refused(taken([kubelet], { what, member: 'x' }), 'NK_ARTIFACT_MEMBER', /^kubelet 1\.34: does not contain/);
  });

  it('when the caller says so, who sees what would be published and where', async () => {
    const seen: unknown[] = [];
    const check: ExtractOptions['check'] = async ({ path, member }, staged) => {
      seen.push({ path, member, content: textOf(await staged.read(0, 100)), there: await at(path) });
      throw new NodekilnError('NK_ARTIFACT_VERSION', 'another version');
    };
    await refused(taken([kubelet], { check }), 'NK_ARTIFACT_VERSION', /another version/);
    assert.deepEqual(seen, [
      { path: '/out/program', member: 'usr/bin/kubelet', content: 'the program', there: undefined },
    ]);
  });

  it('when the work is interrupted', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(taken([kubelet], { signal }));
    assert.deepEqual(await inFolder('/out'), []);
  });
});

it('the digest of the package is not computed when nobody wants it', async () => {
  assert.equal((await taken([kubelet], { packageDigest: false })).packageDigest, '');
});
