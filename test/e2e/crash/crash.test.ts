/**
 * The real process, killed with SIGKILL before and after every effect of the demo's boot and of a tend step, and started
 * again, reaches the end state of an undisturbed run: file trees, unit states and journal. Two hosts share the points, or
 * a sample of them (`sample.json`) that differs from day to day.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { demoFolder } from '../../demo/baked.ts';
import { replaceOnce } from '../../demo/sabotage.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { createChance } from '../../support/chance.ts';
import { sampled, sampleIn, sampleOf, sampleSeed } from '../../support/sample.ts';
import { waitHttp } from '../../lab/probe.ts';
import {
  agentFolder,
  crashHost,
  differences,
  effectsOf,
  killed,
  program,
  remember,
  reset,
  snapshot,
} from './machine.ts';

const boot = ['boot', '--quiet', '--json'];
const tend = ['agent', '--source', `dir:${agentFolder}`, '--once', '--quiet', '--json'];

describe('killed at any effect', { concurrency: 1 }, () => {
  let lab: Lab;
  let hosts: LabHost[];

  before(async () => {
    lab = await openLab();
    hosts = [await crashHost(lab, 'crash-a'), await crashHost(lab, 'crash-b')];
  });
  after(() => lab.close());

  test('a boot converges to the same machine', { timeout: 900_000 }, async (context) => {
    const points = await onEach(hosts, async (host, share) => {
      const baseline = await remember(host);
      const effects = await effectsOf(host, boot);
      const undisturbed = await snapshot(host);
      const mine = faultsFor(effects).filter((_fault, index) => index % hosts.length === share);
      for (const fault of mine) {
        await reset(host, baseline);
        await killed(host, boot, fault);
        await host.check([program, ...boot], { timeoutMs: 120_000 });
        const differing = differences(undisturbed, await snapshot(host));
        assert.deepEqual(differing, [], `${fault} of ${effects.length} (${effectAt(effects, fault)})`);
      }
      await waitHttp(host, { port: 10248, timeoutMs: 30_000 });
      await waitHttp(host, { port: 8080, path: '/', timeoutMs: 30_000 });
      return mine.length;
    });
    context.diagnostic(`${sum(points)} points of a boot`);
    assert.ok(sum(points) >= (sampled ? pointsOfSample : 61), `only ${sum(points)} points`);
  });

  test('a tend step converges to the same machine', { timeout: 900_000 }, async (context) => {
    const { first, second } = await documents();
    const points = await onEach(hosts, async (host, share) => {
      const give = (text: string): Promise<void> =>
        host.writeFile(`${agentFolder}/10-node.yaml`, text, { mode: 0o600 });
      await host.check([program, ...boot], { timeoutMs: 120_000 });
      await give(first);
      await host.check([program, ...tend], { timeoutMs: 120_000 });
      const start = await snapshot(host);
      await give(second);
      const effects = await effectsOf(host, tend);
      const undisturbed = await snapshot(host);
      const mine = faultsFor(effects).filter((_fault, index) => index % hosts.length === share);
      for (const fault of mine) {
        await give(first);
        await host.check([program, ...tend], { timeoutMs: 120_000 });
        assert.deepEqual(differences(start, await snapshot(host)), [], `back to the first document before ${fault}`);
        await give(second);
        await killed(host, tend, fault);
        await host.check([program, ...tend], { timeoutMs: 120_000 });
        const differing = differences(undisturbed, await snapshot(host));
        assert.deepEqual(differing, [], `${fault} of ${effects.length} (${effectAt(effects, fault)})`);
      }
      return mine.length;
    });
    context.diagnostic(`${sum(points)} points of a tend step`);
    assert.ok(sum(points) >= (sampled ? pointsOfSample : 21), `only ${sum(points)} points`);
  });

  test('a power cut during a boot is survived', { timeout: 300_000 }, async (context) => {
    const [host] = hosts;
    assert.ok(host);
    const chance = createChance(context);
    const within = (fromMs: number, toMs: number): number => Math.floor(fromMs + chance.next() * (toMs - fromMs));
    for (const delayMs of [within(0, 150), within(150, 400), within(400, 800)]) {
      // An empty folder asks for nothing; one that is missing would keep what the agent brought.
      await host.check(['sh', '-c', `rm -rf ${agentFolder} && mkdir -p ${agentFolder}`]);
      await host.check([program, ...tend], { timeoutMs: 120_000 });
      await host.check(['sh', '-c', 'rm -rf /etc/nodekiln-demo /etc/kubernetes /opt/bin/kubelet']);
      const running = host.exec([program, ...boot]).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await host.kill();
      await running;
      await host.start();
      await host.waitRunning(60_000).catch(() => undefined);
      const result = await host.exec([program, ...boot], { timeoutMs: 120_000 });
      assert.equal(result.status, 0, result.stdout);
      await waitHttp(host, { port: 10248, timeoutMs: 30_000 });
      const again = JSON.parse(await host.check([program, ...boot])) as { data: { unchanged: boolean } };
      assert.equal(again.data.unchanged, true, `after a power cut ${delayMs} ms into a boot`);
    }
  });
});

/** Both hosts together. */
const { points: pointsOfSample } = sampleIn(import.meta.dirname);

/** Before and after each effect; "after" the last is the end. */
function faultsFor(effects: readonly string[]): string[] {
  const all = effects.flatMap((_effect, index) => [`before:${index + 1}`, `after:${index + 1}`]);
  return [...sampleOf(all, { count: pointsOfSample, seed: sampleSeed })];
}

function effectAt(effects: readonly string[], fault: string): string {
  return effects[Number(fault.split(':')[1]) - 1] ?? '?';
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** The same work on every host at once; a failure on one is thrown when the others have ended. */
async function onEach<T>(hosts: readonly LabHost[], work: (host: LabHost, share: number) => Promise<T>): Promise<T[]> {
  const settled = await Promise.allSettled(hosts.map((host, share) => work(host, share)));
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** Two documents of the agent that differ in everything a step can do: content, version, a file more and less, a drop-in less. */
async function documents(): Promise<{ first: string; second: string }> {
  const example = await readFile(join(demoFolder, 'desired.yaml'), 'utf8');
  const dropIn = [
    '      dropIns:',
    '        - name: 20-extra.conf',
    '          content: |',
    '            [Service]',
    '            Environment=EXTRA=1',
    '',
  ].join('\n');
  const first = `${example.trimEnd()}\n${dropIn}`;
  const reworded = replaceOnce(example, 'first words from the agent', 'other words from the agent');
  const upgraded = replaceOnce(reworded, 'version: 1.34.3', 'version: 1.34.4');
  const second = replaceOnce(upgraded, '/etc/nodekiln-demo/short-lived', '/etc/nodekiln-demo/newcomer');
  return { first, second };
}
