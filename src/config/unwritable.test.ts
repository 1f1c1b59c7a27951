/**
 * What could end the line that a value is written into is refused wherever a document has a text, with its place: the documents
 * in `desired/effects/` hold every field, and each of their texts is given each character in turn.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { occurrences, withValue } from '../../test/support/schema-fields.ts';
import { NodekilnError, type Problem } from '../errors.ts';
import { kinds, parseDocument, type DocumentKind } from './load.ts';
import { formatPath } from './paths.ts';

const characters = ['\0', '\u0007', '\t', '\n', '\v', '\f', '\r', '\u001b', '\u007f', '\u0085', '\u009b'] as const;
type Character = (typeof characters)[number];

/** Fields that may hold more than one line of text, and which of the characters those are. */
const takes: readonly (readonly [field: RegExp, characters: readonly Character[], why: string])[] = [
  [/\.files\.\*\.content$/, characters, 'a file may hold anything'],
  [/\.contentBase64$/, ['\t', '\n', '\v', '\f', '\r'], 'blanks in base64 mean nothing'],
  [
    /(?:units\.\*|dropIns\.\*)\.content$/,
    ['\u0007', '\t', '\n', '\u001b', '\u007f', '\u0085', '\u009b'],
    'systemd’s lines',
  ],
  [/(?:caBundle|certificates)$/, characters, 'text beside certificates is passed over'],
  [/(?:\.key|\.signedBy|\.keys\.\*)$/, ['\t', '\n', '\r'], 'a key in PEM form, or armoured'],
  [/\.annotations\.\{\}$/, ['\t', '\n', '\r'], 'annotations are texts'],
  [/\.(?:argv|command|args)\.\*$/, ['\t', '\n'], 'a script may be an argument'],
  [/\.env\.\{\}$/, ['\t', '\n'], 'a variable may hold a certificate'],
  [/\.(?:flags\.\{\}|sysctls\.\*\.value)$/, ['\t'], 'words apart'],
];

const files: { readonly [Kind in DocumentKind]?: readonly string[] } = {
  NodeConfig: ['node-1.yaml', 'node-2.yaml', 'node-3.yaml', 'node-4.yaml', 'node-5.yaml'],
  ImageManifest: ['image.yaml'],
  AgentConfig: ['agent-1.yaml', 'agent-2.yaml', 'agent-3.yaml'],
};

async function problemsOf(document: unknown, kind: DocumentKind): Promise<readonly Problem[]> {
  try {
    await parseDocument({ file: 'x', text: JSON.stringify(document) }, kind);
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError && thrown.code === 'NK_DOCUMENT_INVALID', String(thrown));
    return thrown.problems;
  }
}

for (const kind of ['NodeConfig', 'ImageManifest', 'AgentConfig'] as const)
  for (const file of files[kind] ?? [])
    test(`no text of ${file} takes what could end its line`, async () => {
      const text = readFileSync(join(import.meta.dirname, '..', 'desired', 'effects', file), 'utf8');
      const { document } = await parseDocument({ file, text }, kind);
      let tried = 0;
      for (const { at, field, value } of occurrences(await kinds[kind](), document)) {
        if (typeof value !== 'string' || field.schema._zod.def.type !== 'string') continue;
        const path = `.${field.path.join('.')}`;
        const allowed = takes.find(([pattern]) => pattern.test(path))?.[1] ?? [];
        for (const character of characters) {
          if (allowed.includes(character)) continue;
          tried += 1;
          const middle = Math.ceil(value.length / 2);
          const changed = value.slice(0, middle) + character + value.slice(middle);
          const problems = await problemsOf(withValue(document, at, changed), kind);
          const places = problems.map(({ place }) => place?.path);
          assert.ok(
            places.includes(formatPath(at)),
            `${JSON.stringify(changed)} at ${formatPath(at)}: ${places.join()}`,
          );
        }
      }
      assert.ok(tried > 20, `${tried} values`);
    });

const node = (spec: object): object => ({
  apiVersion: 'nodekiln.dev/v1alpha1',
  kind: 'NodeConfig',
  spec: { kubernetes: { version: '1.34.3' }, ...spec },
});

describe('is refused at its place, with what to do', () => {
  const cases: readonly (readonly [what: string, spec: object, path: string, message: RegExp])[] = [
    [
      'a line more of a sysctl',
      { kernel: { sysctls: [{ key: 'vm.max_map_count', value: '1\nkernel.panic = 1' }] } },
      'spec.kernel.sysctls[0].value',
      /^value must be text without control characters, and character 2 is U\+000A: take it out$/,
    ],
    [
      'a directive after a carriage return in a drop-in',
      { units: [{ name: 'a.service', dropIns: [{ name: 'a.conf', content: '[Service]\r\nUser=a\r\n' }] }] },
      'spec.units[0].dropIns[0].content',
      /^content must have lines that end in U\+000A alone, and character 10 is U\+000D: take it out$/,
    ],
    [
      'a variable with a value in its name',
      { actions: [{ name: 'a', argv: ['true'], guard: { path: '/a' }, env: { 'A=B': 'c' } }] },
      'spec.actions[0].env["A=B"]',
      /^the key "A=B" must be the name of a variable/,
    ],
    [
      'half a character in a file',
      { files: [{ path: '/etc/a', content: 'a\ud800b' }] },
      'spec.files[0].content',
      /^is no text: character 2 is U\+D800, half of a character; take it out$/,
    ],
    [
      'half a character in a key',
      { kubelet: { configuration: { 'a\udc00': 1 } } },
      'spec.kubelet.configuration["a\\udc00"]',
      /^a key is no text: character 2 is U\+DC00/,
    ],
    [
      'nothing in a list of containerd’s',
      { containerd: { configuration: { plugins: { a: { list: ['a', null] } } } } },
      'spec.containerd.configuration.plugins.a.list[1]',
      /^list\[1\] is empty \(null\), which no list in TOML can hold: take it out$/,
    ],
    [
      'more digits than are kept',
      { kubelet: { configuration: { maxPods: 9_007_199_254_740_993n } } },
      'spec.kubelet.configuration.maxPods',
      /^maxPods is a whole number with more digits than are kept: write it as a string, in quotes$/,
    ],
  ];
  for (const [what, spec, path, message] of cases)
    test(what, async () => {
      const text = JSON.stringify(node(spec), (_key, value: unknown) =>
        typeof value === 'bigint' ? `<${value}>` : value,
      );
      const found = await parseDocument({ file: 'x', text: text.replaceAll(/"<(\d+)>"/g, '$1') }).catch(
        (thrown: unknown) => thrown,
      );
      assert.ok(found instanceof NodekilnError && found.code === 'NK_DOCUMENT_INVALID', String(found));
      assert.deepEqual(
        found.problems.map(({ place }) => place?.path),
        [path],
      );
      assert.match(found.problems[0]?.message ?? '', message);
    });

  test('a number that is none', async () => {
    const text =
      'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec: { kubelet: { configuration: { a: .inf } } }\n';
    await assert.rejects(parseDocument({ file: 'x', text }), /not a valid NodeConfig/);
  });
});
