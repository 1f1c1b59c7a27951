/**
 * Updates in place that take a node's ground away: its operating system, by a command that starts the machine anew, and the
 * authority of its cluster, by another one for good. Two nodes of a real cluster, whose agents act as themselves.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { agentUnit, grantAgents, putSecret, startAgent, startApprover } from '../../demo/agents.ts';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode, untilBooted } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { ApiClient, KubeObject } from '../../lab/control-plane/api.ts';
import { prepareRotation } from '../../lab/control-plane/rotation.ts';
import { joinDocument } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import type { Suite } from '../../lab/root.ts';
import { sampled, sampleSeed } from '../../support/sample.ts';

interface Node extends KubeObject {
  readonly status: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}
interface Pod extends KubeObject {
  readonly status: { readonly phase: string };
}

const cases: readonly { readonly name: string; readonly suite: Suite; readonly podSubnet: string }[] = [
  { name: 'old', suite: 'bookworm', podSubnet: '10.88.1.0/24' },
  { name: 'new', suite: 'trixie', podSubnet: '10.88.2.0/24' },
];
const label = 'nodekiln.dev/update';
const kubeletPem = '/var/lib/kubelet/pki/kubelet-client-current.pem';
const agentPem = '/var/lib/nodekiln/agent/client-current.pem';
/** As documents say it: the agent trusts what kubelet does. */
const caFile = '/etc/kubernetes/pki/ca.crt';
/** In place of what a distribution brings: another system is one that says so, after a restart. */
const updater = '/usr/local/sbin/update-system';
const rename = 'sed -i "s/^PRETTY_NAME=.*/PRETTY_NAME=\\"Debian $1\\"/" /etc/os-release';
const restart = 'systemctl reboot --no-block';

const nodePath = (name: string): string => `/api/v1/nodes/${name}`;
const conditionOf = ({ status }: Node, type: string) => status.conditions?.find((one) => one.type === type);
const appliedOf = ({ metadata }: KubeObject): string | undefined => metadata.annotations?.['nodekiln.dev/applied'];
const wordOf = ({ metadata }: KubeObject): string | undefined => metadata.labels?.[label];

describe('updates in place of the system and of authorities', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  /** The administrator, by the authority in force. */
  let admin: ApiClient;
  /** What nodes are told to trust, and which updates in place each is asked for. */
  let caBundle: string;
  const updates = new Map<string, object>();
  const hosts = new Map<string, LabHost>();
  const hostOf = (name: string): LabHost => hosts.get(name) ?? assert.fail(`there is no host ${name}`);

  const give = async (name: string, words: string): Promise<void> => {
    const { podSubnet = '' } = cases.find((one) => one.name === name) ?? {};
    const files = [{ path: '/etc/words', content: words }];
    const spec = { takeover: true, files, inPlaceUpdates: updates.get(name) ?? {} };
    await putSecret(cluster, `pool-${name}`, { '10-node.yaml': joinDocument(cluster, { podSubnet, caBundle, spec }) });
  };
  const until = async (name: string, holds: (object: Node) => boolean, what: string): Promise<Node> => {
    try {
      return await admin.until<Node>(nodePath(name), holds, what, 120_000);
    } catch (thrown) {
      const log = await hostOf(name).exec(['journalctl', '-u', agentUnit, '-n', '40', '-o', 'cat']);
      throw new Error(`${what}: the agent of ${name} says:\n${log.stdout}`, { cause: thrown });
    }
  };
  const isReady = (object: Node): boolean => conditionOf(object, 'Ready')?.status === 'True';
  const runPod = async (name: string): Promise<void> => {
    await cluster.kubectl(['apply', '-f', '-'], {
      input: JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'default' },
        spec: {
          nodeName: name,
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'web', image: 'lab.nodekiln.dev/web:1', imagePullPolicy: 'Never' }],
        },
      }),
    });
    const path = `/api/v1/namespaces/default/pods/${name}`;
    await admin.until<Pod>(path, ({ status }) => status.phase === 'Running', `${name} runs`, 60_000);
  };
  const invocation = async (name: string, unit: string): Promise<string> =>
    (await hostOf(name).check(['systemctl', 'show', '-P', 'InvocationID', unit])).trim();
  const bootOf = (name: string): Promise<string> => hostOf(name).readFile('/proc/sys/kernel/random/boot_id');
  const drain = async (name: string): Promise<void> => {
    await cluster.kubectl(['cordon', name]);
    await cluster.kubectl(['drain', name, '--ignore-daemonsets', '--force', '--grace-period=1', '--timeout=60s']);
    await cluster.kubectl(['label', 'node', name, `${label}=ready`, '--overwrite']);
  };

  before(async () => {
    await installPrerequisites(console.error);
    for (const { suite } of cases) await bakedRoot(console.error, suite);
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    ({ admin, caBundle } = cluster);
    for (const { name, suite, podSubnet } of cases) {
      const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet });
      hosts.set(name, await bakedNode(lab, { name, suite, network: true, document }));
    }
    await Promise.all([...hosts.values()].map((host) => host.start()));
    await Promise.all([...hosts.values()].map((host) => untilBooted(host)));
    await grantAgents(
      cluster,
      hostOf('old'),
      Object.fromEntries(cases.map(({ name }) => [name, [`kube-system/pool-${name}`]])),
    );
    await startApprover(cluster, hostOf('old'));
    for (const [name, host] of hosts) {
      await give(name, 'first');
      await startAgent(cluster, host, {
        source: `secret:kube-system/pool-${name}`,
        cluster: { server: cluster.server, caFile },
        restarts: { maxDelay: '0s' },
      });
      await host.check(['systemctl', 'enable', agentUnit]);
    }
    for (const [name] of hosts) await until(name, (object) => appliedOf(object) !== undefined, 'first documents');
  });
  after(() => lab?.close());

  // In a sample the one today, the other tomorrow.
  const today = sampled ? sampleSeed % 2 : undefined;
  test(
    'the operating system is updated by the command of the document, which starts the machine anew',
    { timeout: 180_000, skip: today === 1 },
    async () => {
      const host = hostOf('old');
      await host.writeFile(updater, `#!/bin/sh -e\n${rename}\n${restart}\n`, { mode: 0o755 });
      const boot = await bootOf('old');
      updates.set('old', { operatingSystem: { version: '12.99', command: [updater, '12.99'] } });
      await give('old', 'first');
      const waiting = await until('old', (object) => wordOf(object) === 'wanted', 'old asks to be drained');
      assert.match(conditionOf(waiting, 'NodekilnUpdate')?.message ?? '', /operating system 12 → 12\.99/);
      await drain('old');
      await until('old', (object) => wordOf(object) === 'successful', 'old is updated');
      const reason = (object: Node): string | undefined => conditionOf(object, 'NodekilnUpdate')?.reason;
      await until('old', (object) => reason(object) === 'UpdateSuccessful', 'its condition says so');
      assert.notEqual(await bootOf('old'), boot);
      await until('old', isReady, 'old is Ready');
      await cluster.kubectl(['uncordon', 'old']);
      // It was the approver’s host, too.
      await startApprover(cluster, host);
    },
  );

  test(
    'one that comes back as it was has been rolled back, which is said, and not tried again by itself',
    { timeout: 180_000, skip: today === 0 },
    async () => {
      const host = hostOf('new');
      // The first time the machine comes up with the system of before.
      const again = `[ "$(cat /root/updates)" = once ] || ${rename}`;
      await host.writeFile(updater, `#!/bin/sh -e\necho once >>/root/updates\n${again}\n${restart}\n`, { mode: 0o755 });
      updates.set('new', { ...updates.get('new'), operatingSystem: { version: '13.99', command: [updater, '13.99'] } });
      await give('new', 'first');
      await until('new', (object) => wordOf(object) === 'wanted', 'new asks to be drained');
      await drain('new');
      const failed = await until('new', (object) => wordOf(object) === 'failed', 'it is said');
      const reason = (object: Node): string | undefined => conditionOf(object, 'NodekilnUpdate')?.reason;
      await until('new', (object) => reason(object) === 'UpdateFailed', 'its condition says so');
      assert.match(
        failed.metadata.annotations?.['nodekiln.dev/update-failed-reason'] ?? '',
        /may have been rolled back/,
      );
      await sleep(3000);
      assert.equal(await host.readFile('/root/updates'), 'once\n');
      await cluster.kubectl(['label', 'node', 'new', `${label}=ready`, '--overwrite']);
      await until('new', (object) => wordOf(object) === 'successful', 'new is of that version');
      assert.equal(await host.readFile('/root/updates'), 'once\nonce\n');
      await cluster.kubectl(['uncordon', 'new']);
    },
  );

  test(
    'another authority takes the place of the cluster’s for good: everything goes on, and kubelet starts anew as documented',
    { timeout: 300_000 },
    async () => {
      const others = ['containerd.service', agentUnit];
      const untouched = await Promise.all(cases.flatMap(({ name }) => others.map((unit) => invocation(name, unit))));
      const starts = new Map(cases.map(({ name }) => [name, new Set<string>()]));
      const seen = async (name: string): Promise<void> =>
        void starts.get(name)?.add(await invocation(name, 'kubelet.service'));
      /** Documents of these words are in force on both. */
      const giveBoth = async (words: string): Promise<void> => {
        const before = new Map<string, string | undefined>();
        for (const { name } of cases) {
          await seen(name);
          before.set(name, appliedOf(await admin.get<Node>(nodePath(name))));
          await give(name, words);
        }
        for (const { name } of cases) {
          await until(
            name,
            (object) => ![undefined, before.get(name)].includes(appliedOf(object)),
            `${name}: ${words}`,
          );
          assert.equal(await hostOf(name).readFile('/etc/words'), words);
        }
      };
      const isTrusted = async (name: string, pem: string): Promise<boolean> =>
        (await hostOf(name).exec(['openssl', 'verify', '-CAfile', '/root/next.crt', pem])).status === 0;
      const rotation = await prepareRotation(cluster);

      // All that ask trust both, before anybody shows a certificate of the new one.
      caBundle = rotation.both;
      await giveBoth('both');
      const approver = '/root/approver.conf';
      const [host] = hosts.values();
      assert.ok(host);
      const before = await host.readFile(approver);
      const base64 = (text: string): string => Buffer.from(text).toString('base64');
      assert.ok(before.includes(base64(cluster.caBundle)));
      await host.writeFile(approver, before.replace(base64(cluster.caBundle), base64(rotation.both)), { mode: 0o600 });

      await rotation.issue();
      admin = rotation.admin;
      await giveBoth('issued');
      for (const { name } of cases) {
        await hostOf(name).writeFile('/root/next.crt', rotation.next);
        assert.deepEqual([await isTrusted(name, kubeletPem), await isTrusted(name, agentPem)], [false, false]);
        updates.set(name, { ...updates.get(name), certificateAuthorities: '2026-11-02T00:00:00Z' });
        await give(name, 'issued');
        await until(name, (object) => wordOf(object) === 'wanted', `${name} asks to be drained`);
        await drain(name);
        await until(name, (object) => wordOf(object) === 'successful', `${name} has rotated`);
        await cluster.kubectl(['uncordon', name]);
        assert.deepEqual([await isTrusted(name, kubeletPem), await isTrusted(name, agentPem)], [true, true]);
      }

      caBundle = rotation.next;
      await giveBoth('next');
      await rotation.forget();
      await giveBoth('forgotten');
      for (const { name } of cases) {
        assert.equal(await hostOf(name).readFile(caFile), rotation.next);
        await until(name, isReady, `${name} is Ready`);
        await runPod(name);
        assert.match(await cluster.kubectl(['logs', name]), /serving on 8080/);
        await seen(name);
        const about = `${name}: as it was, with both, with its new certificate, with the new one alone`;
        assert.equal(starts.get(name)?.size, 4, about);
      }
      const now = await Promise.all(cases.flatMap(({ name }) => others.map((unit) => invocation(name, unit))));
      assert.deepEqual(now, untouched);
    },
  );
});
