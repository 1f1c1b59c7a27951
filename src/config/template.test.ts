import assert from 'node:assert/strict';
import { test } from 'node:test';
import { badPlaceholder, expandTemplate, placeholders, type TemplateValues } from './template.ts';

const values: TemplateValues = {
  tool: 'kubelet',
  version: 'v1.34.3',
  upstream: '1.34.3',
  tag: 'v1.34.3',
  arch: 'amd64',
  debArch: 'amd64',
  rpmArch: 'x86_64',
  systemdArch: 'x86-64',
};

test('every placeholder is replaced, each time it stands there', () => {
  for (const name of placeholders)
    assert.equal(expandTemplate(`<{${name}}|{${name}}>`, values), `<${values[name]}|${values[name]}>`);
  assert.equal(expandTemplate('plain', values), 'plain');
});

test('values are taken as they are', () => {
  assert.equal(expandTemplate('{tool}', { ...values, tool: '$&$1' }), '$&$1');
});

for (const [template, bad] of [
  ['', undefined],
  ['a{tool}b{version}', undefined],
  ['a{ver}', '{ver}'],
  ['a{tool}{}', '{}'],
  ['a{tool', '{'],
  ['tool}', '}'],
  ['{{tool}}', '{'],
  ['{ tool }', '{ tool }'],
  ['{Tool}', '{Tool}'],
] as const) {
  test(`${JSON.stringify(template)} has ${bad ?? 'no bad placeholder'}`, () => {
    assert.equal(badPlaceholder(template), bad);
  });
}
