/**
 * Boots into a real cluster that has something against it: each fault alone, on a host of its own. The boot says what stands
 * in the way, is never `converged`, and goes on when the fault is mended.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootResult } from '../../../src/telemetry/result.ts';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode, untilBooted, untilBootEnded } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { KubeObject } from '../../lab/control-plane/api.ts';
import { joinDocument, type JoinOptions } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { issueCertificate, makeAuthority } from '../../servers/certificates.ts';

/** What the API server's certificate does not name, and where servers with other certificates are. */
const alias = '10.77.0.253';
const manualGroup = 'system:bootstrappers:nodekiln:manual';
const requestsPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const program = '/opt/nodekiln/bin/nodekiln';
const dayMs = 24 * 60 * 60 * 1000;

interface Fault {
  readonly name: string;
  readonly code: string;
  readonly says: RegExp;
  readonly document: (cluster: Cluster) => Promise<Partial<JoinOptions>>;
}

const goal = (boot: Record<string, unknown>): Pick<JoinOptions, 'spec'> => ({ spec: { boot } });

const faults: readonly Fault[] = [
  {
    name: 'token-unknown',
    code: 'NK_CLUSTER_TOKEN_REFUSED',
    says: /does not know the bootstrap token/,
    document: async () => ({ token: 'abcdef.0123456789abcdef' }),
  },
  {
    name: 'token-expired',
    code: 'NK_CLUSTER_TOKEN_REFUSED',
    says: /does not know the bootstrap token/,
    document: async (cluster) => ({ token: await cluster.newToken({ ttlMs: -60_000 }) }),
  },
  {
    name: 'token-disabled',
    code: 'NK_CLUSTER_TOKEN_REFUSED',
    says: /does not know the bootstrap token/,
    document: async (cluster) => ({ token: await cluster.newToken({ usages: ['signing'] }) }),
  },
  {
    name: 'token-without-rights',
    code: 'NK_CLUSTER_TOKEN_FORBIDDEN',
    says: /does not let the bootstrap token ask/,
    document: async (cluster) => ({ token: await cluster.newToken({ groups: ['system:bootstrappers:nobody'] }) }),
  },
  {
    name: 'nobody-approves',
    code: 'NK_CLUSTER_REQUEST_PENDING',
    says: /certificate request \S+ waits for somebody/,
    document: async (cluster) => ({ token: await cluster.newToken({ groups: [manualGroup] }) }),
  },
  {
    name: 'server-refuses',
    code: 'NK_CLUSTER_UNREACHABLE',
    says: /nobody listens/,
    document: async (cluster) => ({ token: await cluster.newToken(), server: 'https://10.77.0.254:6444' }),
  },
  {
    name: 'no-route',
    code: 'NK_CLUSTER_UNREACHABLE',
    says: /10\.77\.0\.199:6443/,
    document: async (cluster) => ({ token: await cluster.newToken(), server: 'https://10.77.0.199:6443' }),
  },
  {
    name: 'no-name',
    code: 'NK_CLUSTER_UNREACHABLE',
    says: /cannot be resolved/,
    document: async (cluster) => ({ token: await cluster.newToken(), server: 'https://api.nowhere.invalid:6443' }),
  },
  {
    name: 'other-authority',
    code: 'NK_CLUSTER_AUTHORITY',
    says: /an authority that caBundle does not hold/,
    document: async (cluster) => {
      const stranger = await makeAuthority(join(cluster.folder, 'certificates'), 'stranger');
      return { token: await cluster.newToken(), caBundle: await readFile(stranger.certificate, 'utf8') };
    },
  },
  {
    name: 'certificate-for-another',
    code: 'NK_CLUSTER_CERTIFICATE',
    says: /another’s certificate/,
    document: async (cluster) => ({ token: await cluster.newToken(), server: `https://${alias}:6443` }),
  },
  {
    name: 'certificate-expired',
    code: 'NK_CLUSTER_CERTIFICATE',
    says: /has expired/,
    document: async (cluster) => ({ token: await cluster.newToken(), server: `https://${alias}:7001` }),
  },
  {
    // As it looks from a machine whose clock is behind.
    name: 'certificate-of-tomorrow',
    code: 'NK_CLUSTER_CLOCK',
    says: /does not hold yet/,
    document: async (cluster) => ({ token: await cluster.newToken(), server: `https://${alias}:7002` }),
  },
  {
    name: 'no-pod-network',
    code: 'NK_CLUSTER_NOT_READY',
    says: /cni plugin not initialized/i,
    document: async (cluster) => ({
      token: await cluster.newToken(),
      spec: { network: { cni: { type: 'none' } }, boot: { goal: 'ready' } },
    }),
  },
  {
    name: 'nothing-to-show',
    code: 'NK_CLUSTER_CREDENTIAL_MISSING',
    says: /neither|no certificate/,
    document: async () => ({ spec: { boot: { deadline: '40s' } } }),
  },
  {
    name: 'name-of-another',
    code: 'NK_CLUSTER_NAME_TAKEN',
    says: /another machine/,
    document: async (cluster) => ({ token: await cluster.newToken(), nodeName: 'good' }),
  },
];

/** So many hosts boot beside each other. */
const together = 4;

describe('a boot into a cluster', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  const hosts = new Map<string, LabHost>();

  async function started(name: string, options: Partial<JoinOptions>): Promise<LabHost> {
    const podSubnet = `10.88.${hosts.size + 1}.0/24`;
    hosts.set(
      name,
      await bakedNode(lab, { name, network: true, document: joinDocument(cluster, { podSubnet, ...options }) }),
    );
    const host = hosts.get(name);
    assert.ok(host);
    await host.start();
    return host;
  }

  before(async () => {
    await installPrerequisites(console.error);
    await bakedRoot(console.error);
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    await cluster.kubectl([
      'create',
      'clusterrolebinding',
      'manual',
      '--clusterrole=system:node-bootstrapper',
      `--group=${manualGroup}`,
    ]);
    await lab.execInNetwork([
      'sh',
      '-euc',
      `ip address add ${alias}/24 dev "$(ip -o -4 address show to 10.77.0.254 | cut -d ' ' -f 2)"`,
    ]);
    const folder = join(cluster.folder, 'certificates');
    const at = (days: number): Date => new Date(Date.now() + days * dayMs);
    for (const [port, name, times] of [
      [7001, 'expired', { notBefore: at(-2), notAfter: at(-1) }],
      [7002, 'tomorrow', { notBefore: at(1), notAfter: at(2) }],
    ] as const) {
      const names = [`IP:${alias}`];
      const { certificate, key } = await issueCertificate(folder, name, cluster.authority, {
        subject: '/CN=api',
        names,
        ...times,
      });
      lab
        .spawnInNetwork(
          ['openssl', 's_server', '-quiet', '-www', '-accept', `${alias}:${port}`, '-cert', certificate, '-key', key],
          { stdio: 'ignore' },
        )
        .unref();
    }
  });
  after(() => lab?.close());

  test('is registered when nothing is in the way, and the token is gone', { timeout: 120_000 }, async () => {
    const host = await started('good', { token: await cluster.newToken() });
    const result = await untilBooted(host);
    assert.deepEqual(result.join, { nodeName: 'good', goal: 'registered', reached: result.join?.reached });
    const names = result.milestones.map(({ name }) => name);
    const inOrder = (['kubelet-started', 'credential', 'registered'] as const).map((name) => names.indexOf(name));
    assert.deepEqual(
      inOrder,
      inOrder.toSorted((a, b) => a - b),
    );
    assert.ok(
      inOrder.every((place) => place >= 0),
      names.join(),
    );
    assert.notEqual((await host.exec(['test', '-e', '/etc/kubernetes/bootstrap-kubeconfig'])).status, 0);
    // kubelet wrote its kubeconfig as it was written for it.
    assert.match(await host.check([program, 'boot']), /nothing to do/);
    assert.match(await host.check([program, 'status']), /good: re(?:gistered|ady) after/);
    assert.match(
      await host.check(['sh', '-c', `${program} timeline --svg /tmp/t.svg && cat /tmp/t.svg`]),
      /registered/,
    );
  });

  const ended = new Map<string, Promise<BootResult>>();
  test('meets each fault', { timeout: 600_000 }, async () => {
    const waiting = [...faults];
    const worker = async (): Promise<void> => {
      for (let fault = waiting.shift(); fault; fault = waiting.shift()) {
        const result = started(fault.name, await fault.document(cluster)).then(untilBootEnded);
        ended.set(fault.name, result);
        await result.catch(() => undefined);
        // The others need the processors more; whoever is looked at again is started anew.
        if (!['token-unknown', 'nobody-approves', 'name-of-another'].includes(fault.name))
          await hosts.get(fault.name)?.kill();
      }
    };
    await Promise.all(Array.from({ length: together }, worker));
    assert.equal(ended.size, faults.length);
  });

  for (const { name, code, says } of faults) {
    test(`${name}: ${code}`, async (context) => {
      const result = await ended.get(name);
      assert.ok(result?.join, 'it is there');
      const obstacle = result.join.obstacle as { code: string; message: string; hint: string } | undefined;
      assert.equal(obstacle?.code, code, JSON.stringify(result.join));
      assert.match(obstacle.message, says);
      assert.notEqual(obstacle.hint, '');
      assert.notEqual(result.outcome, 'converged');
      const kubelet = result.milestones.find((milestone) => milestone.name === 'kubelet-queued')?.atMs ?? Number.NaN;
      const healthz = result.milestones.find((milestone) => milestone.name === 'healthz')?.atMs ?? Number.NaN;
      context.diagnostic(
        `kubelet queued at ${kubelet.toFixed(0)} ms, healthy at ${healthz.toFixed(0)} ms: ${obstacle.message}`,
      );
    });
  }

  test('joins with a corrected token: kubelet is started anew', { timeout: 120_000 }, async () => {
    const host = hosts.get('token-unknown');
    assert.ok(host);
    const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet: '10.88.200.0/24' });
    await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', document);
    await host.check(['chmod', '0600', '/etc/nodekiln/conf.d/10-node.yaml']);
    assert.match(await host.check([program, 'boot']), /converged.* registered after/);
  });

  test('goes on by itself when somebody approves the request', { timeout: 120_000 }, async () => {
    const { items } = await cluster.admin.get<{ items: KubeObject[] }>(requestsPath);
    const result = await ended.get('nobody-approves');
    const obstacle = result?.join?.obstacle as { hint: string } | undefined;
    const request = items.find(({ metadata }) => obstacle?.hint.includes(metadata.name));
    assert.ok(request, 'the hint names it');
    await cluster.kubectl(['certificate', 'approve', request.metadata.name]);
    await cluster.admin.until('/api/v1/nodes/nobody-approves', () => true, 'registered', 60_000);
  });

  test('with `unjoined: failed` fails, with the class of the cluster', { timeout: 120_000 }, async () => {
    const host = await started('failing', {
      token: 'abcdef.0123456789abcdef',
      ...goal({ unjoined: 'failed', joinDeadline: '2s' }),
    });
    const result = await untilBootEnded(host);
    assert.equal(result.outcome, 'failed');
    assert.equal((result.error as { code: string }).code, 'NK_CLUSTER_TOKEN_REFUSED');
    const again = await host.exec([program, 'boot']);
    assert.equal(again.status, 14, again.stdout + again.stderr);
    assert.match(again.stderr, /NK_CLUSTER_TOKEN_REFUSED/);
    assert.doesNotMatch(again.stdout + again.stderr, /0123456789abcdef/);
  });

  test('gets a certificate again when that is lost', { timeout: 120_000 }, async () => {
    const host = hosts.get('good');
    assert.ok(host);
    await host.check(['sh', '-c', 'systemctl stop kubelet && rm -r /var/lib/kubelet/pki']);
    await host.reboot();
    for (let waited = 0; waited < 60_000; waited += 200) {
      if ((await host.exec(['test', '-e', '/var/lib/kubelet/pki/kubelet-client-current.pem'])).status === 0) return;
      await sleep(200);
    }
    assert.fail(await host.check(['journalctl', '-u', 'nodekiln-boot', '-u', 'kubelet', '-n', '30', '--no-pager']));
  });
});
