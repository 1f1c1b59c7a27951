import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { exampleFacts, factsFromJson } from './facts.ts';

const sample: unknown = JSON.parse(
  readFileSync(new URL('../desired/testdata/stand-alone/facts.json', import.meta.url), 'utf8'),
);

test('facts of another machine are taken as printed, later additions passed over', () => {
  const facts = factsFromJson({ ...Object(sample), later: 1 }, 'facts.json');
  assert.deepEqual(facts, sample);
});

test('the whole line that the verb prints is taken, too', () => {
  const line = { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'Facts', ok: true, data: sample, error: null };
  assert.deepEqual(factsFromJson(line, 'facts.json'), sample);
});

test('the facts of a typical host are facts, and stay', () => {
  assert.deepEqual(factsFromJson(exampleFacts, 'example'), exampleFacts);
  assert.deepEqual(exampleFacts, {
    os: { id: 'debian', release: '13' },
    arch: { cpu: 'amd64', systemd: 'x86-64' },
    hostName: 'node-1',
    cgroupVersion: 2,
    cgroupLayout: 'unified',
    kernelRelease: '6.12.48+deb13-amd64',
    kernelModules: [],
    hasMachineId: true,
    hasSwap: false,
    systemdVersion: '257',
    containerdVersion: '1.7.24',
    cpus: 4,
    memoryBytes: 8_589_934_592,
    interfaces: ['eth0'],
    cache: {},
  });
});

test('layouts of control groups by systemd’s words', () => {
  for (const cgroupLayout of ['unified', 'hybrid', 'legacy'] as const)
    assert.equal(factsFromJson({ ...exampleFacts, cgroupLayout }, 'a').cgroupLayout, cgroupLayout);
});

const wrong: readonly (readonly [change: object, problem: string])[] = [
  [{ os: undefined }, 'os must be a map'],
  [{ os: { id: 'a' } }, 'os.release must be a string'],
  [{ os: { id: 'a', release: '1', variant: 2 } }, 'os.variant must be a string'],
  [{ arch: {} }, 'arch.cpu must be a string,arch.systemd must be a string'],
  [{ hostName: 1 }, 'hostName must be a string'],
  [{ cgroupVersion: 3 }, 'cgroupVersion must be 1 or 2'],
  [{ cgroupLayout: 'new' }, 'cgroupLayout must be unified, hybrid or legacy'],
  [{ kernelRelease: 6 }, 'kernelRelease must be a string'],
  [{ kernelModules: 'overlay' }, 'kernelModules must be a list of strings'],
  [{ hasMachineId: 'yes' }, 'hasMachineId must be true or false'],
  [{ hasSwap: 0 }, 'hasSwap must be true or false'],
  [{ systemdVersion: 257 }, 'systemdVersion must be a string'],
  [{ containerdVersion: 2 }, 'containerdVersion must be a string'],
  [{ memoryBytes: '1' }, 'memoryBytes must be a number'],
  [{ interfaces: {} }, 'interfaces must be a list of strings'],
  [{ cache: [] }, 'cache must be a map'],
  [{ cache: { kubelet: '1' } }, 'cache.kubelet must be a list of strings'],
];

for (const [change, problem] of wrong) {
  test(`refused: ${problem}`, () => {
    assert.throws(
      () => factsFromJson({ ...exampleFacts, ...change }, 'facts.json'),
      (error: unknown) =>
        error instanceof NodekilnError &&
        error.problems.map(({ place, message }) => `${place?.path} ${message}`).join() === problem,
    );
  });
}

test('what is wrong is named by its key', () => {
  assert.throws(
    () => factsFromJson({ ...Object(sample), cpus: 'two', os: { id: 1, release: '13' } }, 'facts.json'),
    (error: unknown) =>
      error instanceof NodekilnError &&
      error.code === 'NK_DOCUMENT_INVALID' &&
      error.problems.map(({ place, message }) => `${place?.path} ${message}`).join() ===
        'os.id must be a string,cpus must be a number',
  );
  assert.throws(() => factsFromJson(null, 'facts.json'), { code: 'NK_DOCUMENT_INVALID' });
});
