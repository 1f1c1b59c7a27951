/** Requests for certificates, PKCS #10 (RFC 2986), as DER: what is signed, and the whole with its signature. Pure. */
import { concatBytes, toBase64 } from './bytes.ts';

/** Whom a certificate is asked for. */
export interface RequestedSubject {
  readonly commonName: string;
  /** Which Kubernetes takes for groups. */
  readonly organizations: readonly string[];
}

const tags = { integer: 0x02, bits: 0x03, oid: 0x06, utf8: 0x0c, sequence: 0x30, set: 0x31, attributes: 0xa0 } as const;
const commonNameOid = [0x55, 0x04, 0x03];
const organizationOid = [0x55, 0x04, 0x0a];
/** ecdsa-with-SHA256, RFC 5758. */
const ecdsaSha256Oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/** What is to be signed. `publicKey`: SubjectPublicKeyInfo, DER. No names beside the subject's are asked for. */
export function requestInfo({ commonName, organizations }: RequestedSubject, publicKey: Uint8Array): Uint8Array {
  const names = [
    ...organizations.map((organization) => name(organizationOid, organization)),
    name(commonNameOid, commonName),
  ];
  return value(
    tags.sequence,
    value(tags.integer, Uint8Array.of(0)),
    value(tags.sequence, ...names),
    publicKey,
    value(tags.attributes),
  );
}

/** `signature`: ECDSA over SHA-256 of the information, DER. */
export function certificateRequest(info: Uint8Array, signature: Uint8Array): Uint8Array {
  return value(
    tags.sequence,
    info,
    value(tags.sequence, value(tags.oid, Uint8Array.from(ecdsaSha256Oid))),
    value(tags.bits, Uint8Array.of(0), signature),
  );
}

/** In PEM form. */
export function requestPem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE REQUEST-----', ...lines, '-----END CERTIFICATE REQUEST-----', ''].join('\n');
}

function name(oid: readonly number[], text: string): Uint8Array {
  const pair = value(
    tags.sequence,
    value(tags.oid, Uint8Array.from(oid)),
    value(tags.utf8, new TextEncoder().encode(text)),
  );
  return value(tags.set, pair);
}

function value(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(parts);
  return concatBytes([Uint8Array.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 + bytes.length, ...bytes];
}
