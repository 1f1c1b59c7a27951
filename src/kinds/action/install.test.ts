/** Packages installed by the real apt-get, from a repository that misbehaves at first, or always. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { aptRepository, makeKey, type SigningKey } from '../../../test/servers/packages.ts';
import { buildDeb, programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { installActions } from '../../desired/packages.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import type { ActionResource } from '../../model/resources.ts';
import type { PerformContext } from '../performer.ts';
import { performAction } from './apply.ts';

const folder = temporaryFolder();
const host = createLinuxHost();
let key: SigningKey;
let other: SigningKey;
let server: Server;
let url = '';
let progress: string[] = [];

/** What becomes of a request: a status, other content, or (undefined) what is asked for. */
type Trouble = (path: string) => number | ((bytes: Buffer) => Buffer) | undefined;
let trouble: Trouble = () => undefined;
let onPause: () => void = () => undefined;

before(async () => {
  [key, other] = [await makeKey(join(folder, 'key'), 'publisher'), await makeKey(join(folder, 'other'), 'somebody')];
  const files = { 'usr/bin/hello': programBytes(20_000, 1) };
  const deb = buildDeb(folder, { name: 'hello', version: '1.0', release: '1', files });
  const options = ['DebIndices: Packages Release .gz'];
  await aptRepository(join(folder, 'www'), { debs: [deb], key, options });
  server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname);
    const what = trouble(path);
    const file = join(folder, 'www', path);
    if (typeof what === 'number') response.writeHead(what).end();
    else if (existsSync(file)) response.end(what ? what(readFileSync(file)) : readFileSync(file));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
});
after(async () => {
  await host.close();
  server?.close();
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
  ['a server that asks for patience', (path) => (path.endsWith('.deb') ? 429 : undefined), /429 {2}Too Many Requests/],
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
