/**
 * Rendering against goldens: each folder of `testdata` holds a document, facts and the resources made from them.
 * `NODEKILN_UPDATE_GOLDENS=1` writes the resources anew.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { parse } from 'smol-toml';
import { formatProblem } from '../config/invalid.ts';
import { parseDocument } from '../config/load.ts';
import { isMap, valueAt } from '../config/paths.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { NodekilnError } from '../errors.ts';
import type { Facts } from '../model/facts.ts';
import { installActions } from './packages.ts';
import { renderImage } from './render-image.ts';
import { renderNode } from './render-node.ts';
import type { DesiredState, Resource, ResourceId, UnitResource } from '../model/resources.ts';
import { reveal } from '../model/resources.ts';
import { unitWord } from './systemd-text.ts';

const here = dirname(fileURLToPath(import.meta.url));
const testdata = join(here, 'testdata');
const demo = join(here, '../../examples/demo');

const facts: Facts = JSON.parse(readFileSync(join(testdata, 'stand-alone/facts.json'), 'utf8'));

async function renderNodeText(text: string, on: Facts = facts, file = 'node.yaml'): Promise<DesiredState> {
  const { config, placeOf } = resolveNodeConfig([await parseDocument({ file, text }, 'NodeConfig')]);
  return renderNode(config, on, { placeOf });
}

async function renderImageText(text: string, on: Facts = facts): Promise<DesiredState> {
  const { document, positions } = await parseDocument({ file: 'image.yaml', text }, 'ImageManifest');
  const placeOf = (path: readonly (string | number)[]) => ({ file: 'image.yaml', ...positions.locate(path, 'value') });
  return renderImage(document, on, { artifactBase: '/manifests', placeOf });
}

function asJson(state: DesiredState): string {
  return `${JSON.stringify({ goal: state.goal, warnings: state.warnings, resources: Object.fromEntries(state.resources) }, undefined, 2)}\n`;
}

for (const [what, spec] of [
  ['masks', 'units: [{ name: nodekiln-agent-bootstrap.service, enablement: masked }]'],
  ['stops', 'units: [{ name: nodekiln-agent-update.service, state: stopped }]'],
  ['replaces', 'files: [{ path: /etc/systemd/system/nodekiln-agent-bootstrap.service, content: x }]'],
  ['extends', 'files: [{ path: /etc/systemd/system/nodekiln-agent-bootstrap.service.d/x.conf, content: x }]'],
] as const)
  test(`a document that ${what} a unit of nodekiln’s errands is refused`, async () => {
    const text = `apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  ${spec}\n  kubernetes: { version: 1.34.3 }\n`;
    const { problems } = await renderNodeText(text).then(
      () => assert.fail('taken'),
      (thrown: unknown) => thrown as { problems?: readonly { message: string; place?: { line?: number } }[] },
    );
    assert.deepEqual(
      problems?.map(({ message, place }) => [/a unit of nodekiln’s own/.test(message), place?.line]),
      [[true, 4]],
      JSON.stringify(problems),
    );
  });

for (const name of readdirSync(testdata)) {
  test(`renders ${name}`, async () => {
    const folder = join(testdata, name);
    const on: Facts = JSON.parse(readFileSync(join(folder, 'facts.json'), 'utf8'));
    const nodePath = join(folder, 'node.yaml');
    const state = existsSync(nodePath)
      ? await renderNodeText(readFileSync(nodePath, 'utf8'), on)
      : await renderImageText(readFileSync(join(folder, 'image.yaml'), 'utf8'), on);
    const golden = join(folder, 'resources.json');
    if (process.env['NODEKILN_UPDATE_GOLDENS']) writeFileSync(golden, asJson(state));
    assert.deepEqual(JSON.parse(asJson(state)), JSON.parse(readFileSync(golden, 'utf8')));
    checkReferences(state);
  });
}

/** What holds for everything that is rendered. */
function checkReferences({ resources, goal }: DesiredState): void {
  for (const [id, resource] of resources) {
    assert.equal(id, resource.id);
    const named = [...resource.needs, ...(resource.kind === 'unit' ? resource.inputs : [])];
    for (const other of named) assert.ok(resources.has(other), `${id} names ${other}`);
  }
  if (goal !== undefined) assert.ok(resources.has(goal));
  assert.deepEqual([...resources.keys()], [...resources.keys()].sort());
}

test('the examples of sources render, and name every kind of source', async () => {
  const read = (name: string): string => readFileSync(join(demo, '..', 'sources', name), 'utf8');
  const [image, node] = [await renderImageText(read('image.yaml')), await renderNodeText(read('node.yaml'))];
  const kinds = [...image.resources.values(), ...node.resources.values()].flatMap((resource) =>
    resource.kind === 'binary'
      ? resource.sources.map((source) => (source.type === 'cache' ? 'cache' : `${source.role} ${source.from.type}`))
      : [],
  );
  assert.deepEqual([...new Set(kinds)].sort(), [
    'cache',
    'custom oci',
    'custom url',
    'local folder',
    'manifest apt',
    'manifest image',
    'manifest oci',
    'manifest path',
    'manifest url',
    'mirror oci',
    'repository dnf',
    'tarball url',
  ]);
});

test('the documents of the demo render', async () => {
  const image = await renderImageText(readFileSync(join(demo, 'image.yaml'), 'utf8'));
  const node = await renderNodeText(readFileSync(join(demo, 'node.yaml'), 'utf8'));
  checkReferences(image);
  checkReferences(node);
  const cached = [...image.resources.keys()].filter((id) => id.startsWith('binary:'));
  assert.deepEqual(cached, [
    'binary:kubectl-1.32.3',
    'binary:kubectl-1.36.4',
    'binary:kubelet-1.34.3',
    'binary:kubelet-1.34.4',
  ]);
  assert.deepEqual(node.warnings, []);
  assert.equal(node.goal, 'unit:kubelet.service');
  const shared = [...node.resources.keys()].filter((id) => image.resources.has(id));
  assert.deepEqual(shared, [], 'the image and the node claim the same resources');
});

// ── properties ───────────────────────────────────────────────────────────────────────────────────────────────────

/** The same tree with the keys of every map in another order. */
function shuffled(value: unknown, seed: number): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, seed));
  if (!isMap(value)) return value;
  const entries = Object.entries(value);
  const turn = seed % Math.max(1, entries.length);
  return Object.fromEntries(
    [...entries.slice(turn), ...entries.slice(0, turn)].reverse().map(([key, inner]) => [key, shuffled(inner, seed)]),
  );
}

test('the order of keys in a document changes no byte', async () => {
  for (const name of ['stand-alone', 'cluster']) {
    const { document } = await parseDocument(
      { file: 'x', text: readFileSync(join(testdata, name, 'node.yaml'), 'utf8') },
      'NodeConfig',
    );
    const rendered = (text: string): string => text.replaceAll(/"origin": ".*",?/g, '');
    const expected = rendered(asJson(await renderNodeText(JSON.stringify(document))));
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        assert.equal(rendered(asJson(await renderNodeText(JSON.stringify(shuffled(document, seed))))), expected);
      }),
      { numRuns: 20 },
    );
  }
});

// ── containerd ───────────────────────────────────────────────────────────────────────────────────────────────────

function textOf(state: DesiredState, id: ResourceId): string {
  const resource: Resource | undefined = state.resources.get(id);
  assert.ok(
    resource?.kind === 'file' && resource.entry.type === 'file' && 'text' in resource.entry.content,
    `${id} is no text file`,
  );
  return reveal(resource.entry.content.text);
}

const minimal = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  kubernetes: {version: 1.34.3}\n';

test('containerd 1 and an unknown containerd get version 2, containerd 2 gets version 3', async () => {
  const { containerdVersion: _known, ...unknown } = facts;
  for (const [on, version] of [
    [facts, 2],
    [unknown, 2],
    [{ ...facts, containerdVersion: '2.3.0' }, 3],
    [{ ...facts, containerdVersion: 'v2.0.2' }, 3],
  ] as const) {
    const toml = parse(textOf(await renderNodeText(minimal, on), 'file:/etc/containerd/config.toml'));
    assert.equal(toml['version'], version);
    const runtime = version === 2 ? 'io.containerd.grpc.v1.cri' : 'io.containerd.cri.v1.runtime';
    const runc = ['plugins', runtime, 'containerd', 'runtimes', 'runc'];
    assert.equal(valueAt(toml, [...runc, 'options', 'SystemdCgroup']), true);
    assert.equal(valueAt(toml, [...runc, 'runtime_type']), 'io.containerd.runc.v2');
  }
});

test('mirrors are asked in the order of the document', async () => {
  const state = await renderNodeText(readFileSync(join(testdata, 'containerd-2/node.yaml'), 'utf8'));
  const text = textOf(state, 'file:/etc/containerd/certs.d/docker.io/hosts.toml');
  assert.ok(text.indexOf('second.example.org') < text.indexOf('a-mirror.example.org'));
});

// ── kubelet ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('kubelet is told to accept cgroup v1 only where it is used and understood', async () => {
  const told = async (version: string, cgroupVersion: 1 | 2): Promise<unknown> => {
    const state = await renderNodeText(minimal.replace('1.34.3', version), { ...facts, cgroupVersion });
    const configuration: unknown = JSON.parse(textOf(state, 'file:/etc/kubernetes/kubelet.yaml'));
    return valueAt(configuration, ['failCgroupV1']);
  };
  assert.equal(await told('1.34.3', 1), false);
  assert.equal(await told('1.30.9', 1), undefined);
  assert.equal(await told('1.34.3', 2), undefined);
});

test('readiness follows the document’s own health address', async () => {
  const state = await renderNodeText(
    `${minimal}  kubelet: {configuration: {healthzPort: 10300, healthzBindAddress: "0.0.0.0"}}\n`,
  );
  const unit = state.resources.get('unit:kubelet.service');
  assert.ok(unit?.kind === 'unit');
  assert.deepEqual(unit.readiness, { type: 'http', url: 'http://127.0.0.1:10300/healthz' });
});

test('words of a unit file survive systemd’s reading', () => {
  assert.equal(unitWord('--v=2'), '--v=2');
  assert.equal(unitWord('--path=/a b'), '"--path=/a b"');
  assert.equal(unitWord('100%$HOME'), '100%%$$HOME');
  assert.equal(unitWord('say "x\\y"'), '"say \\"x\\\\y\\""');
  assert.equal(unitWord(''), '""');
});

// ── units of ours ────────────────────────────────────────────────────────────────────────────────────────────────

const wordsOnOurs: readonly (readonly [words: string, is: (unit: UnitResource) => unknown, value: unknown])[] = [
  ['content: "[Service]\\n"', ({ content }) => content, '[Service]\n'],
  ['enablement: disabled', ({ enablement }) => enablement, 'disabled'],
  ['state: stopped', ({ state }) => state, 'stopped'],
  ['onChange: reload', ({ onChange }) => onChange, 'reload'],
  ['readiness: {http: "http://a/b"}', ({ readiness }) => readiness, { type: 'http', url: 'http://a/b' }],
  ['deadline: 7s', ({ deadlineMs }) => deadlineMs, 7000],
  ['importance: bestEffort', ({ importance }) => importance, 'bestEffort'],
  ['scope: node', ({ scope }) => scope, 'node'],
  ['takeover: true', ({ takeover }) => takeover, true],
];

for (const [words, is, value] of wordsOnOurs) {
  test(`what a document says about a unit of ours wins: ${words}`, async () => {
    const unitIn = async (text: string): Promise<UnitResource> => {
      const unit = (await renderNodeText(minimal + text)).resources.get('unit:containerd.service');
      assert.ok(unit?.kind === 'unit');
      return unit;
    };
    const said = await unitIn(`  units: [{name: containerd.service, ${words}}]\n`);
    assert.deepEqual(is(said), value);
    const unsaid = await unitIn('');
    assert.notDeepEqual(is(unsaid), value);
    const { origin: _origin, ...silent } = await unitIn('  units: [{name: containerd.service}]\n');
    assert.deepEqual(silent, unsaid, 'saying nothing changes nothing');
  });
}

test('drop-ins, inputs and needs are added to those of a unit of ours', async () => {
  const state = await renderNodeText(
    `${minimal}  files: [{path: /a, content: x}]\n  units: [{name: containerd.service, dropIns: [{name: a.conf, content: x}, {name: 50-nodekiln.conf, content: y}], inputs: [/a], needs: ["file:/a"]}]\n`,
  );
  const unit = state.resources.get('unit:containerd.service');
  assert.ok(unit?.kind === 'unit');
  assert.deepEqual(unit.dropIns, [
    { name: '50-nodekiln.conf', content: 'y' },
    { name: 'a.conf', content: 'x' },
  ]);
  assert.deepEqual(unit.inputs, ['file:/etc/containerd/config.toml', 'file:/a']);
  assert.deepEqual(unit.needs, ['file:/etc/cni/net.d', 'file:/etc/containerd/certs.d', 'file:/a']);
});

test('a flag that wins over the configuration is warned of, with its place', async () => {
  const { warnings } = await renderNodeText(`${minimal}  kubelet: {flags: {read-only-port: 10255}}\n`);
  assert.deepEqual(warnings, [
    'node.yaml:5:37: the flag read-only-port of kubelet wins over readOnlyPort (0) of its configuration',
  ]);
});

// ── contradictions ───────────────────────────────────────────────────────────────────────────────────────────────

async function refused(render: Promise<unknown>): Promise<NodekilnError> {
  try {
    await render;
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError);
    return thrown;
  }
  return assert.fail('it was rendered');
}

const contradictions = [
  {
    text: '  binaries: {policy: package, tools: {kubectl: {url: "https://example.org/kubectl"}}}\n',
    problem:
      'node.yaml:5:22: spec.binaries.policy: the policy package leaves no source for kubelet; Use the policy cache-first, or give the tool a url.',
  },
  {
    text: '  binaries: {tools: {kubectl: {policy: package}}}\n',
    problem:
      'node.yaml:5:40: spec.binaries.tools.kubectl.policy: the policy package leaves no source for kubectl; Use the policy cache-first, or give the tool a url.',
  },
  {
    text: '  files: [{path: /etc/containerd/config.toml, content: x}]\n',
    problem:
      'node.yaml:5:11: spec.files[0]: /etc/containerd/config.toml is already written from another part of this document; Set `takeover: true` to replace it.',
  },
  {
    text: '  actions: [{name: a, argv: [x], guard: {path: /x}, needs: ["unit:containerd.servce"]}]\n',
    problem:
      'node.yaml:5:13: spec.actions[0]: action:a needs unit:containerd.servce, which does not exist; did you mean "unit:containerd.service"?',
  },
  {
    text: '  boot: {deferrable: {"unit:nothing.service": true}}\n',
    problem: 'node.yaml:5:47: spec.boot.deferrable["unit:nothing.service"]: there is no resource unit:nothing.service',
  },
];

for (const { text, problem } of contradictions) {
  test(`refuses: ${problem}`, async () => {
    const error = await refused(renderNodeText(minimal + text));
    assert.equal(error.code, 'NK_DOCUMENT_INVALID');
    assert.deepEqual(error.problems.map(formatProblem), [problem]);
  });
}

for (const [all, own, from] of [
  [undefined, undefined, ['cache', 'rpm']],
  [undefined, 'cache-only', ['cache']],
  ['cache-only', 'cache-first', ['cache', 'rpm']],
  ['cache-only', undefined, ['cache']],
  ['cache-first', 'package', ['rpm']],
] as const)
  test(`the policy ${own ?? 'of none'} of a tool goes before ${all ?? 'none'} of all`, async () => {
    const [ofAll, ofTool] = [all && `policy: ${all}, `, own && `policy: ${own}, `];
    const tool = `{${ofTool ?? ''}version: 1.2.3, sources: {repository: {type: dnf, url: "https://r", keys: [k]}}}`;
    const { resources } = await renderNodeText(`${minimal}  binaries: {${ofAll ?? ''}tools: {a: ${tool}}}\n`);
    const binary = resources.get('binary:a');
    assert.ok(binary?.kind === 'binary');
    assert.deepEqual(
      binary.sources.map(({ type }) => type),
      from,
    );
  });

test('a document may replace a file of ours on purpose', async () => {
  const state = await renderNodeText(
    `${minimal}  files: [{path: /etc/containerd/config.toml, content: "version = 2\\n", takeover: true}]\n`,
  );
  assert.equal(textOf(state, 'file:/etc/containerd/config.toml'), 'version = 2\n');
});

test('two builds under one cache key are refused', async () => {
  const builds =
    '{version: 1.34.3, source: {type: file, path: a}}, {version: v1.34.3-1.1, source: {type: file, path: b}}';
  const error = await refused(
    renderImageText(
      `apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec:\n  components: [{name: kubelet, action: cache, builds: [${builds}]}]\n`,
    ),
  );
  assert.equal(error.code, 'NK_CACHE_CONFLICT');
  assert.equal(error.place?.line, 4);
});

// ── packages ─────────────────────────────────────────────────────────────────────────────────────────────────────

test('the guard of an installation says whether the packages are installed', () => {
  const version = spawnSync('dpkg-query', ['--show', '--showformat=${Version}', 'dpkg'], { encoding: 'utf8' }).stdout;
  const status = (...packages: { name: string; version?: string }[]): number | null => {
    const [action] = installActions('x', 'apt', packages);
    assert.ok(action?.guard.type === 'command');
    const [program = '', ...args] = action.guard.argv;
    return spawnSync(program, args).status;
  };
  assert.equal(status({ name: 'dpkg' }, { name: 'coreutils' }), 0);
  assert.equal(status({ name: 'dpkg', version }), 0);
  assert.equal(status({ name: 'dpkg', version: '0.1' }), 1);
  assert.equal(status({ name: 'dpkg' }, { name: 'no-such-package-here' }), 1);
  assert.equal(status({ name: '$(touch /nowhere)' }), 1);
});
