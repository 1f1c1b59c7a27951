/** Values in DER (X.690), as certificates and requests for them are made of: read strictly, since others made them. Pure. */
import { textOf } from './bytes.ts';

/** A value: its tag, its content, and the whole of it. */
export interface Value {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** `[0]`, constructed: attributes of a request. */
  attributes: 0xa0,
  /** `[2]` and `[7]` of a GeneralName. */
  dnsName: 0x82,
  ipAddress: 0x87,
} as const;

/** Types of names, in hexadecimal digits. */
export const commonNameOid = '550403';
export const organizationOid = '55040a';

/** Values side by side; undefined when the bytes are not made of whole ones. */
export function valuesIn(der: Uint8Array): Value[] | undefined {
  const values: Value[] = [];
  let at = 0;
  while (at < der.length) {
    const tag = der[at] ?? 0;
    const first = der[at + 1];
    if (first === undefined) return undefined;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    // Four bytes are more than any certificate has.
    if (first === 0x80 || lengthBytes > 4) return undefined;
    const start = at + 2 + lengthBytes;
    const length = lengthBytes === 0 ? first : der.subarray(at + 2, start).reduce((so, byte) => so * 256 + byte, 0);
    if (start + length > der.length) return undefined;
    values.push({ tag, content: der.subarray(start, start + length), whole: der.subarray(at, start + length) });
    at = start + length;
  }
  return values;
}

/** RDNSequence: sets of type and value. */
export function namesIn(subject: Uint8Array): { readonly type: string; readonly value: string }[] {
  return (valuesIn(subject) ?? []).flatMap((set) =>
    (valuesIn(set.content) ?? []).flatMap((pair) => {
      const [type, value] = valuesIn(pair.content) ?? [];
      if (type?.tag !== tags.oid || !value) return [];
      return [{ type: hexOf(type.content), value: textOf(value.content) }];
    }),
  );
}

/** Two digits a byte. */
export function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
