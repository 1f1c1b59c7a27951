/** The example of user data says what the verb and the documents take. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { parse } from 'yaml';
import { parseReference } from '../artifacts/reference.ts';
import { completeAgentConfig } from '../config/agent-config.ts';
import { checkDocument, parseText } from '../config/load.ts';
import { mirrorsOf } from './agent-bootstrap.ts';
import { parseCommandLine } from './command-line.ts';

const example = join(import.meta.dirname, '../../examples/unbaked/user-data.yaml');

interface UserData {
  readonly write_files: readonly { readonly path: string; readonly permissions?: string; readonly content: string }[];
}

it('the example of user data is one', async () => {
  const text = await readFile(example, 'utf8');
  assert.ok(text.startsWith('#cloud-config\n'));
  const { write_files: files } = parse(text) as UserData;
  const fileAt = (end: string) => files.find(({ path }) => path.endsWith(end));
  const command = /^ExecStart=\S+\/node \S+\/nodekiln (.*)$/m.exec(
    fileAt('/nodekiln-agent-bootstrap.service')?.content ?? '',
  );
  const parsed = await parseCommandLine((command?.[1] ?? '').split(' '), 100);
  assert.ok('verb' in parsed);
  assert.equal(parsed.verb.spec.name, 'agent bootstrap');
  const config = fileAt('/agent.yaml');
  assert.equal(parsed.options['config'], config?.path);
  assert.equal(config?.permissions, '0600');
  assert.match(parseReference(String(parsed.options['image'])).digest ?? '', /^sha256:/);
  const document = await parseText({ file: example, text: config.content });
  const spec = completeAgentConfig(await checkDocument(document, 'AgentConfig'));
  assert.deepEqual(spec.cluster?.servers, ['https://api.example.org:6443']);
});

it('takes mirrors in their order, and repeats no address that is none', () => {
  const mirrors = 'https://mirror.example.org,http://10.0.0.1:5000/team';
  assert.deepEqual(mirrorsOf({ mirrors }), mirrors.split(','));
  assert.deepEqual(mirrorsOf({}), []);
  for (const wrong of [
    'mirror.example.org',
    'ftp://a',
    'https://user:word@a',
    'https://a?word',
    'https://a#word',
    'https://a,word',
  ])
    assert.throws(
      () => mirrorsOf({ mirrors: wrong }),
      (thrown: Error & { code?: string }) => thrown.code === 'NK_USAGE' && !thrown.message.includes(wrong),
      wrong,
    );
});
