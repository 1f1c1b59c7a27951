/** Packages from repositories that are being published while they are read, and from some that never settle. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  aptRepository,
  dnfRepository,
  makeKey,
  signRelease,
  type SigningKey,
} from '../../../../test/servers/packages.ts';
import { buildDeb, buildRpm, programBytes, removeFolder, temporaryFolder } from '../../../../test/support/artifacts.ts';
import { openWeb, type Web } from '../../../../test/support/web.ts';
import { createLinuxClock } from '../../../host/linux/clock.ts';
import { createLinuxHost } from '../../../host/linux/host.ts';
import { createHttpClient } from '../http-client.ts';
import { fetchArtifact } from '../table.ts';
import type { Fetched, SourceSpec } from '../source.ts';

const folder = temporaryFolder();
const [older, newer] = [join(folder, 'older'), join(folder, 'newer')];
const host = createLinuxHost();
const client = createHttpClient(host);
let key: SigningKey;
let web: Web | undefined;
let url = '';

/** What of the repository is of which moment, as the server has it now: a path is of the older while it matches. */
let isOlder: (path: string) => boolean = () => false;
let asked: string[] = [];
/** Pauses, in milliseconds; each lets the repository settle by one step. */
let pauses: number[] = [];
let onPause: () => void = () => undefined;

before(async () => {
  key = await makeKey(join(folder, 'key'), 'publisher');
  for (const [at, version] of [
    [older, '1.34.3'],
    [newer, '1.34.4'],
  ] as const) {
    const files = { 'usr/bin/kubelet': programBytes(20_000, version.length) };
    const deb = (architecture: string) =>
      buildDeb(folder, { name: 'kubelet', version, release: '1', architecture, files });
    for (const name of ['apt', 'hashed', 'beside'])
      await aptRepository(join(at, name), {
        debs: [deb('amd64'), deb('arm64')],
        key,
        options: ['DebIndices: Packages Release .gz'],
      });
    rmSync(join(at, 'beside/dists/stable/InRelease'));
    const suite = join(at, 'hashed/dists/stable');
    await signRelease(
      suite,
      readFileSync(join(suite, 'Release'), 'utf8').replace(/^Date:/m, 'Acquire-By-Hash: yes\nDate:'),
      key,
    );
    const release = readFileSync(join(suite, 'Release'), 'utf8');
    for (const [, hex = '', path = ''] of release.matchAll(/^ ([0-9a-f]{64}) +\d+ (\S+Packages\.gz)$/gm)) {
      const hashes = join(suite, path, '../by-hash/SHA256');
      cpSync(join(suite, path), join(hashes, hex), { recursive: true });
    }
    mkdirSync(join(at, 'dnf'), { recursive: true });
    buildRpm(join(at, 'dnf'), { name: 'kubelet', version, release: '1', files });
    await dnfRepository(join(at, 'dnf'), { key, args: ['--simple-md-filenames'] });
  }
  web = await openWeb((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname);
    asked.push(path);
    try {
      response.end(readFileSync(join(isOlder(path) ? older : newer, path)));
    } catch {
      response.writeHead(404).end();
    }
  });
  ({ url } = web);
});
after(async () => {
  await host.close();
  web?.close();
  removeFolder(folder);
});

const apt = (repository = 'apt'): SourceSpec => ({
  type: 'apt',
  url: `${url}/${repository}`,
  suite: 'stable',
  components: ['main'],
  package: 'kubelet',
  version: '1.34.4',
  architecture: 'amd64',
  signedBy: key.keyring,
});
const dnf = (): SourceSpec => ({
  type: 'dnf',
  url: `${url}/dnf`,
  package: 'kubelet',
  version: '1.34.4',
  architecture: 'amd64',
  keys: [key.keyring],
  repositorySigned: true,
});

async function fetch(spec: SourceSpec, budgetMs = 600_000): Promise<Fetched> {
  const into = await host.local.temporaryFolder(folder);
  const clock = {
    ...createLinuxClock(),
    sleep: async (ms: number) => {
      pauses.push(ms);
      onPause();
    },
  };
  asked = [];
  pauses = [];
  try {
    return await fetchArtifact(spec, { ...host, base: folder, folder: into, client, clock, budgetMs });
  } catch (thrown) {
    assert.deepEqual(readdirSync(into), [], 'nothing is left');
    throw thrown;
  }
}

/** What is still of the moment before when it is asked for the first time. */
const torn: readonly [what: string, spec: () => SourceSpec, older: RegExp, code: string][] = [
  ['an index of other content', apt, /Packages\.gz$/, 'NK_ARTIFACT_DIGEST'],
  ['an index that is not there yet', () => apt('hashed'), /by-hash/, 'NK_ARTIFACT_MISSING'],
  ['a package that is not there yet', apt, /\.deb$/, 'NK_ARTIFACT_MISSING'],
  ['a signature of the Release before', () => apt('beside'), /Release\.gpg$/, 'NK_SIGNATURE'],
  ['dnf’s index of other content', dnf, /primary/, 'NK_ARTIFACT_DIGEST'],
  ['dnf’s package that is not there yet', dnf, /\.rpm$/, 'NK_ARTIFACT_MISSING'],
  ['dnf’s signature of the metadata before', dnf, /\.asc$/, 'NK_SIGNATURE'],
];

describe('a repository that is being published', () => {
  for (const [what, spec, pattern, code] of torn) {
    it(`and has ${what} is asked again from its index on`, async () => {
      isOlder = (path) => pattern.test(path);
      onPause = () => (isOlder = () => false);
      const fetched = await fetch(spec());
      assert.match(fetched.version ?? '', /^1\.34\.4-1/);
      assert.equal(pauses.length, 1);
      assert.equal(asked.filter((path) => /InRelease|repomd\.xml$/.test(path)).length, 2, asked.join(' '));
    });

    it(`and never stops to have ${what} is refused in the end, as what it is`, async () => {
      isOlder = (path) => pattern.test(path);
      onPause = () => undefined;
      await assert.rejects(fetch(spec()), (error: { code?: string; lines?: string[] }) => {
        assert.equal(error.code, code);
        assert.match(error.lines?.at(-1) ?? '', /asked 5 times, from its index on/);
        return true;
      });
      assert.deepEqual(pauses, [1_000, 4_000, 10_000, 20_000]);
    });
  }

  it('is not waited for longer than there is time', async () => {
    isOlder = (path) => path.endsWith('.rpm');
    onPause = () => undefined;
    await assert.rejects(fetch(dnf(), 3_000), { code: 'NK_ARTIFACT_MISSING' });
    assert.deepEqual(pauses, [1_000]);
  });

  it('is not asked again for what it does not have, nor for what somebody else asked for', async () => {
    isOlder = () => false;
    for (const spec of [
      { ...apt(), version: '1.34.9' },
      { ...apt(), package: 'crictl' },
      { ...apt(), url: `${url}/nothing` },
      { ...apt(), digest: `sha256:${'0'.repeat(64)}` },
      { ...dnf(), version: '1.34.9' },
      { ...dnf(), digest: `sha256:${'0'.repeat(64)}` },
    ]) {
      await assert.rejects(fetch(spec));
      assert.deepEqual(pauses, []);
    }
  });
});
