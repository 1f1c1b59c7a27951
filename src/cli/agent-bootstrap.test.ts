/** The examples of user data say what the verb and the documents take. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { parse } from 'yaml';
import { digestOf } from '../agent/program-origin.ts';
import { completeAgentConfig } from '../config/agent-config.ts';
import { checkDocument, parseText } from '../config/load.ts';
import { originOf } from './agent-bootstrap.ts';
import { parseCommandLine } from './command-line.ts';

const examples = join(import.meta.dirname, '../../examples/unbaked');

interface UserData {
  readonly write_files: readonly { readonly path: string; readonly permissions?: string; readonly content: string }[];
}

for (const [name, takesUrl] of [
  ['user-data.yaml', false],
  ['user-data-url.yaml', true],
] as const)
  it(`the example ${name} is user data`, async () => {
    const example = join(examples, name);
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
    const origin = originOf(parsed.options);
    assert.equal('urls' in origin, takesUrl);
    assert.match(digestOf(origin) ?? '', /^sha256:/);
    const document = await parseText({ file: example, text: config.content });
    const spec = completeAgentConfig(await checkDocument(document, 'AgentConfig'));
    assert.deepEqual(spec.cluster?.servers, ['https://api.example.org:6443']);
  });

it('takes addresses in their order, and repeats none that is none', () => {
  const urls = 'https://mirror.example.org,http://10.0.0.1:5000/team';
  const digest = `sha256:${'0'.repeat(64)}`;
  assert.deepEqual(originOf({ image: 'a', mirrors: urls }), { image: 'a', plainHttp: false, mirrors: urls.split(',') });
  assert.deepEqual(originOf({ image: 'a' }), { image: 'a', plainHttp: false, mirrors: [] });
  assert.deepEqual(originOf({ url: urls, digest }), { urls: urls.split(','), digest });
  for (const wrong of [
    'mirror.example.org',
    'ftp://a',
    'https://user:word@a',
    'https://a?word',
    'https://a#word',
    'https://a,word',
  ])
    for (const options of [
      { image: 'a', mirrors: wrong },
      { url: wrong, digest },
    ])
      assert.throws(
        () => originOf(options),
        (thrown: Error & { code?: string }) => thrown.code === 'NK_USAGE' && !thrown.message.includes(wrong),
        wrong,
      );
});

it('takes one place of nodekiln, with what belongs to it', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const url = 'https://a/x.tar';
  for (const [options, message] of [
    [{}, /--image and --url/],
    [{ image: 'a', url, digest }, /--image and --url/],
    [{ image: 'a', digest }, /--digest goes with --url/],
    [{ url }, /--url needs --digest/],
    [{ url, digest: digest.slice(1) }, /--url needs --digest/],
    [{ url: ',', digest }, /--url has/],
    [{ url, digest, mirrors: 'https://b' }, /--mirrors and --plain-http go with --image/],
    [{ url, digest, 'plain-http': true }, /--mirrors and --plain-http go with --image/],
  ] as const)
    assert.throws(() => originOf(options), { code: 'NK_USAGE', message }, JSON.stringify(options));
});
