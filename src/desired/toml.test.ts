import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'smol-toml';
import { exampleFacts, type Facts } from '../model/facts.ts';
import { hostsText, unreadTables } from './containerd.ts';

function facts(containerdVersion: string | undefined): Facts {
  const { containerdVersion: _other, ...rest } = exampleFacts;
  return { ...rest, ...(containerdVersion !== undefined && { containerdVersion }) };
}

describe('mirrors of a registry', () => {
  const host = (url: string) => ({
    url,
    capabilities: ['pull', 'resolve'],
    overridePath: url.endsWith('1'),
    ca: url.endsWith('2') ? ['/a', 'b'] : undefined,
    skipVerify: false,
  });
  const versions = { '1.6.20': 1, '1.7.24': 1, 'v1.7.24-1': 1, '2.0.0': 2, '2.2.1': 2 } as const;
  for (const [version, major] of Object.entries(versions))
    it(`have the same order and values for containerd ${version}, by name or by IPv6`, () => {
      const urls = ['http://[fd00::1]:5001', 'https://a.example', 'https://[::1]:5002'];
      const text = hostsText({ server: 'https://b.example', hosts: urls.map(host) }, facts(version));
      const read = JSON.parse(JSON.stringify(parse(text))) as { server: string; host: Record<string, unknown> };
      assert.deepEqual([read.server, Object.keys(read.host)], ['https://b.example', urls]);
      assert.deepEqual(
        [read.host['https://[::1]:5002'], read.host['http://[fd00::1]:5001']],
        [
          { capabilities: ['pull', 'resolve'], ca: ['/a', 'b'] },
          { capabilities: ['pull', 'resolve'], override_path: true },
        ],
      );
      const heads = text.split('\n').filter((line) => line.startsWith('['));
      assert.equal(heads.length, major === 1 ? 1 : 3);
      if (major === 1) assert.deepEqual(heads, ['[host]']);
    });

  it('stay tables of their own where every containerd reads them', () => {
    const text = hostsText({ server: undefined, hosts: [host('https://a')] }, facts('1.7.24'));
    assert.equal(text, '[host."https://a"]\ncapabilities = [ "pull", "resolve" ]\n');
  });
});

describe('tables that containerd 1 does not read', () => {
  const cases: Record<string, { configuration: unknown; paths: string[] }> = {
    'with a bracket': { configuration: { a: { 'b]': { c: 1 } } }, paths: ['a.b]'] },
    'with another bracket': { configuration: { 'b[': {} }, paths: ['b['] },
    'with a quote': { configuration: { 'b"': { c: { d: 1 } } }, paths: ['b"'] },
    'with a backslash': { configuration: { 'b\\': { c: 1 } }, paths: ['b\\'] },
    'with the end of a line': { configuration: { a: { 'b\nc': {} } }, paths: ['a.b\nc'] },
    'in a list': { configuration: { a: [{ 'b]': [{ c: 1 }] }] }, paths: ['a.0.b]'] },
    'of which none is': { configuration: { 'a.b/c:1 é': { d: {} }, 'e]': 1, f: ['[x]'] }, paths: [] },
  };
  for (const [what, { configuration, paths }] of Object.entries(cases))
    it(`are told: ${what}`, () => {
      const found = (version: string | undefined): string[] =>
        unreadTables(configuration, facts(version)).map(({ path }) => path.join('.'));
      assert.deepEqual([found('1.7.24'), found('2.0.0'), found(undefined)], [paths, [], []]);
    });
});
