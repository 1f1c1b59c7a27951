import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { schemaFields } from '../../test/support/schema-fields.ts';
import { configDump, refuseExposed } from './inspect.ts';
import { parseDocument } from './load.ts';
import { formatPath } from './paths.ts';
import { nodeConfigDocument } from './schema-node.ts';
import { holdsCredential } from '../model/containerd-configuration.ts';
import { holdsSecret } from '../model/shown-address.ts';
import { secretPaths } from './secrets.ts';

const secretValue = 'http://user:hunter2@proxy.example.org:3128';

/** A document that gives this field alone, beside what must be there. */
function documentWith(path: readonly string[]): Record<string, unknown> {
  const cluster = path.includes('cluster') ? { cluster: { server: 'https://a', caBundle: exampleAuthority } } : {};
  const document = {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    spec: { kubernetes: { version: '1.34.3' }, ...cluster },
  };
  let inner: Record<string, unknown> = document;
  const secret = path.at(-1) === 'bootstrapToken' ? 'hunte2.hunter2hunter2ab' : secretValue;
  for (const [depth, key] of path.entries()) {
    const next = depth === path.length - 1 ? secret : (inner[key] ?? {});
    inner[key] = next;
    if (typeof next === 'object' && next !== null) inner = next as Record<string, unknown>;
  }
  return document;
}

const secretFields = [...schemaFields(nodeConfigDocument)].filter(({ secret }) => secret).map(({ path }) => path);

test('the schema says where secrets are', () => {
  assert.deepEqual(
    secretFields.map((path) => path.join('.')),
    [
      'spec.cluster.bootstrapToken',
      'spec.network.proxy.http',
      'spec.network.proxy.https',
      'spec.binaries.transfer.proxy',
    ],
  );
});

for (const path of secretFields) {
  test(`${path.join('.')} is found, redacted, and refused where others can read it`, async () => {
    const text = JSON.stringify(documentWith(path));
    const loaded = await parseDocument({ file: 'node.json', text }, 'NodeConfig');
    assert.deepEqual(secretPaths(loaded.document.spec), [path.slice(1)]);
    const dump = configDump([loaded]);
    assert.ok(!JSON.stringify(dump).includes('hunter2'));
    assert.deepEqual(
      dump.entries.filter(({ value }) => value === '<redacted>').map((entry) => entry.path),
      [path.join('.')],
    );
    refuseExposed(loaded, 0o600);
    assert.throws(() => refuseExposed(loaded, 0o640), { code: 'NK_DOCUMENT_EXPOSED' });
  });
}

const addresses: readonly (readonly [address: string, isSecret: boolean])[] = [
  ['https://user:password@example.org/a', true],
  ['https://token@example.org', true],
  ['https://example.org/a?sig=x', true],
  ['HTTPS://example.org?x', true],
  ['https://example.org/a@b', false],
  ['https://example.org/a#b?c', true],
  ['https://example.org', false],
  ['registry.example.org/a:b@sha256:0', false],
  ['', false],
];

for (const [address, isSecret] of addresses) {
  test(`${address || 'nothing'} ${isSecret ? 'holds a secret' : 'holds none'}`, () => {
    assert.equal(holdsSecret(address), isSecret);
  });
}

/** Below `containerd.configuration`, and where in it the secret is. */
const settings: readonly (readonly [settings: unknown, secret?: string])[] = [
  [
    { plugins: { cri: { registry: { configs: { 'a.example': { auth: { username: 'me', password: 'hunter2' } } } } } } },
    'plugins.cri.registry.configs["a.example"].auth.password',
  ],
  [{ a: { auth: 'aHVudGVyMg==' } }, 'a.auth'],
  [{ a: { identitytoken: 'hunter2' } }, 'a.identitytoken'],
  [{ a: [{ b: [{ Token: 'hunter2' }] }] }, 'a[0].b[0].Token'],
  [{ header: { Authorization: ['Bearer hunter2'] } }, 'header.Authorization[0]'],
  [{ a: { secret_key: 'hunter2' } }, 'a.secret_key'],
  [{ debug: { level: 'info' } }],
  [{ auth: { username: 'me' } }],
  [{ plugins: { tokens: { authority: 'a', passwords: 'b' } } }],
];

for (const [configuration, secret] of settings)
  test(`credentials in ${JSON.stringify(configuration)}: ${secret ?? 'none'}`, async () => {
    const spec = { kubernetes: { version: '1.34.3' }, containerd: { configuration } };
    const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
    const loaded = await parseDocument({ file: 'node.json', text }, 'NodeConfig');
    const paths = secretPaths(loaded.document.spec).map((path) => formatPath(path));
    assert.deepEqual(paths, secret === undefined ? [] : [`containerd.configuration.${secret}`]);
    assert.equal(holdsCredential(configuration), secret !== undefined);
    const dumped = JSON.stringify(configDump([loaded]));
    assert.equal(/hunter2|aHVudGVyMg/.test(dumped), false);
    assert.equal(dumped.includes('<redacted>'), secret !== undefined);
    if (secret !== undefined) assert.throws(() => refuseExposed(loaded, 0o644), { code: 'NK_DOCUMENT_EXPOSED' });
  });

test('a proxy without a password is no secret', async () => {
  const text = JSON.stringify({
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    spec: { network: { proxy: { http: 'http://proxy:3128' } }, binaries: { transfer: { proxy: 'http://proxy:3128' } } },
  });
  assert.deepEqual(secretPaths((await parseDocument({ file: 'a', text }, 'NodeConfig')).document.spec), []);
});
