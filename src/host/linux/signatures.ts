/** Signatures by Node's own cryptography and sigstore's library; both are loaded by the first one that is verified. */
import type { KeyObject } from 'node:crypto';
import type { SignatureByIdentity, SignatureByKey, Signatures } from '../port/signatures.ts';

/** Holds nothing open; the same for every host. */
export function createSignatures(): Signatures {
  return { newKey, publicKeyOf, sign, byKey, issuedBy, byIdentity };
}

async function newKey(): Promise<string> {
  const { generateKeyPair } = await import('node:crypto');
  return new Promise((resolve, reject) => {
    generateKeyPair('ec', { namedCurve: 'P-256' }, (error, _publicKey, privateKey) => {
      if (error) reject(error);
      else resolve(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    });
  });
}

async function publicKeyOf(privateKey: string): Promise<Uint8Array | undefined> {
  const { createPrivateKey, createPublicKey } = await import('node:crypto');
  try {
    return createPublicKey(createPrivateKey(privateKey)).export({ type: 'spki', format: 'der' });
  } catch {
    return undefined;
  }
}

async function sign(privateKey: string, content: Uint8Array): Promise<Uint8Array> {
  const { sign: signed } = await import('node:crypto');
  return signed('sha256', content, privateKey);
}

async function byKey({ key, content, signature }: SignatureByKey): Promise<'good' | 'bad' | 'no-key'> {
  const { createPublicKey, verify } = await import('node:crypto');
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey(key);
  } catch {
    return 'no-key';
  }
  // Ed25519 hashes on its own.
  const digest = publicKey.asymmetricKeyType === 'ed25519' ? undefined : 'sha256';
  return verify(digest, content, publicKey, signature) ? 'good' : 'bad';
}

async function issuedBy(chain: string, authorities: string): Promise<boolean> {
  const { X509Certificate } = await import('node:crypto');
  const read = (pem: string) =>
    [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)].map(
      ([one]) => new X509Certificate(one),
    );
  try {
    const roots = read(authorities);
    for (const [index, certificate, next] of read(chain).map((one, at, all) => [at, one, all[at + 1]] as const)) {
      const issued = (by: typeof certificate): boolean =>
        certificate.checkIssued(by) && certificate.verify(by.publicKey);
      if (roots.some(issued)) return true;
      if (!next || !issued(next) || index > 8) return false;
    }
  } catch {
    // What cannot be read was issued by nobody.
  }
  return false;
}

async function byIdentity(signed: SignatureByIdentity): Promise<string | undefined> {
  const { bundle, content, trustedRoot, identity, issuer } = signed;
  const [{ Verifier, toSignedEntity, toTrustMaterial }, { bundleFromJSON }, { TrustedRoot }] = await Promise.all([
    import('@sigstore/verify'),
    import('@sigstore/bundle'),
    import('@sigstore/protobuf-specs'),
  ]);
  try {
    const root = TrustedRoot.fromJSON(JSON.parse(trustedRoot));
    const thresholds = { ctlogThreshold: 1, tlogThreshold: 1, timestampThreshold: 1 };
    const entity = toSignedEntity(bundleFromJSON(JSON.parse(bundle)), content && Buffer.from(content));
    new Verifier(toTrustMaterial(root), thresholds).verify(entity, {
      subjectAlternativeName: identity,
      extensions: { issuer },
    });
    return undefined;
  } catch (thrown) {
    // What the library throws says what it expected and what it found; nothing of it is secret.
    return thrown instanceof Error ? thrown.message : 'it cannot be read';
  }
}
