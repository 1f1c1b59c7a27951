/** Files that a person names: what is none, or has no end, is refused in words and in bounded time; pipes are read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exitStatus } from '../errors.ts';
import { runCli } from '../../test/run-cli.ts';

const node = '{"apiVersion":"nodekiln.dev/v1alpha1","kind":"NodeConfig","spec":{"kubernetes":{"version":"1.34.3"}}}';

/** Shell that puts it at `input`. */
const kinds: Readonly<Record<string, { readonly make: string; readonly said: RegExp }>> = {
  'a pipe that nobody writes to': { make: 'mkfifo input', said: /input is a pipe to which nobody writes/ },
  'a device without end': { make: 'mknod input c 1 5', said: /input cannot be read: .*no regular file/ },
  'a device without content': { make: 'mknod input c 1 3', said: /input cannot be read: .*no regular file/ },
  'a link to a device': { make: 'ln -s /dev/zero input', said: /input cannot be read: .*no regular file/ },
  'a file that is too large': { make: 'truncate -s 64G input', said: /input cannot be read: it is too large/ },
  'a pipe without end': { make: 'mkfifo input && (cat /dev/zero >input 2>/dev/null &)', said: /too large/ },
  'a folder': { make: 'mkdir input', said: /input is a folder/ },
};

const verbs: Readonly<Record<string, readonly string[]>> = {
  'config check': ['config', 'check', 'input'],
  'config dump': ['config', 'dump', 'input'],
  'plan --facts': ['plan', '--facts', 'input', 'node.json'],
  'plan of it': ['plan', '--facts', 'node.json', 'input'],
  'tools-image publish': ['tools-image', 'publish', 'input'],
};

describe('a path on a command line', { skip: process.getuid?.() === 0 ? false : 'only root makes devices' }, () => {
  for (const [kind, { make, said }] of Object.entries(kinds))
    for (const [verb, args] of Object.entries(verbs))
      it(`is refused where it is ${kind}: ${verb}`, async () => {
        const wrapper = ['sh', '-euc', `${make}; s=0; timeout 30 "$@" || s=$?; rm -rf input; exit $s`, 'sh'];
        const { status, stderr } = await runCli({ 'node.json': node }, args, { wrapper });
        assert.equal(status, exitStatus.document, stderr);
        assert.match(stderr, /^error NK_DOCUMENT_MISSING: /m);
        assert.match(stderr, said);
      });

  const pipes: Readonly<Record<string, string>> = {
    'the standard input': 'cat node.json | "$@" /dev/stdin',
    'a pipe that is written to at once': 'mkfifo input; (cat node.json >input &); "$@" input',
    'a pipe that is written to a little later': 'mkfifo input; (sleep 1; cat node.json >input) & "$@" input',
    'a pipe that brings a part now and then':
      '(head -c 20 node.json; sleep 3; tail -c +21 node.json) | "$@" /dev/stdin',
    'a file': '"$@" node.json',
    'a dash, for a pipe': 'cat node.json | "$@" -',
    'a dash, for a file': '"$@" - <node.json',
    'a file that is named so': 'cp node.json ./-; "$@" ./-; rm ./-',
  };
  for (const [what, script] of Object.entries(pipes))
    it(`is read to its end where it is ${what}`, async () => {
      const wrapper = ['sh', '-euc', script, 'sh'];
      const { status, stdout, stderr } = await runCli({ 'node.json': node }, ['config', 'check'], { wrapper });
      assert.deepEqual([status, stdout.trim()], [0, '1 document valid'], stderr);
    });
});
