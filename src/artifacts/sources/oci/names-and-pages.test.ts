/** Docker Hub by all its names, and lists of tags that are whole or an error, on a network in memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../../../errors.ts';
import { createMemoryMachine } from '../../../host/memory/machine.ts';
import { createHttpClient } from '../http-client.ts';
import type { FetchContext } from '../source.ts';
import { dockerCredentials, type CredentialStore } from './credentials.ts';
import { openReference } from './open.ts';

const anonymous: CredentialStore = async () => undefined;

function contextOn(machine: ReturnType<typeof createMemoryMachine>, more: Partial<FetchContext> = {}): FetchContext {
  const host = machine.open();
  return {
    ...host,
    base: '/',
    folder: '/var/tmp',
    client: createHttpClient(host),
    budgetMs: 1000,
    credentials: anonymous,
    ...more,
  };
}

describe('Docker Hub', () => {
  const names = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];
  /** What is asked of whom, in order. */
  async function asked(reference: string, mirrorOf?: string): Promise<readonly string[]> {
    const machine = createMemoryMachine();
    const urls: string[] = [];
    for (const origin of ['https://registry-1.docker.io', 'http://mirror.example.org'])
      machine.serve(origin, ({ url }) => {
        urls.push(url);
        return { status: 404 };
      });
    const mirrors = mirrorOf === undefined ? [] : [{ host: mirrorOf, url: 'http://mirror.example.org' }];
    const { repository } = openReference({ reference }, contextOn(machine, { mirrors }));
    await assert.rejects(repository.manifest('1'));
    return urls;
  }

  for (const name of names)
    it(`is asked for its own images below library, also as ${name}`, async () => {
      assert.deepEqual(await asked(`${name}/busybox:1`), [
        'https://registry-1.docker.io/v2/library/busybox/manifests/1',
      ]);
      assert.deepEqual(await asked(`${name}/team/tool:1`), ['https://registry-1.docker.io/v2/team/tool/manifests/1']);
    });

  it('has its mirrors under each of its names', async () => {
    for (const mirrored of names)
      assert.deepEqual(await asked('docker.io/busybox:1', mirrored), [
        'http://mirror.example.org/v2/library/busybox/manifests/1',
        'https://registry-1.docker.io/v2/library/busybox/manifests/1',
      ]);
    assert.equal((await asked('docker.io/busybox:1', 'other.example.org')).length, 1);
  });

  const login = { username: 'me', password: 'secret' };
  for (const key of [
    'https://index.docker.io/v1/',
    'docker.io',
    'registry-1.docker.io',
    'https://registry-1.docker.io',
  ])
    it(`is logged in to by what is kept for ${key}`, async () => {
      const machine = createMemoryMachine();
      const host = machine.open();
      const content = new TextEncoder().encode(JSON.stringify({ auths: { [key]: login, 'other.example.org': {} } }));
      await host.local.write([{ type: 'file', path: '/etc/docker/config.json', content, mode: 0o600, uid: 0, gid: 0 }]);
      const store = dockerCredentials(host, '/etc/docker');
      assert.deepEqual(await store('docker.io'), { type: 'password', ...login });
      assert.equal(await store('other.example.org:443'), undefined);
    });
});

describe('a list of tags', () => {
  const origin = 'https://registry.example.org';
  /** All pages with their tags; the first has this header. */
  async function tags(link: string | undefined): Promise<readonly string[]> {
    const machine = createMemoryMachine();
    machine.serve(origin, ({ url }) => {
      const isFirst = !url.includes('last=');
      const headers = isFirst && link !== undefined ? { link } : {};
      return { status: 200, headers, body: JSON.stringify({ tags: isFirst ? ['v1', 'v2'] : ['v3'] }) };
    });
    const { repository } = openReference({ reference: 'registry.example.org/t/k:x' }, contextOn(machine));
    return repository.tags();
  }

  const path = '/v2/t/k/tags/list?last=v2&n=2';
  const whole: Readonly<Record<string, string>> = {
    'by its path': `<${path}>; rel="next"`,
    'without quotes': `<${path}>; rel=next`,
    'with blanks, in capitals': `<${path}> ; REL = "NEXT"`,
    'with another scheme': `<http://registry.example.org${path}>; rel="next"`,
    'with another host': `<https://inner.example.org:5000${path}>; rel="next"`,
    'relative to this one': `<list?last=v2&n=2>; rel="next"`,
    'with a parameter that holds a comma': `<${path}>; title="a, b"; rel="next"`,
    'with a parameter that holds a quote': `<${path}>; title="a \\"b\\", c"; rel="next"`,
    'with several relations': `<${path}>; rel="last next"`,
    'after another link': `</v2/>; rel="first", <${path}>; rel="next"`,
    'before another link': `<${path}>; rel="next", </v2/>; rel="first"`,
    'with a comma in its address': `<${path}&x=1,2>; rel="next"`,
  };
  for (const [how, link] of Object.entries(whole))
    it(`is followed to a page that is announced ${how}`, async () => {
      assert.deepEqual(await tags(link), ['v1', 'v2', 'v3']);
    });

  it('is followed below the path by which a registry behind a proxy is reached', async () => {
    const machine = createMemoryMachine();
    machine.serve('https://proxy.example.org', ({ url }) =>
      url.startsWith('https://proxy.example.org/hub/v2/')
        ? {
            status: 200,
            headers: url.includes('last=') ? {} : { link: `<${path}>; rel="next"` },
            body: JSON.stringify({ tags: url.includes('last=') ? ['v3'] : ['v1', 'v2'] }),
          }
        : { status: 404 },
    );
    const mirrors = [{ host: 'registry.example.org', url: 'https://proxy.example.org/hub/v2', overridePath: true }];
    const { repository } = openReference({ reference: 'registry.example.org/t/k:x' }, contextOn(machine, { mirrors }));
    assert.deepEqual(await repository.tags(), ['v1', 'v2', 'v3']);
  });

  for (const [what, status, answersOf] of [
    ['is not there', 404, 2],
    ['is refused', 403, 2],
    ['cannot be listed', 405, 2],
    ['leads in a circle', 200, 3],
  ] as const)
    it(`is an error, and no shorter list, when a later page ${what}`, async () => {
      const machine = createMemoryMachine();
      let asked = 0;
      machine.serve(origin, ({ url }) => {
        asked += 1;
        const next = url.includes('last=b') ? 'a' : 'b';
        const answer = { headers: { link: `<${path.replace('last=v2', `last=${next}`)}>; rel="next"` } };
        const isLater = url.includes('last=');
        return { status: isLater ? status : 200, ...answer, body: JSON.stringify({ tags: ['v1'] }) };
      });
      const { repository } = openReference({ reference: 'registry.example.org/t/k:x' }, contextOn(machine));
      await assert.rejects(repository.tags(), { code: 'NK_TAGS_UNAVAILABLE' });
      assert.equal(asked, answersOf);
    });

  const last: Readonly<Record<string, string | undefined>> = {
    'no link': undefined,
    'an empty one': '',
    'one of another relation': '</v2/>; rel="first"',
    'one that only sounds like it': '</v2/>; rel="nextbook"; title="rel=next"',
  };
  for (const [what, link] of Object.entries(last))
    it(`ends at a page with ${what}`, async () => {
      assert.deepEqual(await tags(link), ['v1', 'v2']);
    });

  const wrong: Readonly<Record<string, string>> = {
    nowhere: '<http://[>; rel="next"',
    itself: '</v2/t/k/tags/list?n=1000>; rel="next"',
    'without an address': `${path}; rel="next"`,
  };
  for (const [where, link] of Object.entries(wrong))
    it(`is an error when its next page leads ${where}`, async () => {
      await assert.rejects(
        tags(link),
        (thrown) => thrown instanceof NodekilnError && thrown.code === 'NK_TAGS_UNAVAILABLE',
      );
    });
});
