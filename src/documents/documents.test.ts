/** What documents mean: by their kinds, ours and one of somebody else's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryNode, nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { kinds as ownKinds } from '../config/load.ts';
import { observeFacts } from '../host/facts.ts';
import type { DesiredState, Resource } from '../model/resources.ts';
import { bootTexts, loadNodeDocuments, namedTexts } from './documents.ts';
import type { KindOfDocument } from './kinds/kind.ts';
import { documentKinds, type KindTable } from './kinds/table.ts';
import type { SourcedText } from './sources/source.ts';

function text(file: string, value: unknown, mode = 0o600): SourcedText {
  return { file, text: typeof value === 'string' ? value : JSON.stringify(value), mode };
}

/** A kind of somebody else's, as one would be added: a message of the day per document, later ones after earlier ones. */
const motd: KindOfDocument = {
  describes: 'node',
  load: async (texts) => {
    const words = texts.map(({ parsed }) => String((parsed.value as { words?: unknown }).words));
    const resource: Resource = {
      kind: 'file',
      id: 'file:/etc/motd',
      scope: 'node',
      deferrable: false,
      importance: 'required',
      needs: [],
      path: '/etc/motd',
      entry: { type: 'file', content: { text: words.join('\n') }, mode: '0644', uid: 0, gid: 0 },
    };
    const desired: DesiredState = { resources: new Map([[resource.id, resource]]), goal: undefined, warnings: [] };
    return () => ({ desired, budgetMs: 1000 });
  },
};
const withMotd: KindTable = { ...documentKinds, 'example.org/v1/Motd': () => Promise.resolve(motd) };
const message = (words: string): unknown => ({ apiVersion: 'example.org/v1', kind: 'Motd', words });

describe('documents of a node', () => {
  it('of the boot are what the image says and then its folder, in lexical order', async () => {
    const machine = await createMemoryNode({ '20-b.json': nodeDocument(), '10-a.yaml': nodeDocument() });
    await machine.files.write([textFile('/etc/nodekiln/image.json', nodeDocument())]);
    const texts = await bootTexts(machine.open().files);
    assert.deepEqual(
      texts.map(({ file }) => file),
      ['/etc/nodekiln/image.json', '/etc/nodekiln/conf.d/10-a.yaml', '/etc/nodekiln/conf.d/20-b.json'],
    );
  });

  it('are missed where there are none, and each that is named', async () => {
    const { files } = (await createMemoryNode()).open();
    await assert.rejects(bootTexts(files), { code: 'NK_DOCUMENT_MISSING', message: /^there is no node configuration/ });
    await assert.rejects(namedTexts(files, ['/etc/x.yaml']), {
      code: 'NK_DOCUMENT_MISSING',
      message: '/etc/x.yaml does not exist',
    });
  });

  it('merge, later ones over earlier ones, into what they ask for and the budget of a boot', async () => {
    const machine = await createMemoryNode();
    const facts = await observeFacts(machine.open());
    const ask = await loadNodeDocuments([
      text('a.json', nodeDocument({ boot: { deadline: '90s' } })),
      text('b.json', nodeDocument({ boot: { deadline: '2m' } })),
    ]);
    const { desired, budgetMs } = ask(facts);
    assert.equal(budgetMs, 120_000);
    assert.ok(desired.resources.has('unit:kubelet.service'));
  });

  it('with secrets are refused when others can read them, each by its own mode', async () => {
    const secret = nodeDocument({ files: [{ path: '/etc/a', content: 'x', sensitive: true }] });
    await loadNodeDocuments([text('a.json', nodeDocument(), 0o644), text('b.json', secret, 0o600)]);
    await assert.rejects(loadNodeDocuments([text('a.json', nodeDocument(), 0o600), text('b.json', secret, 0o640)]), {
      code: 'NK_DOCUMENT_EXPOSED',
    });
  });

  it('of another kind than the image’s stand for themselves', async () => {
    const facts = await observeFacts((await createMemoryNode()).open());
    const image = text('/etc/nodekiln/image.json', nodeDocument());
    const foreign = text('osc.json', {
      apiVersion: 'extensions.gardener.cloud/v1alpha1',
      kind: 'OperatingSystemConfig',
      spec: { files: [{ path: '/etc/a', content: { inline: { data: 'x' } } }] },
    });
    const ids = async (...texts: SourcedText[]): Promise<string[]> => [
      ...(await loadNodeDocuments(texts))(facts).desired.resources.keys(),
    ];
    assert.deepEqual(await ids(image, foreign), ['file:/etc/a']);
    assert.ok((await ids(image, text('a.json', nodeDocument()))).includes('unit:kubelet.service'));
    assert.ok((await ids(image)).includes('unit:kubelet.service'), 'alone it describes the node');
    await assert.rejects(ids(image, foreign, { ...foreign, file: 'second.json' }), {
      code: 'NK_DOCUMENT_INVALID',
      message: /^one OperatingSystemConfig describes a whole node/,
    });
  });

  it('that keep a file from others must be kept from them, too', async () => {
    const osc = (permissions: number, mode: number): SourcedText =>
      text(
        'osc.json',
        {
          apiVersion: 'extensions.gardener.cloud/v1alpha1',
          kind: 'OperatingSystemConfig',
          spec: { files: [{ path: '/etc/a', permissions, content: { inline: { data: 'x' } } }] },
        },
        mode,
      );
    await loadNodeDocuments([osc(0o600, 0o600)]);
    await loadNodeDocuments([osc(0o644, 0o644)]);
    await assert.rejects(loadNodeDocuments([osc(0o600, 0o640)]), { code: 'NK_DOCUMENT_EXPOSED' });
  });

  it('are of a kind that describes a node', async () => {
    for (const value of [
      { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'ImageManifest' },
      { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'Inventory' },
      { apiVersion: 'v1', kind: 'ConfigMap' },
      { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'toString' },
      [],
    ])
      await assert.rejects(loadNodeDocuments([text('a.json', value)]), { code: 'NK_DOCUMENT_KIND' });
  });
});

describe('a kind of documents', () => {
  it('of ours that is not in the table is noticed', () => {
    assert.deepEqual(
      Object.keys(documentKinds)
        .filter((key) => key.startsWith('nodekiln.dev/'))
        .sort(),
      Object.keys(ownKinds)
        .map((kind) => `nodekiln.dev/v1alpha1/${kind}`)
        .sort(),
    );
  });

  it('of somebody else’s is one line in the table', async () => {
    const facts = await observeFacts((await createMemoryNode()).open());
    const texts = [
      text('a.json', message('one')),
      text('b.yaml', 'apiVersion: example.org/v1\nkind: Motd\nwords: two\n'),
    ];
    const { desired } = (await loadNodeDocuments(texts, withMotd))(facts);
    assert.deepEqual([...desired.resources.keys()], ['file:/etc/motd']);
    await assert.rejects(loadNodeDocuments(texts), { code: 'NK_DOCUMENT_KIND' });
  });

  it('is one for all documents of a source', async () => {
    const mixed = [text('a.json', message('one')), text('b.json', nodeDocument())];
    await assert.rejects(loadNodeDocuments(mixed, withMotd), {
      code: 'NK_DOCUMENT_KIND',
      message: 'b.json is of kind nodekiln.dev/v1alpha1/NodeConfig, the documents before it of example.org/v1/Motd',
    });
    await assert.rejects(loadNodeDocuments(mixed.toReversed(), withMotd), { code: 'NK_DOCUMENT_KIND' });
  });
});
