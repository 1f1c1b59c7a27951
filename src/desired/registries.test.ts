/** Registries and their servers, by any name that they have: where containerd looks, and whom it asks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'smol-toml';
import { NodekilnError } from '../errors.ts';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { exampleFacts } from '../model/facts.ts';
import type { DesiredState } from '../model/resources.ts';
import { renderNode } from './render-node.ts';

async function rendered(...sources: readonly (readonly object[])[]): Promise<DesiredState> {
  const documents = sources.map((registries, index) => {
    const spec = { kubernetes: { version: '1.34.3' }, containerd: { registries } };
    const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
    return parseDocument({ file: `${index}.json`, text }, 'NodeConfig');
  });
  const { config, placeOf } = resolveNodeConfig(await Promise.all(documents));
  return renderNode(config, exampleFacts, { placeOf });
}

/** Tables of hosts.toml by the folder they lie in. */
function hostsIn({ resources }: DesiredState): Record<string, unknown> {
  return Object.fromEntries(
    [...resources].flatMap(([id, resource]) => {
      const [, folder] = /^file:\/etc\/containerd\/certs\.d\/(.+)\/hosts\.toml$/.exec(id) ?? [];
      const entry = resource.kind === 'file' ? resource.entry : undefined;
      if (folder === undefined || entry?.type !== 'file' || !('text' in entry.content)) return [];
      const { text } = entry.content;
      assert.ok(typeof text === 'string');
      const { server, host } = parse(text) as { server?: string; host?: object };
      return [[folder, [...(server === undefined ? [] : [server]), ...Object.keys(host ?? {})]]];
    }),
  );
}

describe('a registry', () => {
  for (const [host, folder] of [
    ['docker.io', 'docker.io'],
    ['index.docker.io', 'docker.io'],
    ['registry-1.docker.io', 'docker.io'],
    ['registry.hub.docker.com', 'docker.io'],
    ['docker.io:443', 'docker.io:443'],
    ['localhost', 'localhost'],
    ['localhost:5000', 'localhost:5000'],
    ['[::1]:5000', '[::1]:5000'],
    ['[fd00::1]', '[fd00::1]'],
    ['10.0.0.1:5000', '10.0.0.1:5000'],
    ['_default', '_default'],
  ] as const)
    it(`has its servers where containerd looks for them: ${host}`, async () => {
      const desired = await rendered([{ host, mirrors: [{ url: 'https://a' }] }]);
      assert.deepEqual(hostsIn(desired), { [folder]: ['https://a'] });
      const unit = desired.resources.get('unit:containerd.service');
      assert.ok(unit?.needs.includes(`file:/etc/containerd/certs.d/${folder}/hosts.toml`));
    });

  it('is asked at the server that it has, where a name of it is none', async () => {
    const mirrors = [
      'https://docker.io',
      'http://docker.io:80/v2',
      'https://docker.io.example',
      'https://index.docker.io',
    ];
    const desired = await rendered([
      { host: 'docker.io', server: 'https://docker.io/', mirrors: mirrors.map((url) => ({ url })) },
    ]);
    assert.deepEqual(hostsIn(desired), {
      'docker.io': [
        'https://registry-1.docker.io/',
        'https://registry-1.docker.io',
        'http://registry-1.docker.io:80/v2',
        'https://docker.io.example',
        'https://index.docker.io',
      ],
    });
  });

  for (const [what, sources] of [
    ['in one document', [[{ host: 'docker.io' }, { host: 'index.docker.io' }]]],
    ['in two', [[{ host: 'docker.io' }], [{ host: 'registry-1.docker.io' }]]],
  ] as const)
    it(`cannot be there twice by two of its names: ${what}`, () =>
      assert.rejects(
        rendered(...sources),
        (thrown) =>
          thrown instanceof NodekilnError && /docker\.io/.test(JSON.stringify([thrown.message, thrown.problems])),
      ));
});
