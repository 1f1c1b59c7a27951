import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { formatPlace, NodekilnError } from '../errors.ts';
import { formatProblem } from './invalid.ts';
import { parseDocument, parseText } from './load.ts';
import type { DocumentKind } from './load.ts';
import { isMap } from './paths.ts';
import { textOf } from '../model/bytes.ts';

const node = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\n';
const image = 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\n';

async function refused(text: string, kind?: DocumentKind): Promise<NodekilnError> {
  try {
    await (kind ? parseDocument({ file: 'x.yaml', text }, kind) : parseDocument({ file: 'x.yaml', text }));
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError, String(thrown));
    return thrown;
  }
  return assert.fail('the document was accepted');
}

interface BadDocument {
  readonly name: string;
  readonly text: string;
  readonly problems: readonly string[];
}

const invalid: readonly BadDocument[] = [
  {
    name: 'an unknown key, with the key that was meant',
    text: `${node}spec:\n  kubelet:\n    lables: {a: b}\n`,
    problems: ['x.yaml:5:5: spec.kubelet.lables: unknown key "lables"; did you mean "labels"?'],
  },
  {
    name: 'two swapped letters in a key',
    text: `${node}spec:\n  kuberntees: {version: 1.34.3}\n`,
    problems: ['x.yaml:4:3: spec.kuberntees: unknown key "kuberntees"; did you mean "kubernetes"?'],
  },
  {
    name: 'an unknown key that resembles nothing',
    text: `${node}spec:\n  kernel: {initrd: 1}\n`,
    problems: ['x.yaml:4:12: spec.kernel.initrd: unknown key "initrd"; known here: modules, sysctls'],
  },
  {
    name: 'every problem at once, in the order of the text',
    text: `${node}spec:\n  files:\n    - {path: /a, mode: 0644, content: x}\n    - {path: b, content: x}\n  boot: {deadline: 5 minutes}\n`,
    problems: [
      'x.yaml:5:24: spec.files[0].mode: mode must be a string like "0644", is the number 644',
      'x.yaml:6:14: spec.files[1].path: path must be an absolute path without "." and ".." parts, like "/etc/motd", is the string "b"',
      'x.yaml:7:20: spec.boot.deadline: deadline must be a duration like "90s", "5m" or "1h30m", is the string "5 minutes"',
    ],
  },
  {
    name: 'a number where a version belongs',
    text: `${node}spec:\n  kubernetes:\n    version: 1.34\n`,
    problems: [
      'x.yaml:5:14: spec.kubernetes.version: version must be a full Kubernetes version like "1.34.3", is the number 1.34',
    ],
  },
  {
    name: 'a word that is not among the choices',
    text: `${node}spec:\n  binaries: {policy: cache-frist}\n`,
    problems: [
      'x.yaml:4:22: spec.binaries.policy: policy must be "cache-first", "cache-only" or "package", is the string "cache-frist"; did you mean "cache-first"?',
    ],
  },
  {
    name: 'a map where a list belongs',
    text: `${node}spec:\n  files: {path: /a}\n`,
    problems: ['x.yaml:4:10: spec.files: files must be a list, is a map'],
  },
  {
    name: 'a missing required key, at the item that lacks it',
    text: `${node}spec:\n  kubelet:\n    taints:\n      - key: a\n`,
    problems: [
      'x.yaml:6:9: spec.kubelet.taints[0].effect: effect is missing: it must be "NoSchedule", "PreferNoSchedule" or "NoExecute"',
    ],
  },
  {
    name: 'one key twice in a list',
    text: `${node}spec:\n  files:\n    - {path: /a, content: x}\n    - {path: /a, content: y}\n`,
    problems: ['x.yaml:6:14: spec.files[1].path: path names "/a" a second time in this list'],
  },
  {
    name: 'one key twice in a list with other problems',
    text: `${node}spec:\n  files:\n    - {path: /a, mode: 1}\n    - {path: /a, content: y}\n    - 7\n`,
    problems: [
      'x.yaml:5:24: spec.files[0].mode: mode must be a string like "0644", is the number 1',
      'x.yaml:6:14: spec.files[1].path: path names "/a" a second time in this list',
      'x.yaml:7:7: spec.files[2]: files[2] must be a map, is the number 7',
    ],
  },
  {
    name: 'two forms of one file',
    text: `${node}spec:\n  files:\n    - {path: /a, content: x, symlink: y}\n`,
    problems: [
      'x.yaml:5:39: spec.files[0].symlink: symlink cannot stand beside content: a file has only one of content, contentBase64, symlink, directory',
    ],
  },
  {
    name: 'kernel settings that would be deferred',
    text: `${node}spec:\n  kernel:\n    sysctls: [{key: vm.swappiness, value: 1, deferrable: true}]\n`,
    problems: [
      'x.yaml:5:58: spec.kernel.sysctls[0].deferrable: deferrable cannot be true: kernel settings must be in place before kubelet starts',
    ],
  },
  {
    name: 'a mount that would be deferred',
    text: `${node}spec:\n  units: [{name: var-lib-data.mount, deferrable: true}]\n`,
    problems: [
      'x.yaml:4:50: spec.units[0].deferrable: deferrable cannot be true: var-lib-data.mount must be in place before kubelet starts (kernel settings, mounts, identity, trust and runtime configuration are never deferrable)',
    ],
  },
  {
    name: 'an action without a program',
    text: `${node}spec:\n  actions: [{name: a, argv: [], guard: {}}]\n`,
    problems: [
      'x.yaml:4:29: spec.actions[0].argv: argv must begin with the program to run',
      'x.yaml:4:40: spec.actions[0].guard: guard must have one of path and command',
    ],
  },
  {
    name: 'a key of a free map that is not allowed',
    text: `${node}spec:\n  kubelet:\n    flags: {--v: 2}\n`,
    problems: [
      'x.yaml:5:13: spec.kubelet.flags["--v"]: the key "--v" must be the name of a flag without leading dashes, like "v"',
    ],
  },
  {
    name: 'a component with an unknown action',
    text: `${image}spec:\n  components:\n    - {name: kubelet, action: cahce}\n    - {name: kubelet}\n`,
    problems: [
      'x.yaml:5:31: spec.components[0].action: action must be "cache", "install", "image" or "download", is the string "cahce"; did you mean "cache"?',
      'x.yaml:6:7: spec.components[1].action: action is missing: it must be "cache", "install", "image" or "download"',
    ],
  },
  {
    name: 'a placeholder that does not exist',
    text: `${image}spec:\n  components:\n    - name: kubelet\n      action: cache\n      builds: [{version: 1.34.3, source: {type: deb, path: "k_{ver}.deb"}}]\n`,
    problems: [
      'x.yaml:7:60: spec.components[0].builds[0].source.path: path has {ver}, which is not a placeholder; known are {tool}, {version}, {upstream}, {tag}, {arch}, {debArch}, {rpmArch}, {systemdArch}',
    ],
  },
  {
    name: 'digests by architecture, one of them wrong',
    text: `${image}spec:\n  components:\n    - name: a\n      action: image\n      reference: r.example.org/a:1\n      archive: a.tar\n      digest: {amd46: x}\n`,
    problems: ['x.yaml:9:16: spec.components[0].digest.amd46: unknown key "amd46"; did you mean "amd64"?'],
  },
  {
    name: 'a secret in an image',
    text: `${image}spec:\n  nodeConfig:\n    cluster: {bootstrapToken: hunte2.hunter2hunter2ab}\n`,
    problems: [
      'x.yaml:5:31: spec.nodeConfig.cluster.bootstrapToken: bootstrapToken is a secret, which must not be baked into an image',
    ],
  },
  {
    name: 'a file in an image that says nothing',
    text: `${image}spec:\n  files: [{path: /a}]\n`,
    problems: [
      'x.yaml:4:11: spec.files[0]: files[0] has no content: give one of content, contentBase64, symlink, directory',
    ],
  },
  {
    name: 'a key that would reach the prototype',
    text: `${node}spec:\n  kubelet:\n    configuration: {__proto__: {a: 1}}\n`,
    problems: ['x.yaml:5:21: spec.kubelet.configuration.__proto__: a key cannot be called __proto__'],
  },
  {
    name: 'JSON on several lines',
    text: '{\n  "apiVersion": "nodekiln.dev/v1alpha1", "kind": "NodeConfig",\n  "spec": {"files": [\n    {"path": "/\\"a", "mode": 420}]}\n}\n',
    problems: ['x.yaml:4:30: spec.files[0].mode: mode must be a string like "0644", is the number 420'],
  },
];

for (const { name, text, problems } of invalid) {
  test(`refuses ${name}`, async () => {
    const error = await refused(text);
    assert.equal(error.code, 'NK_DOCUMENT_INVALID');
    assert.deepEqual(error.problems.map(formatProblem), problems);
    assert.deepEqual(error.place, error.problems[0]?.place);
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
    assert.match(error.message, new RegExp(`^x\\.yaml is not a valid \\w+: ${count}$`));
  });
}

const malformed: readonly BadDocument[] = [
  {
    name: 'a duplicate key',
    text: 'a: 1\nb: 2\na: 3\n',
    problems: ['x.yaml:3:1: this key stands a second time in its map'],
  },
  {
    name: 'a duplicate key in JSON',
    text: '{"a": {"b": 1,\n "b": 2}}',
    problems: ['x.yaml:2:2: this key stands a second time in its map'],
  },
  {
    name: 'a second document',
    text: 'a: 1\n---\nb: 1\n',
    problems: ['x.yaml:2:1: a second document begins here; one file holds one document'],
  },
  { name: 'an unknown tag', text: 'a: !secret x\n', problems: ['x.yaml:1:4: this tag is not known'] },
  {
    name: 'an alias bomb',
    text: [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      'b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]',
      'c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]',
      'd: [*c,*c,*c,*c]',
    ].join('\n'),
    problems: ['x.yaml:1:1: Excessive alias count indicates a resource exhaustion attack'],
  },
  {
    name: 'an alias of nothing',
    text: 'a: *b\n',
    problems: ['x.yaml:1:1: Unresolved alias (the anchor must be set before the alias)'],
  },
  {
    name: 'JSON that goes wrong',
    text: '{"a": 1,\n "b": }x',
    problems: ['x.yaml:2:8: what stands before this is complete: nothing may follow here; one file holds one document'],
  },
];

for (const { name, text, problems } of malformed) {
  test(`finds ${name}`, async () => {
    const error = await refused(text);
    assert.equal(error.code, 'NK_DOCUMENT_SYNTAX');
    assert.deepEqual(error.problems.map(formatProblem), problems);
    assert.deepEqual(error.place, error.problems[0]?.place);
  });
}

const known = 'it must be AgentConfig, ImageManifest, NodeConfig or Inventory';
const version = 'apiVersion: nodekiln.dev/v1alpha1\n';

/** Texts, what is said of them, and where. */
const wrongKinds: readonly (readonly [text: string, message: string, place: string])[] = [
  ['', 'x.yaml is empty', 'x.yaml:1:1'],
  ['null', 'x.yaml is empty', 'x.yaml:1:1'],
  ['- a\n', 'x.yaml is not a map with apiVersion and kind', 'x.yaml:1:1'],
  ['"a"', 'x.yaml is not a map with apiVersion and kind', 'x.yaml:1:1'],
  ['kind: NodeConfig\n', 'x.yaml has no apiVersion: it must be nodekiln.dev/v1alpha1', 'x.yaml:1:1: apiVersion'],
  [
    'kind: Pod\napiVersion: v1\n',
    'x.yaml has an apiVersion that is not known: it must be nodekiln.dev/v1alpha1',
    'x.yaml:2:13: apiVersion',
  ],
  [version, `x.yaml has no kind: ${known}`, 'x.yaml:1:1: kind'],
  [`${version}kind: NodeConfg\n`, `x.yaml has a kind that is not known: ${known}`, 'x.yaml:2:7: kind'],
  [`${version}kind: 7\n`, `x.yaml has a kind that is not known: ${known}`, 'x.yaml:2:7: kind'],
  [`${version}kind: [NodeConfig]\n`, `x.yaml has a kind that is not known: ${known}`, 'x.yaml:2:7: kind'],
  [`${version}kind: constructor\n`, `x.yaml has a kind that is not known: ${known}`, 'x.yaml:2:7: kind'],
  [`${image}spec: {}\n`, 'x.yaml is of kind ImageManifest, but NodeConfig is wanted here', 'x.yaml:2:7: kind'],
];

for (const [text, message, place] of wrongKinds) {
  test(`refuses what is not a NodeConfig: ${message} (${JSON.stringify(text)})`, async () => {
    const error = await refused(text, 'NodeConfig');
    assert.equal(error.code, 'NK_DOCUMENT_KIND');
    assert.equal(error.message, message);
    assert.equal(error.place && formatPlace(error.place), place);
  });
}

test('without a kind that is wanted, every kind is taken', async () => {
  for (const kind of ['NodeConfig', 'ImageManifest'] as const) {
    const { document } = await parseDocument({ file: 'x', text: `${version}kind: ${kind}\nspec: {}\n` });
    assert.equal(document.kind, kind);
  }
  const inventory = '{packages: [], images: [], gpuImages: [], artifacts: [], other: {}}';
  const loaded = await parseDocument({ file: 'x', text: `${version}kind: Inventory\nspec: ${inventory}\n` });
  assert.deepEqual([loaded.kind, loaded.file], ['Inventory', 'x']);
});

test('a byte order mark moves no place', async () => {
  const json = '{"apiVersion": "nodekiln.dev/v1alpha1", "kind": "NodeConfig", "spec": 7}';
  for (const text of [json, `${version}kind: NodeConfig\nspec: 7\n`]) {
    const [plain, marked] = [await refused(text), await refused(`\uFEFF${text}`)];
    assert.deepEqual(marked.place, plain.place);
  }
});

test('suggests the kind that was meant', async () => {
  assert.equal(
    (await refused('apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfg\n')).hint,
    'did you mean NodeConfig?',
  );
});

test('never quotes a secret', async () => {
  const secret = 'hunter2hunter2';
  const texts = [
    `${node}spec:\n  cluster: {bootstrapToken: [${secret}], caBundle: ${secret}}\n`,
    `${node}spec:\n  network: {proxy: {http: {url: ${secret}}}}\n`,
    `${node}spec:\n  files: [{path: /a, content: [${secret}], contentBase64: "${secret}!"}]\n`,
    `${node}spec:\n  units: [{name: a.service, content: [${secret}], dropIns: [{name: a.conf, content: {a: ${secret}}}]}]\n`,
    `${node}spec:\n  cluster: {bootstrapToken: "${secret}\n`,
    `${node}spec:\n  cluster: {bootstrapToken: ${secret}: x: y}\n`,
  ];
  for (const text of texts) {
    const error = await refused(text);
    assert.ok(!JSON.stringify(error).includes(secret), JSON.stringify(error));
  }
});

test('reads YAML and JSON alike, with a byte order mark too', async () => {
  const yaml = await parseDocument({ file: 'x', text: `${node}spec: {kubernetes: {version: 1.34.3}}\n` }, 'NodeConfig');
  const json = await parseDocument({ file: 'x', text: `\uFEFF${JSON.stringify(yaml.document)}` }, 'NodeConfig');
  assert.deepEqual(json.document, yaml.document);
});

// ── every place exists ───────────────────────────────────────────────────────────────────────────────────────────

const valid = {
  apiVersion: 'nodekiln.dev/v1alpha1',
  kind: 'NodeConfig',
  spec: {
    kubernetes: { version: '1.34.3' },
    kubelet: {
      labels: { 'example.org/a': 'b' },
      taints: [{ key: 'a', effect: 'NoSchedule' }],
      staticPods: [{ name: 'a', manifest: {} }],
    },
    kernel: { modules: [{ name: 'overlay' }], sysctls: [{ key: 'vm.swappiness', value: 1 }] },
    files: [
      { path: '/a', content: 'x', mode: '0644' },
      { path: '/b', directory: true },
    ],
    units: [{ name: 'a.service', dropIns: [{ name: 'a.conf', content: 'x' }] }],
    actions: [{ name: 'a', argv: ['true'], guard: { path: '/a' } }],
    boot: { deadline: '5m', deferrable: { 'unit:a.service': true } },
  },
};

/** All paths below the document's root. */
function pathsIn(value: unknown): (string | number)[][] {
  const children: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : isMap(value)
      ? Object.entries(value)
      : [];
  return children.flatMap(([key, inner]) => [[key], ...pathsIn(inner).map((path) => [key, ...path])]);
}

function replaced(
  value: unknown,
  path: readonly (string | number)[],
  change: { key?: string; value: unknown },
): unknown {
  const [head, ...rest] = path;
  if (Array.isArray(value))
    return value.map((item: unknown, index) =>
      index === head ? (rest.length === 0 ? change.value : replaced(item, rest, change)) : item,
    );
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key !== head) return [key, inner];
      return rest.length === 0 ? [change.key ?? key, change.value] : [key, replaced(inner, rest, change)];
    }),
  );
}

test('every problem of a damaged document names a place in its text', async () => {
  const paths = pathsIn(valid).filter((path) => path[0] === 'spec');
  let refusals = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.oneof(
        fc.constant({ key: 'zzz', value: 1 }),
        fc.constantFrom(null, 7, true, 'no such', [], {}, [[1]], { a: { b: 1 } }).map((value) => ({ value })),
      ),
      fc.constantFrom(0, 2),
      async (path, change, indent) => {
        const text = JSON.stringify(replaced(valid, path, change), null, indent);
        const lines = text.split('\n');
        let error: unknown;
        await parseDocument({ file: 'x', text }).catch((thrown: unknown) => (error = thrown));
        if (error === undefined) return;
        refusals += 1;
        assert.ok(error instanceof NodekilnError && error.problems.length > 0, 'it is not a list of problems');
        for (const { place } of error.problems) {
          const { line = 0, column = 0, path: named = '' } = place ?? {};
          assert.match(named, /^(spec|zzz)/);
          assert.ok(
            line >= 1 && line <= lines.length && column >= 1 && column <= (lines[line - 1] ?? '').length,
            `${named} at ${line}:${column}`,
          );
          // What stands there is a value or a quoted key, never blank space.
          assert.match((lines[line - 1] ?? '').slice(column - 1), /^[^\s,:]/);
        }
      },
    ),
  );
  assert.ok(refusals > 30, `only ${refusals} of them were refused`);
});

/** Files that are mistaken for documents, as they stand on a disk. */
const noText: readonly (readonly [name: string, bytes: Uint8Array, says: string])[] = [
  ['UTF-16 with a mark', bytes(0xff, 0xfe, ...utf16(node)), 'x.yaml is text in UTF-16 or UTF-32'],
  ['UTF-16 of the other order', bytes(0xfe, 0xff, ...utf16(node, true)), 'x.yaml is text in UTF-16 or UTF-32'],
  ['UTF-16 without a mark', bytes(...utf16(node)), 'x.yaml is text in UTF-16 or UTF-32'],
  ['a compressed one', gzipSync(node), 'x.yaml is compressed (gzip)'],
  ['one compressed with zstd', zstdCompressSync(node), 'x.yaml is compressed (zstd)'],
  ['a program', bytes(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0), 'x.yaml is a program'],
  ['a zip', bytes(0x50, 0x4b, 3, 4, 20, 0), 'x.yaml is an archive or an image (zip)'],
  ['a script', Buffer.from('#!/bin/sh\nset -e\n'), 'x.yaml is a script'],
  ['a certificate', Buffer.from('-----BEGIN CERTIFICATE-----\nMII=\n'), 'x.yaml is a certificate or a key (PEM)'],
  [
    'user data in parts',
    Buffer.from('Content-Type: multipart/mixed; boundary="=="\nMIME-Version: 1.0\n\n--==\n'),
    'x.yaml is user data in several parts (MIME)',
  ],
  ['a unit', Buffer.from('# ours\n\n[Unit]\nDescription=a\n'), 'x.yaml is a unit file of systemd'],
  ['a page', Buffer.from('<!DOCTYPE html>\n<title>404</title>'), 'x.yaml is a page of a web server'],
  ['another code page', bytes(...Buffer.from('a: 1\nb: caf'), 0xe9, 0x0a), 'x.yaml holds bytes that are no UTF-8 here'],
  ['a NUL', Buffer.from('a: 1\nb: x\0y\n'), 'x.yaml holds a NUL byte here'],
];

function bytes(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values);
}

function utf16(text: string, swapped = false): Uint8Array {
  const encoded = Buffer.from(text, 'utf16le');
  return swapped ? encoded.swap16() : encoded;
}

test('what a document holds is not taken for what it is', async () => {
  const held = ['[Unit]\nDescription=a', '#!/bin/sh', '-----BEGIN CERTIFICATE-----', 'MIME-Version: 1.0', '<html>'];
  for (const content of held) {
    const lines = content.replaceAll(/^/gm, '        ');
    const text = `${node}spec:\n  files:\n    - path: /etc/a\n      content: |\n${lines}\n`;
    const { value } = await parseText({ file: 'x.yaml', text });
    assert.ok(JSON.stringify(value).includes(JSON.stringify(content).slice(1, -1)), content);
  }
});

for (const [name, content, says] of noText)
  test(`${name} is no document, and told by what it is`, async () => {
    const error = await refused(textOf(content));
    assert.deepEqual([error.code, error.message], ['NK_DOCUMENT_SYNTAX', says]);
    if (says.endsWith('here')) assert.deepEqual([error.place?.line, (error.place?.column ?? 0) > 4], [2, true]);
  });
