/** The surface for programs: what it exports, what its functions answer, and that programs can use it as they stand. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { after, describe, test } from 'node:test';
import type { BuildOptions } from 'esbuild';
import { apiEntries } from '../tools/api.ts';
import { ociIndex, startRegistry } from '../test/servers/registry.ts';
import * as surface from './index.ts';
import type { Candidate, Facts, LoadedDocument, NodeConfig, Observation, PlanReport, ResourceId } from './index.ts';

const root = join(import.meta.dirname, '..');
const demo = join(root, 'examples/demo/node.yaml');
const text = readFileSync(demo, 'utf8');

// ── shape ────────────────────────────────────────────────────────────────────────────────────────────────────────

test('the names it exports are these; one that goes or changes breaks programs', () => {
  assert.deepEqual(Object.keys(surface).sort(), [
    'NodekilnError',
    'architectureFor',
    'cacheKey',
    'checkDocuments',
    'compareVersions',
    'configDump',
    'createHttpClient',
    'createToolsImageResolver',
    'diff',
    'exampleFacts',
    'extensionCandidate',
    'factsFromJson',
    'formatVersion',
    'matchBuild',
    'openRegistry',
    'parseDocument',
    'parseVersion',
    'plan',
    'renderImage',
    'renderNode',
    'resolveNodeConfig',
    'resolveToolsImage',
    'satisfies',
    'tagCandidate',
  ]);
});

/** Calls as programs write them. A change that breaks one of them does not compile. */
const calls = {
  parse: (file: string): Promise<LoadedDocument<'NodeConfig'>> =>
    surface.parseDocument({ file, text: '' }, 'NodeConfig'),
  parseAny: (file: string): Promise<LoadedDocument> => surface.parseDocument({ file, text: '' }),
  resolve: (one: LoadedDocument<'NodeConfig'>): NodeConfig => surface.resolveNodeConfig([one]).config,
  render: (config: NodeConfig, facts: Facts): ReadonlyMap<ResourceId, { readonly kind: string }> =>
    surface.renderNode(config, facts).resources,
  plan: (one: LoadedDocument<'NodeConfig'>): Promise<PlanReport> => surface.plan({ documents: [one] }),
  planWith: (observed: ReadonlyMap<ResourceId, Observation>): Promise<PlanReport> =>
    surface.plan({
      documents: [{ file: 'a', text: '' }],
      facts: surface.exampleFacts,
      observed,
      touched: new Map(),
      source: 'agent',
    }),
  diff: (config: NodeConfig): readonly { readonly id: ResourceId; readonly type: string }[] =>
    surface.diff(surface.renderNode(config, surface.exampleFacts), { facts: surface.exampleFacts }),
  registry: (): Promise<string[]> =>
    surface
      .openRegistry({
        registry: 'a',
        repository: 'b',
        client: surface.createHttpClient({ proxy: 'environment' }),
        credentials: () => Promise.resolve(undefined),
        plainHttp: true,
        clock: { now: Date.now, monotonic: () => performance.now(), sleep: () => Promise.resolve() },
        budgetMs: 1,
      })
      .tags(),
  version: (one: string): string => surface.parseVersion(one).upstream,
  match: (candidates: readonly Candidate[]): string | undefined =>
    surface.matchBuild({ kind: 'deb', component: 'a', version: '1.0.0', architecture: 'amd64' }, candidates).chosen
      ?.file,
  toolsImage: (): Promise<{ readonly image: string; readonly why: string }> =>
    surface.resolveToolsImage({ repository: 'r.example/a', clusterVersion: () => Promise.resolve('1.31') }),
} as const;

test('calls as programs write them', () => {
  assert.equal(calls.version('v1.34.3-1.1'), '1.34.3');
  assert.equal(calls.match([]), undefined);
});

test('every export is described', () => {
  const bare = apiEntries().filter(({ comment }) => comment === '');
  assert.deepEqual(
    bare.map(({ name }) => name),
    [],
  );
});

// ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────

describe('plan', () => {
  test('plans for a machine on which nothing is set up', async () => {
    const cache = { kubelet: ['1.34.3'], kubectl: ['1.34.3', '1.32.3', '1.36.4'] };
    const report = await surface.plan({ documents: [{ file: demo, text }], facts: { ...surface.exampleFacts, cache } });
    assert.equal(report.goal, 'ready unit:kubelet.service');
    assert.deepEqual(
      report.impact.map(({ effect, unit }) => `${effect} ${unit}`),
      ['start containerd.service', 'start kubelet.service', 'start nodekiln-demo.service'],
    );
    assert.deepEqual(
      report.steps.map(({ position }) => position),
      report.steps.map((_step, index) => index + 1),
    );
    assert.deepEqual(
      new Set(report.changes.map(({ type, source }) => `${type} ${source}`)),
      new Set(['create boot', 'update boot']),
    );
    assert.deepEqual(report.warnings, []);
  });

  test('takes a document that is parsed already, and gives the same plan each time', async () => {
    const parsed = await surface.parseDocument({ file: demo, text }, 'NodeConfig');
    const plans = await Promise.all([
      surface.plan({ documents: [parsed] }),
      surface.plan({ documents: [{ file: demo, text }] }),
    ]);
    assert.deepEqual(plans[0], plans[1]);
  });

  test('takes facts: what is in the cache serves, a module that is loaded needs nothing', async () => {
    const facts = { ...surface.exampleFacts, cache: { kubelet: ['1.34.3'] }, kernelModules: ['overlay'] };
    const report = await surface.plan({ documents: [{ file: demo, text }], facts });
    const kubelet = report.sources.find(({ id }) => id === 'binary:kubelet')?.sources[0];
    assert.deepEqual(kubelet, { source: 'cache', part: 'serves', why: '/opt/bin/kubelet-1.34.3' });
    const kubectl = report.sources.find(({ id }) => id === 'binary:kubectl')?.sources[0];
    assert.deepEqual(kubectl, { source: 'cache', part: 'refused', why: 'kubectl 1.32.3 is not in the cache' });
    assert.ok(!report.changes.some(({ id }) => id === 'kernel:module/overlay'));
  });

  test('takes what is there: what is as it should be is left alone, what was touched and is wanted no more goes', async () => {
    const folder: ResourceId = 'file:/etc/cni/net.d';
    const gone: ResourceId = 'file:/etc/gone';
    const observed = new Map<ResourceId, Observation>([
      [folder, { kind: 'file', entry: { type: 'directory', mode: 0o755, uid: 0, gid: 0 } }],
      [gone, { kind: 'file', entry: { type: 'file', digest: 'sha256:0', mode: 0o644, uid: 0, gid: 0 } }],
    ]);
    const touched = new Map([
      [
        gone,
        { id: gone, source: 'boot', definitions: [], done: true, startedWith: undefined, original: false } as const,
      ],
    ]);
    const report = await surface.plan({ documents: [{ file: demo, text }], observed, touched });
    assert.ok(!report.changes.some(({ id }) => id === folder));
    assert.equal(report.changes.find(({ id }) => id === gone)?.type, 'remove');
  });

  test('shows no secret', async () => {
    const files = '[{path: /a, content: hunter2, sensitive: true}, {path: /b, content: hunter2, mode: "0640"}]';
    const secret = `spec: {kubernetes: {version: 1.34.3}, files: ${files}}`;
    const document = { file: 'a.yaml', text: `apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\n${secret}\n` };
    const report = await surface.plan({ documents: [document] });
    for (const path of ['/a', '/b']) assert.ok(report.changes.some(({ id }) => id === `file:${path}`));
    const digest = createHash('sha256').update('hunter2').digest('hex');
    for (const shown of ['hunter2', digest]) assert.ok(!JSON.stringify(report).includes(shown));
  });

  test('refuses what is no document, with its code', async () => {
    await assert.rejects(surface.plan({ documents: [{ file: 'a', text: 'kind: Pod\n' }] }), {
      code: 'NK_DOCUMENT_KIND',
    });
    await assert.rejects(surface.plan({ documents: [] }), { code: 'NK_DOCUMENT_INVALID' });
  });
});

test('diff names what differs, and nothing where all is as asked', async () => {
  const { config } = surface.resolveNodeConfig([await surface.parseDocument({ file: demo, text }, 'NodeConfig')]);
  const desired = surface.renderNode(config, surface.exampleFacts);
  const differences = surface.diff(desired, { facts: surface.exampleFacts });
  assert.deepEqual(
    differences.map(({ id }) => id),
    [...desired.resources.keys()],
  );
  const nothing = { resources: new Map(), goal: undefined, warnings: [] };
  assert.deepEqual(surface.diff(nothing, { facts: surface.exampleFacts }), []);
});

test('checkDocuments says what is wrong and what is worth a thought', async () => {
  const document = (spec: string) => ({
    file: 'a.yaml',
    text: `apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec: {kubernetes: {version: 1.34.3}, ${spec}}\n`,
  });
  assert.deepEqual(await surface.checkDocuments([document('files: []')]), {
    problems: [],
    warnings: [],
    notes: [],
  });
  const { warnings } = await surface.checkDocuments([document('kubelet: {flags: {fail-swap-on: true}}')]);
  assert.match(warnings.join(), /fail-swap-on of kubelet wins over failSwapOn/);
  const contradiction = await surface.checkDocuments([
    document('files: [{path: /etc/containerd/config.toml, content: x}]'),
  ]);
  assert.match(contradiction.problems.map(({ message }) => message).join(), /already written/);
  const invalid = await surface.checkDocuments([document('file: []')]);
  assert.match(invalid.problems.map(({ message }) => message).join(), /unknown key "file"/);
});

// ── registries, tools image ──────────────────────────────────────────────────────────────────────────────────────

test('openRegistry needs no more than an address', async () => {
  const registry = await startRegistry();
  after(() => registry.close());
  const manifest = { schemaVersion: 2, mediaType: ociIndex, manifests: [] };
  const digest = await registry.push({ repository: 'team/tool', tag: 'v1', mediaType: ociIndex, manifest });
  const repository = surface.openRegistry({ registry: registry.host, repository: 'team/tool', plainHttp: true });
  assert.deepEqual(await repository.tags(), ['v1']);
  assert.equal((await repository.manifest('v1')).digest, digest);
  await assert.rejects(repository.manifest('v2'), { code: 'NK_ARTIFACT_MISSING' });
});

test('resolveToolsImage answers once, from what it is given', async () => {
  const repository = 'registry.example/team/tools';
  const known = await surface.resolveToolsImage({ repository, clusterVersion: 'v1.31.4' });
  assert.equal(known.image, `${repository}:1.31`);
  const tagged = await surface.resolveToolsImage({
    repository,
    tag: '1.30-x',
    clusterVersion: () => assert.fail('it was asked'),
  });
  assert.equal(tagged.image, `${repository}:1.30-x`);
  await assert.rejects(surface.resolveToolsImage({ repository, policy: 'error', clusterVersion: '9.9' }), {
    code: 'NK_TOOLS_IMAGE_NONE',
  });
});

// ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────

describe('a program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodekiln-surface-'));
  after(() => rmSync(folder, { recursive: true }));
  const program = join(root, 'examples/programs/plan-anywhere.ts');

  function run(...argv: string[]): string {
    const { stdout, stderr, status } = spawnSync(process.execPath, [...argv, demo], { encoding: 'utf8' });
    assert.deepEqual({ stderr, status }, { stderr: '', status: 0 });
    return stdout;
  }

  test('is run by plain Node', () => {
    const said = run(program);
    assert.match(said, /^\d+ steps until ready unit:kubelet\.service:$/m);
    assert.match(said, /^starts: containerd\.service, kubelet\.service, nodekiln-demo\.service$/m);
    assert.match(said, /^kubelet 1\.34\.3: kubelet_1\.34\.3-1\.2_amd64\.deb$/m);
  });

  test('says what is wrong with its code and status', () => {
    const { stderr, status } = spawnSync(process.execPath, [program, join(root, 'examples/demo/image.yaml')], {
      encoding: 'utf8',
    });
    assert.match(stderr, /^NK_DOCUMENT_KIND: /);
    assert.equal(status, 65);
  });

  test('says the same as one bundle', async () => {
    const outfile = join(folder, 'program.mjs');
    const require = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';
    await bundle({ entryPoints: [program], outfile, format: 'esm', banner: { js: require } });
    assert.equal(run(outfile), run(program));
  });

  test('can be CommonJS', async () => {
    const entry = join(folder, 'entry.ts');
    const surfacePath = JSON.stringify(join(root, 'src/index.ts'));
    writeFileSync(
      entry,
      `import { plan } from ${surfacePath};\nimport { readFileSync } from 'node:fs';\nconst [, , file = ''] = process.argv;\nvoid plan({ documents: [{ file, text: readFileSync(file, 'utf8') }] }).then(({ goal }) => console.log(goal));\n`,
    );
    const outfile = join(folder, 'program.cjs');
    await bundle({ entryPoints: [entry], outfile, format: 'cjs' });
    assert.equal(run(outfile), 'ready unit:kubelet.service\n');
  });
});

async function bundle(options: BuildOptions): Promise<void> {
  const { build } = await import('esbuild');
  await build({ bundle: true, platform: 'node', target: 'node24', logLevel: 'error', ...options });
}
