/** Logging in to real registries, TLS, tags in pages, mirrors and faults on the way. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createHttpServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  artifact,
  makeCertificates,
  password,
  startRegistry,
  user,
  type RegistryOptions,
  type TestRegistry,
} from '../../../../test/servers/registry.ts';
import { createLinuxHost } from '../../../host/linux/host.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../../../test/support/artifacts.ts';
import { createHttpClient, type HttpClientOptions } from '../http-client.ts';
import { fetchArtifact } from '../table.ts';
import type { FetchContext, SourceSpec } from '../source.ts';
import { parseChallenges } from './authorization.ts';
import { dockerCredentials, type CredentialStore } from './credentials.ts';
import { openReference } from './open.ts';

const content = programBytes(3_000_000, 1);

describe('registries', () => {
  const folder = temporaryFolder();
  const machine = createLinuxHost();
  const registries: TestRegistry[] = [];
  const servers: { close(): unknown }[] = [];
  let count = 0;

  after(async () => {
    await machine.close();
    for (const server of servers) server.close();
    await Promise.all(registries.map((registry) => registry.close()));
    removeFolder(folder);
  });

  async function filled(options: RegistryOptions = {}): Promise<TestRegistry> {
    const registry = await startRegistry(options);
    registries.push(registry);
    await registry.push({ repository: 'team/kubelet', tag: 'v1', ...artifact({ kubelet: content }) });
    return registry;
  }

  const anonymous: CredentialStore = async () => undefined;
  const known: CredentialStore = async () => ({ type: 'password', username: user, password });

  function contextOf(more: Partial<FetchContext> & { http?: Partial<HttpClientOptions> } = {}): FetchContext {
    const { http, ...rest } = more;
    const into = join(folder, `into-${count++}`);
    mkdirSync(into);
    const client = createHttpClient({ ...machine, ...http });
    return {
      ...machine,
      base: folder,
      folder: into,
      client,
      // Far more than any of this takes, also on a busy machine: what fails does so at once, but for time that is used up.
      budgetMs: 60_000,
      credentials: anonymous,
      ...rest,
    };
  }

  async function pull(
    host: string,
    context: FetchContext,
    more: Partial<Extract<SourceSpec, { type: 'oci' }>> = {},
  ): Promise<void> {
    const reference = `${host}/team/kubelet:v1`;
    const fetched = await fetchArtifact({ type: 'oci', reference, plainHttp: true, ...more }, context);
    assert.deepEqual(readFileSync(fetched.path), content);
  }

  async function refused(work: Promise<unknown>, code: string): Promise<Error> {
    let error: unknown;
    await assert.rejects(work, (thrown) => ((error = thrown), true));
    assert.ok(error instanceof Error && 'code' in error);
    assert.equal(error.code, code, error.message);
    const text = `${error.message} ${JSON.stringify(error)} ${String(error.cause)}`;
    for (const secret of [
      password,
      encodeURIComponent(password),
      Buffer.from(`${user}:${password}`).toString('base64'),
      'renew-me',
    ])
      assert.ok(!text.includes(secret), `the secret shows: ${text}`);
    return error;
  }

  describe('with Basic authentication', () => {
    let registry: TestRegistry;
    before(async () => {
      registry = await filled({ login: 'basic' });
    });

    it('lets in who knows the password', () => pull(registry.host, contextOf({ credentials: known })));

    it('refuses others, and tells missing from wrong credentials', async () => {
      assert.match((await refused(pull(registry.host, contextOf()), 'NK_REGISTRY_DENIED')).message, /there are none/);
      const wrong: CredentialStore = async () => ({ type: 'password', username: user, password: 'wrong' });
      const error = await refused(pull(registry.host, contextOf({ credentials: wrong })), 'NK_REGISTRY_DENIED');
      assert.match(error.message, /does not accept the credentials/);
    });

    it('takes the credentials that a container tool left', async () => {
      const auth = Buffer.from(`${user}:${password}`).toString('base64');
      for (const entry of [{ auth }, { username: user, password }]) {
        const config = join(folder, `docker-${count++}`);
        mkdirSync(config);
        writeFileSync(
          join(config, 'config.json'),
          JSON.stringify({ auths: { [`https://${registry.host}/v2/`]: entry, other: {} } }),
        );
        await pull(registry.host, contextOf({ credentials: dockerCredentials(machine, config) }));
      }
    });

    it('asks a credential program', async () => {
      const config = join(folder, 'docker-helper');
      mkdirSync(config);
      const answer = JSON.stringify({ ServerURL: registry.host, Username: user, Secret: password });
      const programs = {
        good: `read -r host\n[ "$host" = "${registry.host}" ] && [ "$1" = get ] && [ "$KEYS" = here ] && echo '${answer}'`,
        none: 'echo "credentials not found in native keychain"; exit 1',
        broken: 'echo "oh no" >&2; exit 3',
      };
      for (const [name, script] of Object.entries(programs)) {
        writeFileSync(join(config, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`);
        chmodSync(join(config, `docker-credential-${name}`), 0o755);
      }
      const path = process.env['PATH'];
      process.env['PATH'] = `${config}:${path}`;
      try {
        // Helpers find what they need by the variables that we were started with.
        const environment = { ...process.env, KEYS: 'here' };
        const withKeys = { ...machine, program: { ...machine.program, environment } };
        const using = (helper: string): FetchContext => {
          writeFileSync(join(config, 'config.json'), JSON.stringify({ credHelpers: { [registry.host]: helper } }));
          return contextOf({ credentials: dockerCredentials(withKeys, config) });
        };
        await pull(registry.host, using('good'));
        await refused(pull(registry.host, using('none')), 'NK_REGISTRY_DENIED');
        assert.match((await refused(pull(registry.host, using('broken')), 'NK_REGISTRY_DENIED')).message, /status 3/);
        assert.match(
          (await refused(pull(registry.host, using('absent')), 'NK_REGISTRY_DENIED')).message,
          /not installed/,
        );
        await refused(pull(registry.host, using('../evil')), 'NK_REGISTRY_DENIED');
      } finally {
        process.env['PATH'] = path;
      }
    });

    it('says which file is damaged, without showing it', async () => {
      const config = join(folder, 'docker-damaged');
      mkdirSync(config);
      writeFileSync(join(config, 'config.json'), `{"auths": "${password}"`);
      await refused(
        pull(registry.host, contextOf({ credentials: dockerCredentials(machine, config) })),
        'NK_DOCUMENT_SYNTAX',
      );
    });

    it('tells "cannot list tags" from "there is no such repository"', async () => {
      const at = (reference: string, credentials: CredentialStore) =>
        openReference({ reference, plainHttp: true }, contextOf({ credentials })).repository.tags();
      await refused(at(`${registry.host}/team/kubelet:x`, anonymous), 'NK_TAGS_UNAVAILABLE');
      await refused(at(`${registry.host}/team/nothing:x`, known), 'NK_ARTIFACT_MISSING');
      assert.deepEqual(await at(`${registry.host}/team/kubelet:x`, known), ['v1']);
    });
  });

  describe('with Bearer tokens', () => {
    let registry: TestRegistry;
    before(async () => {
      registry = await filled({ login: 'bearer' });
      await registry.push({ repository: 'public/kubelet', tag: 'v1', ...artifact({ kubelet: content }) });
    });

    it('gets one token for a whole artifact', async () => {
      const before = registry.tokens.length;
      await pull(registry.host, contextOf({ credentials: known }));
      assert.deepEqual(registry.tokens.slice(before), ['GET repository:team/kubelet:pull granted']);
    });

    it('gets one with a refresh token', async () => {
      const before = registry.tokens.length;
      await pull(registry.host, contextOf({ credentials: async () => ({ type: 'token', token: 'renew-me' }) }));
      assert.deepEqual(registry.tokens.slice(before), ['POST repository:team/kubelet:pull granted']);
    });

    it('gets one without credentials where the repository is public, and not elsewhere', async () => {
      await fetchArtifact(
        { type: 'oci', reference: `${registry.host}/public/kubelet:v1`, plainHttp: true },
        contextOf(),
      );
      await refused(pull(registry.host, contextOf()), 'NK_REGISTRY_DENIED');
    });
  });

  it('reads challenges as they are written', () => {
    assert.deepEqual(parseChallenges('Bearer realm="https://a/t?x=1,2",service="s\\"q", Basic realm=plain'), [
      { scheme: 'bearer', parameters: { realm: 'https://a/t?x=1,2', service: 's"q' } },
      { scheme: 'basic', parameters: { realm: 'plain' } },
    ]);
    assert.deepEqual(parseChallenges('Negotiate'), [{ scheme: 'negotiate', parameters: {} }]);
    assert.deepEqual(parseChallenges(''), []);
    const bearer = { scheme: 'bearer', parameters: { realm: 'https://a/t' } };
    for (const other of [
      'Negotiate',
      'Negotiate oX8/a+b==',
      'NTLM TlRMTVNTUAAC/+~.',
      'Digest realm="r", nonce="a/b==", qop="auth,auth-int"',
      'Basic realm="r"',
      'AWS4-HMAC-SHA256',
      '',
      ', ,',
    ])
      for (const header of [`${other}, Bearer realm="https://a/t"`, `BEARER realm="https://a/t" , ${other}`])
        assert.deepEqual(
          parseChallenges(header).find(({ scheme }) => scheme === 'bearer'),
          bearer,
          header,
        );
  });

  it('speaks TLS unless plain HTTP is asked for, and trusts only who it is told to', async () => {
    const certificates = join(folder, 'tls');
    mkdirSync(certificates);
    const tls = await makeCertificates(certificates);
    const registry = await filled({ tls });
    const ca = readFileSync(tls.ca, 'utf8');
    await pull(registry.host, contextOf({ http: { ca } }), { plainHttp: false });
    await refused(pull(registry.host, contextOf(), { plainHttp: false }), 'NK_SOURCE_UNAVAILABLE');
    const plain = await filled();
    const error = await refused(
      pull(plain.host, contextOf({ http: { ca } }), { plainHttp: false }),
      'NK_SOURCE_UNAVAILABLE',
    );
    assert.match(error.message, /does not speak TLS/);

    const old = join(folder, 'tls-expired');
    mkdirSync(old);
    const expired = await makeCertificates(old, -1);
    const late = await filled({ tls: expired });
    const why = await refused(
      pull(late.host, contextOf({ http: { ca: readFileSync(expired.ca, 'utf8') } }), { plainHttp: false }),
      'NK_SOURCE_UNAVAILABLE',
    );
    assert.match(why.message, /certificate has expired/);
  });

  describe('on the way', () => {
    let registry: TestRegistry;
    before(async () => {
      registry = await filled();
    });

    /** A proxy that does something to each connection, in turn; those after the last pass through. */
    async function through(
      ...faults: ((client: Socket, server: Socket) => void)[]
    ): Promise<{ host: string; connections: () => number }> {
      let connections = 0;
      const server: Server = createServer((socket) => {
        const upstream = connect(registry.port, '127.0.0.1');
        socket.on('error', () => upstream.destroy());
        upstream.on('error', () => socket.destroy());
        const fault = faults[connections++];
        if (fault) return fault(socket, upstream);
        socket.pipe(upstream).pipe(socket);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      servers.push(server);
      const address = server.address();
      return {
        host: `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
        connections: () => connections,
      };
    }

    const cutAfter = (bytes: number) => (client: Socket, server: Socket) => {
      let passed = 0;
      client.pipe(server);
      server.on('data', (chunk: Buffer) => {
        passed += chunk.length;
        if (passed <= bytes) client.write(chunk);
        else {
          client.end(chunk.subarray(0, Math.max(0, chunk.length - (passed - bytes))));
          server.destroy();
        }
      });
    };

    it('goes on where a cut connection stopped', async () => {
      const { host, connections } = await through(cutAfter(1_000_000), cutAfter(1_000_000));
      const received: number[] = [];
      await pull(host, contextOf({ onProgress: ({ receivedBytes }) => received.push(receivedBytes) }));
      assert.ok(connections() >= 3);
      assert.ok(
        received.every((bytes, index) => index === 0 || bytes >= (received[index - 1] ?? 0)),
        'nothing twice',
      );
    });

    it('tries again after 429 and 503, when the server says', async () => {
      const answer = (status: string) => (client: Socket) => {
        client.once('data', () =>
          client.end(`HTTP/1.1 ${status}\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
        );
      };
      const { host } = await through(answer('429 Too Many Requests'), answer('503 Service Unavailable'));
      await pull(host, contextOf());
    });

    it('stops when it is told to, and when its time is used up', async () => {
      const sockets: Socket[] = [];
      const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const address = silent.address();
      servers.push(silent);
      const host = `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 300);
      const error = await refused(pull(host, contextOf({ signal: stop.signal })), 'NK_INTERRUPTED');
      assert.match(error.message, /interrupted/);
      await refused(pull(host, contextOf({ budgetMs: 300 })), 'NK_TIMEOUT');
      for (const socket of sockets) socket.destroy();
    });

    it('refuses a registry that lies about digests', async () => {
      const liar = createHttpServer((request, response) => {
        const headers = { accept: request.headers.accept ?? '*/*' };
        void fetch(`http://${registry.host}${request.url ?? ''}`, { headers }).then(async (honest) => {
          const body = Buffer.from(await honest.arrayBuffer());
          const lie =
            request.url?.includes('/blobs/') === true ? Buffer.concat([body.subarray(1), Buffer.from('x')]) : body;
          response.writeHead(honest.status, { 'content-type': honest.headers.get('content-type') ?? '' }).end(lie);
        });
      });
      await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
      servers.push(liar);
      const address = liar.address();
      const context = contextOf();
      await refused(
        pull(`127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`, context),
        'NK_ARTIFACT_DIGEST',
      );
      assert.deepEqual(readdirSync(context.folder), []);
    });

    it('asks mirrors first, also below a path, and the registry itself when they fail', async () => {
      const asked: string[] = [];
      const mirror = createHttpServer((request, response) => {
        asked.push(request.url ?? '');
        if (request.url?.startsWith('/api/docker/') !== true) return void response.writeHead(404).end();
        response
          .writeHead(307, { location: `${registry.openUrl}/v2/${request.url.slice('/api/docker/'.length)}` })
          .end();
      });
      await new Promise<void>((resolve) => mirror.listen(0, '127.0.0.1', resolve));
      servers.push(mirror);
      const address = mirror.address();
      const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
      const host = '127.0.0.1:1';
      const mirrors = [
        { host, url },
        { host, url: `${url}/api/docker`, overridePath: true },
      ];
      await pull(host, contextOf({ mirrors }));
      assert.ok(
        asked.includes('/v2/team/kubelet/manifests/v1') && asked.includes('/api/docker/team/kubelet/manifests/v1'),
      );
      await pull(registry.host, contextOf({ mirrors: [{ host: '_default', url }] }));
    });

    it('lists tags in pages', async () => {
      const wanted: string[] = [];
      const { mediaType, manifest } = artifact({ kubelet: content });
      for (let patch = 0; patch < 23; patch++) {
        wanted.push(`v1.34.${patch}-1-azlinux3-x86-64`);
        await registry.push({ repository: 'team/kubelet', tag: wanted.at(-1) ?? '', mediaType, manifest });
      }
      // This registry gives all at once: a server before it gives its answer in pages, as newer ones do.
      const asked: string[] = [];
      const pager = createHttpServer((request, response) => {
        const { searchParams } = new URL(request.url ?? '', 'http://x');
        asked.push(searchParams.get('last') ?? '');
        void fetch(`http://${registry.host}/v2/team/kubelet/tags/list`).then(async (answer) => {
          const all = ((await answer.json()) as { tags: string[] }).tags.sort();
          const from = all.findIndex((tag) => tag > (searchParams.get('last') ?? ''));
          const tags = all.slice(from, from + 5);
          const more = from + 5 < all.length;
          const link = `</v2/team/kubelet/tags/list?last=${tags.at(-1) ?? ''}&n=5>; rel="next"`;
          response.writeHead(200, { 'content-type': 'application/json', ...(more && { link }) });
          response.end(JSON.stringify({ name: 'team/kubelet', tags }));
        });
      });
      await new Promise<void>((resolve) => pager.listen(0, '127.0.0.1', resolve));
      servers.push(pager);
      const address = pager.address();
      const reference = `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/team/kubelet:x`;
      const tags = await openReference({ reference, plainHttp: true }, contextOf()).repository.tags();
      assert.deepEqual([...tags].sort(), [...wanted, 'v1'].sort());
      assert.equal(asked.length, 5, asked.join(' '));
    });
  });
});
