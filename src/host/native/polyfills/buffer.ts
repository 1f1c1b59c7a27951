/** What is left of Node's Buffer in the sources. */
import { latin1Of, textOf } from '../../../model/bytes.ts';
import { now } from '../crossing.ts';

type Encoding = 'utf8' | 'utf-8' | 'hex' | 'base64' | 'latin1' | 'ascii' | 'binary';

const encoder = new TextEncoder();

function bytesOf(text: string, encoding: Encoding): Uint8Array {
  switch (encoding) {
    case 'utf8':
    case 'utf-8':
      return encoder.encode(text);
    case 'hex':
      return Uint8Array.from(text.match(/[0-9a-f]{2}/gi) ?? [], (digits) => Number.parseInt(digits, 16));
    case 'base64': {
      const digits = text
        .replaceAll('-', '+')
        .replaceAll('_', '/')
        .replaceAll(/[^A-Za-z0-9+/]/g, '');
      return Uint8Array.fromBase64(digits.length % 4 === 1 ? digits.slice(0, -1) : digits);
    }
    case 'latin1':
    case 'ascii':
    case 'binary':
      return Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0xff);
  }
}

const sized = (length: number): Buffer => new Buffer(new ArrayBuffer(length));

export class Buffer extends Uint8Array<ArrayBuffer> {
  static override from(value: unknown, second?: unknown, third?: unknown): Buffer {
    if (typeof value === 'string') return Buffer.over(bytesOf(value, (second as Encoding | undefined) ?? 'utf8'));
    if (value instanceof ArrayBuffer)
      return new Buffer(value, second as number | undefined, third as number | undefined);
    const list = value as ArrayLike<number>;
    const made = sized(list.length);
    made.set(list);
    return made;
  }
  /** Of the same memory. */
  static over({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
    return new Buffer(buffer as ArrayBuffer, byteOffset, byteLength);
  }
  static alloc(length: number, fill: number | string = 0): Buffer {
    return sized(length).fill(typeof fill === 'number' ? fill : fill.charCodeAt(0));
  }
  static allocUnsafe(length: number): Buffer {
    return sized(length);
  }
  static concat(parts: readonly Uint8Array[], length = parts.reduce((sum, part) => sum + part.length, 0)): Buffer {
    const whole = sized(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part.subarray(0, length - at), at);
      at += part.length;
      if (at >= length) break;
    }
    return whole;
  }
  static isBuffer(value: unknown): value is Buffer {
    return value instanceof Buffer;
  }
  static byteLength(value: string | Uint8Array): number {
    return typeof value === 'string' ? encoder.encode(value).length : value.byteLength;
  }
  static compare(a: Uint8Array, b: Uint8Array): number {
    return now<number>('compare', a, b);
  }

  override toString(encoding: Encoding = 'utf8', start = 0, end = this.length): string {
    const part = this.subarray(start, end);
    if (encoding === 'hex') return part.toHex();
    if (encoding === 'base64') return part.toBase64();
    return encoding === 'utf8' || encoding === 'utf-8' ? textOf(part) : latin1Of(part);
  }
  equals(other: Uint8Array): boolean {
    return Buffer.compare(this, other) === 0;
  }
  compare(other: Uint8Array, start = 0, end = other.length, ownStart = 0, ownEnd = this.length): number {
    return Buffer.compare(this.subarray(ownStart, ownEnd), other.subarray(start, end));
  }
  override subarray(start?: number, end?: number): Buffer {
    return Buffer.over(super.subarray(start, end));
  }
  override slice(start?: number, end?: number): Buffer {
    return this.subarray(start, end);
  }
  override indexOf(value: unknown, from = 0): number {
    if (typeof value === 'number') return super.indexOf(value, from);
    const wanted = typeof value === 'string' ? encoder.encode(value) : (value as Uint8Array);
    for (let at = from; at + wanted.length <= this.length; at += 1)
      if (wanted.every((byte, index) => this[at + index] === byte)) return at;
    return -1;
  }
  override includes(value: unknown, from?: number): boolean {
    return this.indexOf(value, from) >= 0;
  }
  copy(target: Uint8Array, at = 0, start = 0, end = this.length): number {
    const part = this.subarray(start, Math.min(end, start + target.length - at));
    target.set(part, at);
    return part.length;
  }
  write(text: string, at = 0, length = this.length - at): number {
    const bytes = encoder.encode(text).subarray(0, length);
    this.set(bytes, at);
    return bytes.length;
  }
  toJSON(): { type: 'Buffer'; data: number[] } {
    return { type: 'Buffer', data: [...this] };
  }

  #view(at: number, length: number): DataView {
    return new DataView(this.buffer, this.byteOffset + at, length);
  }
  readUInt8(at = 0): number {
    return this.#view(at, 1).getUint8(0);
  }
  writeUInt8(value: number, at = 0): number {
    this[at] = value;
    return at + 1;
  }
  readUInt16LE(at = 0): number {
    return this.#view(at, 2).getUint16(0, true);
  }
  readUInt16BE(at = 0): number {
    return this.#view(at, 2).getUint16(0);
  }
  readUInt32LE(at = 0): number {
    return this.#view(at, 4).getUint32(0, true);
  }
  readUInt32BE(at = 0): number {
    return this.#view(at, 4).getUint32(0);
  }
  readBigUInt64LE(at = 0): bigint {
    return this.#view(at, 8).getBigUint64(0, true);
  }
  readBigInt64BE(at = 0): bigint {
    return this.#view(at, 8).getBigInt64(0);
  }
  readBigUInt64BE(at = 0): bigint {
    return this.#view(at, 8).getBigUint64(0);
  }
  writeUInt16LE(value: number, at = 0): number {
    this.#view(at, 2).setUint16(0, value, true);
    return at + 2;
  }
  writeUInt16BE(value: number, at = 0): number {
    this.#view(at, 2).setUint16(0, value);
    return at + 2;
  }
  writeUInt32LE(value: number, at = 0): number {
    this.#view(at, 4).setUint32(0, value, true);
    return at + 4;
  }
  writeUInt32BE(value: number, at = 0): number {
    this.#view(at, 4).setUint32(0, value);
    return at + 4;
  }
}
