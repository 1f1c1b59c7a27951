/** The network of pods that have the podCIDRs of their Node, when the Node is another one. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { contentOf, playPool, secretOf, type PlayedAgent } from '../../../test/support/cluster-agent.ts';
import { nodeDocument, textFile } from '../../../test/support/memory-node.ts';
import { filledPath, filledTemplate, podNetworkOf, podNetworkTemplatePath } from '../../desired/pod-network.ts';

const template = podNetworkOf({ subnet: 'podCIDR' }).text;
const path = filledPath(template);

let agent: PlayedAgent;
afterEach(() => agent.stop());

async function play(podCIDRs: readonly string[], files: Readonly<Record<string, string>>): Promise<void> {
  agent = await playPool(secretOf({ '10-node.json': nodeDocument({}) }), {
    prepare: async (cluster, machine) => {
      cluster.put('nodes/node-1', { metadata: {}, spec: { podCIDRs } });
      await machine.files.write(Object.entries(files).map(([path, text]) => textFile(path, text, 0o644)));
    },
  });
}

const filled = (...podCidrs: string[]): string => filledTemplate(template, podCidrs);
const madeAnew = (...podCIDRs: string[]): void => {
  agent.cluster.delete('nodes/node-1');
  agent.cluster.put('nodes/node-1', { metadata: { uid: 'another' }, spec: { podCIDRs } });
};
const said = (): string[] =>
  agent.events.flatMap(({ event }) => (event.type === 'notice' ? [event.notice.message] : []));

describe('the network of pods', () => {
  it('is left as containerd made it', async () => {
    await play(['10.90.1.0/24'], { [podNetworkTemplatePath]: template, [path]: filled('10.90.1.0/24') });
    const before = await agent.machine.files.stat(path);
    await agent.pass(120_000);
    assert.deepEqual(await agent.machine.files.stat(path), before);
    assert.deepEqual(said(), []);
  });

  it('has the podCIDRs of a Node that was made anew, at once, and that is said', async () => {
    await play(['10.90.1.0/24'], { [podNetworkTemplatePath]: template, [path]: filled('10.90.1.0/24') });
    madeAnew('10.90.7.0/24', 'fd00:7::/64');
    await agent.pass(1000);
    assert.equal(await contentOf(agent, path), filled('10.90.7.0/24', 'fd00:7::/64'));
    assert.deepEqual(said(), [
      'pods get addresses of 10.90.7.0/24, fd00:7::/64 now; those of 10.90.1.0/24 may be another node’s: make pods anew that have them',
    ]);
  });

  it('is put back when it is lost, which containerd would not do', async () => {
    await play(['10.90.1.0/24'], { [podNetworkTemplatePath]: template, [path]: filled('10.90.1.0/24') });
    await agent.machine.files.remove([path]);
    await agent.pass(61_000);
    assert.equal(await contentOf(agent, path), filled('10.90.1.0/24'));
    assert.deepEqual(said(), []);
  });

  it('is nobody’s business where the document names the subnet, and as it was while the Node has no podCIDR', async () => {
    await play(['10.90.1.0/24'], {});
    await agent.pass(61_000);
    assert.equal(await agent.machine.files.stat(path), undefined);
    await agent.machine.files.write([
      textFile(podNetworkTemplatePath, template),
      textFile(path, filled('10.90.1.0/24')),
    ]);
    madeAnew();
    await agent.pass(61_000);
    assert.equal(await contentOf(agent, path), filled('10.90.1.0/24'));
  });
});
