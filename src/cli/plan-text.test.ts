/** What a plan says to people, of documents and machines as they are. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleFacts, plan, type PlanReport } from '../index.ts';
import { planText } from './plan-text.ts';
import { plainLook } from './table.ts';

const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n';
const cached = { kubelet: ['1.34.3'], kubectl: ['1.34.3'] };

async function planned(spec: string, cache: Record<string, string[]> = cached): Promise<PlanReport> {
  const documents = [{ file: 'node.yaml', text: `${head}${spec}` }];
  return plan({ documents, facts: { ...exampleFacts, kernelModules: ['overlay', 'br_netfilter'], cache } });
}

interface Case {
  readonly name: string;
  readonly spec: string;
  readonly cache?: Record<string, string[]>;
  /** Program, what becomes of the run, what does not happen to units. */
  readonly unserved: readonly (readonly [string, string, readonly string[]])[];
  readonly starts: readonly string[];
}

const v = '  kubernetes: { version: 1.34.3 }\n';
const tool = (more: string): string => `${v}  binaries: { tools: { a: { version: 1.0.0${more} } } }\n`;
const cases: readonly Case[] = [
  { name: 'all is there', spec: v, unserved: [], starts: ['containerd.service', 'kubelet.service'] },
  {
    name: 'there is no kubelet',
    spec: v,
    cache: { kubectl: ['1.34.3'] },
    unserved: [['binary:kubelet 1.34.3', 'failed', ['start kubelet.service']]],
    starts: ['containerd.service'],
  },
  {
    name: 'there is a neighbour of it only',
    spec: '  kubernetes: { version: 1.34.30 }\n',
    unserved: [
      ['binary:kubectl 1.34.30', 'degraded', []],
      ['binary:kubelet 1.34.30', 'failed', ['start kubelet.service']],
    ],
    starts: ['containerd.service'],
  },
  {
    name: 'a tool is missing that nothing needs',
    spec: tool(', importance: bestEffort'),
    unserved: [['binary:a 1.0.0', 'degraded', []]],
    starts: ['containerd.service', 'kubelet.service'],
  },
  {
    name: 'a tool is missing that is only reported',
    spec: tool(', importance: background'),
    unserved: [['binary:a 1.0.0', 'reported', []]],
    starts: ['containerd.service', 'kubelet.service'],
  },
  {
    name: 'a unit needs a tool that is missing',
    spec: `${tool('')}  units: [{ name: a.service, content: "[Service]\\nExecStart=/opt/bin/a\\n", state: started, needs: ["binary:a"] }]\n`,
    unserved: [['binary:a 1.0.0', 'failed', ['start a.service']]],
    starts: ['containerd.service', 'kubelet.service'],
  },
  {
    name: 'another source may have it',
    spec: tool(', sources: { tarball: { url: "https://a.example/a.tar" } }'),
    unserved: [],
    starts: ['containerd.service', 'kubelet.service'],
  },
  {
    name: 'it may come from the cache alone',
    spec: `${v}  binaries: { policy: cache-only, sources: { tarball: { url: "https://a.example/a.tar" } } }\n`,
    cache: { kubectl: ['1.34.3'] },
    unserved: [['binary:kubelet 1.34.3', 'failed', ['start kubelet.service']]],
    starts: ['containerd.service'],
  },
];

/** Of the steps whose place is explained, in their order. */
function numbersIn(text: string): number[] {
  const reasons = text.matchAll(/^ *([\d, -]+?) {2}(?:precedes|joined|is the goal|may wait)/gm);
  return [...reasons]
    .flatMap(([, list = '']) =>
      list.split(', ').flatMap((range) => {
        const [from = 0, to = from] = range.split('-').map(Number);
        return Array.from({ length: to - from + 1 }, (_, index) => from + index);
      }),
    )
    .sort((a, b) => a - b);
}

describe('a plan foretells what can happen alone', () => {
  for (const { name, spec, cache, unserved, starts } of cases)
    it(`when ${name}`, async () => {
      const report = await planned(spec, cache);
      assert.deepEqual(
        report.unserved.map(({ id, version, outcome, impact }) => [
          `${id} ${version}`,
          outcome,
          impact.map(({ effect, unit }) => `${effect} ${unit}`),
        ]),
        unserved.map((row) => [...row]),
      );
      assert.deepEqual(
        report.impact.map(({ unit }) => unit),
        starts,
      );
      const undone = new Set(report.unserved.flatMap(({ steps }) => steps));
      for (const { id, possible, needs } of report.steps) {
        assert.equal(possible, !undone.has(id));
        assert.ok(!possible || needs.every((need) => !undone.has(need)), `${id} needs what is not done`);
      }
      const text = planText(report);
      assert.equal(text.startsWith('Not possible\n'), unserved.length > 0, text);
      for (const [program] of unserved) assert.ok(text.includes(program));
      const shown = report.steps.filter(({ possible }) => possible).map(({ position }) => position);
      assert.deepEqual(numbersIn(text), shown);
    });

  it('and what waits for a goal that is not reached is not', async () => {
    const report = await planned(v, {});
    const deferred = report.steps.filter(({ phase }) => phase === 'deferred');
    assert.ok(deferred.length > 0 && deferred.every(({ possible }) => !possible));
    assert.match(planText(report), /^Before the goal \(ready unit:kubelet\.service, which is not reached\)$/m);
    assert.match(planText(report), /, \d+ of which cannot be done$/);
  });
});

describe('units that stand before kubelet', () => {
  const unit = (name: string, more = ''): string =>
    `    - { name: ${name}, content: "[Service]\\nExecStart=/bin/sleep 1\\n", state: started${more} }\n`;
  const said: readonly (readonly [name: string, units: string, before: string, hint: string])[] = [
    ['one', unit('a.service'), 'a.service*, containerd.service', 'a.service'],
    [
      'two',
      unit('a.service') + unit('b.service'),
      'a.service*, b.service*, containerd.service',
      'a.service, b.service',
    ],
    ['one that may wait', unit('a.service', ', deferrable: true'), 'containerd.service', ''],
    ['one that may fail', unit('a.service', ', importance: bestEffort'), 'a.service*, containerd.service', 'a.service'],
    ['one that is only reported', unit('a.service', ', importance: background'), 'containerd.service', ''],
    ['one that needs kubelet', unit('a.service', ', needs: ["unit:kubelet.service"]'), 'containerd.service', ''],
    [
      'one that another needs',
      unit('a.service') + unit('b.service', ', needs: ["unit:a.service"]'),
      'a.service, b.service*, containerd.service',
      'b.service',
    ],
    [
      'one that kubelet needs',
      `${unit('a.service', ', deferrable: true')}    - { name: kubelet.service, needs: ["unit:a.service"] }\n`,
      'a.service, containerd.service',
      '',
    ],
    ['none that is not started', unit('a.service').replace(', state: started', ''), 'containerd.service', ''],
  ];
  for (const [name, units, before, hint] of said)
    it(`${name}: ${before}`, async () => {
      const report = await planned(`${v}  units:\n${units}`);
      const found = report.beforeGoal.map(({ unit: it, mayWait }) => `${it}${mayWait ? '*' : ''}`);
      assert.equal(found.sort().join(', '), before);
      const line = /^kubelet\.service waits for .*$/m.exec(planText(report))?.[0] ?? '';
      const waits = report.beforeGoal.map(({ unit: it }) => it).join(', ');
      const told = report.beforeGoal.flatMap(({ unit: it, mayWait }) => (mayWait ? [it] : [])).join(', ');
      assert.deepEqual(told.split(', ').sort().join(', '), hint);
      assert.equal(
        line,
        `kubelet.service waits for ${waits}${told && `; with \`deferrable: true\` it does not for ${told}`}`,
      );
    });
});

describe('the text of a plan', () => {
  it('has one line per resource and phase', async () => {
    const text = planText(await planned(v));
    const before = text.slice(text.indexOf('Before the goal'), text.indexOf('Once the goal'));
    assert.match(before, /^ *[\d-]+, .* unit:containerd\.service +write \/etc\/.*50-nodekiln\.conf, start, ready$/m);
    assert.equal(before.match(/unit:containerd\.service/g)?.length, 1);
    assert.match(before, /^ *\d+ +daemon-reload \(unit files change\)$/m);
  });

  it('says each reason once', async () => {
    const report = await planned(v);
    const text = planText(report);
    for (const reason of ['precedes the goal: not declared deferrable', 'is the goal'])
      assert.equal(text.split(reason).length - 1, 1, text);
    for (const { details } of report.changes)
      if (details.length > 1) assert.equal(text.split(details[0] ?? '').length - 1, 1, text);
  });

  it('names every step by its number', async () => {
    const report = await planned(v);
    assert.deepEqual(
      numbersIn(planText(report)),
      report.steps.map(({ position }) => position),
    );
  });

  for (const fit of [60, 80, 120])
    it(`fits ${fit} columns`, async () => {
      const text = planText(await planned(v, {}), { ...plainLook, wide: false, fit });
      const long = text.split('\n').filter((line) => line.length > fit && /^\S+ {2}|^ *[\d, -]+ {2}/.test(line));
      assert.deepEqual(long, []);
    });
});
