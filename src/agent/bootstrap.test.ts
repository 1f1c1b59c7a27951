/** An unbaked machine in memory and its registry: what user data makes of it, killed anywhere, and a second time. What another digest does
 * to it is in bootstrap-newer.test.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createMemoryMachine, type MemoryMachine, type OpenOptions, type Program } from '../host/memory/machine.ts';
import { createHttpClient } from '../artifacts/sources/http-client.ts';
import { NetError } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import { textFile } from '../../test/support/memory-node.ts';
import { tar, tarHeader } from '../../test/support/tar.ts';
import { issueCertificate, makeAuthority } from '../../test/servers/certificates.ts';
import { artifact, digestOf } from '../../test/servers/registry.ts';
import { resetNode } from './reset.ts';
import { bootstrapAgent, type BootstrapOptions, type BootstrapReport } from './bootstrap.ts';

const origin = 'https://registry.example.org';
const given = '/run/agent.yaml';
const agent = 'nodekiln-agent.service';
const own = 'nodekiln-agent-bootstrap.service';
const certificate = '/var/lib/nodekiln/agent/client-current.pem';
const parts = { nodekiln: Buffer.from('the program'), node: Buffer.from('what runs it') };
const pushed = artifact(parts);
const manifest = Buffer.from(JSON.stringify(pushed.manifest));
const image = `registry.example.org/nodekiln@${digestOf(manifest)}`;
const config = JSON.stringify({
  apiVersion: 'nodekiln.dev/v1alpha1',
  kind: 'AgentConfig',
  spec: {
    source: 'secret:kube-system/pool-a',
    nodeName: 'node-1',
    cluster: { server: 'https://10.0.0.1:6443', caFile: '/etc/ca.crt', bootstrapToken: 'abcdef.0123456789abcdef' },
  },
});

/** PEM, by what is wrong with it. */
const issued = { good: '', expired: '', 'of another node': '', 'of another authority': '', 'of another key': '' };
let authority = '';
let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'nodekiln-bootstrap-'));
  const [ca, other] = [await makeAuthority(scratch, 'ca'), await makeAuthority(scratch, 'other')];
  const subject = '/O=nodekiln:node-agents/CN=nodekiln:node-agent:node-1';
  const times = { notBefore: new Date('2029-01-01'), notAfter: new Date('2031-01-01') };
  const made = async (name: string, by: typeof ca, options = {}): Promise<{ cert: string; key: string }> => {
    const pair = await issueCertificate(scratch, name, by, { subject, ...times, ...options });
    const [cert, key] = await Promise.all([pair.certificate, pair.key].map((path) => readFile(path, 'utf8')));
    return { cert: cert ?? '', key: key ?? '' };
  };
  const good = await made('good', ca);
  const expired = await made('expired', ca, { notAfter: new Date('2029-12-01') });
  const node = await made('node', ca, { subject: subject.replace('node-1', 'node-2') });
  const foreign = await made('foreign', other);
  const whole = ({ cert, key }: typeof good): string => `${cert}${key}`;
  issued.good = whole(good);
  issued.expired = whole(expired);
  issued['of another node'] = whole(node);
  issued['of another authority'] = whole(foreign);
  issued['of another key'] = whole({ cert: good.cert, key: foreign.key });
  authority = await readFile(ca.certificate, 'utf8');
});
after(() => rm(scratch, { recursive: true, force: true }));

let machine: MemoryMachine;
let asked: string[];
/** What the registry has under a digest. */
let blobs: Map<string, Uint8Array>;

const text = async (path: string): Promise<string | undefined> => textOf(await machine.files.read(path));
const programs = (): Promise<(string | undefined)[]> =>
  Promise.all(['node', 'nodekiln'].map((name) => text(`/opt/nodekiln/bin/${name}`)));

/** What it says of itself, by what is in the file that is run. */
let versions: Map<string, string>;
const sayVersion: Program = async ({ argv, files }) => {
  const nodekiln = versions.get(textOf(await files.read(argv[1] ?? '')) ?? '');
  return nodekiln === undefined ? { status: 1 } : { stdout: JSON.stringify({ data: { nodekiln } }) };
};

/** One process of user data. */
function run(open: OpenOptions = {}, options: Partial<BootstrapOptions> = {}): Promise<BootstrapReport> {
  const host = machine.open(open);
  const client = createHttpClient({ net: host.net, environment: {} });
  return bootstrapAgent(host, {
    origin: { image },
    config: given,
    client,
    budgetMs: 5000,
    certificateMs: 60_000,
    path: true,
    ...options,
  });
}

/** A machine with the unit that user data makes; its agent gets a certificate when `isApproved`. */
async function unbaked(isApproved = true): Promise<void> {
  machine = createMemoryMachine();
  versions = new Map([['the program', '1.2.0']]);
  machine.program('node', sayVersion);
  asked = [];
  blobs = new Map([manifest, ...(pushed.blobs ?? [])].map((content) => [digestOf(content), content]));
  machine.serve(origin, ({ url }) => {
    const name = new URL(url).pathname.split('/').at(-1) ?? '';
    asked.push(name);
    const body = blobs.get(name);
    return body ? { body, headers: { 'content-type': pushed.mediaType } } : { status: 404 };
  });
  machine.units.behave(agent, {
    onActive: () => void (isApproved && machine.files.write([textFile(certificate, issued.good)])),
  });
  const unit = '[Service]\nType=oneshot\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n';
  await machine.files.write([
    textFile(given, config),
    textFile('/etc/ca.crt', authority, 0o644),
    textFile(`/etc/systemd/system/${own}`, unit, 0o644),
  ]);
  await machine.units.daemonReload();
  await machine.open().units.setEnablement('enable', [own]);
}

async function assertTended(message?: string): Promise<void> {
  assert.deepEqual(await programs(), ['what runs it', 'the program'], message);
  for (const name of ['node', 'nodekiln'])
    assert.equal((await machine.files.stat(`/opt/nodekiln/bin/${name}`))?.mode, 0o755, message);
  assert.equal(await text('/etc/nodekiln/agent.yaml'), config, message);
  assert.equal((await machine.files.stat('/etc/nodekiln/agent.yaml'))?.mode, 0o600, message);
  assert.equal((await machine.units.get(agent)).activeState, 'active', message);
  const { units } = machine.open();
  assert.deepEqual([await units.enablement(agent), await units.enablement(own)], ['enabled', 'disabled'], message);
  assert.deepEqual(
    (await machine.files.list('/var/lib/nodekiln')).filter((name) => /bootstrap/.test(name)),
    ['agent-bootstrap.json', 'bootstrap-brought.json'],
    message,
  );
  assert.deepEqual(await machine.files.list('/opt/nodekiln'), ['bin'], message);
}

describe('an unbaked machine', () => {
  beforeEach(() => unbaked());

  it('gets program, configuration, unit and certificate, once (K1)', async () => {
    const report = await run();
    await assertTended();
    assert.deepEqual(
      report.steps.map(({ step, outcome }) => `${step} ${outcome}`),
      ['program done', 'path done', 'config done', 'unit done', 'certificate done', 'disable done'],
    );
    const effects = machine.effects.length;
    asked.length = 0;
    assert.deepEqual(await run(), { applied: true, steps: [] });
    assert.deepEqual([machine.effects.length, asked], [effects, []], 'a second run does nothing');
  });

  it('is made one wherever the first run was killed', async () => {
    await run();
    const count = machine.effects.length;
    assert.ok(count > 10);
    for (let at = 1; at <= count; at += 1) {
      for (const when of ['before', 'after'] as const) {
        await unbaked();
        await run({ crash: { at, when } }).catch(() => undefined);
        const [node, nodekiln] = await programs();
        assert.ok(nodekiln === undefined || node !== undefined, `a program that nothing runs, killed ${when} ${at}`);
        await run();
        await assertTended(`killed ${when} effect ${at}`);
      }
    }
  });

  it('has nothing left of it after a reset, wherever the bootstrap was killed, and can be made one again', async () => {
    const left = async (): Promise<string[]> => {
      const { files, units } = machine;
      const folders = [
        '/opt',
        '/etc/nodekiln',
        '/etc/profile.d',
        '/etc/systemd/system',
        '/etc/systemd/system/multi-user.target.wants',
      ];
      const names = (await Promise.all(folders.map((folder) => files.list(folder)))).flat();
      return [
        ...names.filter((name) => name !== own && name !== 'multi-user.target.wants'),
        (await units.get(agent)).loadState,
      ];
    };
    const count = await run().then(() => machine.effects.length);
    for (let at = 1; at <= count; at += 1) {
      await unbaked();
      await run({ crash: { at, when: 'after' } }).catch(() => undefined);
      await resetNode(machine.open());
      assert.deepEqual(await left(), ['not-found'], `killed after effect ${at}`);
      await run();
      await assertTended(`killed after effect ${at}, and reset`);
    }
  });

  describe('has nodekiln on the PATH', () => {
    const [profile, sudoers, link] = ['/etc/profile.d/nodekiln.sh', '/etc/sudoers.d/nodekiln', '/opt/bin/nodekiln'];
    const [csh, fish] = ['/etc/csh/login.d/nodekiln.csh', '/etc/fish/conf.d/nodekiln.fish'];
    const sudo = textFile('/etc/sudoers', 'Defaults secure_path="/usr/bin"\n', 0o440);
    const tcsh = [textFile('/bin/tcsh', '', 0o755), textFile('/etc/csh.login', 'ls /etc/csh/login.d\n', 0o644)];
    const all = [profile, csh, fish, sudoers, link];
    const there = async (): Promise<string[]> => {
      const stats = await Promise.all(all.map((path) => machine.files.stat(path)));
      return all.filter((_path, index) => stats[index]);
    };
    for (const [what, before, paths, after] of [
      ['of login shells', [], [profile, link], []],
      ['of sudo', [sudo], [profile, sudoers, link], []],
      ['of csh', tcsh, [profile, csh, link], []],
      ['of fish', [textFile('/usr/bin/fish', '', 0o755)], [profile, fish, link], []],
      ['but for what is there already', [textFile(profile, '# own', 0o644), sudo], [profile, sudoers, link], [profile]],
      ['but for a program of that name', [textFile(link, 'x', 0o755)], [profile, link], [link]],
    ] as const)
      it(`${what}, until a reset`, async () => {
        await machine.files.write([...before]);
        await run();
        assert.deepEqual(await there(), paths);
        assert.equal((await machine.files.stat(sudoers))?.mode ?? 0o440, 0o440);
        const kept = before.find(({ path }) => path === after[0]);
        if (kept) assert.equal(await text(kept.path), kept.type === 'file' ? textOf(kept.content) : '');
        await resetNode(machine.open());
        assert.deepEqual(await there(), after);
      });

    it('unless it is left out', async () => {
      const { steps } = await run({}, { path: false });
      assert.deepEqual([await there(), steps.filter(({ step }) => step === 'path')], [[], []]);
    });

    it('once, and what is there stays', async () => {
      await run();
      await machine.files.remove(['/var/lib/nodekiln/agent-bootstrap.json']);
      const { steps } = await run();
      assert.equal(steps.find(({ step }) => step === 'path')?.outcome, 'kept');
    });
  });

  it('keeps the program, the configuration and the agent that it has', async () => {
    await machine.files.write([
      textFile('/opt/nodekiln/bin/nodekiln', 'a newer one', 0o755),
      textFile('/etc/nodekiln/agent.yaml', 'its own'),
    ]);
    const { steps } = await run();
    assert.equal(await text('/opt/nodekiln/bin/nodekiln'), 'a newer one');
    assert.equal(await text('/etc/nodekiln/agent.yaml'), 'its own');
    assert.deepEqual(
      steps.filter(({ outcome }) => outcome === 'kept').map(({ step }) => step),
      ['program', 'config'],
    );
    assert.deepEqual(asked, []);
  });

  it('gets nothing of an artifact that is another or half there', async () => {
    blobs.set(digestOf(parts.nodekiln), Buffer.from('the prograM'));
    await assert.rejects(run(), { code: 'NK_ARTIFACT_DIGEST' });
    blobs.delete(digestOf(parts.nodekiln));
    await assert.rejects(run(), { code: 'NK_ARTIFACT_MISSING' });
    assert.deepEqual(await programs(), [undefined, undefined]);
    assert.deepEqual(await machine.files.list('/var/lib/nodekiln'), ['bootstrap-brought.json']);
    blobs.set(digestOf(parts.nodekiln), parts.nodekiln);
    await run();
    await assertTended();
  });

  it('gets no program that does not run on it, and another one the next time', async () => {
    versions.delete('the program');
    await assert.rejects(run(), { code: 'NK_AGENT_UPDATE_FAILED', message: /does not run here/ });
    assert.deepEqual(await programs(), [undefined, undefined]);
    versions.set('the program', '1.2.0');
    await run();
    await assertTended();
  });

  describe('from a web server', () => {
    const [first, second] = ['https://files.example.org/nodekiln.tar', 'http://other.example.org/team/nodekiln.tar'];
    const members = Object.entries(parts).map(([name, content]) => ({ name, content }));
    const whole = tar(members);
    /** By their addresses; whoever has none is away. */
    let files: Map<string, Uint8Array>;
    let order: string[];
    const from = (content: Uint8Array, urls: readonly string[] = [first]): Partial<BootstrapOptions> => {
      files.set(urls.at(-1) ?? '', content);
      return { origin: { urls, digest: digestOf(content) } };
    };
    beforeEach(() => {
      files = new Map();
      order = [];
      for (const url of [first, second])
        machine.serve(new URL(url).origin, () => {
          order.push(url);
          const body = files.get(url);
          return body ? { body } : { status: 503 };
        });
    });

    it('gets the same, once, packed or not', async () => {
      const options = from(whole);
      await run({}, options);
      await assertTended();
      assert.deepEqual(await run({}, options), { applied: true, steps: [] });
      await unbaked();
      machine.serve(new URL(first).origin, () => ({ body: gzipSync(whole) }));
      await run({}, { origin: { urls: [first], digest: digestOf(gzipSync(whole)) } });
      await assertTended();
    });

    it('asks the addresses in their order, each within its share of the time', async () => {
      const before = machine.clock.monotonic();
      await run({}, from(whole, [first, second]));
      await assertTended();
      assert.deepEqual([order[0], order.at(-1)], [first, second]);
      assert.ok(machine.clock.monotonic() - before < 5000);
      await unbaked();
      machine.serve(new URL(first).origin, () => ({ body: 'another' }));
      machine.serve(new URL(second).origin, () => ({ body: whole }));
      await run({}, { origin: { urls: [first, second], digest: digestOf(whole) } });
      await assertTended('what another one has is passed over');
    });

    it('says why nobody had it', async () => {
      files.set(second, Buffer.from('another'));
      await assert.rejects(run({}, { origin: { urls: [first, second], digest: digestOf(whole) } }), {
        code: 'NK_ARTIFACT_DIGEST',
        message:
          /none of 2 addresses: https:\/\/files\.example\.org.*503.*; http:\/\/other\.example\.org.* has the digest/,
      });
    });

    const link = { type: '2', target: '/etc/shadow', content: '' };
    const hostile: Readonly<Record<string, readonly [string, Uint8Array]>> = {
      'leads outside': ['NK_ARTIFACT_UNREADABLE', tar([...members, { name: '../x', content: 'x' }])],
      'is absolute': ['NK_ARTIFACT_UNREADABLE', tar([...members, { name: '/etc/x', content: 'x' }])],
      'is a link': ['NK_ARTIFACT_MEMBER', tar([{ name: 'node', ...link }, ...members.slice(0, 1)])],
      'is a folder': ['NK_ARTIFACT_MEMBER', tar([{ name: 'node', type: '5' }, ...members.slice(0, 1)])],
      'is twice there': ['NK_ARTIFACT_MEMBER', tar([...members, ...members])],
      'is missing': ['NK_ARTIFACT_MEMBER', tar(members.slice(1))],
      'is something else': ['NK_ARTIFACT_MEMBER', tar([...members, { name: 'README', content: 'x' }])],
      'is half there': ['NK_ARTIFACT_UNREADABLE', whole.subarray(0, 700)],
      'is one of very many': [
        'NK_ARTIFACT_UNREADABLE',
        tar([...Array.from({ length: 20 }, () => ({ name: './', type: '5' })), ...members]),
      ],
    };
    for (const [what, [code, content]] of Object.entries(hostile))
      it(`gets nothing of an archive in which something ${what}`, async () => {
        await assert.rejects(run({}, from(content)), { code });
        assert.deepEqual(await programs(), [undefined, undefined]);
        assert.deepEqual(await machine.files.list('/opt/nodekiln'), []);
        files.clear();
        await run({}, from(whole));
        await assertTended();
      });

    it('gets nothing of one that unpacks to more than a program can be', async () => {
      // A header that promises more than may come.
      const huge = Buffer.concat([tarHeader({ name: 'node', size: 2 ** 30 }), Buffer.alloc(4096)]);
      await assert.rejects(run({}, from(huge)), { code: 'NK_ARTIFACT_UNREADABLE' });
    });

    it('is made one wherever the first run was killed', async () => {
      const options = from(whole);
      await run({}, options);
      const count = machine.effects.length;
      for (let at = 1; at <= count; at += 1) {
        await unbaked();
        machine.serve(new URL(first).origin, () => ({ body: whole }));
        await run({ crash: { at, when: 'after' } }, options).catch(() => undefined);
        await run({}, options);
        await assertTended(`killed after effect ${at}`);
      }
    });
  });

  describe('with mirrors', () => {
    const [lacking, away, whole] = [
      'https://lacking.example.org',
      'https://away.example.org',
      'https://whole.example.org',
    ];
    let order: string[];
    beforeEach(() => {
      order = [];
      const serve = (address: string, answer: (name: string) => Uint8Array | undefined): void => {
        machine.serve(address, ({ url }) => {
          order.push(new URL(url).hostname.split('.')[0] ?? '');
          const body = answer(new URL(url).pathname.split('/').at(-1) ?? '');
          return body ? { body, headers: { 'content-type': pushed.mediaType } } : { status: 404 };
        });
      };
      serve(lacking, () => undefined);
      serve(whole, (name) => blobs.get(name));
      machine.serve(away, ({ url }) => {
        order.push('away');
        throw new NetError('connection', { where: url, why: 'refused', reason: 'refused' });
      });
    });

    it('asks them in their order, and the registry when none has it', async () => {
      await run({}, { origin: { image, mirrors: [lacking, away, whole] } });
      await assertTended();
      assert.deepEqual([...new Set(order)], ['lacking', 'away', 'whole']);
      assert.deepEqual(asked, [], 'the registry is not asked');
    });

    it('falls back to the registry', async () => {
      await run({}, { origin: { image, mirrors: [lacking, away] } });
      await assertTended();
      assert.ok(asked.length > 0);
    });

    it('says of each whether it has none or cannot be reached', async () => {
      blobs.clear();
      const error = await run({}, { origin: { image, mirrors: [lacking, away] } }).then(
        () => assert.fail('it was had'),
        (thrown: unknown) => thrown as Error & { code: string },
      );
      assert.equal(error.code, 'NK_ARTIFACT_MISSING');
      assert.match(error.message, /lacking\.example\.org[^;]*: it has none \([^;]*404/);
      assert.match(error.message, /away\.example\.org[^;]*: unavailable \(/);
      assert.match(error.message, /registry\.example\.org[^;]*: it has none \([^;]*404/);
      assert.deepEqual(await programs(), [undefined, undefined]);
    });
  });

  it('is not touched for a reference without digest, or a token that others can read', async () => {
    const before = machine.effects.length;
    await assert.rejects(run({}, { origin: { image: 'registry.example.org/nodekiln:1' } }), { code: 'NK_USAGE' });
    await machine.files.write([textFile(given, config, 0o644)]);
    await assert.rejects(run(), { code: 'NK_DOCUMENT_EXPOSED' });
    assert.equal(machine.effects.length, before);
  });

  it('says that somebody must approve, and goes on when it was done', async () => {
    await unbaked(false);
    await assert.rejects(run(), { code: 'NK_CLUSTER_REQUEST_PENDING' });
    assert.equal((await machine.units.get(agent)).activeState, 'active', 'the agent goes on asking');
    await machine.files.write([textFile(certificate, issued.good)]);
    await run();
    await assertTended();
  });

  for (const what of ['expired', 'of another node', 'of another authority', 'of another key'] as const)
    it(`has no certificate while the one that is there is ${what}`, async () => {
      await unbaked(false);
      await machine.files.write([textFile(certificate, issued[what])]);
      await assert.rejects(run(), { code: 'NK_CLUSTER_REQUEST_PENDING' });
      await machine.files.write([textFile(certificate, issued.good)]);
      const { steps } = await run();
      assert.deepEqual(steps.find(({ step }) => step === 'certificate')?.outcome, 'kept');
      await assertTended();
    });

  it('keeps a certificate that it has, and takes any that a running agent got', async () => {
    await unbaked(false);
    await machine.files.write([textFile(certificate, issued.good)]);
    const { steps } = await run();
    assert.equal(steps.find(({ step }) => step === 'certificate')?.outcome, 'kept');
    await unbaked(false);
    await assert.rejects(run());
    await machine.files.write([textFile(certificate, issued['of another authority'])]);
    await run();
    await assertTended('the authority for clients is another one than that of the servers');
  });
});
