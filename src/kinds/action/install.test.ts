/** Packages installed by the real apt-get, from a repository that misbehaves at first, or always. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { aptRepository, makeKey, signRelease, type SigningKey } from '../../../test/servers/packages.ts';
import { buildDeb, programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { openWeb, type Web } from '../../../test/support/web.ts';
import { installActions } from '../../desired/packages.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import type { ActionResource } from '../../model/resources.ts';
import type { PerformContext } from '../performer.ts';
import { performAction } from './apply.ts';

const folder = temporaryFolder();
const host = createLinuxHost();
let key: SigningKey;
let other: SigningKey;
let [expired, early]: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
let web: Web | undefined;
let url = '';
let progress: string[] = [];

/** What becomes of a request: a status, other content (an answer of its own where there is none), or (undefined) what is asked for. */
type Trouble = (path: string) => number | ((bytes: Buffer, response: ServerResponse) => Buffer | undefined) | undefined;
let trouble: Trouble = () => undefined;
let onPause: () => void = () => undefined;

before(async () => {
  [key, other] = [await makeKey(join(folder, 'key'), 'publisher'), await makeKey(join(folder, 'other'), 'somebody')];
  const files = { 'usr/bin/hello': programBytes(20_000, 1) };
  const deb = buildDeb(folder, { name: 'hello', version: '1.0', release: '1', files });
  const options = ['DebIndices: Packages Release .gz'];
  await aptRepository(join(folder, 'www'), { debs: [deb], key, options });
  const release = readFileSync(join(folder, 'www/dists/stable/Release'), 'utf8');
  const dated = async (field: string, ms: number): Promise<Buffer> => {
    const at = new Date(Date.now() + ms).toUTCString().replace('GMT', 'UTC');
    const changed = `${field}: ${at}\n${release.replace(new RegExp(`^${field}: .*\n`, 'm'), '')}`;
    const signed = mkdtempSync(join(folder, 'dated-'));
    await signRelease(signed, changed, key);
    return readFileSync(join(signed, 'InRelease'));
  };
  [expired, early] = [await dated('Valid-Until', -60_000), await dated('Date', 86_400_000)];
  web = await openWeb((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname);
    const what = trouble(path);
    const file = join(folder, 'www', path);
    if (typeof what === 'number' || !existsSync(file))
      return response.writeHead(typeof what === 'number' ? what : 404).end();
    const bytes = what ? what(readFileSync(file), response) : readFileSync(file);
    return bytes && response.end(bytes);
  });
  ({ url } = web);
});
after(async () => {
  await host.close();
  web?.close();
  removeFolder(folder);
});

/** An apt of its own: nothing of this machine's is read or changed, and what it would install it only downloads. */
function aptState(signedBy = key): string {
  const state = mkdtempSync(join(folder, 'apt-'));
  for (const path of ['lists/partial', 'archives/partial', 'etc']) mkdirSync(join(state, path), { recursive: true });
  writeFileSync(join(state, 'status'), '');
  writeFileSync(join(state, 'sources.list'), `deb [signed-by=${signedBy.keyring}] ${url} stable main\n`);
  const settings = {
    'Dir::State': state,
    'Dir::State::status': join(state, 'status'),
    'Dir::Cache': state,
    'Dir::Etc': join(state, 'etc'),
    'Dir::Etc::sourcelist': join(state, 'sources.list'),
    'APT::Architecture': 'amd64',
    'APT::Sandbox::User': 'root',
    'APT::Get::Download-Only': 'true',
    'Debug::NoLocking': 'true',
    // The product's own retries are what is tried here.
    'Acquire::Retries::Delay': 'false',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${JSON.stringify(value)};\n`);
  writeFileSync(join(state, 'apt.conf'), lines.join(''));
  return state;
}

function install(state: string, name = 'hello'): ActionResource {
  const [action] = installActions('tools', 'apt', [{ name }]);
  assert.ok(action);
  return { ...action, env: { ...action.env, APT_CONFIG: join(state, 'apt.conf') }, guard: { type: 'path', path: '/' } };
}

async function perform(action: ActionResource): Promise<void> {
  progress = [];
  const clock = { ...host.clock, sleep: async () => onPause() };
  const context = {
    host: { ...host, clock },
    signal: undefined,
    progress: (message: string) => void progress.push(message),
    detail: () => undefined,
  } satisfies Partial<PerformContext>;
  await performAction(context as unknown as PerformContext, action);
}

const spoiled = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte, index) => (index === 60 ? byte ^ 1 : byte)));

/** The connection ends in the middle of an answer. */
const cutOff = (bytes: Buffer, response: ServerResponse): undefined => {
  response.writeHead(200, { 'content-length': bytes.length });
  response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
};
const half = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length / 2);
/** Of a repository that has its signature in a file of its own. */
const apart = (path: string, what: (bytes: Buffer) => Buffer): ReturnType<Trouble> =>
  path.endsWith('/InRelease') ? 404 : path.endsWith('/Release') ? what : undefined;

/** Troubles that pass. */
const passing: readonly [what: string, trouble: Trouble, said: RegExp][] = [
  ['an index of other content', (path) => (/Packages/.test(path) ? spoiled : undefined), /Hash Sum mismatch/],
  [
    'an index of another size',
    (path) => (/Packages/.test(path) ? (bytes) => Buffer.concat([bytes, bytes]) : undefined),
    /unexpected size/,
  ],
  ['an index that is not there', (path) => (/Packages/.test(path) ? 404 : undefined), /404 {2}Not Found/],
  ['a busy server', () => 503, /503 {2}Service Unavailable/],
  ['a package of other content', (path) => (path.endsWith('.deb') ? spoiled : undefined), /Hash Sum mismatch/],
  ['a package that is not there', (path) => (path.endsWith('.deb') ? 404 : undefined), /404 {2}Not Found/],
  [
    'a package of which half comes',
    (path) => (path.endsWith('.deb') ? cutOff : undefined),
    /Error reading from server/,
  ],
  ['an index of which half comes', (path) => (/Packages/.test(path) ? cutOff : undefined), /Error reading from server/],
  [
    'a signed list that is half written',
    (path) => (path.endsWith('/InRelease') ? half : undefined),
    /into data and signature failed/,
  ],
  ['a list that is newer than its signature', (path) => apart(path, spoiled), /BADSIG/],
  ['a server that asks for patience', (path) => (path.endsWith('.deb') ? 429 : undefined), /429 {2}Too Many Requests/],
];

/** Troubles that do not. */
const lasting: readonly [what: string, trouble: Trouble, said: RegExp][] = [
  ['forbids its packages', (path) => (path.endsWith('.deb') ? 403 : undefined), /403 {2}Forbidden/],
  ['forbids its indexes', () => 403, /403 {2}Forbidden/],
  ['wants to know who asks', () => 401, /401 {2}Unauthorized/],
  ['is too old', (path) => (path.endsWith('/InRelease') ? () => expired : undefined), /Release file .* is expired/],
  ['is of tomorrow', (path) => (path.endsWith('/InRelease') ? () => early : undefined), /is not valid yet/],
];

describe('an installation from a repository', () => {
  for (const [what, happens, said] of passing) {
    it(`that has ${what} at first is tried again`, async () => {
      const state = aptState();
      trouble = happens;
      onPause = () => (trouble = () => undefined);
      await perform(install(state));
      assert.match(progress.join('\n'), said);
      assert.match(progress.join('\n'), /^apt-get install of hello is tried again in 2 s: /);
      assert.ok(readdirSync(join(state, 'archives')).some((name) => name.startsWith('hello_1.0')));
    });

    it(`that always has ${what} fails in the end, and names its packages`, async () => {
      trouble = happens;
      onPause = () => undefined;
      await assert.rejects(
        perform(install(aptState())),
        (error: { code?: string; message: string; lines?: string[] }) => {
          assert.equal(error.code, 'NK_ACTION_FAILED');
          assert.match(error.message, /^apt-get install of hello ended with exit status 100, the last of 5 times$/);
          assert.match(error.lines?.join('\n') ?? '', said);
          return true;
        },
      );
    });
  }

  it('that was there the last time and is not now has failed, though apt-get ends well', async () => {
    const state = aptState();
    trouble = () => undefined;
    await perform(install(state));
    trouble = () => 503;
    onPause = () => undefined;
    await assert.rejects(perform(install(state)), { message: /exit status 100, the last of 5 times/ });
    assert.match(progress.join('\n'), /503 {2}Service Unavailable/);
  });

  for (const [what, happens, said] of lasting)
    it(`that ${what} is tried once`, async () => {
      trouble = happens;
      onPause = () => assert.fail('there is nothing to wait for');
      await assert.rejects(perform(install(aptState())), (error: { message: string; lines?: string[] }) => {
        assert.match(error.message, /^apt-get install of hello ended with exit status 100$/);
        assert.match(error.lines?.join('\n') ?? '', said);
        return true;
      });
    });

  it('that has no such package, or is signed by somebody else, is tried once', async () => {
    trouble = () => undefined;
    onPause = () => assert.fail('there is nothing to wait for');
    await assert.rejects(perform(install(aptState(), 'hallo')), {
      message: /^apt-get install of hallo ended with exit status 100$/,
    });
    await assert.rejects(perform(install(aptState(other))), {
      message: /^apt-get install of hello ended with exit status 100$/,
    });
  });
});
