/** What a plan says of folders on the machine itself, by what is in them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { buildDeb, programBytes } from '../../test/support/artifacts.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { absentOn } from '../kinds/planners.ts';
import type { BinaryResource, Resource } from '../model/resources.ts';
import { exampleFacts } from '../index.ts';
import { decide } from '../plan/decide.ts';
import { lookAtLocalSources } from './local-sources.ts';
import { planReport } from './plan-report.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-local-'));
after(() => rmSync(folder, { recursive: true }));

const common = { scope: 'node', importance: 'required', needs: [], deferrable: false } as const;
const tarball = { type: 'tarball', role: 'tarball', from: { type: 'url', url: 'https://a.example/a.tar' } } as const;

function kubelet(path: string, more: BinaryResource['sources'] = []): BinaryResource {
  return {
    ...common,
    kind: 'binary',
    id: 'binary:kubelet',
    tool: 'kubelet',
    version: '1.34.3',
    architecture: 'amd64',
    sources: [
      { type: 'cache', version: '1.34.3' },
      { type: 'deb', role: 'local', from: { type: 'folder', path } },
      ...more,
    ],
    place: { type: 'activate', target: '/opt/bin/kubelet' },
  };
}

function extension(path: string): Resource {
  return {
    ...common,
    kind: 'extension',
    id: 'extension:tools',
    name: 'tools',
    version: '1.2.3',
    architecture: 'amd64',
    sources: [{ type: 'local', path }],
    tools: [],
  };
}

let count = 0;
function holding(...debs: readonly (readonly [name: string, version: string, architecture?: string])[]): string {
  const at = join(folder, `packages-${(count += 1)}`);
  mkdirSync(at);
  for (const [name, version, architecture = 'amd64'] of debs) {
    const files = { [`usr/bin/${name}`]: programBytes(2000, 1) };
    buildDeb(at, { name, version, release: '1.1', architecture, files });
  }
  return at;
}

function images(...names: readonly string[]): string {
  const at = join(folder, `images-${(count += 1)}`);
  mkdirSync(at);
  for (const name of names) writeFileSync(join(at, name), 'image');
  return at;
}

interface Case {
  readonly name: string;
  readonly desired: () => Resource;
  readonly parts: readonly string[];
  readonly unserved: boolean;
  readonly why?: RegExp;
}

const cases: readonly Case[] = [
  {
    name: 'the version',
    desired: () => kubelet(holding(['kubelet', '1.34.3']), [tarball]),
    parts: ['cache refused', 'local serves', 'tarball spare'],
    unserved: false,
    why: /kubelet_1\.34\.3.*\.deb$/,
  },
  {
    name: 'another version alone',
    desired: () => kubelet(holding(['kubelet', '1.34.4'])),
    parts: ['cache refused', 'local refused'],
    unserved: true,
    why: /holds no package of kubelet 1\.34\.3$/,
  },
  {
    name: 'another version, and another source is left',
    desired: () => kubelet(holding(['kubelet', '1.34.30']), [tarball]),
    parts: ['cache refused', 'local refused', 'tarball next'],
    unserved: false,
  },
  {
    name: 'the version for another processor',
    desired: () => kubelet(holding(['kubelet', '1.34.3', 'arm64'])),
    parts: ['cache refused', 'local refused'],
    unserved: true,
  },
  {
    name: 'another program',
    desired: () => kubelet(holding(['kubectl', '1.34.3'])),
    parts: ['cache refused', 'local refused'],
    unserved: true,
  },
  {
    name: 'nothing, and is not there',
    desired: () => kubelet(join(folder, 'none')),
    parts: ['cache refused', 'local refused'],
    unserved: true,
    why: /none does not exist$/,
  },
  {
    name: 'what is no package',
    desired: () => kubelet(images('kubelet_1.34.3_amd64.deb')),
    parts: ['cache refused', 'local refused'],
    unserved: true,
  },
  {
    name: 'the extension',
    desired: () => extension(images('tools-v1.2.3-1-x86-64.raw')),
    parts: ['local serves'],
    unserved: false,
  },
  {
    name: 'another version of the extension',
    desired: () => extension(images('tools-v1.2.4-1-x86-64.raw')),
    parts: ['local refused'],
    unserved: true,
    why: /holds no extension tools 1\.2\.3$/,
  },
];

describe('a plan for a machine whose folder holds', () => {
  for (const { name, desired, parts, unserved, why } of cases)
    it(name, async () => {
      const resource = desired();
      const host = createLinuxHost();
      try {
        const decision = decide({
          source: 'boot',
          asked: [resource.id],
          desired: new Map([[resource.id, { resource, source: 'boot' }]]),
          observed: new Map([[resource.id, absentOn(resource, exampleFacts)]]),
          touched: new Map(),
          goal: undefined,
        });
        const looked = await lookAtLocalSources(host, decision.plan.changes);
        const report = planReport(decision, { warnings: [], looked });
        const all = report.sources.flatMap(({ sources }) => sources);
        assert.deepEqual(
          all.map(({ source, part }) => `${source} ${part}`),
          parts,
        );
        assert.equal(report.unserved.length > 0, unserved);
        if (why) assert.match(all.find(({ source }) => source === 'local')?.why ?? '', why);
      } finally {
        await host.close();
      }
    });
});
