/** Packages from real apt and dnf repositories, and every way in which their signatures must not count. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  aptRepository,
  dnfRepository,
  flatRepository,
  makeKey,
  signRelease,
  signRpm,
  type SigningKey,
} from '../../../../test/servers/packages.ts';
import { createLinuxClock } from '../../../host/linux/clock.ts';
import { createLinuxHost } from '../../../host/linux/host.ts';
import { buildDeb, buildRpm, programBytes, removeFolder, temporaryFolder } from '../../../../test/support/artifacts.ts';
import { openWeb, type Web } from '../../../../test/support/web.ts';
import { createHttpClient } from '../http-client.ts';
import { fetchArtifact } from '../table.ts';
import type { Fetched, SourceSpec } from '../source.ts';
import { fileBelow } from './get.ts';

const program = programBytes(20_000, 1);
const versions = ['1.34.1-1.1', '1.34.8-2.1', '1.34.8-10.1', '1.34.80-1.1', '11.34.8-1.1', '1.35.0~rc1-1.1'];

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('package repositories', () => {
  const folder = temporaryFolder();
  const www = join(folder, 'www');
  const host = createLinuxHost();
  const client = createHttpClient(host);
  let key: SigningKey;
  let other: SigningKey;
  let web: Web | undefined;
  let url = '';
  let count = 0;

  before(async () => {
    mkdirSync(www);
    key = await makeKey(join(folder, 'key'), 'publisher');
    other = await makeKey(join(folder, 'other'), 'somebody');
    web = await openWeb((request, response) => {
      const path = join(www, decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname));
      try {
        response.end(readFileSync(path));
      } catch {
        response.writeHead(404).end('<html>not here</html>');
      }
    });
    ({ url } = web);
  });
  after(async () => {
    await host.close();
    web?.close();
    removeFolder(folder);
  });

  async function fetch(spec: SourceSpec, nowMs = Date.now()): Promise<Fetched & { into: string }> {
    const into = join(folder, `into-${count++}`);
    mkdirSync(into);
    const clock = { ...createLinuxClock(), now: () => nowMs };
    try {
      const fetched = await fetchArtifact(spec, {
        ...host,
        base: folder,
        folder: into,
        client,
        clock,
        budgetMs: 4_000,
      });
      assert.deepEqual(readdirSync(into), [fetched.path.slice(into.length + 1)], 'only the package is left');
      return { ...fetched, into };
    } catch (thrown) {
      assert.deepEqual(readdirSync(into), [], 'nothing is left');
      throw thrown;
    }
  }

  async function refused(spec: SourceSpec, code: string, why: RegExp, nowMs?: number): Promise<void> {
    await assert.rejects(fetch(spec, nowMs), (error: Error & { code?: string; lines?: readonly string[] }) => {
      const text = [error.message, ...(error.lines ?? [])].join('\n');
      assert.equal(error.code, code, text);
      assert.match(text, why);
      return true;
    });
  }

  /** A copy of a repository to spoil. */
  function copyOf(name: string): string {
    const copy = `${name}-${count++}`;
    cpSync(join(www, name), join(www, copy), { recursive: true });
    return copy;
  }

  describe('of apt', () => {
    before(async () => {
      const debs = versions.map((version) =>
        buildDeb(folder, { name: 'kubelet', version, files: { 'usr/bin/kubelet': program } }),
      );
      debs.push(
        buildDeb(folder, {
          name: 'kubelet',
          version: '1.34.8-99.1',
          architecture: 'arm64',
          files: { 'usr/bin/kubelet': program },
        }),
        buildDeb(folder, { name: 'kubelet-convert', version: '1.34.8-50.1', files: { 'usr/bin/kubelet': program } }),
        buildDeb(folder, {
          name: 'cni',
          version: '1.2.3-1',
          architecture: 'all',
          files: { 'opt/cni/bridge': program },
        }),
      );
      // reprepro keeps one version of a package.
      const single = debs.filter((path) => !/kubelet_/.test(path) || /1\.34\.8-(10|99)\.1/.test(path));
      await aptRepository(join(www, 'apt'), { debs: single, key, options: ['DebIndices: Packages Release . .gz .xz'] });
      await flatRepository(join(www, 'flat'), debs, key);
    });

    const apt = (more: Partial<Extract<SourceSpec, { type: 'apt' }>> = {}): SourceSpec => ({
      type: 'apt',
      url: `${url}/apt`,
      suite: 'stable',
      components: ['main'],
      package: 'kubelet',
      version: '1.34.8',
      architecture: 'amd64',
      signedBy: key.armoured,
      ...more,
    });

    for (const [wanted, architecture, expected] of [
      ['1.34.8', 'amd64', '1.34.8-10.1'],
      ['1.34.8-2.1', 'amd64', '1.34.8-2.1'],
      ['1.34.1', 'x86_64', '1.34.1-1.1'],
      ['1.34.8', 'arm64', '1.34.8-99.1'],
      ['1.35.0-rc.1', 'amd64', '1.35.0~rc1-1.1'],
    ] as const) {
      it(`gives ${expected} for ${wanted} on ${architecture}`, async () => {
        const fetched = await fetch(apt({ url: `${url}/flat`, suite: '/', version: wanted, architecture }));
        assert.equal(fetched.version, expected);
        assert.equal(
          execFileSync('dpkg-deb', ['--field', fetched.path, 'Version'], { encoding: 'utf8' }).trim(),
          expected,
        );
      });
    }

    it('gives what apt itself would download', async () => {
      const state = join(folder, 'apt-state');
      for (const path of ['lists/partial', 'archives/partial', 'etc'])
        mkdirSync(join(state, path), { recursive: true });
      writeFileSync(join(state, 'status'), '');
      writeFileSync(join(state, 'sources.list'), `deb [signed-by=${key.keyring}] ${url}/apt stable main\n`);
      const settings = Object.entries({
        'Dir::State': state,
        'Dir::State::status': join(state, 'status'),
        'Dir::Cache': state,
        'Dir::Etc': join(state, 'etc'),
        'Dir::Etc::sourcelist': join(state, 'sources.list'),
        'APT::Architecture': 'amd64',
        'APT::Sandbox::User': 'root',
      }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
      // Not in this process: it serves the repository.
      const { run } = await import('../../../../test/lab/run.ts');
      await run(['apt-get', ...settings, 'update']);
      await run(['apt-get', ...settings, 'download', 'kubelet=1.34.8-10.1'], { cwd: state });
      const theirs = readdirSync(state).find((name) => name.endsWith('.deb')) ?? '';
      const ours = await fetch(apt({ signedBy: key.keyring }));
      assert.deepEqual(readFileSync(ours.path), readFileSync(join(state, theirs)));
    });

    it('takes packages for all architectures, and keys in any form', async () => {
      const path = join(folder, 'key.asc');
      writeFileSync(path, `${other.armoured}${key.armoured}`);
      for (const signedBy of [key.armoured, key.keyring, path])
        assert.equal((await fetch(apt({ package: 'cni', version: '1.2.3', signedBy }))).version, '1.2.3-1');
    });

    it('reads suites with components', async () => {
      assert.equal((await fetch(apt())).version, '1.34.8-10.1');
      assert.equal((await fetch(apt({ architecture: 'arm64' }))).version, '1.34.8-99.1');
    });

    it('says what there is instead', async () => {
      await refused(
        apt({ url: `${url}/flat`, suite: '/', version: '1.34.3' }),
        'NK_ARTIFACT_MISSING',
        /it has 1\.34\.80-1\.1 for amd64/,
      );
      await refused(apt({ package: 'crictl' }), 'NK_ARTIFACT_MISSING', /it has no package crictl/);
      await refused(apt({ url: `${url}/nothing` }), 'NK_ARTIFACT_MISSING', /is no apt repository/);
      await refused(apt({ components: ['contrib'] }), 'NK_ARTIFACT_UNREADABLE', /has no index contrib/);
      await refused(apt({ digest: `sha256:${'0'.repeat(64)}` }), 'NK_ARTIFACT_DIGEST', /has the digest/);
    });

    it('refuses signatures by other keys, of expired keys, and none', async () => {
      await refused(apt({ signedBy: other.armoured }), 'NK_SIGNATURE', /not among those given/);
      await refused(apt({ signedBy: join(folder, 'no-key') }), 'NK_SIGNATURE', /cannot be read: there is no such file/);

      const brief = await makeKey(join(folder, 'brief'), 'brief', 'seconds=2');
      const expired = copyOf('flat');
      await signRelease(join(www, expired), readFileSync(join(www, expired, 'Release'), 'utf8'), brief);
      await sleep(3_000);
      await refused(
        apt({ url: `${url}/${expired}`, suite: '/', signedBy: brief.armoured }),
        'NK_SIGNATURE',
        /has expired/,
      );

      const unsigned = copyOf('apt');
      rmSync(join(www, unsigned, 'dists/stable/InRelease'));
      assert.equal((await fetch(apt({ url: `${url}/${unsigned}` }))).version, '1.34.8-10.1', 'Release.gpg serves, too');
      rmSync(join(www, unsigned, 'dists/stable/Release.gpg'));
      await refused(apt({ url: `${url}/${unsigned}` }), 'NK_SIGNATURE', /is not signed/);
    });

    it('refuses what was changed after it was signed', async () => {
      const changes: Record<string, readonly [string, (text: string) => string, string, RegExp]> = {
        InRelease: [
          'dists/stable/InRelease',
          (text) => text.replace('Suite: stable', 'Suite: stablf'),
          'NK_SIGNATURE',
          /changed after it was signed/,
        ],
        Packages: [
          'dists/stable/main/binary-amd64/Packages.xz',
          (text) => `${text}x`,
          'NK_ARTIFACT_DIGEST',
          /bytes, not/,
        ],
      };
      for (const [path, change, code, why] of Object.values(changes)) {
        const spoiled = copyOf('apt');
        const file = join(www, spoiled, path);
        writeFileSync(file, change(readFileSync(file, 'latin1')), 'latin1');
        await refused(apt({ url: `${url}/${spoiled}` }), code, why);
      }
      const spoiled = copyOf('apt');
      const pool = join(www, spoiled, 'pool/main/k/kubelet');
      for (const name of readdirSync(pool)) {
        const bytes = readFileSync(join(pool, name));
        bytes[200] = (bytes[200] ?? 0) ^ 1;
        writeFileSync(join(pool, name), bytes);
      }
      await refused(apt({ url: `${url}/${spoiled}` }), 'NK_ARTIFACT_DIGEST', /has the digest/);
    });

    it('takes nothing from outside of the signature', async () => {
      const spoiled = copyOf('flat');
      const file = join(www, spoiled, 'InRelease');
      writeFileSync(
        file,
        `Suite: other\nSHA256:\n ${'0'.repeat(64)} 1 Packages\n\n${readFileSync(file, 'utf8')}\nDate: never\n`,
      );
      // gpgv refuses or ignores what stands around; either way nothing of it counts.
      const outcome = await fetch(apt({ url: `${url}/${spoiled}`, suite: '/' })).catch(
        (error: { code?: string }) => error.code,
      );
      assert.ok(
        outcome === 'NK_SIGNATURE' || (typeof outcome === 'object' && outcome.version === '1.34.8-10.1'),
        JSON.stringify(outcome),
      );
    });

    it('refuses a Release that is no longer, or not yet, valid, and one of another suite', async () => {
      const base = readFileSync(join(www, 'flat/Release'), 'utf8');
      const dated = copyOf('flat');
      const day = 86_400_000;
      const at = (ms: number): string => new Date(ms).toUTCString();
      const text = base.replace(
        /^Date: .*$/m,
        `Date: ${at(Date.now() - 9 * day)}\nValid-Until: ${at(Date.now() - day)}`,
      );
      await signRelease(join(www, dated), text, key);
      await refused(apt({ url: `${url}/${dated}`, suite: '/' }), 'NK_SIGNATURE', /was valid until/);
      await fetch(apt({ url: `${url}/${dated}`, suite: '/' }), Date.now() - 3 * day);
      await refused(apt({ url: `${url}/flat`, suite: '/' }), 'NK_SIGNATURE', /in the future/, Date.now() - 30 * day);

      for (const field of ['Date', 'Valid-Until']) {
        const broken = copyOf('flat');
        await signRelease(
          join(www, broken),
          `${base.replace(new RegExp(`^${field}: .*\n`, 'm'), '')}${field}: some day\n`,
          key,
        );
        await refused(apt({ url: `${url}/${broken}`, suite: '/' }), 'NK_ARTIFACT_UNREADABLE', /is no time: some day/);
      }

      const wrong = copyOf('apt');
      cpSync(join(www, wrong, 'dists/stable'), join(www, wrong, 'dists/testing'), { recursive: true });
      await refused(apt({ url: `${url}/${wrong}`, suite: 'testing' }), 'NK_ARTIFACT_UNREADABLE', /another suite/);
    });

    it('fetches indexes by their digest where the repository offers that', async () => {
      const hashed = copyOf('flat');
      const text = readFileSync(join(www, hashed, 'Release'), 'utf8').replace(/^Date:/m, 'Acquire-By-Hash: yes\nDate:');
      await signRelease(join(www, hashed), text, key);
      const hex = / ([0-9a-f]{64}) +\d+ Packages$/m.exec(text)?.[1] ?? '';
      mkdirSync(join(www, hashed, 'by-hash/SHA256'), { recursive: true });
      copyFileSync(join(www, hashed, 'Packages'), join(www, hashed, 'by-hash/SHA256', hex));
      rmSync(join(www, hashed, 'Packages'));
      assert.equal((await fetch(apt({ url: `${url}/${hashed}`, suite: '/' }))).version, '1.34.8-10.1');
    });
  });

  describe('of dnf', () => {
    let signed = '';

    before(async () => {
      const packages = join(www, 'dnf/Packages');
      mkdirSync(packages, { recursive: true });
      for (const [version, release, epoch] of [
        ['1.34.8', '2.azl3', 1],
        ['1.34.8', '10.azl3', 1],
        ['1.34.80', '1.azl3', 1],
        ['11.34.8', '1.azl3', undefined],
        ['1.34.1', '1', undefined],
      ] as const) {
        buildRpm(packages, {
          name: 'kubelet',
          version,
          release,
          ...(epoch && { epoch }),
          files: { 'usr/bin/kubelet': program },
        });
      }
      buildRpm(packages, {
        name: 'kubelet',
        version: '1.34.8',
        release: '99',
        epoch: 1,
        architecture: 'arm64',
        files: { 'usr/bin/kubelet': program },
      });
      buildRpm(packages, { name: 'kubectl', version: '1.34.8', release: '50', files: { 'usr/bin/kubectl': program } });
      for (const name of readdirSync(packages)) await signRpm(join(packages, name), key);
      signed = join(packages, readdirSync(packages).find((name) => name.startsWith('kubelet-1.34.1')) ?? '');
      await dnfRepository(join(www, 'dnf'));
    });

    const dnf = (more: Partial<Extract<SourceSpec, { type: 'dnf' }>> = {}): SourceSpec => ({
      type: 'dnf',
      url: `${url}/dnf`,
      package: 'kubelet',
      version: '1.34.8',
      architecture: 'amd64',
      keys: [key.armoured],
      ...more,
    });

    for (const [wanted, architecture, expected] of [
      ['1.34.8', 'amd64', '1:1.34.8-10.azl3'],
      ['1.34.8-2.azl3', 'amd64', '1:1.34.8-2.azl3'],
      ['1.34.8', 'arm64', '1:1.34.8-99'],
      ['1.34.1', 'x86_64', '1.34.1-1'],
    ] as const) {
      it(`gives ${expected} for ${wanted} on ${architecture}`, async () => {
        const fetched = await fetch(dnf({ version: wanted, architecture }));
        assert.equal(fetched.version, expected);
        const told = execFileSync(
          'rpm',
          ['-qp', '--nosignature', '--qf', '%{EPOCHNUM}:%{VERSION}-%{RELEASE}', fetched.path],
          { encoding: 'utf8' },
        );
        assert.equal(told.replace(/^0:/, ''), expected);
      });
    }

    it('reads every compression of the metadata, and checks its signature when asked to', async () => {
      for (const compression of ['gz', 'xz', 'zstd', 'bz2']) {
        const copy = copyOf('dnf');
        rmSync(join(www, copy, 'repodata'), { recursive: true });
        const supported = execFileSync('createrepo_c', ['--help'], { encoding: 'utf8' }).includes(
          compression === 'zstd' ? 'zstd' : 'xz',
        );
        if (!supported) continue;
        await dnfRepository(join(www, copy), { key, args: [`--general-compress-type=${compression}`] });
        assert.equal((await fetch(dnf({ url: `${url}/${copy}`, repositorySigned: true }))).version, '1:1.34.8-10.azl3');
        await refused(
          dnf({ url: `${url}/${copy}`, repositorySigned: true, keys: [other.keyring] }),
          'NK_SIGNATURE',
          /not among those given/,
        );
      }
      await refused(dnf({ repositorySigned: true }), 'NK_SIGNATURE', /metadata of .* is not signed/);
    });

    it('refuses packages by other keys and unsigned ones, unless the signed metadata vouches for them', async () => {
      await refused(dnf({ keys: [other.armoured] }), 'NK_SIGNATURE', /not among those given/);
      const unsigned = `unsigned-${count++}`;
      mkdirSync(join(www, unsigned));
      buildRpm(join(www, unsigned), {
        name: 'kubelet',
        version: '1.34.8',
        release: '1',
        files: { 'usr/bin/kubelet': program },
      });
      await dnfRepository(join(www, unsigned), { key });
      await refused(dnf({ url: `${url}/${unsigned}` }), 'NK_SIGNATURE', /is not signed/);
      assert.equal((await fetch(dnf({ url: `${url}/${unsigned}`, repositorySigned: true }))).version, '1.34.8-1');
    });

    it('refuses packages that were changed, also when the metadata was made to fit, as rpm does', async () => {
      const name = signed.slice(signed.lastIndexOf('/') + 1);
      const original = readFileSync(signed);
      const at = original.indexOf('made by a test');
      const spoiled = copyOf('dnf');
      const path = join(www, spoiled, 'Packages', name);
      writeFileSync(path, Buffer.concat([original.subarray(0, at), Buffer.from('MADE'), original.subarray(at + 4)]));
      await refused(dnf({ url: `${url}/${spoiled}`, version: '1.34.1' }), 'NK_ARTIFACT_DIGEST', /has the digest/);
      await dnfRepository(join(www, spoiled));
      await refused(
        dnf({ url: `${url}/${spoiled}`, version: '1.34.1' }),
        'NK_SIGNATURE',
        /changed after it was signed/,
      );
      assert.throws(() => execFileSync('rpmkeys', ['--checksig', path], { stdio: 'pipe' }));
    });

    it('refuses a payload that the signed header does not vouch for, as rpm does', async () => {
      const spoiled = copyOf('dnf');
      const path = join(www, spoiled, 'Packages', signed.slice(signed.lastIndexOf('/') + 1));
      const bytes = readFileSync(path);
      bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 0xff;
      writeFileSync(path, bytes);
      await dnfRepository(join(www, spoiled));
      await refused(dnf({ url: `${url}/${spoiled}`, version: '1.34.1' }), 'NK_SIGNATURE', /payload was changed/);
      // Its signature is of no interest here: the digests alone must already be wrong.
      assert.throws(() => execFileSync('rpmkeys', ['--checksig', '--nosignature', path], { stdio: 'pipe' }));
      execFileSync('rpmkeys', ['--checksig', '--nosignature', signed], { stdio: 'pipe' });
    });

    it('refuses signed packages under the name or version of others', async () => {
      for (const [other, says] of [
        ['kubelet-1.34.8-2.azl3.x86_64.rpm', 'kubelet 1:1.34.8-2.azl3 for x86_64'],
        ['kubectl-1.34.8-50.x86_64.rpm', 'kubectl 1.34.8-50 for x86_64'],
        ['kubelet-1.34.8-99.aarch64.rpm', 'kubelet 1:1.34.8-99 for aarch64'],
      ] as const) {
        const copy = copyOf('dnf');
        const packages = join(www, copy, 'Packages');
        const offered = join(packages, 'kubelet-1.34.8-10.azl3.x86_64.rpm');
        const [was, is] = [readFileSync(offered), readFileSync(join(packages, other))];
        rmSync(join(www, copy, 'repodata'), { recursive: true });
        await dnfRepository(join(www, copy), { args: ['--general-compress-type=gz'] });
        const repodata = join(www, copy, 'repodata');
        const name = readdirSync(repodata).find((file) => file.endsWith('primary.xml.gz')) ?? '';
        const primary = gzipSync(
          gunzipSync(readFileSync(join(repodata, name)))
            .toString('utf8')
            .replace(sha256(was), sha256(is))
            .replaceAll(`package="${was.length}"`, `package="${is.length}"`),
        );
        writeFileSync(offered, is);
        writeFileSync(join(repodata, name), primary);
        writeFileSync(
          join(repodata, 'repomd.xml'),
          `<repomd><data type="primary"><checksum type="sha256">${sha256(primary)}</checksum><location href="repodata/${name}"/></data></repomd>`,
        );
        await refused(
          dnf({ url: `${url}/${copy}`, version: '1.34.8-10.azl3' }),
          'NK_SIGNATURE',
          new RegExp(`signed header says ${says.replaceAll('.', '\\.')}`),
        );
      }
    });

    it('says what there is instead', async () => {
      await refused(dnf({ version: '1.34.3' }), 'NK_ARTIFACT_MISSING', /it has 1:1\.34\.80-1\.azl3 for x86_64/);
      await refused(dnf({ package: 'crictl' }), 'NK_ARTIFACT_MISSING', /it has no package crictl/);
      await refused(dnf({ url: `${url}/nothing` }), 'NK_ARTIFACT_MISSING', /is no dnf repository/);
    });

    it('refuses metadata that is none', async () => {
      const html = `html-${count++}`;
      mkdirSync(join(www, html, 'repodata'), { recursive: true });
      writeFileSync(join(www, html, 'repodata/repomd.xml'), '<!DOCTYPE html><html>log in first</html>');
      await refused(dnf({ url: `${url}/${html}` }), 'NK_ARTIFACT_UNREADABLE', /names no primary index/);
    });
  });

  it('follows no name out of a repository', () => {
    for (const path of ['../x', 'a/../../x', '/x', 'http://evil/x', 'a//b', '', 'a\\b', 'x?y', 'x#y'])
      assert.throws(() => fileBelow('https://repo.example/apt', path), { code: 'NK_ARTIFACT_UNREADABLE' }, path);
    assert.equal(
      fileBelow('https://repo.example/apt/', './pool/a_1%2b~rc1.deb'),
      'https://repo.example/apt/pool/a_1%252b~rc1.deb',
    );
  });
});
