/** What a verb writes is never a file that it reads, nor one that it writes already, by whatever name. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exitStatus } from '../errors.ts';
import { runCli } from '../../test/run-cli.ts';
import { bootResult } from '../../test/support/boot-results.ts';

const files = {
  m: '#!/bin/sh\n',
  'image.yaml': 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: {}\n',
  'result.json': JSON.stringify(bootResult()),
  'components.json': '{"Packages": []}',
  'inventory.json': '{"apiVersion":"nodekiln.dev/v1alpha1","kind":"Inventory","spec":{}}',
  'images.yaml': 'apiVersion: nodekiln.dev/v1alpha1\nkind: ToolsImages\nspec: { images: [] }\n',
  'sub/kept': '',
  'root/etc/os-release': 'ID=debian\nVERSION_ID=12\n',
};
const cases = [
  ['artifact extract m --to m', 'what is read'],
  ['artifact extract m --to ./sub/../m', 'what is read'],
  ['artifact extract m --to same', 'what is read'],
  ['artifact extract m --to linked', 'what is read'],
  ['artifact extract linked --to m', 'what is read'],
  ['artifact fetch ./m --to m', 'what is read'],
  ['artifact fetch https://127.0.0.1:1/m --ca-file m --to m', 'what is read'],
  ['bake image.yaml --root root --lock image.yaml', 'what is read'],
  ['bake image.yaml --root root --sbom image.yaml', 'what is read'],
  ['bake image.yaml --root root --lock new.json --sbom ./new.json', 'where another result goes'],
  ['timeline --file result.json --svg result.json', 'what is read'],
  ['timeline --file result.json --trace result.json', 'what is read'],
  ['timeline --file result.json --svg new --trace ./new', 'where another result goes'],
  ['manifest import agentbaker components.json --output components.json', 'what is read'],
  ['manifest export agentbaker inventory.json --output inventory.json', 'what is read'],
  ['tools-image publish images.yaml --output images.yaml', 'what is read'],
] as const;

/** In a folder where `same` is another name of `m`, and `linked` a link to it; at the end every file with its digest. */
const script =
  'ln m same && ln -s m linked && sha256sum $(find . -type f | sort) >&2; "$@"; echo "status $?"; sha256sum $(find . -type f | sort) >&2';

describe('what would be written over', () => {
  for (const [line, what] of cases)
    it(`is refused before anything is done: nodekiln ${line}`, async () => {
      const { stdout, stderr } = await runCli(files, line.split(' '), { wrapper: ['sh', '-c', script, 'sh'] });
      assert.match(stdout, new RegExp(`^status ${exitStatus.usage}$`, 'm'), stderr);
      assert.match(stderr, new RegExp(`^error NK_USAGE: \\S+ cannot be written: it is ${what}$`, 'm'));
      assert.match(stderr, /^hint: Name another file\.$/m);
      const sums = stderr.match(/^[0-9a-f]{64} .*$/gm) ?? [];
      assert.equal(sums.length % 2, 0);
      assert.deepEqual(sums.slice(0, sums.length / 2), sums.slice(sums.length / 2));
    });

  it('is not what is no file: the same device may be named as often as one likes', async () => {
    const args = 'timeline --file result.json --svg /dev/null --trace /dev/null'.split(' ');
    const { status, stderr } = await runCli(files, args);
    assert.equal(status, 0, stderr);
  });

  it('is not what an earlier run wrote', async () => {
    const again = ['sh', '-c', '"$@" && "$@"', 'sh'];
    const { status, stderr } = await runCli(files, 'artifact extract m --to copy'.split(' '), { wrapper: again });
    assert.equal(status, 0, stderr);
  });
});
