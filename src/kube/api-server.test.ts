/**
 * Against a real TLS server that answers as an API server does at /version. A whole API server is not needed to show who
 * is asked, trusted and told what; that one answers alike is not shown here.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { after, before, beforeEach, describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { serverVersion } from './api-server.ts';
import { createKubeClient } from './client.ts';
import { readKubeconfig } from './kubeconfig.ts';

const scratch = mkdtempSync('/var/tmp/nodekiln-api-server-');
const { files, net, clock } = createLinuxHost();
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

async function ask(parts?: Parts, timeoutMs = 3000): Promise<string> {
  return serverVersion(createKubeClient({ net, clock }, await readKubeconfig(files, kubeconfig(parts))), timeoutMs);
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

describe('a kubeconfig', () => {
  for (const [name, parts, says] of [
    ['over plain HTTP', { cluster: { server: 'http://127.0.0.1:1' } }, /no https address/],
    ['without a server', { cluster: { server: null } }, /no https address/],
    ['that trusts anybody', { cluster: { 'insecure-skip-tls-verify': true } }, /refused/],
    ['with a proxy', { cluster: { 'proxy-url': 'http://p:1' } }, /proxy/],
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
