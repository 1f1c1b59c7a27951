import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { exampleFacts, type Facts } from '../model/facts.ts';
import type { ActionResource, FileResource } from '../model/resources.ts';
import { afterTrust, trustResources } from './trust.ts';

/** Three lines, of which the middle one is the certificate's own. */
function certificate(line: string): string {
  const around = 'A'.repeat(64);
  return ['-----BEGIN CERTIFICATE-----', around, line.padEnd(64, line), around, '-----END CERTIFICATE-----', ''].join(
    '\n',
  );
}

async function trustOf(
  facts: Facts,
  options: { anchors?: readonly string[]; usrLocal?: 'host' | 'writable' } = {},
): Promise<(FileResource | ActionResource)[]> {
  const anchors = (options.anchors ?? ['one']).map((name) => ({ name, certificates: certificate(name) }));
  const spec = { kubernetes: { version: '1.34.3' }, trust: { anchors }, usrLocal: options.usrLocal ?? 'host' };
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
  const { config } = resolveNodeConfig([await parseDocument({ file: 'a', text }, 'NodeConfig')]);
  return trustResources(config.spec, facts);
}

const debian = exampleFacts;
const on = (id: string): Facts => ({ ...exampleFacts, os: { id, release: '1' } });

function actionIn(resources: readonly (FileResource | ActionResource)[]): ActionResource {
  const action = resources.find((resource) => resource.kind === 'action');
  assert.ok(action);
  return action;
}

test('nobody to trust, nothing to do', async () => {
  assert.deepEqual(await trustOf(debian, { anchors: [] }), []);
});

test('Debian: a file of the administrator’s own, named by its content, then its own program', async () => {
  const [file, ...rest] = await trustOf(debian);
  assert.match(file?.id ?? '', /^file:\/usr\/local\/share\/ca-certificates\/one-[0-9a-f]{8}\.crt$/);
  const action = actionIn(rest);
  assert.deepEqual(action.argv, ['update-ca-certificates']);
  assert.deepEqual(action.needs, [file?.id]);
  const link = file?.id.replace(/^file:\/usr\/local\/share\/ca-certificates\/(.*)\.crt$/, '/etc/ssl/certs/$1.pem');
  assert.deepEqual(action.guard, { type: 'command', argv: ['test', '-e', link] });
  assert.deepEqual([action.timeoutMs, action.scope, file?.scope], [60_000, 'shared', 'shared']);
});

test('another content has another name, and several are all looked for', async () => {
  const names = (await trustOf(debian, { anchors: ['one', 'two'] })).map(({ id }) => id);
  assert.equal(new Set(names).size, 3);
  const { guard } = actionIn(await trustOf(debian, { anchors: ['one', 'two'] }));
  assert.ok(guard.type === 'command');
  assert.deepEqual(
    guard.argv.map((word) => (word.startsWith('/') ? 'path' : word)),
    ['test', '-e', 'path', '-a', '-e', 'path'],
  );
});

test('where /usr/local is an extension of ours, the files lie behind it and the program waits for it', async () => {
  const [file, ...rest] = await trustOf(debian, { usrLocal: 'writable' });
  assert.match(file?.id ?? '', /^file:\/opt\/nodekiln\/usr-local\/share\/ca-certificates\/one-/);
  assert.deepEqual(actionIn(rest).needs, [file?.id, 'extension:nodekiln-usr-local']);
});

for (const id of ['fedora', 'rhel', 'centos', 'rocky', 'almalinux', 'azurelinux', 'mariner', 'amzn', 'ol']) {
  test(`${id}: a file below /etc/pki, then its own program`, async () => {
    const [file, ...rest] = await trustOf(on(id), { usrLocal: 'writable' });
    assert.equal(file?.id, 'file:/etc/pki/ca-trust/source/anchors/one.pem');
    const action = actionIn(rest);
    assert.deepEqual([action.argv, action.needs], [['update-ca-trust', 'extract'], [file?.id]]);
  });
}

test('the guard of RPM systems asks for a line of each certificate that no other has', async (context) => {
  const folder = mkdtempSync('/tmp/nodekiln-trust-');
  after(() => rmSync(folder, { recursive: true }));
  const { guard } = actionIn(await trustOf(on('fedora'), { anchors: ['one', 'two'] }));
  assert.ok(guard.type === 'command');
  const bundle = join(folder, 'bundle.pem');
  const status = (...certificates: string[]): number | null => {
    writeFileSync(bundle, certificates.join(''));
    const argv = guard.argv.map((word) => word.replaceAll('/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', bundle));
    context.diagnostic(argv.join(' '));
    return spawnSync(argv[0] ?? '', argv.slice(1)).status;
  };
  assert.equal(status(certificate('two'), certificate('one')), 0);
  assert.equal(status(certificate('one')), 1);
  assert.equal(status(certificate('two')), 1);
  assert.equal(status(''), 1);
});

test('what reads the bundles starts after them, and again when they change', async () => {
  const resources = await trustOf(debian, { anchors: ['one', 'two'] });
  const unit = {
    kind: 'unit',
    id: 'unit:a.service',
    name: 'a.service',
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: ['file:/n'],
    dropIns: [],
    inputs: ['file:/i'],
    onChange: 'restart',
    readiness: { type: 'active' },
    deadlineMs: 1,
  } as const;
  const { inputs, needs } = afterTrust(unit, resources);
  const files = resources.flatMap(({ kind, id }) => (kind === 'file' ? [id] : []));
  assert.deepEqual(inputs, ['file:/i', ...files]);
  assert.deepEqual(needs, ['file:/n', 'action:trust-anchors']);
});
