/** Signatures by keys and by identities, on a real registry and in a layout; each way in which they must not count. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  artifact,
  describe as describeBlob,
  digestOf,
  indexOf,
  manifestDescriptor,
  ociManifest,
  startRegistry,
  writeLayout,
  type Pushed,
  type TestRegistry,
} from '../../../test/servers/registry.ts';
import type { SignatureRequirement } from '../../model/resources.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import { createHttpClient } from '../sources/http-client.ts';
import { fetchArtifact } from '../sources/table.ts';
import type { SourceSpec } from '../sources/source.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { createServices, identity, issuer, pem, signKeyless } from '../../../test/support/sigstore.ts';
import { verifyArtifact } from './cosign.ts';

const config = Buffer.from('{}');
/** What cosign signs. */
function payloadFor(digest: string): Buffer {
  return Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': 'x' },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
}

/** The manifest under `sha256-<hex>.sig`. */
function signatureManifest(
  digest: string,
  payload: Buffer,
  annotations: Readonly<Record<string, string>>,
): Omit<Pushed, 'repository'> {
  return {
    mediaType: ociManifest,
    tag: `${digest.replace(':', '-')}.sig`,
    blobs: [config, payload],
    manifest: {
      schemaVersion: 2,
      mediaType: ociManifest,
      config: describeBlob(config, 'application/vnd.oci.image.config.v1+json'),
      layers: [{ ...describeBlob(payload, 'application/vnd.dev.cosign.simplesigning.v1+json'), annotations }],
    },
  };
}

/** What came, and what was signed. */
interface Taken {
  readonly digest: string;
  readonly signed: string;
}

describe('signatures', () => {
  const folder = temporaryFolder();
  const host = createLinuxHost();
  const client = createHttpClient(host);
  let registry: TestRegistry;
  let count = 0;

  before(async () => {
    registry = await startRegistry();
  });
  after(async () => {
    await host.close();
    await registry?.close();
    removeFolder(folder);
  });

  /** A new artifact, with what vouches for it, in the registry; fetched only when the requirement is met. */
  async function fetch(
    requirement: SignatureRequirement,
    sign: (digest: string) => readonly Omit<Pushed, 'repository'>[] | Promise<readonly Omit<Pushed, 'repository'>[]>,
    where: 'registry' | 'layout' = 'registry',
  ): Promise<Taken> {
    const repository = `team/signed-${count++}`;
    const bytes = programBytes(1_000, count);
    const content = { ...artifact({ kubelet: bytes }), tag: 'v1' };
    const { digest } = manifestDescriptor(content);
    const all = [content, ...(await sign(digest))];
    const into = join(folder, `into-${count}`);
    mkdirSync(into);
    let spec: SourceSpec;
    if (where === 'layout') {
      await writeLayout(join(folder, `layout-${count}`), all);
      spec = { type: 'oci-layout', path: join(folder, `layout-${count}`), tag: 'v1' };
    } else {
      for (const each of all) await registry.push({ repository, ...each });
      spec = { type: 'oci', reference: `${registry.host}/${repository}:v1`, plainHttp: true };
    }
    const fetched = await fetchArtifact(spec, {
      ...host,
      base: folder,
      folder: into,
      client,
      budgetMs: 5_000,
      credentials: async () => undefined,
      verify: (subject) => verifyArtifact(host, { ...subject, folder: into }, requirement),
    });
    return { digest: fetched.digest, signed: digestOf(bytes) };
  }

  async function counts(work: Promise<Taken>): Promise<void> {
    const { digest, signed } = await work;
    assert.equal(digest, signed);
  }

  async function refused(work: Promise<Taken>, why: RegExp, code = 'NK_SIGNATURE'): Promise<void> {
    await assert.rejects(work, (error: Error & { code?: string; lines?: readonly string[] }) => {
      const text = [error.message, ...(error.lines ?? [])].join('\n');
      assert.equal(error.code, code, text);
      assert.match(text, why);
      return true;
    });
  }

  describe('by a key', () => {
    const pairs = {
      'ECDSA P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      'RSA 2048': generateKeyPairSync('rsa', { modulusLength: 2048 }),
      Ed25519: generateKeyPairSync('ed25519'),
    };
    const { publicKey, privateKey } = pairs['ECDSA P-256'];
    const byKey =
      (key: KeyObject, payload: (digest: string) => Buffer = payloadFor) =>
      (digest: string) => {
        const signed = payload(digest);
        const algorithm = key.asymmetricKeyType === 'ed25519' ? undefined : 'sha256';
        return [
          signatureManifest(digest, signed, {
            'dev.cosignproject.cosign/signature': sign(algorithm, signed, key).toString('base64'),
          }),
        ];
      };

    for (const [name, pair] of Object.entries(pairs)) {
      for (const where of ['registry', 'layout'] as const) {
        it(`counts: ${name}, in a ${where}`, () =>
          counts(fetch({ key: pem(pair.publicKey) }, byKey(pair.privateKey), where)));
      }
    }

    it('takes the key from a file, and says when that is none', async () => {
      const path = join(folder, 'cosign.pub');
      writeFileSync(path, pem(publicKey));
      await counts(fetch({ key: path }, byKey(privateKey)));
      await refused(
        fetch({ key: join(folder, 'none.pub') }, byKey(privateKey)),
        /cannot be read: there is no such file/,
        'NK_DOCUMENT_INVALID',
      );
      await refused(
        fetch({ key: '-----BEGIN NONSENSE-----' }, byKey(privateKey)),
        /no public key/,
        'NK_DOCUMENT_INVALID',
      );
    });

    it('counts beside signatures that cannot be read', () =>
      counts(
        fetch({ key: pem(publicKey) }, (digest) => {
          const [good] = byKey(privateKey)(digest);
          const junk = Buffer.from('no JSON');
          const referring = {
            mediaType: ociManifest,
            blobs: [config, junk],
            manifest: {
              schemaVersion: 2,
              mediaType: ociManifest,
              artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
              config: describeBlob(config, 'application/vnd.oci.empty.v1+json'),
              layers: [describeBlob(junk, 'application/vnd.dev.sigstore.bundle.v0.3+json')],
              subject: { mediaType: ociManifest, digest, size: 1 },
            },
          };
          const index = {
            ...indexOf([
              {
                ...manifestDescriptor(referring),
                artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
              } as never,
            ]),
            tag: digest.replace(':', '-'),
          };
          return [referring, index, ...(good ? [good] : [])];
        }),
      ));

    it('does not count by another key', async () => {
      const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      await refused(fetch({ key: pem(publicKey) }, byKey(other.privateKey)), /another key, or over other content/);
    });

    it('does not count for another artifact: a replay', async () => {
      const elsewhere = `sha256:${'1'.repeat(64)}`;
      await refused(
        fetch(
          { key: pem(publicKey) },
          byKey(privateKey, () => payloadFor(elsewhere)),
        ),
        /it is for sha256:1111/,
      );
    });

    it('does not count over a text that was changed', async () => {
      await refused(
        fetch({ key: pem(publicKey) }, (digest) => [
          signatureManifest(digest, Buffer.concat([payloadFor(digest), Buffer.from(' ')]), {
            'dev.cosignproject.cosign/signature': sign('sha256', payloadFor(digest), privateKey).toString('base64'),
          }),
        ]),
        /another key, or over other content/,
      );
    });

    it('does not count when there is none, or half of one', async () => {
      await refused(
        fetch({ key: pem(publicKey) }, () => []),
        /is not signed/,
      );
      await refused(
        fetch({ key: pem(publicKey) }, (digest) => [signatureManifest(digest, payloadFor(digest), {})]),
        /holds no signature/,
      );
      await refused(
        fetch({ key: pem(publicKey) }, (digest) => [signatureManifest(digest, Buffer.from('{}'), {})]),
        /no statement about an image/,
      );
    });
  });

  describe('by an identity', () => {
    type Services = Awaited<ReturnType<typeof services>>;
    let ours: Services;
    let others: Services;

    before(async () => {
      [ours, others] = [await services(), await services()];
    });

    async function services() {
      const made = await createServices();
      const path = join(folder, `root-${count++}.json`);
      writeFileSync(path, made.trustedRoot);
      return { ...made, path };
    }

    /** What `cosign sign` without a key leaves. */
    const keyless =
      ({ ca, tLog }: Services, more: { log?: boolean; payload?: (digest: string) => Buffer } = {}) =>
      async (digest: string) => {
        const payload = (more.payload ?? payloadFor)(digest);
        const { certificate, chain, signature, entry } = await signKeyless({ ca, tLog }, payload);
        const bundle = {
          SignedEntryTimestamp: entry?.verification.signedEntryTimestamp,
          Payload: {
            body: entry?.body,
            integratedTime: entry?.integratedTime,
            logIndex: entry?.logIndex,
            logID: entry?.logID,
          },
        };
        return [
          signatureManifest(digest, payload, {
            'dev.cosignproject.cosign/signature': signature,
            'dev.sigstore.cosign/certificate': certificate,
            'dev.sigstore.cosign/chain': chain.join('\n'),
            ...(more.log !== false && { 'dev.sigstore.cosign/bundle': JSON.stringify(bundle) }),
          }),
        ];
      };

    const by = (
      more: Partial<{ trustedRoot: string; identity: string; issuer: string }> = {},
    ): SignatureRequirement => ({
      trustedRoot: ours.path,
      identity,
      issuer,
      ...more,
    });

    it('counts when the root vouches for exactly that identity', async () => {
      await counts(fetch(by(), keyless(ours)));
      await counts(fetch(by({ identity: '/https://github\\.example/team/.*/' }), keyless(ours), 'layout'));
    });

    it('does not count for another identity or issuer, nor for a part of one', async () => {
      for (const wrong of [
        'https://github.example/team/kubelet',
        identity.replace('github.example', 'githubXexample'),
        '/team/',
      ])
        await refused(fetch(by({ identity: wrong }), keyless(ours)), /certificate identity error/);
      await refused(fetch(by({ issuer: 'https://token.example.evil' }), keyless(ours)), /expected issuer=/);
    });

    it('does not count by another authority or log', async () => {
      await refused(fetch(by(), keyless(others)), /./);
      await refused(fetch(by(), keyless({ ...ours, tLog: others.tLog })), /./);
    });

    it('does not count without an entry in the log, for another artifact, or by a key', async () => {
      await refused(fetch(by(), keyless(ours, { log: false })), /not in a transparency log/);
      await refused(
        fetch(by(), keyless(ours, { payload: () => payloadFor(`sha256:${'2'.repeat(64)}`) })),
        /it is for sha256:2222/,
      );
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      await refused(
        fetch(by(), (digest) => [
          signatureManifest(digest, payloadFor(digest), {
            'dev.cosignproject.cosign/signature': sign('sha256', payloadFor(digest), privateKey).toString('base64'),
          }),
        ]),
        /by a key, and an identity is asked for/,
      );
    });

    it('says when the root cannot be read', () =>
      refused(
        fetch(by({ trustedRoot: join(folder, 'none.json') }), keyless(ours)),
        /cannot be read/,
        'NK_DOCUMENT_INVALID',
      ));
  });
});
