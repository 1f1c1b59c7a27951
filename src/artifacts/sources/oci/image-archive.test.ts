/** Container images out of a real registry, as archives that containerd imports. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createLinuxHost } from '../../../host/linux/host.ts';
import { NodekilnError } from '../../../errors.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../../../test/support/artifacts.ts';
import {
  digestOf,
  image,
  indexOf,
  manifestDescriptor,
  password,
  startRegistry,
  user,
  type TestRegistry,
} from '../../../../test/servers/registry.ts';
import { readContainerImageArchive } from '../../container-image-archive.ts';
import { createHttpClient } from '../http-client.ts';
import type { FetchContext, Fetched } from '../source.ts';
import { fetchArtifact } from '../table.ts';

describe('a container image of a registry', () => {
  const folder = temporaryFolder();
  const host = createLinuxHost();
  const layers = [programBytes(40_000, 1), programBytes(70_001, 2)];
  const [amd64, arm64] = [image(layers, 'amd64'), image([programBytes(512, 3)], 'arm64')];
  const attestation = {
    ...manifestDescriptor(image([]), 'unknown'),
    platform: { os: 'unknown', architecture: 'unknown' },
  };
  let registry: TestRegistry;
  let closed: TestRegistry;
  const digests = { single: '', index: '' };
  let count = 0;

  before(async () => {
    [registry, closed] = await Promise.all([startRegistry(), startRegistry({ login: 'bearer' })]);
    for (const one of [registry, closed]) {
      digests.single = await one.push({ repository: 'team/single', tag: 'v1', ...amd64 });
      for (const each of [amd64, arm64]) await one.push({ repository: 'team/many', ...each });
      digests.index = await one.push({
        repository: 'team/many',
        tag: 'v1',
        ...indexOf([manifestDescriptor(arm64, 'arm64'), manifestDescriptor(amd64, 'amd64')]),
      });
    }
    await registry.push({ repository: 'team/attested', ...amd64 });
    await registry.push({ repository: 'team/attested', ...image([]) });
    await registry.push({
      repository: 'team/attested',
      tag: 'v1',
      ...indexOf([manifestDescriptor(amd64, 'amd64'), attestation]),
    });
    await registry.push({ repository: 'team/other', tag: 'v1', ...arm64 });
  });
  after(async () => {
    await host.close();
    await Promise.all([registry.close(), closed.close()]);
    removeFolder(folder);
  });

  const pull = (
    reference: string,
    { digest, ...context }: Partial<FetchContext> & { readonly digest?: string } = {},
  ): Promise<Fetched> => {
    const into = join(folder, `pull-${++count}`);
    mkdirSync(into);
    return fetchArtifact(
      {
        type: 'container-image',
        reference,
        plainHttp: true,
        architecture: 'amd64',
        ...(digest !== undefined && { digest }),
      },
      { ...host, base: folder, folder: into, client: createHttpClient(host), budgetMs: 5_000, ...context },
    );
  };
  /** What the archive names, and which of its blobs are what their names say. */
  function contentOf(path: string): { readonly names: unknown; readonly blobs: readonly string[] } {
    const into = join(folder, `content-${++count}`);
    mkdirSync(into);
    execFileSync('tar', ['-xf', path, '-C', into]);
    assert.deepEqual(JSON.parse(readFileSync(join(into, 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' });
    const index = JSON.parse(readFileSync(join(into, 'index.json'), 'utf8')) as {
      manifests: readonly { digest: string; annotations: Record<string, string> }[];
    };
    const blobs = readdirSync(join(into, 'blobs/sha256')).map((hex) => `sha256:${hex}`);
    for (const blob of blobs) assert.equal(digestOf(readFileSync(join(into, blobPath(blob)))), blob);
    const names = index.manifests.map(({ digest, annotations }) => [annotations['io.containerd.image.name'], digest]);
    return { names, blobs };
  }

  interface Good {
    readonly name: string;
    readonly reference: () => string;
    readonly context?: () => Partial<FetchContext> & { readonly digest?: string };
    readonly named: () => readonly [string, string];
    /** Documents and blobs: of an index only what is for the system. */
    readonly blobs: number;
  }
  const goods: readonly Good[] = [
    {
      name: 'by tag',
      reference: () => `${registry.host}/team/single:v1`,
      named: () => [`${registry.host}/team/single:v1`, digests.single],
      blobs: 4,
    },
    {
      name: 'of an index, for the system alone',
      reference: () => `${registry.host}/team/many:v1`,
      named: () => [`${registry.host}/team/many:v1`, digests.index],
      blobs: 5,
    },
    {
      name: 'by digest',
      reference: () => `${registry.host}/team/many@${digests.index}`,
      named: () => [`${registry.host}/team/many@${digests.index}`, digests.index],
      blobs: 5,
    },
    {
      name: 'by tag and digest, as kubelet’s runtime looks it up',
      reference: () => `${registry.host}/team/many:moved@${digests.index}`,
      named: () => [`${registry.host}/team/many@${digests.index}`, digests.index],
      blobs: 5,
    },
    {
      name: 'by the digest that a lock file holds, wherever the tag has gone',
      reference: () => `${registry.host}/team/single:gone`,
      context: () => ({ digest: digests.single }),
      named: () => [`${registry.host}/team/single:gone`, digests.single],
      blobs: 4,
    },
    {
      name: 'without attestations',
      reference: () => `${registry.host}/team/attested:v1`,
      named: () => [
        `${registry.host}/team/attested:v1`,
        digestOf(Buffer.from(JSON.stringify(indexOf([manifestDescriptor(amd64, 'amd64'), attestation]).manifest))),
      ],
      blobs: 5,
    },
    {
      name: 'with a login',
      reference: () => `${closed.host}/team/many:v1`,
      context: () => ({ credentials: async () => ({ type: 'password', username: user, password }) }),
      named: () => [`${closed.host}/team/many:v1`, digests.index],
      blobs: 5,
    },
    {
      name: 'from a mirror, under its own name',
      reference: () => 'registry.invalid/team/many:v1',
      context: () => ({ mirrors: [{ host: 'registry.invalid', url: `http://${registry.host}` }] }),
      named: () => ['registry.invalid/team/many:v1', digests.index],
      blobs: 5,
    },
  ];
  for (const { name, reference, context, named, blobs } of goods)
    it(`becomes an archive: ${name}`, async () => {
      const [asked, [storedAs, digest]] = [reference(), named()];
      const fetched = await pull(asked, context?.());
      assert.deepEqual([fetched.digest, fetched.location.endsWith(`@${digest}`)], [digest, true], fetched.location);
      const content = contentOf(fetched.path);
      assert.deepEqual(content.names, [[storedAs, digest]]);
      assert.equal(content.blobs.length, blobs);
      const { platforms } = await readContainerImageArchive(host, fetched.path, { architecture: 'amd64' });
      assert.deepEqual(platforms, ['linux/amd64']);
      assert.equal(readdirSync(join(fetched.path, '..')).length, 1, 'nothing beside the archive');
    });

  it('is fetched beside another of the same layers', async () => {
    const into = join(folder, 'beside');
    mkdirSync(into);
    const names = ['single:v1', 'many:v1', 'attested:v1', `many@${digests.index}`];
    const all = await Promise.all(
      names.map((name) => pull(`${registry.host}/team/${name}`, { folder: into }).then(({ path }) => contentOf(path))),
    );
    assert.deepEqual(
      all.map(({ blobs }) => blobs.length),
      [4, 5, 5, 5],
    );
    assert.equal(readdirSync(into).length, names.length);
  });

  const bads: readonly [string, () => Promise<unknown>, string][] = [
    ['another architecture, in an index', () => pullFor('s390x'), 'NK_ARTIFACT_ARCHITECTURE'],
    ['no such tag', () => pull(`${registry.host}/team/many:none`), 'NK_ARTIFACT_MISSING'],
    ['no such digest', () => pull(`${registry.host}/team/many@sha256:${'0'.repeat(64)}`), 'NK_ARTIFACT_MISSING'],
    [
      'two digests',
      () => pull(`${registry.host}/team/many@${digests.index}`, { digest: digests.single }),
      'NK_ARTIFACT_DIGEST',
    ],
    [
      'no login',
      () => pull(`${closed.host}/team/many:v1`, { credentials: async () => undefined }),
      'NK_REGISTRY_DENIED',
    ],
    [
      'a signature that is refused, before a layer is fetched',
      () =>
        pull(`${registry.host}/team/many:v1`, {
          verify: () => Promise.reject(new NodekilnError('NK_SIGNATURE', 'unsigned')),
        }),
      'NK_SIGNATURE',
    ],
  ];
  const pullFor = (architecture: string): Promise<Fetched> =>
    fetchArtifact(
      { type: 'container-image', reference: `${registry.host}/team/many:v1`, plainHttp: true, architecture },
      { ...host, base: folder, folder, client: createHttpClient(host), budgetMs: 5_000 },
    );
  for (const [name, work, code] of bads)
    it(`is refused: ${name}`, async () => {
      await assert.rejects(work(), { code });
    });
});

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
