/**
 * Against a real TLS server that answers as an API server does at /version. A whole API server is not needed to show who
 * is asked, trusted and told what; that one answers alike is not shown here.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { after, before, beforeEach, describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { serverVersion } from './api-server.ts';
import type { Environment } from '../model/proxies.ts';
import { createKubeClient } from './client.ts';
import { readKubeconfig } from './kubeconfig.ts';

const scratch = mkdtempSync('/var/tmp/nodekiln-api-server-');
const { files, net, clock, program } = createLinuxHost();
const secret = 'hunter2-in-the-clear';
const at = (name: string): string => join(scratch, name);
const base64 = (name: string): string => readFileSync(at(name)).toString('base64');
const openssl = (...args: readonly string[]): unknown => execFileSync('openssl', args, { cwd: scratch, stdio: 'pipe' });

let server: Server;
let address = '';
let answer: (request: IncomingMessage, response: ServerResponse) => void;

function certificate(name: string, subject: string, extension: string): void {
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    subject,
  );
  writeFileSync(at(`${name}.ext`), `${extension}\n`);
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-days',
    '2',
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.pem`,
  );
}

before(async () => {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=test-ca',
  );
  certificate('server', '/CN=kube-apiserver', 'subjectAltName=IP:127.0.0.1,DNS:kubernetes');
  certificate('client', '/O=system:nodes/CN=tools', 'extendedKeyUsage=clientAuth');
  server = createServer(
    {
      cert: readFileSync(at('server.pem')),
      key: readFileSync(at('server.key')),
      ca: readFileSync(at('ca.pem')),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => answer(request, response),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(scratch, { recursive: true });
});

const version = { major: '1', minor: '31', gitVersion: 'v1.31.1', platform: 'linux/amd64' };

beforeEach(() => {
  answer = (request, response) => {
    const known =
      request.headers.authorization === `Bearer ${secret}` ||
      (request.socket instanceof TLSSocket &&
        request.socket.authorized &&
        request.socket.getPeerCertificate().subject.CN === 'tools');
    const found = request.url === '/version' && request.method === 'GET';
    response.writeHead(known ? (found ? 200 : 404) : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(known && found ? version : { kind: 'Status', message: secret }));
  };
});

interface Parts {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
}

/** As kubectl writes it. */
function kubeconfig({ cluster = {}, user = { token: secret } }: Parts = {}): string {
  const file = at('kubeconfig');
  writeFileSync(
    file,
    `apiVersion: v1\nkind: Config\ncurrent-context: here\npreferences: {}\ncontexts:\n- name: elsewhere\n  context: {cluster: x, user: y}\n- name: here\n  context:\n    cluster: c\n    user: u\nclusters:\n- name: c\n  cluster: ${JSON.stringify({ server: address, 'certificate-authority-data': base64('ca.pem'), ...cluster })}\nusers:\n- name: u\n  user: ${JSON.stringify(user)}\n`,
  );
  return file;
}

async function ask(parts?: Parts, timeoutMs = 3000, environment: Environment = {}): Promise<string> {
  const host = { net, clock, program: { ...program, environment } };
  return serverVersion(createKubeClient(host, await readKubeconfig(files, kubeconfig(parts))), timeoutMs);
}

/** The error, after looking that it tells no secret. */
async function fails(parts?: Parts, timeoutMs = 3000): Promise<NodekilnError> {
  const thrown: unknown = await ask(parts, timeoutMs).then(
    () => assert.fail('it must fail'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof NodekilnError, String(thrown));
  assert.doesNotMatch(JSON.stringify(thrown), /hunter2|PRIVATE/);
  return thrown;
}

describe('the version of an API server', () => {
  it('with a token', async () => assert.equal(await ask(), 'v1.31.1'));

  it('with a token in a file beside the kubeconfig', async () => {
    writeFileSync(at('token'), `${secret}\n`);
    assert.equal(await ask({ user: { tokenFile: 'token', token: 'old' } }), 'v1.31.1');
  });

  it('with a client certificate, inline and in files', async () => {
    assert.equal(
      await ask({ user: { 'client-certificate-data': base64('client.pem'), 'client-key-data': base64('client.key') } }),
      'v1.31.1',
    );
    const user = { 'client-certificate': 'client.pem', 'client-key': at('client.key') };
    assert.equal(
      await ask({ cluster: { 'certificate-authority-data': null, 'certificate-authority': 'ca.pem' }, user }),
      'v1.31.1',
    );
  });

  it('by its name in the certificate', async () => {
    assert.equal(await ask({ cluster: { 'tls-server-name': 'kubernetes' } }), 'v1.31.1');
    assert.equal((await fails({ cluster: { 'tls-server-name': 'elsewhere' } })).code, 'NK_CLUSTER_CERTIFICATE');
  });

  it('from major and minor when that is all there is', async () => {
    answer = (_request, response) => void response.end('{"major":"1","minor":"31+"}');
    assert.equal(await ask(), '1.31+');
  });

  it('is not asked of a server that the CA does not vouch for', async () => {
    let asked = 0;
    const { length } = server.listeners('request');
    answer = () => void asked++;
    const error = await fails({ cluster: { 'certificate-authority-data': null } });
    assert.equal(error.code, 'NK_CLUSTER_AUTHORITY');
    assert.deepEqual([asked, length], [0, 1], 'no credentials may be sent');
  });

  it('needs credentials that are accepted', async () => {
    assert.match(
      (await fails({ user: { token: 'wrong-hunter2' } })).message,
      /does not accept the credentials \(status 401\)/,
    );
  });

  for (const [name, body, status, says] of [
    ['a page', '<html>', 200, /not JSON/],
    ['no version', '{}', 200, /without a version/],
    ['another type', '[1]', 200, /without a version/],
    ['a redirect', '', 302, /status 302/],
    ['too much', 'x'.repeat(70_000), 200, /more than 65536 bytes/],
  ] as const) {
    it(`is refused: ${name}`, async () => {
      answer = (_request, response) => void response.writeHead(status, { location: '/elsewhere' }).end(body);
      const error = await fails();
      assert.equal(error.code, 'NK_SOURCE_UNAVAILABLE');
      assert.match(error.message, says);
    });
  }

  it('is waited for until the deadline', async () => {
    answer = () => undefined;
    assert.equal((await fails({}, 300)).code, 'NK_TIMEOUT');
    answer = (_request, response) => void response.write('{"git');
    assert.equal((await fails({}, 300)).code, 'NK_TIMEOUT');
  });

  it('is not there', async () => {
    assert.equal((await fails({ cluster: { server: 'https://127.0.0.1:9' } })).code, 'NK_CLUSTER_UNREACHABLE');
  });
});

describe('the way to an API server', () => {
  /** Leads everywhere to the server of this test; who asked for what, and how they showed who they are. */
  const asked: string[] = [];
  const proxy = createHttpServer();
  let url = '';
  before(async () => {
    proxy.on('connect', ({ url: target = '', headers }: IncomingMessage, client: Duplex) => {
      asked.push([target.replace(/:\d+$/, ''), headers['proxy-authorization'] ?? ''].join(' ').trim());
      const upstream = connect(Number(new URL(address).port), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connected\r\n\r\n');
        client.pipe(upstream).pipe(client);
      });
      for (const socket of [client, upstream]) socket.on('error', () => client.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  });
  beforeEach(() => void asked.splice(0));
  after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });

  const away = (): Parts => ({
    cluster: { server: address.replace('127.0.0.1', 'kubernetes.invalid'), 'tls-server-name': 'kubernetes' },
  });
  const through = (parts: Parts, more: Readonly<Record<string, unknown>>): Parts => ({
    ...parts,
    cluster: { ...parts.cluster, ...more },
  });
  const own = (name: string): Parts => ({
    cluster: { server: address.replace('127.0.0.1', name), 'tls-server-name': 'kubernetes' },
  });
  const there = 'kubernetes.invalid';
  const cases: readonly (readonly [
    what: string,
    about: () => { readonly parts: Parts; readonly environment?: Environment },
    by: string | undefined,
  ])[] = [
    ['HTTPS_PROXY', () => ({ parts: away(), environment: { HTTPS_PROXY: url } }), there],
    ['https_proxy', () => ({ parts: away(), environment: { https_proxy: url } }), there],
    ['a proxy without a scheme', () => ({ parts: away(), environment: { HTTPS_PROXY: url.slice(7) } }), there],
    [
      'HTTPS_PROXY, with a client certificate',
      () => ({
        parts: {
          ...away(),
          user: { 'client-certificate-data': base64('client.pem'), 'client-key-data': base64('client.key') },
        },
        environment: { HTTPS_PROXY: url },
      }),
      there,
    ],
    [
      'HTTPS_PROXY, with a password',
      () => ({ parts: away(), environment: { HTTPS_PROXY: url.replace('//', '//u:p@') } }),
      `${there} Basic ${Buffer.from('u:p').toString('base64')}`,
    ],
    [
      'HTTPS_PROXY, where NO_PROXY names others',
      () => ({ parts: away(), environment: { HTTPS_PROXY: url, NO_PROXY: 'other.invalid,10.0.0.0/8' } }),
      there,
    ],
    ['the kubeconfig’s proxy-url', () => ({ parts: through(away(), { 'proxy-url': url }) }), there],
    [
      'it before what the environment names',
      () => ({ parts: through(away(), { 'proxy-url': url }), environment: { HTTPS_PROXY: 'http://127.0.0.1:9' } }),
      there,
    ],
    [
      'it whatever NO_PROXY names',
      () => ({ parts: through(away(), { 'proxy-url': url }), environment: { NO_PROXY: '*' } }),
      there,
    ],
    ['it for this machine, too', () => ({ parts: { cluster: { 'proxy-url': url } } }), '127.0.0.1'],
    ['none for 127.0.0.1', () => ({ parts: own('127.0.0.1'), environment: { HTTPS_PROXY: url } }), undefined],
    ['none for localhost', () => ({ parts: own('localhost'), environment: { HTTPS_PROXY: url } }), undefined],
  ];
  for (const [what, about, by] of cases)
    it(`is that of ${what}`, async () => {
      const { parts, environment } = about();
      assert.equal(await ask(parts, 3000, environment), 'v1.31.1');
      assert.deepEqual(asked, by === undefined ? [] : [by]);
    });

  for (const [what, about] of [
    ['HTTP_PROXY alone', () => ({ HTTP_PROXY: url })],
    ['NO_PROXY with its name', () => ({ HTTPS_PROXY: url, NO_PROXY: there })],
    ['NO_PROXY with its domain', () => ({ HTTPS_PROXY: url, no_proxy: '.invalid' })],
    ['NO_PROXY with all', () => ({ HTTPS_PROXY: url, NO_PROXY: '*' })],
  ] as const)
    it(`is straight with ${what}`, async () => {
      // Whose name does not exist.
      await assert.rejects(ask(away(), 3000, about()), { code: 'NK_CLUSTER_UNREACHABLE' });
      assert.deepEqual(asked, []);
    });

  it('names a proxy that is not there, without its password', async () => {
    await assert.rejects(ask(away(), 3000, { HTTPS_PROXY: 'http://u:hunter2@127.0.0.1:9' }), (thrown) => {
      assert.ok(thrown instanceof NodekilnError);
      assert.equal(thrown.code, 'NK_CLUSTER_UNREACHABLE');
      assert.match(thrown.message, /kubernetes\.invalid:\d+ \(through the proxy http:\/\/127\.0\.0\.1:9\)/);
      assert.doesNotMatch(JSON.stringify(thrown), /hunter2/);
      return true;
    });
  });
});

describe('a kubeconfig', () => {
  for (const [name, parts, says] of [
    ['over plain HTTP', { cluster: { server: 'http://127.0.0.1:1' } }, /no https address/],
    ['without a server', { cluster: { server: null } }, /no https address/],
    ['that trusts anybody', { cluster: { 'insecure-skip-tls-verify': true } }, /refused/],
    ['with a proxy of another kind', { cluster: { 'proxy-url': 'socks5://p:1' } }, /proxy-url.*socks5/],
    ['with a proxy without a scheme', { cluster: { 'proxy-url': 'p:1' } }, /proxy-url/],
    ['with a proxy that is no address', { cluster: { 'proxy-url': 'http://u:hunter2@' } }, /proxy-url/],
    ['with exec', { user: { exec: { command: 'aws', env: [{ name: 'A', value: secret }] } } }, /exec/],
    ['with auth-provider', { user: { 'auth-provider': { name: 'gcp' } } }, /auth-provider/],
    ['with a password', { user: { username: 'admin', password: secret } }, /password/],
    ['with half a certificate', { user: { 'client-key-data': 'aHVudGVyMg==' } }, /without/],
    ['with a file that is missing', { user: { tokenFile: 'nowhere' } }, /does not exist/],
    ['with a token that would break the request', { user: { token: `${secret}\r\nx: y` } }, /control characters/],
    ['with a token that is no text', { user: { token: [secret] } }, /kubeconfig/],
  ] as const) {
    it(`${name} is refused`, async () => {
      const error = await fails(parts);
      assert.equal(error.code, 'NK_DOCUMENT_INVALID');
      assert.match(JSON.stringify(error), says);
    });
  }

  it('must hang together', async () => {
    const read = async (text: string): Promise<unknown> => {
      writeFileSync(at('broken'), text);
      return readKubeconfig(files, at('broken'));
    };
    await assert.rejects(read('{}'), { code: 'NK_DOCUMENT_INVALID', message: /no current context/ });
    await assert.rejects(read('current-context: a'), {
      code: 'NK_DOCUMENT_INVALID',
      message: /does not have the context/,
    });
    await assert.rejects(read('current-context: a\ncontexts: [{name: a, context: {cluster: c}}]'), {
      message: /does not have the cluster/,
    });
    await assert.rejects(read('a: [b'), { code: 'NK_DOCUMENT_SYNTAX' });
    await assert.rejects(readKubeconfig(files, at('none')), { code: 'NK_DOCUMENT_MISSING' });
    await assert.rejects(readKubeconfig(files, scratch), { code: 'NK_DOCUMENT_MISSING' });
  });
});
