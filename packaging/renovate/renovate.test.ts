/**
 * The Renovate preset, applied as Renovate applies it: the manager's expressions find and rewrite places in a manifest,
 * the rules choose versioning, the versioning chooses among tags. Renovate itself is far too large to be installed for
 * this; the few steps used here follow its documentation (custom.regex manager, regex versioning, autoReplaceStringTemplate).
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as z from 'zod/mini';
import { parseDocument } from '../../src/config/load.ts';

const preset = z
  .object({
    customManagers: z.array(
      z.object({
        managerFilePatterns: z.array(z.string()),
        matchStringsStrategy: z.optional(z.literal('recursive')),
        matchStrings: z.array(z.string()),
        autoReplaceStringTemplate: z.optional(z.string()),
      }),
    ),
    packageRules: z.array(
      z.object({
        matchDatasources: z.optional(z.array(z.string())),
        matchCurrentValue: z.optional(z.string()),
        matchUpdateTypes: z.optional(z.array(z.string())),
        enabled: z.optional(z.boolean()),
        separateMinorPatch: z.optional(z.boolean()),
        extractVersion: z.optional(z.string()),
        versioning: z.optional(z.string()),
      }),
    ),
  })
  .parse(JSON.parse(await readFile(join(import.meta.dirname, 'default.json'), 'utf8')));

type Manager = (typeof preset.customManagers)[number];
type Rule = (typeof preset.packageRules)[number];
type Groups = Readonly<Record<string, string | undefined>>;

/** `/…/` as Renovate writes expressions among plain words. */
const unslashed = (text: string): RegExp => new RegExp(text.replace(/^\/|\/$/g, ''));

interface Dependency {
  readonly groups: Groups;
  /** What is replaced. */
  readonly found: string;
  readonly manager: Manager;
}

function extract(manager: Manager, text: string): Dependency[] {
  const all = (expression: string, within: string) => [...within.matchAll(new RegExp(expression, 'g'))];
  const narrow = (found: string, groups: Groups, rest: readonly string[]): Dependency[] => {
    const [first, ...others] = rest;
    if (first === undefined) return [{ groups, found, manager }];
    return all(first, found).flatMap((match) => narrow(match[0], { ...groups, ...match.groups }, others));
  };
  if (manager.matchStringsStrategy === 'recursive') return narrow(text, {}, manager.matchStrings);
  return manager.matchStrings.flatMap((expression) => narrow(text, {}, [expression]));
}

const dependencies = (text: string): Dependency[] => preset.customManagers.flatMap((manager) => extract(manager, text));

/** Renovate tries each occurrence until the dependency reads as wanted. */
function replaced(text: string, dependency: Dependency, newValue: string): string {
  const { groups, found, manager } = dependency;
  const values: Groups = { ...groups, newValue };
  const replacement =
    manager.autoReplaceStringTemplate?.replace(/\{\{\{(\w+)\}\}\}/g, (_all, name: string) => values[name] ?? '') ??
    found.replaceAll(groups['currentValue'] ?? '', newValue);
  for (let at = text.indexOf(found); at >= 0; at = text.indexOf(found, at + 1)) {
    const result = text.slice(0, at) + replacement + text.slice(at + found.length);
    const same = extract(manager, result).find(({ groups: now }) => now['depName'] === groups['depName']);
    if (same?.groups['currentValue'] === newValue) return result;
  }
  return assert.fail(`${found} was not found`);
}

function ruleFor(currentValue: string): Rule | undefined {
  return preset.packageRules.find(
    (rule) => rule.matchCurrentValue !== undefined && unslashed(rule.matchCurrentValue).test(currentValue),
  );
}

interface Parsed {
  readonly numbers: readonly number[];
  readonly prerelease: string | undefined;
  readonly compatibility: string | undefined;
}

/** Newer compatible stable tags of the same minor version: the newest, as Renovate proposes it with minor updates off. */
function proposal(currentValue: string, tags: readonly string[]): string | undefined {
  const rule = ruleFor(currentValue);
  assert.ok(rule?.versioning, `no versioning for ${currentValue}`);
  const versioning = new RegExp(rule.versioning.slice('regex:'.length));
  const parse = (version: string): Parsed | undefined => {
    const groups = versioning.exec(version)?.groups;
    if (!groups) return undefined;
    const { prerelease, compatibility, ...numbers } = groups;
    return {
      prerelease,
      compatibility,
      numbers: ['major', 'minor', 'patch', 'build'].map((name) => Number(numbers[name])),
    };
  };
  const current = parse(currentValue);
  assert.ok(current);
  const versions = tags.flatMap((tag) => {
    if (rule.extractVersion === undefined) return [tag];
    return new RegExp(rule.extractVersion).exec(tag)?.groups?.['version'] ?? [];
  });
  const compare = (left: readonly number[], right: readonly number[]): number =>
    left.map((part, index) => part - (right[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
  return versions
    .flatMap((version) => {
      const parsed = parse(version);
      return parsed ? [{ version, ...parsed }] : [];
    })
    .filter(({ compatibility }) => compatibility === current.compatibility)
    .filter(({ prerelease }) => prerelease === undefined)
    .filter(({ numbers }) => numbers[0] === current.numbers[0] && numbers[1] === current.numbers[1])
    .filter(({ numbers }) => compare(numbers, current.numbers) > 0)
    .sort((left, right) => compare(left.numbers, right.numbers))
    .at(-1)?.version;
}

const manifest = `apiVersion: nodekiln.dev/v1alpha1
kind: ImageManifest
metadata:
  name: nodes
spec:
  components:
    - name: kubelet
      action: cache
      builds:
        - source: &kubelet { type: file, url: "https://example.org/{version}/{arch}/kubelet" }
          # renovate: keep=2 datasource=github-releases depName=kubelet-1.34 packageName=kubernetes/kubernetes extractVersion=^v(?<version>.+)$
          version: 1.34.4
        - version: 1.34.3
          source: *kubelet
        - source: *kubelet
          # renovate: keep=2 datasource=github-releases depName=kubelet-1.33 packageName=kubernetes/kubernetes extractVersion=^v(?<version>.+)$
          version: 1.33.7
        - version: 1.33.6
          source: *kubelet
    - name: kubectl
      action: cache
      builds:
        # renovate: keep=1 datasource=docker depName=kubectl packageName=registry.example/kubectl-sysext
        - version: v1.34.1-2-azlinux3
          source: { type: file, url: "https://example.org/{version}/kubectl" }
        # Nothing says that this one moves.
        - version: 1.32.3
          source: { type: file, url: "https://example.org/{version}/kubectl" }
`;

async function versionsOf(text: string): Promise<string[][]> {
  const { document } = await parseDocument({ file: 'image.yaml', text }, 'ImageManifest');
  return (document.spec.components ?? []).map((component) =>
    'builds' in component ? component.builds.map(({ version }) => version) : [],
  );
}

describe('the places in a manifest', () => {
  it('are those marked, each once', () => {
    assert.deepEqual(
      dependencies(manifest).map(({ groups }) => [
        groups['depName'],
        groups['currentValue'],
        groups['datasource'],
        groups['packageName'],
      ]),
      [
        ['kubelet-1.34', '1.34.4', 'github-releases', 'kubernetes/kubernetes'],
        ['kubelet-1.33', '1.33.7', 'github-releases', 'kubernetes/kubernetes'],
        ['kubectl', 'v1.34.1-2-azlinux3', 'docker', 'registry.example/kubectl-sysext'],
      ],
    );
  });

  it('move on, keep two of each minor version, and the manifest stays one', async () => {
    const before = [
      ['1.34.4', '1.34.3', '1.33.7', '1.33.6'],
      ['v1.34.1-2-azlinux3', '1.32.3'],
    ];
    assert.deepEqual(await versionsOf(manifest), before);
    let text = manifest;
    for (const [name, next] of [
      ['kubelet-1.33', '1.33.8'],
      ['kubelet-1.34', '1.34.10'],
      ['kubectl', 'v1.34.1-10-azlinux3'],
      ['kubelet-1.34', '1.34.11'],
    ] as const) {
      const dependency = dependencies(text).find(({ groups }) => groups['depName'] === name);
      assert.ok(dependency);
      text = replaced(text, dependency, next);
    }
    assert.deepEqual(await versionsOf(text), [
      ['1.34.11', '1.34.10', '1.33.8', '1.33.7'],
      ['v1.34.1-10-azlinux3', '1.32.3'],
    ]);
    const lines = text.split('\n');
    const changed = manifest.split('\n').filter((line, index) => line !== lines[index]);
    assert.ok(
      changed.every((line) => line.includes('version: ')),
      'nothing but versions is rewritten',
    );
    assert.equal(changed.length, 5);
  });

  it('also where two builds look the same', async () => {
    const twins = manifest.replaceAll('1.33.7', '1.34.4').replaceAll('1.33.6', '1.34.3');
    const second = dependencies(twins)[1];
    assert.ok(second);
    const [kubelet] = await versionsOf(replaced(twins, second, '1.34.9'));
    assert.deepEqual(kubelet, ['1.34.4', '1.34.3', '1.34.9', '1.34.4']);
  });

  it('are looked for in manifests', () => {
    for (const manager of preset.customManagers) {
      const matches = (path: string): boolean =>
        manager.managerFilePatterns.some((pattern) => unslashed(pattern).test(path));
      assert.ok(['image.yaml', 'images/nodes-image.yml', 'a/b/image-manifest.yaml', 'image.arm64.yaml'].every(matches));
      assert.ok(!['image.md', 'images/nodes.yaml', 'values.yaml', 'image.yaml.bak'].some(matches));
    }
  });

  it('need the mark, the shape and a plain version', () => {
    const line = '        # renovate: keep=1 datasource=docker depName=x\n';
    for (const none of [
      '- version: 1.2.3\n',
      `${line}        - source: x\n`,
      `${line}        - version: "1.2.3"\n`,
      `# renovate: datasource=docker depName=x\n- version: 1.2.3\n`,
    ])
      assert.deepEqual(dependencies(none), []);
  });
});

const tags = [
  'v1.33.2-1-azlinux3-x86-64',
  'v1.33.10-1-azlinux3-x86-64',
  'v1.33.4-1-azlinux3-x86-64',
  'v1.33.40-1-azlinux3-arm64',
  'v1.33.41-rc.1-1-azlinux3-x86-64',
  'v1.33.4-10-azlinux3-x86-64',
  'v1.33.4-2-azlinux3-arm64',
  'v1.33.50-1-noble-x86-64',
  'v1.34.1-1-azlinux3-x86-64',
  'v1.34.1-2-azlinux3-x86-64',
  'v1.34.1-10-azlinux3-x86-64',
  'v1.34.10-1-noble-x86-64',
  'v2.0.0-1-azlinux3-x86-64',
  '1.33.4',
  'v1.33.99',
  'latest',
  'sha256-abc.sig',
];

describe('the tags of system extensions', () => {
  for (const [current, next] of [
    ['v1.33.2-1-azlinux3', 'v1.33.10-1-azlinux3'],
    ['v1.33.4-1-azlinux3', 'v1.33.10-1-azlinux3'],
    ['v1.33.10-1-azlinux3', undefined],
    ['v1.34.1-1-azlinux3', 'v1.34.1-10-azlinux3'],
    ['v1.34.1-2-azlinux3', 'v1.34.1-10-azlinux3'],
    ['v1.34.1-10-azlinux3', undefined],
    ['v1.34.1-1-noble', 'v1.34.10-1-noble'],
    ['v1.34.1-1-azlinux4', undefined],
    ['v1.34.1-1-ubuntu24.04', undefined],
    ['v1.34.1-2-azlinux3-x86-64', 'v1.34.1-10-azlinux3-x86-64'],
    ['v1.33.2-1-azlinux3-arm64', 'v1.33.40-1-azlinux3-arm64'],
    ['v1.33.4-2-azlinux3-x86-64', 'v1.33.10-1-azlinux3-x86-64'],
    ['v1.33.4-1-noble-x86-64', 'v1.33.50-1-noble-x86-64'],
    ['v1.33.4-1-noble-arm64', undefined],
  ] as const) {
    it(`${current} → ${next ?? 'nothing newer'}`, () => assert.equal(proposal(current, tags), next));
  }

  it('other versions have other rules', () => {
    for (const other of ['1.34.3', 'v1.34.3', '1.34.3-1.1', '3.10', 'latest', 'v1.34.1-azlinux3'])
      assert.equal(ruleFor(other), undefined);
  });
});

describe('the rules', () => {
  it('offer patches beside minor versions, and no minor or major ones', () => {
    assert.ok(preset.packageRules.some((rule) => rule.separateMinorPatch === true));
    const off = preset.packageRules.find((rule) => rule.enabled === false);
    assert.deepEqual(off?.matchUpdateTypes, ['major', 'minor']);
  });

  it('have expressions that RE2 reads', () => {
    const expressions = [
      ...preset.customManagers.flatMap(({ matchStrings }) => matchStrings),
      ...preset.packageRules.flatMap((rule) => [
        rule.matchCurrentValue,
        rule.extractVersion,
        rule.versioning?.slice('regex:'.length),
      ]),
    ].filter((expression) => expression !== undefined);
    assert.ok(expressions.length >= 8);
    for (const expression of expressions) {
      assert.ok(new RegExp(expression));
      assert.doesNotMatch(expression, /\(\?(?:=|!|<=|<!)|\\[1-9]|\\k</, 'no lookaround, no backreference');
    }
  });
});
