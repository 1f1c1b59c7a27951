/** What is in a Secret is in nothing that an agent says or leaves for others: good Secrets and broken ones. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { playPool, poolKey, secretOf, type PlayedAgent } from '../../test/support/cluster-agent.ts';
import { textOf } from '../model/bytes.ts';
import { nodeDocument } from '../../test/support/memory-node.ts';
import { inlineFile, oscOf, type Json } from '../../test/support/osc.ts';
import { elsewhere, marker, secretOsc, secretSpec, traces } from '../../test/support/secret-documents.ts';

const tokenPath = '/var/lib/one/token';
const secretPath = '/etc/secret';

let agent: PlayedAgent;
afterEach(() => agent.stop());

/** Of an agent that has had its time with these documents, and again with a change of them that changes nothing. */
async function saidOf(
  data: Readonly<Record<string, string>>,
  annotations = {},
): Promise<Readonly<Record<string, string>>> {
  agent = await playPool(secretOf(data, annotations), {
    spec: { tokens: [{ secret: 'kube-system/one', path: tokenPath }], tokensPeriod: '1m' },
    prepare: (cluster, machine) => {
      machine.program('tell', ({ options }) => ({ status: 1, stderr: `${JSON.stringify(options.env)} ${elsewhere}` }));
      machine.units.behave('open.service', { start: 'fail', log: [`cannot GET ${elsewhere}`] });
      machine.units.behave('secret.service', { start: 'fail', log: [marker] });
      cluster.put('secrets/kube-system/one', secretOf({ token: marker }));
      cluster.put('secrets/kube-system/named', secretOf({ key: marker }));
    },
  });
  await agent.pass(30_000);
  agent.cluster.put(poolKey, { ...secretOf(data, { ...annotations, touched: 'yes' }) });
  await agent.pass(70_000);
  const { machine, cluster, events } = agent;
  const readable: string[] = [];
  for (const path of Object.keys(machine.snapshot())) {
    const stat = await machine.files.stat(path);
    if (stat?.type === 'file' && (stat.mode & 0o077) !== 0) readable.push(textOf(await machine.files.read(path)) ?? '');
  }
  return {
    'events as text': inspect(events, { depth: Infinity, maxStringLength: Infinity, maxArrayLength: Infinity }),
    'events as JSON': JSON.stringify(events),
    'what the cluster was told': JSON.stringify(cluster.asked.map(({ body, name }) => [name, body])),
    'files that others may read': readable.join('\n'),
    'names of files': Object.keys(machine.snapshot()).join(' '),
    effects: machine.effects.join('\n'),
    "the agent's state": textOf(await machine.files.read('/run/nodekiln/agent.json')) ?? '',
  };
}

async function unseen(data: Readonly<Record<string, string>>, annotations = {}): Promise<void> {
  const said = await saidOf(data, annotations);
  for (const [where, text] of Object.entries(said))
    for (const trace of traces) {
      const at = text.indexOf(trace);
      assert.ok(at < 0, `${where}: …${text.slice(Math.max(0, at - 120), at + 60)}…`);
    }
}

const file = (content: Json, about: Json = {}): Json => ({ path: secretPath, content, ...about });
const osc = (spec: Json): Record<string, string> => ({ 'osc.yaml': JSON.stringify(oscOf(spec), undefined, 1) });
const unit = `[Service]\nEnvironment=TOKEN=${marker}\nExecStart=/bin/true\n`;

describe('what is in a Secret', () => {
  it('is in place, and in nothing that the agent says', async () => {
    await unseen(
      osc({
        files: [file({ secretRef: { name: 'named', dataKey: 'key' } })],
        units: [{ name: 'a.service', content: unit, dropIns: [{ name: 'b.conf', content: unit }] }],
      }),
    );
    for (const path of [tokenPath, secretPath])
      assert.equal(textOf(await agent.machine.files.read(path)), marker, path);
  });

  for (const [what, data] of [
    ['a file of the document', osc({ files: [inlineFile(secretPath, marker)] })],
    [
      'text that is cut off',
      {
        'osc.yaml': `apiVersion: extensions.gardener.cloud/v1alpha1\nspec: {files: [{content: {inline: {data: "${marker}`,
      },
    ],
    [
      'JSON that is cut off',
      { 'osc.yaml': osc({ files: [inlineFile(secretPath, marker)] })['osc.yaml']?.slice(0, -12) ?? '' },
    ],
    ['text that is an alias', { 'osc.yaml': `spec:\n  files: *${marker}\n` }],
    ['text that is a tag', { 'osc.yaml': `spec:\n  files: !${marker} x\n` }],
    ['text that is a directive', { 'osc.yaml': `%${marker} x\n---\nspec: {}\n` }],
    ['an anchor', { 'osc.yaml': `spec: &${marker}\n  - &${marker} *${marker}\n` }],
    ['an indentation that is lost', { 'osc.yaml': `${osc({})['osc.yaml']?.slice(0, -2) ?? ''},\n"${marker}": 1}` }],
    ['a key that is no key', osc({ files: [file({ inline: { [marker]: 'x', data: 'x' } })] })],
    ['a key that stands twice', { 'osc.yaml': `spec:\n  ${marker}: 1\n  ${marker}: 2\n` }],
    ['content that is a list', osc({ files: [file({ inline: { data: [marker] } })] })],
    ['content that is no base64', osc({ files: [file({ inline: { encoding: 'b64', data: `${marker}!` } })] })],
    ['content that is a text', osc({ files: [{ path: secretPath, content: marker }] })],
    ['a file that is a text', osc({ files: [marker] })],
    ['a unit that is a text', osc({ units: [marker] })],
    ['a drop-in that is a text', osc({ units: [{ name: 'a.service', dropIns: [marker] }] })],
    ['a static pod that is none', osc({ files: [inlineFile('/etc/kubernetes/manifests/a.yaml', `a: *${marker}`)] })],
    [
      'settings of kubelet that are none',
      osc({
        inPlaceUpdates: { operatingSystemVersion: '1', kubelet: '1.34.3' },
        files: [inlineFile('/var/lib/kubelet/config/kubelet', `a: *${marker}`)],
      }),
    ],
    [
      'settings of a plugin in the way',
      osc({
        criConfig: {
          name: 'containerd',
          containerd: {
            sandboxImage: 'a/b:1',
            plugins: [
              { path: ['a'], values: { b: marker } },
              { path: ['a', 'b'], values: {} },
            ],
          },
        },
      }),
    ],
    ['a document that is a text', { 'osc.yaml': marker }],
    ['a document of another kind', { 'osc.yaml': `apiVersion: ${marker}\nkind: ${marker}\n` }],
    [
      'a file of a NodeConfig',
      { 'a.json': nodeDocument({ files: [{ path: secretPath, content: marker, sensitive: true }] }) },
    ],
    ['a token of a NodeConfig', { 'a.json': nodeDocument({ cluster: { bootstrapToken: marker } }) }],
    ['a file of a NodeConfig that is a text', { 'a.json': nodeDocument({ files: [marker] }) }],
    [
      'content of a NodeConfig that is a map',
      { 'a.json': nodeDocument({ files: [{ path: secretPath, content: { a: marker }, sensitive: true }] }) },
    ],
    ['a key of a NodeConfig that is none', { 'a.json': nodeDocument({ [marker]: 1 }) }],
    ["a value that has no document's name", { token: marker }],
    ['all that a NodeConfig may say in secret', { 'a.json': nodeDocument(secretSpec) }],
    ['all that an OperatingSystemConfig may say in secret', { 'osc.yaml': JSON.stringify(secretOsc) }],
  ] as const)
    it(`is not said of ${what}`, () => unseen(data));

  it('is not said of a document with another checksum', () =>
    unseen(osc({ files: [inlineFile(secretPath, marker)] }), { 'checksum/data-script': 'a'.repeat(64) }));
});
