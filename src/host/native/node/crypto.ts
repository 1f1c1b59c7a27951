/** Of `node:crypto` what the shared sources use. */
import { bufferOf, now } from '../crossing.ts';

type Content = string | Uint8Array;

const given = (content: Content): Content => (typeof content === 'string' ? content.toWellFormed() : content);

/** Of content at once, in hex. */
export function hash(algorithm: string, content: Content): string {
  return now('digest', algorithm, given(content));
}

class Hash {
  readonly #algorithm: string;
  #state: Uint8Array | undefined;
  constructor(algorithm: string, state?: Uint8Array) {
    this.#algorithm = algorithm;
    this.#state = state;
  }
  update(content: Content): this {
    this.#state = now('digestMore', this.#algorithm, this.#state, given(content));
    return this;
  }
  copy(): Hash {
    return new Hash(this.#algorithm, this.#state);
  }
  digest(encoding: 'hex'): string;
  digest(): Uint8Array;
  digest(encoding?: 'hex'): string | Uint8Array {
    const hex = now<string>('digestHex', this.#algorithm, this.#state);
    return encoding === 'hex' ? hex : Buffer.from(hex, 'hex');
  }
}

export function createHash(algorithm: string): Hash {
  return new Hash(algorithm);
}

export function randomBytes(length: number): Uint8Array {
  return now('random', length);
}

export function randomUUID(): string {
  const bytes = now<Uint8Array>('random', 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toHex().replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}

/** A key: PEM of a private one, DER of a public one. */
class KeyObject {
  readonly secret: string;
  readonly der: Uint8Array;
  readonly asymmetricKeyType: string;
  readonly asymmetricKeyDetails: { readonly namedCurve?: string };
  constructor(secret: string, der: Uint8Array) {
    this.secret = secret;
    this.der = der;
    const [type = '', curve] = now<string>('keyType', der).split(' ');
    this.asymmetricKeyType = type;
    this.asymmetricKeyDetails = curve === undefined ? {} : { namedCurve: curve };
  }
  export({ format }: { readonly type: string; readonly format: string }): string | Uint8Array {
    if (this.secret !== '') return this.secret;
    if (format === 'der') return bufferOf(this.der);
    return pem('PUBLIC KEY', this.der);
  }
}

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export function generateKeyPairSync(type: string): Pair {
  const secret = now<string>('keyNew', type);
  const der = now<Uint8Array>('keyPublic', secret);
  return { privateKey: new KeyObject(secret, der), publicKey: new KeyObject('', der) };
}

export function generateKeyPair(
  type: string,
  _options: object,
  done: (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void,
): void {
  const { publicKey, privateKey } = generateKeyPairSync(type);
  done(null, publicKey, privateKey);
}

export function createPrivateKey(pem: string): KeyObject {
  return new KeyObject(pem, now('keyPublic', pem));
}

interface Der {
  readonly key: Uint8Array;
  readonly type?: 'spki' | 'pkcs1';
}

export function createPublicKey(from: string | KeyObject | Der): KeyObject {
  if (typeof from === 'string') return new KeyObject('', now('keyRead', from));
  if (from instanceof KeyObject) return new KeyObject('', from.der);
  if (from.type === 'pkcs1') return createPublicKey(pem('RSA PUBLIC KEY', from.key));
  return new KeyObject('', from.key);
}

function pem(label: string, der: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${der.toBase64().replaceAll(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`;
}

export function sign(_digest: string | undefined, content: Uint8Array, key: string | KeyObject): Uint8Array {
  return now('keySign', typeof key === 'string' ? key : key.secret, content);
}

export function verify(
  digest: string | undefined,
  content: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): boolean {
  return now('keyVerify', key.der, digest ?? 'sha256', content, signature);
}

/** In a time that says nothing of where they differ. */
export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) throw new RangeError('Input buffers must have the same byte length');
  return a.reduce((difference, byte, index) => difference | (byte ^ (b[index] ?? 0)), 0) === 0;
}

export class X509Certificate {
  readonly pem: string;
  readonly publicKey: string;
  constructor(pem: string) {
    now('certificateCheck', pem);
    this.pem = pem;
    this.publicKey = pem;
  }
  checkIssued(by: { readonly pem: string }): boolean {
    return now('certificateNames', this.pem, by.pem);
  }
  verify(by: string): boolean {
    return now('certificateSigned', this.pem, by);
  }
}

/** From 0 on, below the limit. */
export function randomInt(limit: number): number {
  return Number(BigInt(`0x${now<Uint8Array>('random', 12).toHex()}`) % BigInt(limit));
}
