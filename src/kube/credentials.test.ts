import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createMemoryMachine } from '../host/memory/machine.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import { bytesOf } from '../model/bytes.ts';
import { createKubeClient } from './client.ts';
import { kubeconfigCredentials } from './credentials.ts';

const server = 'https://10.0.0.1:6443';
const kubeconfig = (name: string): string => `apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: ${name}}}]
clusters: [{name: c, cluster: {server: "${server}", certificate-authority: ca.crt}}]
users:
- {name: token, user: {tokenFile: token}}
- {name: certificate, user: {client-certificate: client.pem, client-key: client.pem}}
`;

let machine: MemoryMachine;
let seen: { token: string | undefined; cert: string | undefined; ca: string | undefined }[];

const write = (name: string, content: string): Promise<unknown> =>
  machine.files.write([
    { type: 'file', path: `/etc/kube/${name}`, content: bytesOf(content), mode: 0o600, uid: 0, gid: 0 },
  ]);

beforeEach(async () => {
  machine = createMemoryMachine();
  seen = [];
  machine.serve(server, ({ headers, tls }) => {
    seen.push({ token: headers?.['authorization'], cert: tls?.clientCertificate?.cert, ca: tls?.ca });
    return {};
  });
  await write('ca.crt', 'authority 1');
});

/** Asks as a user of the kubeconfig; again each time it is called. */
async function asker(user: string): Promise<() => Promise<unknown>> {
  await write('kubeconfig', kubeconfig(user));
  const { net, files } = machine.open();
  const credentials = kubeconfigCredentials(files, '/etc/kube/kubeconfig');
  const client = createKubeClient(net, { server, credentials });
  return () => client.ask({ path: '/version', timeoutMs: 1000 });
}

describe('credentials on disk', () => {
  it('are those of now: a token that was renewed, another authority, another user', async () => {
    await write('token', 'first\n');
    await write('client.pem', 'certificate 1');
    const ask = await asker('token');
    await ask();
    await write('token', 'second\n');
    await ask();
    await write('ca.crt', 'authority 2');
    await ask();
    await write('kubeconfig', kubeconfig('certificate'));
    await ask();
    await write('client.pem', 'certificate 2');
    await ask();
    const none = { token: undefined, cert: undefined };
    assert.deepEqual(seen, [
      { ...none, token: 'Bearer first', ca: 'authority 1' },
      { ...none, token: 'Bearer second', ca: 'authority 1' },
      { ...none, token: 'Bearer second', ca: 'authority 2' },
      { ...none, cert: 'certificate 1', ca: 'authority 2' },
      { ...none, cert: 'certificate 2', ca: 'authority 2' },
    ]);
  });

  it('are those of before while they cannot be read', async () => {
    await write('token', 'first');
    const ask = await asker('token');
    await ask();
    await machine.files.remove(['/etc/kube/token']);
    await ask();
    await write('token', 'second');
    await ask();
    assert.deepEqual(
      seen.map(({ token }) => token),
      ['Bearer first', 'Bearer first', 'Bearer second'],
    );
  });

  it('must be there at first', async () => {
    const ask = await asker('token');
    await assert.rejects(ask(), { code: 'NK_DOCUMENT_INVALID' });
    assert.deepEqual(seen, []);
  });
});
