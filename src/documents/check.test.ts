import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from '../config/invalid.ts';
import { exampleFacts } from '../model/facts.ts';
import { checkDocuments } from './check.ts';

const node = (spec: string) => ({
  file: 'node.yaml',
  text: `apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec: ${spec}\n`,
});
const image = {
  file: 'image.yaml',
  text: 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: {}\n',
};
const version = 'kubernetes: {version: 1.34.3}';

async function said(...texts: readonly { readonly file: string; readonly text: string }[]): Promise<unknown> {
  const { problems, warnings } = await checkDocuments(texts);
  return { problems: problems.map(formatProblem), warnings };
}

test('nothing is said of documents that are fine', async () => {
  const fine = { problems: [], warnings: [] };
  assert.deepEqual(await said(), fine);
  assert.deepEqual(await said(image), fine);
  assert.deepEqual(await said(node(`{${version}}`), image), fine);
});

test('documents are merged before they are judged', async () => {
  assert.deepEqual(await said(node('{takeover: true}'), node(`{${version}}`)), { problems: [], warnings: [] });
  assert.deepEqual(await said(node('{takeover: true}')), {
    problems: [
      'node.yaml:3:1: spec.kubernetes.version: kubernetes.version is missing: no source says which Kubernetes',
    ],
    warnings: [],
  });
});

test('what only rendering finds is a problem, too', async () => {
  assert.deepEqual(await said(node(`{${version}, binaries: {policy: package}}`)), {
    problems: [
      'node.yaml:3:58: spec.binaries.policy: the policy package leaves no source for kubelet; Use the policy cache-first, or give the tool a url.',
      'node.yaml:3:58: spec.binaries.policy: the policy package leaves no source for kubectl; Use the policy cache-first, or give the tool a url.',
    ],
    warnings: [],
  });
});

test('what is allowed, but worth a thought, is a warning with its place', async () => {
  assert.deepEqual(await said(node(`{${version}, kubelet: {flags: {read-only-port: 7}}}`)), {
    problems: [],
    warnings: ['node.yaml:3:73: the flag read-only-port of kubelet wins over readOnlyPort (0) of its configuration'],
  });
});

test('a document is judged for the machine that is named', async () => {
  const document = node(`{${version}, kubelet: {flags: {fail-cgroupv1: true}}}`);
  assert.deepEqual((await checkDocuments([document])).warnings, []);
  assert.equal((await checkDocuments([document], { ...exampleFacts, cgroupVersion: 1 })).warnings.length, 1);
});
