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
  const { net, clock, files, program } = machine.open();
  const credentials = kubeconfigCredentials(files, '/etc/kube/kubeconfig');
  const client = createKubeClient({ net, clock, program }, { servers: [server], credentials });
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

  it('say once why those of before are shown still', async () => {
    await write('token', 'first');
    await write('kubeconfig', kubeconfig('token'));
    const { files } = machine.open();
    const troubles: string[] = [];
    const credentials = kubeconfigCredentials(files, '/etc/kube/kubeconfig', {
      onTrouble: ({ message }) => troubles.push(message),
    });
    await credentials();
    await machine.files.remove(['/etc/kube/token']);
    await credentials();
    await credentials();
    assert.equal(troubles.length, 1);
    assert.match(troubles[0] ?? '', /names \/etc\/kube\/token, which does not exist/);
    await write('token', 'second');
    await credentials();
    await machine.files.remove(['/etc/kube/token']);
    await credentials();
    assert.equal(troubles.length, 2);
  });

  it('are of the context that is asked for', async () => {
    await write(
      'kubeconfig',
      kubeconfig('token').replace(
        'contexts: [',
        'contexts: [{name: other, context: {cluster: c, user: certificate}}, ',
      ),
    );
    await write('token', 'first');
    await write('client.pem', 'certificate 1');
    const { files } = machine.open();
    const of = async (context: string): Promise<unknown> =>
      (await kubeconfigCredentials(files, '/etc/kube/kubeconfig', { context })()).clientCertificate?.cert;
    assert.deepEqual([await of('other'), await of('here')], ['certificate 1', undefined]);
    await assert.rejects(of('nowhere'), { code: 'NK_DOCUMENT_INVALID', message: /"nowhere"/, hint: /"other", "here"/ });
  });

  it('must be there at first', async () => {
    const ask = await asker('token');
    await assert.rejects(ask(), { code: 'NK_DOCUMENT_INVALID' });
    assert.deepEqual(seen, []);
  });
});

describe('credentials of a program', () => {
  const program = '/opt/bin/get-token';
  const withPlugin = (exec: Readonly<Record<string, unknown>>): string =>
    JSON.stringify({
      'current-context': 'here',
      contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server } }],
      users: [
        {
          name: 'u',
          user: {
            exec: {
              apiVersion: 'client.authentication.k8s.io/v1',
              command: program,
              args: ['--for', 'node'],
              env: [{ name: 'REGION', value: 'north' }],
              interactiveMode: 'Never',
              ...exec,
            },
          },
        },
      ],
    });
  const printed = (status: Readonly<Record<string, unknown>>): string =>
    JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status });

  let runs: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> | undefined }[];
  let prints: () => { status?: number; stdout?: string; stderr?: string };
  let troubles: string[];
  let statusOf: (authorization: string | undefined) => number;

  beforeEach(() => {
    [runs, troubles] = [[], []];
    statusOf = () => 200;
    machine.program(program, ({ argv, options }) => {
      runs.push({ argv, env: options.env });
      return prints();
    });
    machine.serve(server, ({ headers, tls }) => {
      const token = headers?.['authorization'];
      seen.push({ token, cert: tls?.clientCertificate?.cert, ca: tls?.ca });
      return { status: statusOf(token) };
    });
  });

  async function pluginAsker(exec: Readonly<Record<string, unknown>> = {}): Promise<() => Promise<unknown>> {
    await write('kubeconfig', withPlugin(exec));
    const host = machine.open();
    const credentials = kubeconfigCredentials(host.files, '/etc/kube/kubeconfig', {
      programs: host,
      onTrouble: ({ message }) => troubles.push(message),
    });
    const client = createKubeClient(host, { servers: [server], credentials });
    return () => client.ask({ path: '/version', timeoutMs: 1000 });
  }
  const tokens = (): unknown[] => seen.map(({ token }) => token);
  const inSeconds = (seconds: number): string => new Date(machine.clock.now() + seconds * 1000).toISOString();

  it('are asked for once, told what for, and asked for again before they expire', async () => {
    let count = 0;
    prints = () => ({ stdout: printed({ token: `t${++count}`, expirationTimestamp: inSeconds(100) }) });
    const ask = await pluginAsker({ provideClusterInfo: true });
    await Promise.all([ask(), ask()]);
    await machine.clock.sleep(89_000);
    await ask();
    await machine.clock.sleep(2_000);
    await ask();
    assert.deepEqual(tokens(), ['Bearer t1', 'Bearer t1', 'Bearer t1', 'Bearer t2']);
    assert.deepEqual(runs[0]?.argv, [program, '--for', 'node']);
    assert.equal(runs[0].env?.['REGION'], 'north');
    assert.deepEqual(JSON.parse(runs[0].env?.['KUBERNETES_EXEC_INFO'] ?? ''), {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      spec: { interactive: false, cluster: { server } },
    });
  });

  it('are asked for again when they are refused', async () => {
    let count = 0;
    prints = () => ({ stdout: printed({ token: `t${++count}` }) });
    const ask = await pluginAsker();
    await ask();
    statusOf = (token) => (token === 'Bearer t1' ? 401 : 200);
    await ask();
    await ask();
    await ask();
    assert.deepEqual(tokens(), ['Bearer t1', 'Bearer t1', 'Bearer t2', 'Bearer t2']);
  });

  it('serve until they expire, though the program fails', async () => {
    prints = () => ({ stdout: printed({ token: 't1', expirationTimestamp: inSeconds(100) }) });
    const ask = await pluginAsker();
    await ask();
    prints = () => ({ status: 1, stderr: 'the password is hunter2' });
    await machine.clock.sleep(95_000);
    await ask();
    assert.deepEqual(troubles, [`the credential program ${program} of the kubeconfig ended with status 1`]);
    await machine.clock.sleep(6_000);
    await assert.rejects(ask(), { code: 'NK_CLUSTER_CREDENTIAL_MISSING' });
  });

  it('may be a certificate', async () => {
    prints = () => ({ stdout: printed({ clientCertificateData: 'cert', clientKeyData: 'key' }) });
    await (
      await pluginAsker()
    )();
    assert.deepEqual(
      seen.map(({ cert }) => cert),
      ['cert'],
    );
  });

  for (const [what, result, says] of [
    ['fails', { status: 3 }, /ended with status 3/],
    ['prints nothing', { stdout: '' }, /printed no ExecCredential/],
    ['prints another kind', { stdout: '{"apiVersion":"v1","kind":"Secret","status":{}}' }, /no ExecCredential/],
    [
      'speaks another version',
      { stdout: printed({ token: 'x' }).replace('/v1"', '/v1beta1"') },
      /another version than the kubeconfig says/,
    ],
    ['prints neither token nor certificate', { stdout: printed({ clientCertificateData: 'x' }) }, /neither/],
    ['prints a token that would break the request', { stdout: printed({ token: 'a\r\nb: c' }) }, /control characters/],
    ['prints no time', { stdout: printed({ token: 'x', expirationTimestamp: 'soon' }) }, /no time/],
  ] as const) {
    it(`are none when the program ${what}`, async () => {
      prints = () => result;
      const ask = await pluginAsker({ installHint: 'apt install get-token' });
      await assert.rejects(ask(), {
        code: 'NK_CLUSTER_CREDENTIAL_MISSING',
        message: says,
        hint: 'apt install get-token',
      });
      assert.deepEqual(seen, []);
    });
  }

  for (const [what, exec, says] of [
    ['names no program', { command: '' }, /no command/],
    ['is of a version of before', { apiVersion: 'client.authentication.k8s.io/v1alpha1' }, /version that is not known/],
    ['wants a terminal', { interactiveMode: 'Always' }, /terminal/],
    ['has arguments that are none', { args: [1] }, /list of strings/],
    ['has an environment that is none', { env: [{ value: 'x' }] }, /without a name/],
  ] as const) {
    it(`are refused of a kubeconfig that ${what}`, async () => {
      const ask = await pluginAsker(exec);
      await assert.rejects(ask(), { code: 'NK_DOCUMENT_INVALID', message: says });
    });
  }

  it('say when the program is not there', async () => {
    const ask = await pluginAsker({ command: 'nowhere' });
    await assert.rejects(ask(), { code: 'NK_CLUSTER_CREDENTIAL_MISSING', message: /is not there/ });
  });
});
