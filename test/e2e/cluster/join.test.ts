/**
 * Boots into a real cluster that has something against it: each fault alone, on a host of its own. The boot says what stands
 * in the way, is never `converged`, and goes on when the fault is mended.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeCondition } from '../../../src/agent/cluster.ts';
import type { BootResult } from '../../../src/telemetry/result.ts';
import { untilBooted, untilBootEnded } from '../../demo/nodes.ts';
import type { KubeObject } from '../../lab/control-plane/api.ts';
import { joinDocument } from '../../lab/join.ts';
import type { LabHost } from '../../lab/lab.ts';
import { faults, openJoinLab, severalAtATime, type JoinLab } from './joining.ts';

const program = '/opt/nodekiln/bin/nodekiln';
const requestsPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const lookedAtAgain = new Set(['token-unknown', 'nobody-approves', 'no-pod-network']);

interface Node extends KubeObject {
  readonly status: { readonly conditions: readonly Pick<NodeCondition, 'type' | 'status'>[] };
}

describe('a boot into a cluster', { concurrency: 1 }, () => {
  let joining: JoinLab;
  const hostOf = (name: string): LabHost => {
    const host = joining.hosts.get(name);
    assert.ok(host, `there is a host ${name}`);
    return host;
  };

  before(async () => (joining = await openJoinLab()));
  after(() => joining?.lab.close());

  test('is registered when nothing is in the way, and the token is gone', { timeout: 120_000 }, async () => {
    const host = await joining.started('good');
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
    await severalAtATime(faults, async ({ name, document }) => {
      const result = joining.started(name, await document(joining.cluster)).then(untilBootEnded);
      ended.set(name, result);
      await result.catch(() => undefined);
      // The others need the processors more.
      if (!lookedAtAgain.has(name)) await joining.hosts.get(name)?.kill();
    });
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
    const { cluster } = joining;
    const host = hostOf('token-unknown');
    const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet: '10.88.200.0/24' });
    await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', document);
    await host.check(['chmod', '0600', '/etc/nodekiln/conf.d/10-node.yaml']);
    assert.match(await host.check([program, 'boot']), /converged.* registered after/);
  });

  test('goes on by itself when somebody approves the request', { timeout: 120_000 }, async () => {
    const { cluster } = joining;
    const { items } = await cluster.admin.get<{ items: KubeObject[] }>(requestsPath);
    const result = await ended.get('nobody-approves');
    const obstacle = result?.join?.obstacle as { hint: string } | undefined;
    const request = items.find(({ metadata }) => obstacle?.hint.includes(metadata.name));
    assert.ok(request, 'the hint names it');
    await cluster.kubectl(['certificate', 'approve', request.metadata.name]);
    await cluster.admin.until('/api/v1/nodes/nobody-approves', () => true, 'registered', 60_000);
  });

  test('is ready with the pod network that somebody else brings', { timeout: 120_000 }, async () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.88.201.0/24' }]] };
    const theirs = { cniVersion: '1.0.0', name: 'theirs', plugins: [{ type: 'bridge', bridge: 'theirs0', ipam }] };
    await hostOf('no-pod-network').writeFile('/etc/cni/net.d/10-theirs.conflist', JSON.stringify(theirs));
    await joining.cluster.admin.until<Node>(
      '/api/v1/nodes/no-pod-network',
      ({ status }) => status.conditions.some((one) => one.type === 'Ready' && one.status === 'True'),
      'Ready',
      60_000,
    );
  });

  test('with `unjoined: failed` fails, with the class of the cluster', { timeout: 120_000 }, async () => {
    const host = await joining.started('failing', {
      token: 'abcdef.0123456789abcdef',
      spec: { boot: { unjoined: 'failed', joinDeadline: '2s' } },
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
    const host = hostOf('good');
    await host.check(['sh', '-c', 'systemctl stop kubelet && rm -r /var/lib/kubelet/pki']);
    await host.reboot();
    for (let waited = 0; waited < 60_000; waited += 200) {
      if ((await host.exec(['test', '-e', '/var/lib/kubelet/pki/kubelet-client-current.pem'])).status === 0) return;
      await sleep(200);
    }
    assert.fail(await host.check(['journalctl', '-u', 'nodekiln-boot', '-u', 'kubelet', '-n', '30', '--no-pager']));
  });
});
