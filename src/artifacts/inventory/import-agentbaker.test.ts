import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErrorCode } from '../../errors.ts';
import { importAgentbaker } from './import-agentbaker.ts';

describe('what is no inventory', () => {
  for (const [name, text, code, said] of [
    ['an empty map', '{}', 'NK_DOCUMENT_KIND', /has none of Packages, ContainerImages/],
    ['another file of JSON', '{"name": "a", "version": "1"}', 'NK_DOCUMENT_KIND', /has none of/],
    ['a list', '[]', 'NK_DOCUMENT_KIND', /has none of/],
    ['a word', '"Packages"', 'NK_DOCUMENT_KIND', /has none of/],
    ['nothing', 'null', 'NK_DOCUMENT_KIND', /has none of/],
    ['keys in other letters', '{"packages": []}', 'NK_DOCUMENT_KIND', /has none of/],
    ['a list of it inside of something', '{"spec": {"Packages": []}}', 'NK_DOCUMENT_KIND', /has none of/],
    ['a list that is none', '{"Packages": {}}', 'NK_DOCUMENT_INVALID', /inventory of the expected form/],
    ['an item without a name', '{"Packages": [{}]}', 'NK_DOCUMENT_INVALID', /inventory of the expected form/],
    ['no JSON', 'Packages: []', 'NK_DOCUMENT_SYNTAX', /is no JSON/],
    ['no text', '', 'NK_DOCUMENT_SYNTAX', /is no JSON/],
  ] as const satisfies readonly (readonly [string, string, ErrorCode, RegExp])[])
    it(`is refused: ${name}`, () => {
      assert.throws(() => importAgentbaker(text, 'a.json'), { code, message: said });
    });

  for (const [text, hint] of [
    ['{"apiVersion": "nodekiln.dev/v1alpha1", "kind": "Inventory", "spec": {}}', /is a document of nodekiln already/],
    ['{"ignition": {"version": "3.4.0"}}', /Ignition/],
    ['{"a": 1}', /components\.json/],
  ] as const)
    it(`is told what it looks like: ${text}`, () => {
      assert.throws(() => importAgentbaker(text, 'a.json'), { code: 'NK_DOCUMENT_KIND', hint });
    });
});

describe('what is one', () => {
  for (const list of ['Packages', 'ContainerImages', 'GPUContainerImages', 'OCIArtifacts'])
    it(`has one of its lists: ${list}`, () => {
      const { packages, images, gpuImages, artifacts } = importAgentbaker(`{"${list}": []}`, 'a.json');
      assert.deepEqual([packages, images, gpuImages, artifacts], [[], [], [], []]);
    });
});
