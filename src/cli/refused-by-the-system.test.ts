/** What the system refuses is said in words, with the path and what to do; nobody has to know what ENOENT is. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exitStatus } from '../errors.ts';
import { runCli, type RunOptions } from '../../test/run-cli.ts';
import { bootResult } from '../../test/support/boot-results.ts';
import { exampleFacts } from '../model/facts.ts';

const node = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  kubernetes: { version: 1.34.3 }\n';
const image = 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: {}\n';
const files = {
  'node.yaml': node,
  'image.yaml': image,
  'components.json': '{"Packages": []}',
  'result.json': JSON.stringify(bootResult()),
  'facts.json': JSON.stringify(exampleFacts),
  'folder/file': 'a\n',
};
/** `MISSING` and `FOLDER` are read; `NO/FILE` and `FOLDER` are written. */
const readers = [
  'config check',
  'config dump',
  'plan --facts facts.json',
  'plan node.yaml --facts',
  'timeline --file',
  'manifest resolve --os debian/12',
  'manifest import agentbaker',
  'manifest export agentbaker',
  'artifact inspect',
  'artifact extract --member a --to x',
  'artifact fetch --to x',
  'artifact fetch https://127.0.0.1:1/x --to x --ca-file',
  'bake --root folder',
  'tools-image publish',
  'tools-image resolve --repository r --cluster-version 1.34.0 --policy error --config',
  'cluster approve --kubeconfig',
].map((line) => line.split(' '));
const writers = [
  'timeline --file result.json --svg',
  'timeline --file result.json --trace',
  'manifest import agentbaker components.json --output',
  'artifact fetch node.yaml --to',
].map((line) => line.split(' '));

async function refuses(args: readonly string[], { path, ...options }: RunOptions & { path: string }): Promise<void> {
  const { status, stderr } = await runCli(files, args, options);
  assert.notEqual(status, 0, stderr);
  assert.match(stderr, /^error NK_(?!INTERNAL)[A-Z_]+: /m);
  assert.doesNotMatch(stderr, /\bE[A-Z]{4,}\b(?!\))/, 'a name of the system, without words');
  assert.ok(stderr.includes(path), `${stderr} does not name ${path}`);
  assert.match(stderr, /^hint: ./m);
  if (path === 'folder')
    assert.doesNotMatch(stderr, /^hint: .*(?:Fetch it again|digest)/m, 'what is of no use for one');
}

describe('what cannot be read', () => {
  for (const args of readers)
    it(`is missing, or a folder: nodekiln ${args.join(' ')}`, async () => {
      await refuses([...args, 'missing.file'], { path: 'missing.file' });
      await refuses([...args, 'folder'], { path: 'folder' });
    });

  it('belongs to others: nodekiln config check', () =>
    refuses(['config', 'check', '/etc/shadow'], { path: '/etc/shadow', asNobody: true }));
});

describe('what cannot be written', () => {
  for (const args of writers)
    it(`is in no folder, or one itself: nodekiln ${args.join(' ')}`, async () => {
      await refuses([...args, 'node.yaml/file'], { path: 'node.yaml' });
      await refuses([...args, 'folder'], { path: 'folder' });
    });
});

describe('a folder that is not there', () => {
  const keepers = [
    'artifact extract node.yaml --to',
    'bake image.yaml --root folder --lock',
    'bake image.yaml --root folder --sbom',
  ];
  for (const args of [...writers, ...keepers.map((line) => line.split(' '))])
    it(`is not made unasked, and said before anything is done: nodekiln ${args.join(' ')}`, async () => {
      const scratch = mkdtempSync(join(tmpdir(), 'nodekiln-no-folder-'));
      const { status, stderr } = await runCli(files, [...args, join(scratch, 'no/such/file')]);
      assert.equal(status, exitStatus.apply, stderr);
      assert.match(stderr, /^error NK_FILE_WRITE: \S*no\/such\/file cannot be written: its folder does not exist$/m);
      assert.match(stderr, /^hint: Make it first: mkdir -p \S*no\/such$/m);
      assert.deepEqual(readdirSync(scratch), []);
      rmdirSync(scratch);
    });
});
