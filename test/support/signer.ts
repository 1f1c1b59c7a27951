/** A signer of certificate requests on an API server in memory. What it issues says what a certificate says; nobody vouches for it. */
import { execFileSync } from 'node:child_process';
import type { KubeCluster } from './kube-cluster.ts';

const csrs = 'certificatesigningrequests';

interface Signing {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Instead of the one that is asked for. */
  readonly commonName?: string;
}

/** Subject of a request in PEM form, as openssl reads it; throws when its signature is not good. */
export function subjectOf(pem: string): string {
  execFileSync('openssl', ['req', '-verify', '-noout'], { input: pem, stdio: ['pipe', 'ignore', 'ignore'] });
  return execFileSync('openssl', ['req', '-noout', '-subject', '-nameopt', 'RFC2253'], { input: pem, encoding: 'utf8' })
    .replace(/^subject=\s*/, '')
    .trim();
}

/** Names of the requests that are there. */
export function requestsIn(cluster: KubeCluster): string[] {
  return cluster.asked
    .filter(({ verb, resource }) => verb === 'create' && resource === csrs)
    .map(({ body }) => (body as { metadata: { name: string } }).metadata.name);
}

/** Approves a request and issues its certificate. */
export function sign(cluster: KubeCluster, { name, notBefore, notAfter, commonName }: Signing): void {
  const object = cluster.get(`${csrs}/${name}`);
  if (!object) throw new Error(`there is no request ${name}`);
  const request = Buffer.from((object['spec'] as { request: string }).request, 'base64').toString();
  const subject = /CN=([^,]*),O=([^,]*)/.exec(subjectOf(request)) ?? [];
  const pem = certificateFor({
    commonName: commonName ?? subject[1] ?? '',
    organization: subject[2] ?? '',
    notBefore,
    notAfter,
    publicKey: publicKeyOf(request),
  });
  cluster.put(`${csrs}/${name}`, {
    ...object,
    status: {
      conditions: [{ type: 'Approved', reason: 'Test' }],
      certificate: Buffer.from(pem).toString('base64'),
    },
  });
}

/** Denies a request. */
export function deny(cluster: KubeCluster, name: string): void {
  const object = cluster.get(`${csrs}/${name}`) ?? {};
  cluster.put(`${csrs}/${name}`, { ...object, status: { conditions: [{ type: 'Denied', reason: 'NotYours' }] } });
}

interface Content {
  readonly commonName: string;
  readonly organization: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo, DER; one that is none unless told. */
  readonly publicKey?: Buffer;
}

function publicKeyOf(request: string): Buffer {
  const pem = execFileSync('openssl', ['req', '-pubkey', '-noout'], { input: request, encoding: 'utf8' });
  return Buffer.from(pem.replaceAll(/-----[A-Z ]+-----/g, ''), 'base64');
}

export function certificateFor({ commonName, organization, notBefore, notAfter, publicKey }: Content): string {
  const name = der(0x30, rdn([0x55, 0x04, 0x0a], organization), rdn([0x55, 0x04, 0x03], commonName));
  const algorithm = der(0x30, der(0x06, Buffer.from([0x2a, 0x03])));
  const signed = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    algorithm,
    name,
    der(0x30, time(notBefore), time(notAfter)),
    name,
    publicKey ?? der(0x30),
  );
  const whole = der(0x30, signed, algorithm, der(0x03, Buffer.from([0, 1])));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function rdn(oid: readonly number[], text: string): Buffer {
  return der(0x31, der(0x30, der(0x06, Buffer.from(oid)), der(0x0c, Buffer.from(text))));
}

function time(ms: number): Buffer {
  return der(0x18, Buffer.from(new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '')));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}
