/** How a node joins, told by an API server in memory, on a machine whose seconds pass at once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleAuthority, exampleNodeCertificate } from '../../../test/support/authority.ts';
import type { Join } from '../../desired/join.ts';
import { NodekilnError } from '../../errors.ts';
import { createMemoryMachine, type MemoryMachine } from '../../host/memory/machine.ts';
import type { HttpExchange, NetFailure, NetReason } from '../../host/port.ts';
import { NetError } from '../../host/port.ts';
import { toBase64, bytesOf } from '../../model/bytes.ts';
import { nodeCertificatePath } from '../../model/facts.ts';
import { followJoin, type Joined, type JoinOptions } from './join.ts';

const server = 'https://api.example.org:6443';
const token = 'abcdef.0123456789abcdef';
const machineId = '0123456789abcdef0123456789abcdef';

const join: Join = {
  nodeName: 'node-1',
  goal: 'registered',
  deadlineMs: 8_000,
  unjoined: 'degraded',
  servers: [server],
  ca: exampleAuthority,
  kubeconfig: '/var/lib/kubelet/kubeconfig',
  token: { value: { sensitive: token } },
  hasCertificate: false,
  servingByCluster: false,
  needsPodCidr: false,
  node: { labels: {}, annotations: {}, taints: [] },
};

type Body = Readonly<Record<string, unknown>>;

/** A cluster as far as a node that joins sees it; a test changes it while the node looks. */
interface Cluster {
  /** Thrown instead of an answer. */
  broken: Error | undefined;
  /** Until it answers. */
  durationMs: number;
  skewMs: number;
  tokenStatus: number;
  mayAsk: boolean;
  certificateStatus: number;
  requests: Body[];
  node: Body | undefined;
  renewTime: string;
  readonly asked: string[];
  /** The proxies that it was asked through. */
  readonly proxies: Set<string | undefined>;
}

async function machineWith(about: Partial<Cluster> = {}): Promise<{ machine: MemoryMachine; cluster: Cluster }> {
  const machine = createMemoryMachine();
  const { clock, files } = machine;
  await files.write([
    written('/etc/machine-id', `${machineId}\n`),
    written(
      join.kubeconfig,
      JSON.stringify({
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [
          { name: 'c', cluster: { server, 'certificate-authority-data': toBase64(bytesOf(exampleAuthority)) } },
        ],
        users: [{ name: 'u', user: { 'client-certificate': nodeCertificatePath, 'client-key': nodeCertificatePath } }],
      }),
    ),
  ]);
  const cluster: Cluster = {
    broken: undefined,
    durationMs: 5,
    skewMs: 0,
    tokenStatus: 201,
    mayAsk: true,
    certificateStatus: 200,
    requests: [],
    node: undefined,
    renewTime: '',
    asked: [],
    proxies: new Set(),
    ...about,
  };
  machine.serve(server, (request) => {
    cluster.proxies.add(request.proxy);
    if (cluster.broken) throw cluster.broken;
    const { status, body } = answer(cluster, request);
    const date = new Date(clock.now() + cluster.skewMs).toUTCString();
    return { status, headers: { date }, body: JSON.stringify(body), durationMs: cluster.durationMs };
  });
  return { machine, cluster };
}

function written(path: string, text: string) {
  return { type: 'file', path, content: bytesOf(text), mode: 0o600, uid: 0, gid: 0 } as const;
}

function answer(cluster: Cluster, { url, headers = {}, tls }: HttpExchange): { status: number; body: Body } {
  const { pathname } = new URL(url);
  const byToken = headers['authorization'] === `Bearer ${token}`;
  const byCertificate = tls?.clientCertificate?.cert === exampleNodeCertificate;
  cluster.asked.push(`${byToken ? 'token' : byCertificate ? 'certificate' : 'nobody'} ${pathname}`);
  if (byToken && cluster.tokenStatus !== 201) return { status: cluster.tokenStatus, body: { kind: 'Status' } };
  if (byCertificate && cluster.certificateStatus !== 200)
    return { status: cluster.certificateStatus, body: { kind: 'Status' } };
  if (pathname.endsWith('/selfsubjectaccessreviews'))
    return { status: 201, body: { status: { allowed: cluster.mayAsk } } };
  if (pathname.endsWith('/certificatesigningrequests')) return { status: 200, body: { items: cluster.requests } };
  if (pathname.endsWith('/leases/node-1')) return { status: 200, body: { spec: { renewTime: cluster.renewTime } } };
  if (pathname === '/api/v1/nodes/node-1' && cluster.node) return { status: 200, body: cluster.node };
  return { status: 404, body: { kind: 'Status' } };
}

const start = Date.UTC(2030, 0, 1);

function nodeOf({ id = machineId, ready = false, why = '', createdAt = start + 3_600_000 } = {}): Body {
  return {
    kind: 'Node',
    metadata: { name: 'node-1', creationTimestamp: new Date(createdAt).toISOString() },
    status: {
      nodeInfo: { machineID: id, systemUUID: '' },
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', message: why }],
    },
  };
}

/** kubelet's request, as far as its subject goes: the common name with its tag and its length before it. */
function requestOf(name: string, about: Body = {}, nodeName = 'node-1', username = 'system:bootstrap:abcdef'): Body {
  const subject = `system:node:${nodeName}`;
  const der = Uint8Array.of(0x0c, subject.length, ...bytesOf(subject), 0x30);
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${toBase64(der)}\n-----END CERTIFICATE REQUEST-----\n`;
  return {
    metadata: { name, creationTimestamp: '2030-01-01T00:00:00Z' },
    spec: { request: toBase64(bytesOf(pem)), username },
    ...about,
  };
}

async function follow(
  machine: MemoryMachine,
  about: Partial<Join> = {},
  signal = new AbortController().signal,
  options: Partial<JoinOptions> = {},
) {
  const said: string[] = [];
  const startedMs = machine.clock.monotonic();
  const joined = await followJoin(
    machine.open(),
    { ...join, ...about },
    { startedMs, signal, onObstacle: ({ code }) => said.push(code), ...options },
  );
  return { joined, said, tookMs: machine.clock.monotonic() - startedMs, startedMs };
}

const withCertificate = (machine: MemoryMachine): Promise<unknown> =>
  machine.files.write([written(nodeCertificatePath, exampleNodeCertificate)]);

const after = (machine: MemoryMachine, ms: number, what: () => unknown): void => {
  machine.clock.after(ms, () => void what());
};

const stages = ({ milestones }: Joined): string[] => milestones.map(({ name }) => name);

describe('a node that joins', () => {
  it('gets its certificate, registers and becomes Ready', async () => {
    const { machine, cluster } = await machineWith();
    after(machine, 400, () => withCertificate(machine));
    after(machine, 800, () => (cluster.node = nodeOf({ why: 'no pod network' })));
    after(machine, 2_000, () => (cluster.node = nodeOf({ ready: true })));
    const { joined, startedMs } = await follow(machine, { goal: 'ready' });
    assert.equal(joined.obstacle, undefined);
    assert.equal(joined.reached, 'ready');
    const at = joined.milestones.map(({ name, atMs }) => [name, Math.round((atMs - startedMs) / 200) * 200]);
    assert.deepEqual(at, [
      ['credential', 400],
      ['registered', 800],
      ['ready', 2_000],
    ]);
  });

  it('is waited for as far as its document says', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf() });
    await withCertificate(machine);
    const { joined } = await follow(machine);
    assert.deepEqual([joined.reached, joined.obstacle], ['registered', undefined]);
    const asked = cluster.asked.length;
    assert.equal((await follow(machine, { goal: 'healthz' })).joined.obstacle, undefined);
    assert.ok(cluster.asked.length <= asked + 1);
  });

  it('had its certificate before: it passes that at kubelet’s start', async () => {
    const { machine } = await machineWith({ node: nodeOf({ createdAt: start }) });
    await withCertificate(machine);
    await machine.clock.sleep(60_000);
    const { joined, startedMs, tookMs } = await follow(machine);
    assert.deepEqual(joined.milestones[0], { name: 'credential', atMs: startedMs });
    assert.ok(tookMs < 1_000, 'its Node may be old');
  });

  it('shows its token until it has its certificate, and then that', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf() });
    after(machine, 300, () => withCertificate(machine));
    await follow(machine);
    const who = [...new Set(cluster.asked.map((line) => line.split(' ')[0]))];
    assert.deepEqual(who, ['token', 'certificate']);
  });

  it('may be told its token by a file', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf() });
    await machine.files.write([written('/run/token', `${token}\n`)]);
    after(machine, 300, () => withCertificate(machine));
    await follow(machine, { token: { file: '/run/token' } });
    assert.equal(cluster.asked[0]?.split(' ')[0], 'token');
  });

  it('is told of a serving certificate that waits for somebody', async () => {
    const { machine } = await machineWith({ node: nodeOf(), requests: [requestOf('csr-7')] });
    await withCertificate(machine);
    assert.deepEqual((await follow(machine)).joined.warnings, []);
    const { warnings } = (await follow(machine, { servingByCluster: true })).joined;
    assert.match(warnings.join(), /csr-7.*kubectl certificate approve csr-7/);
  });
});

describe('a Node', () => {
  const node = {
    labels: { 'example.org/zone': 'b', 'example.org/pool': 'a' },
    annotations: { 'example.org/note': 'some words' },
    taints: [{ key: 'example.org/gpu', value: 'yes', effect: 'NoSchedule' } as const],
  };
  const here = (labels: Body, { annotations = {}, taints = [] as readonly Body[], createdAt = start } = {}): Body => {
    const { metadata, ...rest } = nodeOf({ createdAt });
    return { ...rest, metadata: { ...(metadata as Body), labels, annotations }, spec: { taints } };
  };
  const warnings = async (
    body: Body,
    { isRegistrationNew = false, prepare = (_machine: MemoryMachine): unknown => undefined } = {},
  ): Promise<readonly string[]> => {
    const { machine } = await machineWith({ node: body });
    await withCertificate(machine);
    await prepare(machine);
    await machine.clock.sleep(60_000);
    const { joined } = await follow(machine, { node }, undefined, { isRegistrationNew: () => isRegistrationNew });
    assert.equal(joined.obstacle, undefined);
    return joined.warnings;
  };

  it('that has what documents give it is passed over', async () => {
    const whole = here(node.labels, { annotations: node.annotations, taints: node.taints });
    assert.deepEqual(await warnings(whole, { isRegistrationNew: true }), []);
  });

  it('that was registered with other labels is said, with what to do', async () => {
    const said = await warnings(here({ 'example.org/zone': 'a', other: 'x', 'example.org/pool': 'a' }));
    assert.match(
      said.join('\n'),
      /^the Node node-1 does not have labels that documents give it \(example\.org\/zone=b\).*`kubectl label node node-1 --overwrite example\.org\/zone=b`\n.*annotations.*\(example\.org\/note\): only an agent puts them there$/,
    );
    assert.doesNotMatch(said.join(), /some words|taint/);
  });

  it('that lacks a taint is said when the documents changed, since others take some of them away', async () => {
    const said = await warnings(here(node.labels, { annotations: node.annotations }), { isRegistrationNew: true });
    assert.match(
      said.join(),
      /^the Node node-1 .* now \(example\.org\/gpu=yes:NoSchedule\).*`kubectl taint node node-1/,
    );
    assert.deepEqual(await warnings(here(node.labels, { annotations: node.annotations })), []);
    const young = here(node.labels, { annotations: node.annotations, createdAt: start + 3_600_000 });
    assert.deepEqual(await warnings(young, { isRegistrationNew: true }), []);
  });

  it('that an agent keeps is the agent’s', async () => {
    assert.deepEqual(await warnings(here({}, { annotations: { 'nodekiln.dev/owned': '{}' } })), []);
    const prepare = async (machine: MemoryMachine): Promise<void> => {
      const unit = '[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n';
      await machine.files.write([written('/etc/systemd/system/nodekiln-agent.service', unit)]);
      await machine.open().units.setEnablement('enable', ['nodekiln-agent.service']);
    };
    assert.deepEqual(await warnings(here({}, { createdAt: start + 3_600_000 }), { prepare }), []);
    assert.notDeepEqual(await warnings(here({}), { prepare }), [], 'one that has no cluster, perhaps');
  });

  it('that says nonsense lacks everything', async () => {
    const { metadata, ...rest } = here({});
    const said = await warnings({
      ...rest,
      metadata: { ...(metadata as Body), labels: 7, annotations: [] },
      spec: 'x',
    });
    assert.equal(said.length, 2);
  });
});

describe('what stands in the way', () => {
  const netError = (failure: NetFailure, reason?: NetReason): Error =>
    new NetError(failure, { where: server, why: 'because', reason });

  it('is what the server said, though it answers too late afterwards', async () => {
    const { machine, cluster } = await machineWith({ broken: netError('certificate', 'untrusted') });
    after(machine, 5_000, () => Object.assign(cluster, { broken: undefined, durationMs: 60_000 }));
    const { joined, said } = await follow(machine);
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_AUTHORITY');
    assert.deepEqual(said, ['NK_CLUSTER_AUTHORITY']);
  });

  it('is its silence, when that lasts', async () => {
    const { machine, cluster } = await machineWith({ broken: netError('certificate', 'untrusted') });
    after(machine, 1_000, () => (cluster.broken = netError('connection')));
    const { joined, said } = await follow(machine, { deadlineMs: 15_000 });
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_UNREACHABLE');
    assert.deepEqual(said, ['NK_CLUSTER_AUTHORITY', 'NK_CLUSTER_UNREACHABLE']);
  });

  it('names the server that answers where kubelet’s does not', async () => {
    const { machine } = await machineWith({ broken: netError('connection', 'refused') });
    const [silent, other] = ['https://silent.example.org:6443', 'https://other.example.org:6443'];
    machine.serve(other, () => ({ status: 401, body: '{}' }));
    const { joined } = await follow(machine, { servers: [server, silent, other] });
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_UNREACHABLE');
    assert.match(joined.obstacle.message, /nobody listens at the API server .*api\.example\.org/);
    assert.match(joined.obstacle.hint, /^https:\/\/other\.example\.org:6443 answers, and kubelet knows one server/);
  });

  const approved = { status: { conditions: [{ type: 'Approved' }] } };
  const issued = { status: { ...approved.status, certificate: 'LS0t' } };
  const denied = { status: { conditions: [{ type: 'Denied', message: 'who is this?' }] } };

  for (const [name, about, code, says] of [
    ['a name without an address', { broken: netError('connection', 'no-name') }, 'NK_CLUSTER_UNREACHABLE', /resolved/],
    [
      'a server that refuses',
      { broken: netError('connection', 'refused') },
      'NK_CLUSTER_UNREACHABLE',
      /nobody listens/,
    ],
    ['no way there', { broken: netError('connection', 'no-route') }, 'NK_CLUSTER_UNREACHABLE', /no way/],
    ['a connection that breaks off', { broken: netError('connection') }, 'NK_CLUSTER_UNREACHABLE', /does not answer/],
    ['an answer that does not come', { durationMs: 60_000 }, 'NK_CLUSTER_UNREACHABLE', /no answer .*within 3000 ms/],
    ['another authority', { broken: netError('certificate', 'untrusted') }, 'NK_CLUSTER_AUTHORITY', /caBundle/],
    ['another’s certificate', { broken: netError('certificate', 'other-name') }, 'NK_CLUSTER_CERTIFICATE', /another’s/],
    [
      'a certificate that has expired',
      { broken: netError('certificate', 'expired') },
      'NK_CLUSTER_CERTIFICATE',
      /2030/,
    ],
    ['a certificate of later', { broken: netError('certificate', 'not-yet-valid') }, 'NK_CLUSTER_CLOCK', /2030/],
    ['a clock that is behind', { skewMs: 3_600_000 }, 'NK_CLUSTER_CLOCK', /60 minutes behind/],
    ['a clock that is ahead', { skewMs: -3_600_000 }, 'NK_CLUSTER_CLOCK', /60 minutes ahead/],
    ['a token that nobody knows', { tokenStatus: 401 }, 'NK_CLUSTER_TOKEN_REFUSED', /does not know/],
    ['a token that may not ask', { mayAsk: false }, 'NK_CLUSTER_TOKEN_FORBIDDEN', /does not let/],
    ['a token that may not even ask whether', { tokenStatus: 403 }, 'NK_CLUSTER_TOKEN_FORBIDDEN', /does not let/],
    ['a server in trouble', { tokenStatus: 500 }, 'NK_CLUSTER_UNREACHABLE', /status 500/],
    ['a request that waits', { requests: [requestOf('csr-1')] }, 'NK_CLUSTER_REQUEST_PENDING', /csr-1/],
    [
      'a request that was denied',
      { requests: [requestOf('csr-1', denied)] },
      'NK_CLUSTER_REQUEST_DENIED',
      /who is this/,
    ],
    [
      'a request that nobody has signed',
      { requests: [requestOf('csr-1', approved)] },
      'NK_CLUSTER_REQUEST_PENDING',
      /csr-1 is approved, and nobody has signed it/,
    ],
    [
      'a request that waits, while another machine of this name was given a certificate',
      { requests: [requestOf('csr-1'), requestOf('csr-2', issued, 'node-1', 'system:bootstrap:fedcba')] },
      'NK_CLUSTER_REQUEST_PENDING',
      /csr-1/,
    ],
    [
      'a request that waits, while another machine of this name with this token was given a certificate',
      { requests: [requestOf('csr-1'), requestOf('csr-2', issued)] },
      'NK_CLUSTER_REQUEST_PENDING',
      /csr-1/,
    ],
    [
      'a later request that waits',
      { requests: [requestOf('csr-1', denied), requestOf('csr-2')] },
      'NK_CLUSTER_REQUEST_PENDING',
      /csr-2/,
    ],
  ] as const) {
    it(`${name}, said at once and held to for the time of the document`, async () => {
      const { machine } = await machineWith(about as Partial<Cluster>);
      const { joined, said, tookMs } = await follow(machine);
      assert.equal(joined.obstacle?.code, code);
      assert.match(joined.obstacle.message, says);
      assert.doesNotMatch(JSON.stringify(joined.obstacle), new RegExp(token));
      assert.notEqual(joined.obstacle.hint, '');
      assert.deepEqual(said, [code]);
      assert.ok(tookMs >= 8_000 && tookMs < 10_000, `${tookMs} ms`);
      assert.deepEqual([joined.reached, stages(joined)], [undefined, []]);
    });
  }

  for (const [name, requests] of [
    ['another node’s request', [requestOf('csr-1', {}, 'node-10'), requestOf('csr-2', {}, 'a-node-1')]],
    ['a request that was approved and signed', [requestOf('csr-1', issued)]],
    ['what another machine of this name asks for', [requestOf('csr-1', {}, 'node-1', 'system:bootstrap:fedcba')]],
    ['what is no request', [{}, { spec: { request: 7 } }]],
  ] as const) {
    it(`is not ${name}`, async () => {
      const { machine } = await machineWith({ requests: [...requests] });
      const budget = new AbortController();
      after(machine, 20_000, () => budget.abort(new NodekilnError('NK_TIMEOUT', 'the boot')));
      const { joined, said, tookMs } = await follow(machine, {}, budget.signal);
      assert.deepEqual(said, []);
      assert.ok(tookMs >= 20_000);
      assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NOT_REGISTERED');
    });
  }

  it('is over when it is mended in time', async () => {
    const { machine, cluster } = await machineWith({ tokenStatus: 401 });
    after(machine, 4_000, () => (cluster.tokenStatus = 201));
    after(machine, 5_000, () => withCertificate(machine));
    after(machine, 6_000, () => (cluster.node = nodeOf({ createdAt: start + 3_700_000 })));
    const { joined, said } = await follow(machine);
    assert.deepEqual([joined.obstacle, joined.reached, said], [undefined, 'registered', ['NK_CLUSTER_TOKEN_REFUSED']]);
  });

  it('is neither certificate nor token', async () => {
    const { machine, cluster } = await machineWith();
    const { token: _none, ...without } = join;
    const joined = await followJoin(machine.open(), without, {
      startedMs: machine.clock.monotonic(),
      signal: new AbortController().signal,
    });
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_CREDENTIAL_MISSING');
    assert.deepEqual(cluster.asked, [], 'nobody is asked');
  });

  for (const [name, content] of [
    ['is not there', undefined],
    ['holds none', 'two words'],
    ['is empty', ''],
  ] as const) {
    it(`is a file of the token that ${name}`, async () => {
      const { machine } = await machineWith();
      if (content !== undefined) await machine.files.write([written('/run/token', content)]);
      const { joined } = await follow(machine, { token: { file: '/run/token' } });
      assert.equal(joined.obstacle?.code, 'NK_CLUSTER_TOKEN_MALFORMED');
      assert.ok(!joined.obstacle.message.includes('two words'));
    });
  }

  for (const status of [401, 403]) {
    it(`is a certificate that is answered with ${status}`, async () => {
      const { machine } = await machineWith({ certificateStatus: status });
      await withCertificate(machine);
      const { joined } = await follow(machine);
      assert.equal(joined.obstacle?.code, 'NK_CLUSTER_CREDENTIAL_REFUSED');
      assert.equal(joined.reached, 'credential');
    });
  }

  it('is a Node that does not become Ready, when that is the goal', async () => {
    const { machine } = await machineWith({ node: nodeOf({ why: 'cni plugin not initialized' }) });
    await withCertificate(machine);
    const { joined } = await follow(machine, { goal: 'ready' });
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NOT_READY');
    assert.match(joined.obstacle.message, /cni plugin not initialized/);
    assert.equal(joined.reached, 'registered');
  });

  it('is a Node without the podCIDR that its bridge waits for, as long as it has none', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf({ why: 'cni plugin not initialized' }) });
    await withCertificate(machine);
    const ask = { goal: 'ready', needsPodCidr: true } as const;
    const { joined } = await follow(machine, ask);
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NOT_READY');
    assert.match(joined.obstacle.message, /no podCIDR/);
    assert.match(joined.obstacle.hint, /--allocate-node-cidrs/);
    cluster.node = { ...nodeOf({ why: 'cni plugin not initialized' }), spec: { podCIDR: '10.90.0.0/24' } };
    assert.match((await follow(machine, ask)).joined.obstacle?.message ?? '', /cni plugin not initialized/);
  });

  it('is a Node that nobody made until the boot’s budget was used up', async () => {
    const { machine } = await machineWith();
    await withCertificate(machine);
    const budget = new AbortController();
    after(machine, 30_000, () => budget.abort(new NodekilnError('NK_TIMEOUT', 'the boot')));
    const { joined, tookMs } = await follow(machine, {}, budget.signal);
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NOT_REGISTERED');
    assert.ok(tookMs >= 30_000 && tookMs < 31_000);
  });

  it('is whoever stops the boot', async () => {
    const { machine } = await machineWith({ tokenStatus: 401 });
    const stop = new AbortController();
    after(machine, 1_000, () => stop.abort());
    const { joined, tookMs } = await follow(machine, {}, stop.signal);
    assert.equal(joined.obstacle?.code, 'NK_INTERRUPTED');
    assert.ok(tookMs < 1_500);
  });
});

describe('a name that another machine has', () => {
  const other = 'f'.repeat(32);
  const now = (machine: MemoryMachine): string => new Date(machine.clock.now()).toISOString();

  it('is said when that machine lives', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf({ id: other, createdAt: start }) });
    cluster.renewTime = now(machine);
    await withCertificate(machine);
    const { joined } = await follow(machine);
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NAME_TAKEN');
    assert.match(joined.obstacle.message, new RegExp(other));
  });

  it('is ours when that machine is gone', async () => {
    const { machine, cluster } = await machineWith();
    cluster.node = nodeOf({ id: other, createdAt: machine.clock.now() - 3_600_000 });
    cluster.renewTime = new Date(machine.clock.now() - 60_000).toISOString();
    after(machine, 500, () => withCertificate(machine));
    after(machine, 1_000, () => (cluster.node = nodeOf({ createdAt: start })));
    const { joined, startedMs } = await follow(machine);
    assert.deepEqual([joined.obstacle, joined.reached], [undefined, 'registered']);
    const registered = joined.milestones.find((milestone) => milestone.name === 'registered');
    assert.ok(registered && registered.atMs >= startedMs + 1_000, 'its Node is none of ours until kubelet says so');
  });

  it('is said of a machine that has only just become the Node, and has no Lease yet', async () => {
    const { machine, cluster } = await machineWith();
    cluster.node = nodeOf({ id: other, ready: true, createdAt: machine.clock.now() - 3_000 });
    await withCertificate(machine);
    const { joined } = await follow(machine, { goal: 'ready' });
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NAME_TAKEN');
    assert.deepEqual(stages(joined), ['credential']);
  });

  it('is said when that machine puts its own identity back', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf({ createdAt: start }) });
    await machine.clock.sleep(60_000);
    after(machine, 500, () => withCertificate(machine));
    after(machine, 9_000, () => {
      cluster.node = nodeOf({ id: other, createdAt: start });
      cluster.renewTime = now(machine);
    });
    const { joined } = await follow(machine);
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NAME_TAKEN');
  });

  it('is said of a machine that was seen, though kubelet writes over it', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf({ id: other, createdAt: start }) });
    cluster.renewTime = now(machine);
    await withCertificate(machine);
    after(machine, 300, () => (cluster.node = nodeOf({ createdAt: start, why: 'no pod network' })));
    const { joined } = await follow(machine, { goal: 'ready' });
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NAME_TAKEN');
  });

  it('is ours when that machine is seen no more', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf({ id: other, createdAt: start }) });
    cluster.renewTime = now(machine);
    await withCertificate(machine);
    after(machine, 300, () => (cluster.node = nodeOf({ createdAt: start })));
    const { joined, said } = await follow(machine, { deadlineMs: 60_000 });
    assert.deepEqual([joined.obstacle, joined.reached, said], [undefined, 'registered', ['NK_CLUSTER_NAME_TAKEN']]);
  });

  it('is said rather than that the Node is not Ready', async () => {
    const { machine, cluster } = await machineWith({ node: nodeOf({ createdAt: start }) });
    await machine.clock.sleep(60_000);
    after(machine, 500, () => withCertificate(machine));
    after(machine, 11_000, () => {
      cluster.node = nodeOf({ id: other, createdAt: start });
      cluster.renewTime = now(machine);
    });
    const { joined, said } = await follow(machine, { goal: 'ready' });
    assert.equal(joined.obstacle?.code, 'NK_CLUSTER_NAME_TAKEN');
    assert.deepEqual(said, ['NK_CLUSTER_NOT_READY', 'NK_CLUSTER_NAME_TAKEN']);
  });

  it('is ours when nobody does', async () => {
    const { machine } = await machineWith({ node: nodeOf({ createdAt: start }) });
    await machine.clock.sleep(60_000);
    after(machine, 500, () => withCertificate(machine));
    const { joined, tookMs } = await follow(machine);
    assert.equal(joined.obstacle, undefined);
    assert.ok(tookMs >= 12_000, 'it was waited for');
  });
});

describe('the way to the API server', () => {
  const ofDocument: Join['proxy'] = [['HTTPS_PROXY', { sensitive: 'http://u:p@a:1' }]];
  const ofUnit = { NODEKILN_UNIT: 'nodekiln-boot.service', HTTPS_PROXY: 'http://b:1' };
  for (const [what, proxy, environment, by] of [
    ['none', undefined, {}, undefined],
    ['the document’s, which kubelet is given', ofDocument, {}, 'http://u:p@a:1'],
    ['the document’s before that of all units', ofDocument, ofUnit, 'http://u:p@a:1'],
    ['that of all units', undefined, ofUnit, 'http://b:1'],
    ['not that of a person’s shell, which kubelet does not see', undefined, { HTTPS_PROXY: 'http://b:1' }, undefined],
    ['none that the document excepts', [...ofDocument, ['NO_PROXY', '.example.org']], {}, undefined],
    ['none by the document’s variable for other addresses', [['HTTP_PROXY', 'http://a:1']], ofUnit, undefined],
  ] as const)
    it(`is kubelet’s: ${what}`, async () => {
      const { machine, cluster } = await machineWith();
      const stop = new AbortController();
      machine.clock.after(1000, () => stop.abort());
      const options = { startedMs: machine.clock.monotonic(), signal: stop.signal };
      await followJoin(machine.open({ environment }), { ...join, ...(proxy && { proxy }) }, options);
      assert.deepEqual([...cluster.proxies], [by]);
    });
});
