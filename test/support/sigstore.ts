/** A certificate authority with its log, a transparency log, and what `cosign sign` without a key leaves of them. */
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog } from '@sigstore/mock';

export const identity = 'https://github.example/team/kubelet/.github/workflows/release.yaml@refs/tags/v1';
export const issuer = 'https://token.example';

export const pem = (key: KeyObject): string =>
  key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' }).toString();

interface LoggedEntry {
  readonly body: string;
  readonly integratedTime: number;
  readonly logIndex: number;
  readonly logID: string;
  readonly verification: { readonly signedEntryTimestamp: string };
}

export type Services = Awaited<ReturnType<typeof createServices>>;

/** With the trusted root that names them. */
export async function createServices(clock?: Date) {
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ctLog = await initializeCTLog(pair(), clock);
  const ca = await initializeCA(pair(), ctLog, clock);
  const tLog = await initializeTLog('https://log.example', pair(), clock);
  const bytes = (view: ArrayBufferView): string =>
    Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64');
  const validFor = { start: '2020-01-01T00:00:00Z' };
  const log = (key: Buffer, logId: string) => ({
    baseUrl: 'https://log.example',
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes: key.toString('base64'), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
    logId: { keyId: logId },
  });
  const root = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [log(tLog.publicKey, createHash('sha256').update(tLog.publicKey).digest('base64'))],
    certificateAuthorities: [
      {
        subject: { organization: 'test', commonName: 'test' },
        uri: 'https://ca.example',
        certChain: { certificates: [{ rawBytes: bytes(ca.rootCertificate) }] },
        validFor,
      },
    ],
    ctlogs: [log(ctLog.publicKey, bytes(ctLog.logID))],
    timestampAuthorities: [],
  };
  return { ca, tLog, trustedRoot: JSON.stringify(root) };
}

/** A signature over the content by a new key, whose certificate says the identity, and the entry in the log. */
export async function signKeyless({ ca, tLog }: Omit<Services, 'trustedRoot'>, content: Buffer) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const claims = Buffer.from(JSON.stringify({ sub: identity, iss: issuer })).toString('base64url');
  const answer = await fulcioHandler(ca).fn(
    JSON.stringify({
      credentials: { oidcIdentityToken: `eyJhbGciOiJub25lIn0.${claims}.` },
      publicKeyRequest: { publicKey: { content: pem(publicKey) } },
    }),
  );
  const issued = JSON.parse(answer.response as string) as Record<string, { chain: { certificates: string[] } }>;
  const [certificate = '', ...chain] = Object.values(issued)[0]?.chain.certificates ?? [];
  const signature = sign('sha256', content, privateKey).toString('base64');
  const logged = await tLog.log({
    kind: 'hashedrekord',
    apiVersion: '0.0.1',
    spec: {
      data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(content).digest('hex') } },
      signature: { content: signature, publicKey: { content: Buffer.from(certificate).toString('base64') } },
    },
  });
  const [entry] = Object.values<LoggedEntry>(logged as Record<string, LoggedEntry>);
  return { certificate, chain, signature, entry };
}
