/** Requests for certificates, PKCS #10 (RFC 2986): made as DER, and read strictly, since others make them, too. Pure. */
import { concatBytes, fromBase64, fromHex, latin1Of, toBase64 } from './bytes.ts';
import { commonNameOid, hexOf, namesIn, organizationOid, tags, valuesIn, type Value } from './der.ts';

/** Whom a certificate is asked for. */
export interface RequestedSubject {
  readonly commonName: string;
  /** Which Kubernetes takes for groups. */
  readonly organizations: readonly string[];
}

/** ecdsa-with-SHA256, RFC 5758; in hexadecimal digits. */
const ecdsaSha256Oid = '2a8648ce3d040302';

/** What is to be signed. `publicKey`: SubjectPublicKeyInfo, DER. No names beside the subject's are asked for. */
export function requestInfo({ commonName, organizations }: RequestedSubject, publicKey: Uint8Array): Uint8Array {
  const names = [
    ...organizations.map((organization) => name(organizationOid, organization)),
    name(commonNameOid, commonName),
  ];
  return encoded(
    tags.sequence,
    encoded(tags.integer, Uint8Array.of(0)),
    encoded(tags.sequence, ...names),
    publicKey,
    encoded(tags.attributes),
  );
}

/** `signature`: ECDSA over SHA-256 of the information, DER. */
export function certificateRequest(info: Uint8Array, signature: Uint8Array): Uint8Array {
  return encoded(
    tags.sequence,
    info,
    encoded(tags.sequence, encoded(tags.oid, fromHex(ecdsaSha256Oid))),
    encoded(tags.bits, Uint8Array.of(0), signature),
  );
}

/** In PEM form. */
export function requestPem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE REQUEST-----', ...lines, '-----END CERTIFICATE REQUEST-----', ''].join('\n');
}

function name(oid: string, text: string): Uint8Array {
  const pair = encoded(
    tags.sequence,
    encoded(tags.oid, fromHex(oid)),
    encoded(tags.utf8, new TextEncoder().encode(text)),
  );
  return encoded(tags.set, pair);
}

function encoded(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(parts);
  return concatBytes([Uint8Array.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 + bytes.length, ...bytes];
}

/** What a request asks for. */
export interface ReadRequest extends RequestedSubject {
  /** Names in the subject that are neither common name nor organization, or a second common name. */
  readonly hasOtherNames: boolean;
  /** It asks for extensions: alternative names, usages, anything. */
  readonly hasExtensions: boolean;
  /** Present when it asks for alternative names of servers and for no other extension. */
  readonly serverNames?: ServerNames;
  /** SubjectPublicKeyInfo, in PEM form. */
  readonly publicKey: string;
  /** What the requester signed, and the signature: DER for ECDSA. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** Alternative names, of the two types that servers have. */
export interface ServerNames {
  readonly dns: readonly string[];
  /** Four bytes or sixteen each. */
  readonly addresses: readonly Uint8Array[];
}

/** extensionRequest (PKCS #9) and subjectAltName, in hexadecimal digits. */
const extensionRequestOid = '2a864886f70d01090e';
const alternativeNameOid = '551d11';

/** Undefined for anything that is not one request of one extension of these names. */
function serverNamesIn(attributes: Uint8Array): ServerNames | undefined {
  const [type, set, ...behind] = partsOf(onlyIn(attributes, tags.sequence));
  if (!isOid(type, extensionRequestOid) || set?.tag !== tags.set || behind.length > 0) return undefined;
  const [extension, ...further] = partsOf(onlyIn(set.content, tags.sequence));
  if (extension?.tag !== tags.sequence || further.length > 0) return undefined;
  const [oid, ...rest] = partsOf(extension);
  // Whether it is critical stands between, or nothing does.
  const octets = rest.length === 2 && rest[0]?.tag === tags.boolean ? rest[1] : rest[0];
  if (!isOid(oid, alternativeNameOid) || octets?.tag !== tags.octets || octets !== rest.at(-1)) return undefined;
  return generalNamesOf(partsOf(onlyIn(octets.content, tags.sequence)));
}

function generalNamesOf(names: readonly Value[]): ServerNames | undefined {
  if (names.length === 0) return undefined;
  const dns: string[] = [];
  const addresses: Uint8Array[] = [];
  for (const { tag, content } of names) {
    if (tag === tags.dnsName) dns.push(latin1Of(content));
    else if (tag === tags.ipAddress && (content.length === 4 || content.length === 16)) addresses.push(content);
    else return undefined;
  }
  return { dns, addresses };
}

/** The one value there is, when it is of that type. */
function onlyIn(content: Uint8Array, tag: number): Value | undefined {
  const [one, ...others] = valuesIn(content) ?? [];
  return one?.tag === tag && others.length === 0 ? one : undefined;
}

function partsOf(value: Value | undefined): readonly Value[] {
  return (value && valuesIn(value.content)) ?? [];
}

function isOid(value: Value | undefined, oid: string): boolean {
  return value?.tag === tags.oid && hexOf(value.content) === oid;
}

const pemPattern = /^\s*-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE REQUEST-----\s*$/;

/** Of a PEM text; undefined when it is no request, or more than one. The signature is the caller's to verify. */
export function readCertificateRequest(pem: string): ReadRequest | undefined {
  const [, base64] = pemPattern.exec(pem) ?? [];
  if (base64 === undefined) return undefined;
  const [request, ...behind] = valuesIn(fromBase64(base64.replaceAll(/\s/g, ''))) ?? [];
  if (request?.tag !== tags.sequence || behind.length > 0) return undefined;
  const [info, algorithm, bits, ...more] = valuesIn(request.content) ?? [];
  if (info?.tag !== tags.sequence || algorithm?.tag !== tags.sequence || bits?.tag !== tags.bits || more.length > 0)
    return undefined;
  const [version, subject, key, attributes] = valuesIn(info.content) ?? [];
  if (version?.tag !== tags.integer || subject?.tag !== tags.sequence || key?.tag !== tags.sequence) return undefined;
  const names = namesIn(subject.content);
  const serverNames = attributes && serverNamesIn(attributes.content);
  const ofType = (oid: string): string[] => names.filter(({ type }) => type === oid).map(({ value: text }) => text);
  const commonNames = ofType(commonNameOid);
  const organizations = ofType(organizationOid);
  const lines = toBase64(key.whole).match(/.{1,64}/g) ?? [];
  return {
    commonName: commonNames[0] ?? '',
    organizations,
    hasOtherNames: commonNames.length > 1 || names.length !== commonNames.length + organizations.length,
    hasExtensions: attributes !== undefined && attributes.content.length > 0,
    ...(serverNames && { serverNames }),
    publicKey: ['-----BEGIN PUBLIC KEY-----', ...lines, '-----END PUBLIC KEY-----', ''].join('\n'),
    signed: info.whole,
    signature: bits.content.subarray(1),
  };
}
