/**
 * What may hold a secret is shown neither by the dump nor by the plan, whatever field it stands in and however it is spelled:
 * the documents in `desired/effects/` hold every field. On disk it is for root alone.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileIn, oscOf, renderOsc } from '../../test/support/osc.ts';
import { occurrences, withValue } from '../../test/support/schema-fields.ts';
import { around, secret, secretAddresses as spellings } from '../../test/support/secret-addresses.ts';
import { configDump } from '../config/inspect.ts';
import { kinds, parseDocument } from '../config/load.ts';
import { formatPath } from '../config/paths.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { isAddress } from '../config/typed.ts';
import { renderNode } from '../desired/render-node.ts';
import { NodekilnError } from '../errors.ts';
import { plan } from '../index.ts';
import { exampleFacts } from '../model/facts.ts';

/** Free texts, which are what somebody says they are: an argument, a label, a file. */
const free = /(?:content|argv\.\*|args\.\*|command\.\*|labels\.\{\}|annotations\.\{\}|flags\.\{\}|value)$/;

for (const file of ['node-1.yaml', 'node-2.yaml', 'node-3.yaml', 'node-4.yaml', 'node-5.yaml'])
  test(`the dump and the plan of ${file} show no secret of an address`, async () => {
    const text = readFileSync(join(import.meta.dirname, '..', 'desired', 'effects', file), 'utf8');
    const { document } = await parseDocument({ file, text }, 'NodeConfig');
    let taken = 0;
    for (const { at, field, value } of occurrences(await kinds.NodeConfig(), document)) {
      if (typeof value !== 'string' || field.schema._zod.def.type !== 'string') continue;
      if (free.test(field.path.join('.'))) continue;
      const isVariable = field.path.at(-2) === 'env';
      const planned = isAddress([field.schema]);
      const tried = planned ? spellings : [...spellings.slice(0, 2), ...(isVariable ? ['hunter2'] : [])];
      for (const spelling of tried) {
        const shown = await shownOf(JSON.stringify(withValue(document, at, spelling)), planned);
        if (shown.type === 'dump') taken += 1;
        assert.ok(!secret.test(shown.text), `${formatPath(at)}: ${around(shown.text)}`);
      }
    }
    assert.ok(taken > 0, 'some are taken');
  });

/** Whoever writes an address where a path belongs sees it in the plan. */
async function shownOf(
  text: string,
  planned: boolean,
): Promise<{ readonly type: 'dump' | 'messages'; readonly text: string }> {
  const source = { file: 'x', text };
  try {
    const dump = configDump([await parseDocument(source, 'NodeConfig')]);
    return { type: 'dump', text: JSON.stringify([dump, planned && (await plan({ documents: [source] }))]) };
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError, String(thrown));
    const { message, hint, lines, problems, place } = thrown;
    return { type: 'messages', text: JSON.stringify([message, hint, lines, problems, place]) };
  }
}

test('an address with a secret that a probe or a wait asks is in the plan without it', async () => {
  const unit = { name: 'a.service', content: '[Service]\nExecStart=/bin/a\n', state: 'started' };
  const readiness = { http: 'http://user:hunter2@127.0.0.1:8080/healthz?token=hunter2' };
  const spec = { kubernetes: { version: '1.34.3' }, units: [{ ...unit, readiness }] };
  const node = { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec };
  const registries = [
    { upstream: 'a.example', hosts: [{ url: 'https://user:hunter2@b.example/a' }], readinessProbe: true },
  ];
  const containerd = { sandboxImage: 'registry.example/pause:1', registries };
  const osc = oscOf({ criConfig: { name: 'containerd', containerd } });
  for (const [document, shown] of [
    [node, 'http://127.0.0.1:8080/healthz?…'],
    [osc, 'https://b.example/a'],
  ] as const) {
    const text = JSON.stringify(await plan({ documents: [{ file: 'x', text: JSON.stringify(document) }] }));
    assert.doesNotMatch(text, secret);
    assert.ok(text.includes(shown), shown);
  }
});

for (const [values, mode] of [
  [{ auth: { username: 'user', password: 'hunter2' } }, '0600'],
  [{ auth: { identitytoken: 'hunter2' } }, '0600'],
  [{ auth: { username: 'user' } }, '0644'],
] as const)
  test(`containerd's configuration with ${JSON.stringify(values)} has the mode ${mode}, from either kind of document`, async () => {
    const [server, path] = ['io.containerd.grpc.v1.cri', '/etc/containerd/config.toml'];
    const configuration = { plugins: { [server]: { registry: { configs: { 'a.example': values } } } } };
    const text = JSON.stringify({
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'NodeConfig',
      spec: { kubernetes: { version: '1.34.3' }, containerd: { configuration } },
    });
    const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
    const plugins = [{ path: [server, 'registry', 'configs', 'a.example'], values }];
    const containerd = { sandboxImage: 'registry.example/pause:1', plugins };
    const osc = await renderOsc(oscOf({ criConfig: { name: 'containerd', containerd } }));
    for (const desired of [renderNode(config, exampleFacts), osc]) {
      const { entry } = fileIn(desired, path);
      assert.ok(entry.type === 'file' && 'text' in entry.content);
      assert.deepEqual([entry.mode, typeof entry.content.text], [mode, mode === '0600' ? 'object' : 'string']);
    }
  });

for (const [address, mode] of [
  ['https://user:hunter2@mirror.example', '0600'],
  ['https://mirror.example?hunter2', '0600'],
  ['https://mirror.example/a', '0644'],
] as const)
  test(`what containerd reads of ${address} has the mode ${mode}, from either kind of document`, async () => {
    const path = '/etc/containerd/certs.d/a.example/hosts.toml';
    const registries = [{ host: 'a.example', mirrors: [{ url: address }] }];
    const text = JSON.stringify({
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'NodeConfig',
      spec: { kubernetes: { version: '1.34.3' }, containerd: { registries } },
    });
    const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
    for (const readinessProbe of [false, true]) {
      const hosts = [{ upstream: 'a.example', hosts: [{ url: address }], readinessProbe }];
      const containerd = { sandboxImage: 'registry.example/pause:1', registries: hosts };
      const osc = await renderOsc(oscOf({ criConfig: { name: 'containerd', containerd } }));
      for (const desired of [renderNode(config, exampleFacts), osc]) {
        const { entry } = fileIn(desired, path);
        assert.ok(entry.type === 'file' && 'text' in entry.content);
        assert.deepEqual([entry.mode, typeof entry.content.text], [mode, mode === '0600' ? 'object' : 'string']);
      }
    }
  });
