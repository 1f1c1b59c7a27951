/**
 * What an X.509 certificate says of itself, read from its PEM form (RFC 5280, RFC 7468). Who vouches for it is not judged
 * here: TLS does that. Pure.
 */
import { fromBase64, textOf } from './bytes.ts';
import { commonNameOid, namesIn, organizationOid, tags, valuesIn, type Value } from './der.ts';

/** As far as anybody here asks. */
export interface Certificate {
  /** The common name of its subject, `system:node:node-1`; '' when it has none. */
  readonly commonName: string;
  /** The organizations of its subject, which Kubernetes takes for groups. */
  readonly organizations: readonly string[];
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

/** `[0]`, which holds the version when it is not the first. */
const explicitVersion = 0xa0;

/** The certificates of a PEM text in their order; undefined when it holds none, or one that is no certificate. */
export function certificatesIn(pem: string): readonly Certificate[] | undefined {
  const blocks = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g)];
  if (blocks.length === 0 || blocks.length !== pem.split('-----BEGIN CERTIFICATE-----').length - 1) return undefined;
  const certificates: Certificate[] = [];
  for (const [, base64 = ''] of blocks) {
    const certificate = certificateOf(fromBase64(base64));
    if (!certificate) return undefined;
    certificates.push(certificate);
  }
  return certificates;
}

/** Of DER bytes; undefined when they are no certificate. */
function certificateOf(der: Uint8Array): Certificate | undefined {
  const [certificate, ...behind] = valuesIn(der) ?? [];
  if (certificate?.tag !== tags.sequence || behind.length > 0) return undefined;
  const [signed, algorithm, signature] = valuesIn(certificate.content) ?? [];
  if (signed?.tag !== tags.sequence || algorithm?.tag !== tags.sequence || !signature) return undefined;
  const parts = valuesIn(signed.content) ?? [];
  if (parts[0]?.tag === explicitVersion) parts.shift();
  const [serial, , , validity, subject, publicKey] = parts;
  if (serial?.tag !== tags.integer || validity?.tag !== tags.sequence) return undefined;
  if (subject?.tag !== tags.sequence || publicKey?.tag !== tags.sequence) return undefined;
  const [notBefore, notAfter] = (valuesIn(validity.content) ?? []).map(timeOf);
  if (notBefore === undefined || notAfter === undefined) return undefined;
  const names = namesIn(subject.content);
  const ofType = (oid: string): string[] => names.filter(({ type }) => type === oid).map(({ value }) => value);
  return {
    commonName: ofType(commonNameOid)[0] ?? '',
    organizations: ofType(organizationOid),
    notBefore,
    notAfter,
    publicKey: publicKey.whole,
  };
}

/** `YYMMDDHHMMSSZ` of UTCTime, whose years are those from 1950 on, or `YYYYMMDDHHMMSSZ`. */
function timeOf({ tag, content }: Value): number | undefined {
  const text = textOf(content);
  const match =
    tag === tags.utcTime || tag === tags.generalizedTime
      ? /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text)
      : null;
  if (!match) return undefined;
  const [, year = '', ...rest] = match;
  const [month = 1, day = 1, hour = 0, minute = 0, second = 0] = rest.map(Number);
  const short = Number(year);
  const fullYear = year.length === 4 ? short : short + (short < 50 ? 2000 : 1900);
  return Date.UTC(fullYear, month - 1, day, hour, minute, second);
}
