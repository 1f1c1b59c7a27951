/** Documents in Secrets: what is taken for whole, and what belongs to it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { nodeDocument } from '../../test/support/memory-node.ts';
import { oscOf } from '../../test/support/osc.ts';
import { exampleFacts } from '../model/facts.ts';
import { SecretValue } from '../model/secret-value.ts';
import { loadNodeDocuments } from './documents.ts';
import { readSecretForm, secretsNamedIn, withSecrets, type Secret } from './secret-form.ts';
import { digestOf } from './sources/source.ts';

const base64 = (text: string | Uint8Array): string => Buffer.from(text as string).toString('base64');
const checksumOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function secretOf(
  data: Readonly<Record<string, string | Uint8Array>>,
  annotations: Readonly<Record<string, string>> = {},
): Secret {
  return {
    metadata: { namespace: 'kube-system', name: 'pool-a', annotations },
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, new SecretValue(base64(value))])),
  };
}

/** As Gardener's own renderer writes it, to the byte: its checksum is known from there. */
const rendered = `apiVersion: extensions.gardener.cloud/v1alpha1
kind: OperatingSystemConfig
metadata: {}
spec:
  criConfig:
    containerd:
      registries:
      - upstream: registry.k8s.io
      sandboxImage: registry.k8s.io/pause:latest
    name: containerd
  files:
  - content:
      inline:
        data: YmFy
        encoding: b64
    path: /some/path
  purpose: ""
  type: ""
  units:
  - name: some-unit.service
status:
  extensionFiles:
  - content: {}
    path: /some/other/path
  extensionUnits:
  - name: some-other-unit.service
`;
const renderedChecksum = 'e92163ba634e290c2e13de35a778007114e201e168c0a27149d05ab5592e4d36';

describe('an OperatingSystemConfig in a Secret', () => {
  it('has the checksum that its renderer gave it', () => {
    const { texts, checksum, serial } = readSecretForm(
      secretOf({ 'osc.yaml': rendered }, { 'checksum/data-script': renderedChecksum }),
    );
    assert.deepEqual(
      texts.map(({ file, text, mode }) => ({ file, text, mode })),
      [{ file: 'secret:kube-system/pool-a/osc.yaml', text: rendered, mode: 0 }],
    );
    assert.deepEqual([checksum, serial], [renderedChecksum, false]);
  });

  for (const [what, text] of [
    ['torn', rendered.slice(0, 200)],
    ['changed by hand', rendered.replace('YmFy', 'YmF6')],
    ['given another line end', `${rendered}\n`],
  ] as const)
    it(`that was ${what} is refused`, () =>
      assert.throws(
        () => readSecretForm(secretOf({ 'osc.yaml': text }, { 'checksum/data-script': renderedChecksum })),
        {
          code: 'NK_DOCUMENT_CHECKSUM',
          message: new RegExp(
            `has the SHA-256 ${checksumOf(text)}, and the annotation checksum/data-script says e92163ba`,
          ),
        },
      ));

  it('without an annotation has the checksum of its bytes', () =>
    assert.equal(readSecretForm(secretOf({ 'osc.yaml': rendered })).checksum, renderedChecksum));

  for (const [value, serial] of [
    ['true', true],
    ['false', false],
    ['', false],
    ['True', false],
  ] as const)
    it(`is ${serial ? '' : 'not '}applied one node after the other with "${value}"`, () => {
      const annotations = { 'reconciliation.osc.node-agent.gardener.cloud/serial': value };
      assert.equal(readSecretForm(secretOf({ 'osc.yaml': rendered }, annotations)).serial, serial);
    });
});

describe('a Secret', () => {
  it('shows in nothing that its texts are printed or serialised as', () => {
    const { texts } = readSecretForm(secretOf({ 'a.yaml': 'hunter2' }));
    const named = withSecrets(texts, [secretOf({ key: 'hunter2' })]);
    for (const [one] of [texts, named]) {
      assert.equal(one?.text, 'hunter2');
      const said = [inspect(one, { depth: Infinity, showHidden: true }), JSON.stringify(one)];
      for (const text of [...said, inspect({ ...one }), JSON.stringify(structuredClone(one))])
        assert.doesNotMatch(text, /hunter2|aHVudGVyM/);
    }
    assert.deepEqual(Object.keys(texts[0] ?? {}), ['file', 'mode']);
  });

  it('with NodeConfigs gives them in the order of their keys, and no checksum', async () => {
    const form = readSecretForm(
      secretOf({
        '20-b.json': nodeDocument({ boot: { deadline: '2m' } }),
        '10-a.yaml': nodeDocument({ boot: { deadline: '90s' } }),
        ca: 'x',
        '.hidden.yaml': 'x',
      }),
    );
    assert.deepEqual(
      form.texts.map(({ file }) => file),
      ['secret:kube-system/pool-a/10-a.yaml', 'secret:kube-system/pool-a/20-b.json'],
    );
    assert.equal(form.checksum, undefined);
    assert.equal((await loadNodeDocuments(form.texts))(exampleFacts).budgetMs, 120_000);
  });

  it('that is empty, or holds no document, asks for nothing that is known', () => {
    for (const secret of [secretOf({}), { metadata: { namespace: 'a', name: 'b' } }, secretOf({ token: 'x' })])
      assert.throws(() => readSecretForm(secret), { code: 'NK_DOCUMENT_MISSING', message: /holds no document$/ });
  });

  it('that holds no text is refused', () =>
    assert.throws(() => readSecretForm(secretOf({ 'osc.yaml': Uint8Array.of(0xff, 0xfe, 0x00) })), {
      code: 'NK_DOCUMENT_SYNTAX',
    }));

  it('with both kinds is refused where they are loaded', async () => {
    const { texts } = readSecretForm(secretOf({ 'osc.yaml': JSON.stringify(oscOf({})), 'a.yaml': nodeDocument() }));
    await assert.rejects(loadNodeDocuments(texts), { code: 'NK_DOCUMENT_KIND' });
  });
});

describe('Secrets that files are out of', () => {
  const refer = (name: string, dataKey = 'key') => ({ path: `/${name}`, content: { secretRef: { name, dataKey } } });
  const document = JSON.stringify(oscOf({ files: [refer('b'), refer('a')] }, { extensionFiles: [refer('c')] }));
  const [text] = readSecretForm(secretOf({ 'osc.yaml': document })).texts;
  assert.ok(text);

  it('are named once each, those of extensions, too', async () => {
    assert.deepEqual(await secretsNamedIn([text]), ['a', 'b', 'c']);
    assert.deepEqual(
      await secretsNamedIn([
        { file: 'x', text: '{' },
        { file: 'y', text: 'a: [' },
      ]),
      [],
    );
  });

  it('give the files their content, and the documents another digest when they change', async () => {
    const one = secretOf({ key: 'one' });
    const named = (secret: Secret): Secret[] =>
      ['a', 'b', 'c'].map((name) => ({ ...secret, metadata: { ...secret.metadata, name } }));
    const osc = withSecrets([text], named(one));
    const { resources } = (await loadNodeDocuments(osc))(exampleFacts).desired;
    assert.deepEqual([...resources.keys()], ['file:/a', 'file:/b', 'file:/c']);
    const digests = [osc, withSecrets(osc, named(one)), withSecrets(osc, named(secretOf({ key: 'two' })))].map(
      digestOf,
    );
    assert.equal(digests[0], digests[1]);
    assert.notEqual(digests[0], digests[2]);
  });

  it('that are not there are missed by name', async () => {
    const texts = withSecrets([{ ...text, text: JSON.stringify(oscOf({ files: [refer('b')] })) }], []);
    const ask = await loadNodeDocuments(texts);
    assert.throws(
      () => ask(exampleFacts),
      (thrown: { problems: readonly { message: string }[] }) => {
        assert.deepEqual(
          thrown.problems.map(({ message }) => message),
          ['the Secret b cannot be read from here'],
        );
        return true;
      },
    );
  });
});
