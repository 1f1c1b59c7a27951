/** TextEncoder and TextDecoder of UTF-8 (Encoding standard), atob and btoa (HTML standard). */
import { now } from '../crossing.ts';
import { DOMException } from './abort.ts';

export class TextEncoder {
  readonly encoding = 'utf-8';
  encode(text = ''): Uint8Array {
    return now('utf8', text.toWellFormed());
  }
}

interface DecoderOptions {
  readonly fatal?: boolean;
  readonly ignoreBOM?: boolean;
}

export class TextDecoder {
  readonly encoding = 'utf-8';
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  /** What a stream left of a character, and whether something came before. */
  #left = new Uint8Array();
  #begun = false;

  constructor(label = 'utf-8', { fatal = false, ignoreBOM = false }: DecoderOptions = {}) {
    if (!/^\s*(utf-?8|unicode-1-1-utf-8|unicode11utf8|unicode20utf8|x-unicode20utf8)\s*$/i.test(label))
      throw Object.assign(new RangeError(`The "${label}" encoding is not supported`), {
        code: 'ERR_ENCODING_NOT_SUPPORTED',
      });
    this.fatal = fatal;
    this.ignoreBOM = ignoreBOM;
  }

  decode(input?: ArrayBuffer | ArrayBufferView, { stream = false }: { readonly stream?: boolean } = {}): string {
    let bytes = bytesIn(input);
    if (this.#left.length > 0) {
      const whole = new Uint8Array(this.#left.length + bytes.length);
      whole.set(this.#left);
      whole.set(bytes, this.#left.length);
      bytes = whole;
      this.#left = new Uint8Array();
    }
    if (stream) {
      const end = bytes.length - unfinished(bytes);
      this.#left = bytes.slice(end);
      bytes = bytes.subarray(0, end);
    }
    let text = now<string | undefined>('text', bytes);
    if (text === undefined) {
      if (this.fatal) {
        this.#begun = false;
        this.#left = new Uint8Array();
        throw Object.assign(new TypeError('The encoded data was not valid for encoding utf-8'), {
          code: 'ERR_ENCODING_INVALID_ENCODED_DATA',
        });
      }
      text = repaired(bytes);
    }
    if (!this.#begun && !this.ignoreBOM && text.startsWith('\uFEFF')) text = text.slice(1);
    this.#begun = stream && (this.#begun || bytes.length > 0);
    return text;
  }
}

function bytesIn(input: ArrayBuffer | ArrayBufferView | undefined): Uint8Array {
  if (input === undefined) return new Uint8Array();
  return ArrayBuffer.isView(input)
    ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
    : new Uint8Array(input);
}

/** How many bytes a character's first byte asks for behind it, and what the second may be. */
function lead(byte: number): readonly [needed: number, low: number, high: number] {
  if (byte >= 0xc2 && byte <= 0xdf) return [1, 0x80, 0xbf];
  if (byte >= 0xe0 && byte <= 0xef) return [2, byte === 0xe0 ? 0xa0 : 0x80, byte === 0xed ? 0x9f : 0xbf];
  if (byte >= 0xf0 && byte <= 0xf4) return [3, byte === 0xf0 ? 0x90 : 0x80, byte === 0xf4 ? 0x8f : 0xbf];
  return [0, 0, 0];
}

/** Length of the longest part of a character at the position; whether it is whole. */
function sequence(bytes: Uint8Array, at: number): { readonly length: number; readonly whole: boolean } {
  const [needed, low, high] = lead(bytes[at] ?? 0);
  if (needed === 0) return { length: 1, whole: false };
  for (let behind = 1; behind <= needed; behind += 1) {
    const byte = bytes[at + behind];
    const [from, to] = behind === 1 ? [low, high] : [0x80, 0xbf];
    if (byte === undefined || byte < from || byte > to) return { length: behind, whole: false };
  }
  return { length: needed + 1, whole: true };
}

/** Bytes at the end that may be the begin of a character. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const at = bytes.length - back;
    if (lead(bytes[at] ?? 0)[0] === 0) continue;
    const { length, whole } = sequence(bytes, at);
    return !whole && length === back ? back : 0;
  }
  return 0;
}

/** With one U+FFFD for each longest part of a character. */
function repaired(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    let end = at;
    while (end < bytes.length) {
      if ((bytes[end] ?? 0) < 0x80) end += 1;
      else {
        const { length, whole } = sequence(bytes, end);
        if (!whole) break;
        end += length;
      }
    }
    text += now<string>('text', bytes.subarray(at, end));
    if (end < bytes.length) {
      text += '\uFFFD';
      end += sequence(bytes, end).length;
    }
    at = end;
  }
  return text;
}

const invalid = (): DOMException => new DOMException('Invalid character', 'InvalidCharacterError');

declare global {
  interface Uint8ArrayConstructor {
    fromBase64(text: string): Uint8Array<ArrayBuffer>;
  }
  interface Uint8Array {
    toBase64(): string;
    toHex(): string;
  }
}

export function atob(data: string): string {
  let text = data.replaceAll(/[\t\n\f\r ]/g, '');
  if (text.length % 4 === 0) text = text.replace(/={1,2}$/, '');
  if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) throw invalid();
  const bytes = Uint8Array.fromBase64(text);
  let result = '';
  for (let at = 0; at < bytes.length; at += 4096) result += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return result;
}

export function btoa(data: string): string {
  const text = data;
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 0xff) throw invalid();
    bytes[at] = code;
  }
  return bytes.toBase64();
}
